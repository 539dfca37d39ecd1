"""What the CLI keeps on disk: sessions and their transcripts.

Reads, names and deletes them, and finds out who else has written to them. Writes a new transcript only for a branch.
"""
