"""Record a turn's events to a file, and play them from it.

The runner calls when a turn begins. `cassette` decides whether it is played or goes live, and which recording answers it.
`line_format` reads and writes lines, `cassette_file` the file; `recorder` collects the events of a turn, `player` plays them.
"""
