"""What Claude may see and do in the kernel: read variables and cells, run code, add cells, call the person's functions.

`turn` runs the calls in the cell and gets the person's permission.
"""
