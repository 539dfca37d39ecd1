"""MCP servers besides our own: the files that name them, and what the CLI says of each.

Leaves to the CLI how a server is started and spoken to, and to the gate what its tools may do unasked.
"""
