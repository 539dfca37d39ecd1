"""Record turns to a file, and play them from it, at the level of events.

Leaves to the runner when to record, play or go live.
"""
