"""Claude in one IPython kernel: the magics, what they do, and what a kernel remembers between cells.

Private, except the magics and what `claude_magic` exports (`ask`, `ask_each`, `current_session`, `for_type`). `extension`,
`magics`, `ask`, `rows`, `completion` and `transform` use the sub-packages; `frontend` and `background` serve both.
"""
