"""Run a turn from its source, a live process or a recording: enforce its timeout, retry it, and remember its session.

Leaves processes to `_cli`, recordings to `_cassette`, and what is on disk to `_history`.
"""
