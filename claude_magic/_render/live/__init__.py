"""What moves while the kernel runs: a growing reply, questions with buttons, the session panel, the tree of turns.

`settled` has the plain output that replaces it at the end.
"""
