"""What happened in the notebook outside the conversation: which cells ran, with which results, and which variables changed.

`turn` decides what of it is sent with a prompt; Claude reads more by the tool `read_cells`.
"""
