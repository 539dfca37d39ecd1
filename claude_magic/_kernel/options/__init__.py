"""What a person can choose: one table of options, from which parsing, help, Tab, `ask()` and traits are made.

Also what holds for a turn when all choices come together. Leaves to others what the choices do.
"""
