"""A turn in a cell, from the open view to the settled output: painting, questions, tools, and its end.

Leaves to `state` where a turn begins and which session is current after it.
"""
