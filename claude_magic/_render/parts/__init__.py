"""One piece of a reply: its wording, HTML, Markdown and style, and what is kept out of all of them.

Leaves whole replies to `settled` and `live`.
"""
