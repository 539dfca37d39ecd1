"""What a CLI offers, as it reports it: models, output styles, MCP servers, and the size of a request.

The CLI starts the servers and speaks with them. The gate decides what their tools may do unasked.
"""
