"""The person's own functions as tools: what Claude is told of them, how a call's arguments become theirs, how they run.

Leaves to `_gate` whether a call may run, and to whoever has a kernel how it runs there.
"""
