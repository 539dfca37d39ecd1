"""One prompt over many rows in a notebook: `ask_each()` and `%%claude --each`.

`sdk._rows` sends the prompts; `_render` shows progress and results.
"""
