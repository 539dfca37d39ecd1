"""What the CLI keeps on disk: sessions and their transcripts.

Reads and names them, and never writes a transcript itself.
"""
