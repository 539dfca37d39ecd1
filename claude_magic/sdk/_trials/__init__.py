"""Many ways to ask the same of many rows, told apart by a score: variants of a template, and models.

Leaves to `_rows` how rows are asked, and to others how a trial looks.
"""
