"""What stands between a person and an answer: looks at this machine, and at the kernel where there is one, and says it.

Changes nothing, and asks nobody but the CLI; only a test turn reaches the API. Leaves to the others what is then done.
"""
