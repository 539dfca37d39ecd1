"""What Claude may see and do in the kernel: its variables, code that it runs, cells that it adds.

Leaves to `turn` when a tool is called and who allowed it.
"""
