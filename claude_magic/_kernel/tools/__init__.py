"""What Claude may see and do in the kernel: read variables and cells, run code, add cells, call the person's functions.

`turn` decides when a tool is called and who allows it.
"""
