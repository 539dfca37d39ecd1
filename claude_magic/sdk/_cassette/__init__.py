"""Record a turn's events to a file, and play them from it.

When a turn begins, `cassette` decides whether it is played or goes live, and which recorded turn answers the prompt.
`line_format` reads and writes lines, `cassette_file` the file; `recorder` collects the events of a turn, `player` plays them.
"""
