"""What a CLI offers, as it reports it: models, output styles, MCP servers, the size of a request. Which schemas it accepts.

The CLI starts the servers and speaks with them. The gate decides what their tools may do unasked.
"""
