"""The Claude CLI as a process: its command line, its pipes, its messages, its failures.

`_turn` decides which turn is run, and `config` defines the options.
"""
