"""What moves while the kernel is there: a growing reply, questions with buttons, the session panel, the tree of turns.

Leaves to `settled` what replaces it when it is done.
"""
