"""What a folder contains for the CLI: files that act, files that are only text, and programs that its git settings would run.

This package only looks at files. The caller decides whether they may be loaded, and `_cli` tells the CLI what to load.
"""
