"""One prompt over many rows: the work list, a pool of warm processes, limits, the checkpoint and the results.

Each row is a conversation of its own. `_cli` owns the processes. How progress and results are displayed is decided elsewhere.
"""
