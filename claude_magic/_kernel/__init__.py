"""Claude in one IPython kernel: the magics, what they do, and what a kernel remembers between cells.

Private: only the magics, `ask()` and `current_session()` are public. Besides the sub-packages there are the modules that use
them (`extension`, `magics`, `ask`, `rows`, `completion`, `transform`), and those that they use (`frontend`, `background`).
"""
