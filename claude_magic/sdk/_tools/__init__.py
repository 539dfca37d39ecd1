"""The person's own functions as tools: their descriptions for Claude, their arguments, and how they run.

`_gate` decides whether a call may run. A host with a kernel decides how it runs there.
"""
