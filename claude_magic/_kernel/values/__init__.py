"""Python values as Claude reads them: tables, figures, source code, tracebacks, anything with a `repr`.

Leaves to `prompt` and `tools` what becomes of the text.
"""
