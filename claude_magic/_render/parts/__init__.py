"""One piece of a reply: its wording, HTML, Markdown and style, and the removal of credentials from all of them.

Whole replies are in `settled` and `live`.
"""
