"""What happened in the notebook outside the conversation: which cells ran, with which results, and which variables changed.

`prompt` and `turn` decide when Claude reads it.
"""
