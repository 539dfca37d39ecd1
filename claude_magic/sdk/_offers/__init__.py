"""What a CLI offers, by its own word: models, output styles, MCP servers, and how large a request is.

Leaves to the CLI how a server is started and spoken to, and to the gate what its tools may do unasked.
"""
