"""What stays in the notebook: replies, comparisons, lists of sessions, exports. Plain data in, MIME bundles or text out.

Everything that moves or can be clicked is in `live`.
"""
