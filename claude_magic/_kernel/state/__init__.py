"""What one kernel remembers between cells: its client, current session, turns, directory trust and cassette.

Leaves to `turn` how a turn is run and shown.
"""
