"""Trials: variants of a template and several models over many rows, compared by a score.

`_rows` runs the rows. How a trial is displayed is decided elsewhere.
"""
