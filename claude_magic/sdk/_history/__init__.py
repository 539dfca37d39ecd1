"""What the CLI keeps on disk: sessions and their transcripts.

Reads and names them, finds out who else has written to them, and writes a transcript only to make a branch of another.
"""
