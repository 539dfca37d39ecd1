"""What a person can choose: the options of a cell and the traits of `%config ClaudeMagics`, and how they are parsed.

Leaves to others what the choices do.
"""
