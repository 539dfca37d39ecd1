"""One turn from the request to the response: where it comes from, its timeout and retries, what is remembered of its session.

Leaves to `_cli` the processes, to `_cassette` what is recorded, and to `_history` what is on disk.
"""
