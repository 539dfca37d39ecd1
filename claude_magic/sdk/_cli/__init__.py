"""The Claude CLI as a process: its command line, its pipes, its messages, its failures.

Leaves to the runner which turn is run, and to `config` what can be chosen.
"""
