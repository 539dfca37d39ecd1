"""What a person can choose: one table of options, which defines parsing, help, Tab, `ask()` and traits.

This room also merges a cell's options with the settings. Other rooms do what an option says.
"""
