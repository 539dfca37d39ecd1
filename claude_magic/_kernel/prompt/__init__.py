"""From the text of a cell to the content of a prompt: templates, variables, files, the last error.

`values` shows one value as text; `turn` sends the prompt.
"""
