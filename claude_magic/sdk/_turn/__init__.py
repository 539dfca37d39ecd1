"""One turn from the request to the response: its source, timeout and retries, and what is remembered of its session.

Leaves processes to `_cli`, recordings to `_cassette`, and what is on disk to `_history`.
"""
