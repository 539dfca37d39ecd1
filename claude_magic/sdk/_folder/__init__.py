"""What a folder holds for the CLI: what would act, what is only text, and what its git settings would run.

Only looks at files. Whether anything of it may be loaded is said by whoever runs a turn; `_cli` tells the CLI.
"""
