"""Claude in one IPython kernel: the magics, what they do, and what a kernel remembers between cells.

Private: the magics, `ask()` and `current_session()` are the public face. Beside the sub-rooms stand the facade above them
(`extension`, `magics`, `ask`, `completion`, `transform`) and what all of them use (`frontend`, `background`).
"""
