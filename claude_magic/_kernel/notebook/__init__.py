"""What happened in the notebook beside the conversation: which cells ran, what came of them, which variables changed.

Leaves to `prompt` and `turn` when Claude is told of it.
"""
