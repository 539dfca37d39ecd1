"""Record turns to a file and play them from there, at the level of events.

Leaves to the runner when to record, play or go live.
"""
