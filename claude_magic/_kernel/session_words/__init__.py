"""What `%claude_session` does, word by word.

`state` holds what the words change; `_render` shows it.
"""
