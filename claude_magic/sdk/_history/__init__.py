"""What the CLI keeps on disk: sessions and their transcripts.

Reads and names them, and finds out who else has written to them. Writes a transcript only to branch off another one.
"""
