"""What one kernel remembers between cells: its client, current session, turns, directory trust and cassette.

`turn` runs and shows a turn.
"""
