"""What one kernel remembers between cells: its client, current session, turns, directory trust and cassette.

Leaves running and showing a turn to `turn`.
"""
