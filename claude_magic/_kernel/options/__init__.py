"""What a person can choose: one table of options, which defines parsing, help, Tab, `ask()` and traits.

This package also merges a cell's options with the settings. Other packages do what an option says.
"""
