"""Claude in one IPython kernel: the current session, the magics, the cell that shows a turn."""
