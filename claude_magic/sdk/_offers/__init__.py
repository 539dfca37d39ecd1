"""What a CLI offers, as it reports it: models, output styles, MCP servers. Which schemas it accepts.

The CLI starts the servers and speaks with them. The gate decides what their tools may do unasked.
"""
