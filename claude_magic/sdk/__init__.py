"""The async client for the Claude CLI, with sessions. Knows the CLI; has never heard of IPython."""
