"""Python values as Claude reads them: tables, figures, source code, tracebacks, anything with a `repr`.

`prompt` and `tools` decide where the text goes.
"""
