"""A turn in a cell, from the open view to the settled output: painting, questions, tool calls, and its end.

`state` decides where a turn begins and which session is current after it.
"""
