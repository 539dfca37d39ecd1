"""What `%claude_session` does, word by word.

Leaves to `state` what the words change, and to the render room what people see.
"""
