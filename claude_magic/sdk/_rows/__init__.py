"""One prompt over many rows: the work list, a pool of warm processes, limits, the checkpoint and the results.

Each row is a conversation of its own. Leaves to `_cli` what a process is, and to others how progress and results look.
"""
