"""Turns the blocks of a reply into what people see. Knows neither the CLI nor the kernel.

Private. `views` holds what the kernel calls; `terminal` is the view for a terminal.
"""
