"""One prompt over many rows in a notebook: `ask_each()` and `%%claude --each`.

Leaves to `sdk._rows` how rows are asked, and to `_render` how progress and results look.
"""
