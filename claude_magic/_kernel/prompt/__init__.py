"""From the text of a cell to the content of a prompt: templates, variables, files, the last error.

Leaves to `values` how one value reads, and to `turn` when the prompt is sent.
"""
