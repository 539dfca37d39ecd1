"""From blocks of a reply to what people see. Knows neither the CLI nor the kernel.

Private. `views` is what the kernel is given; `terminal` is the view for a terminal.
"""
