"""What Claude may do unasked, what is asked, and what is off: decided here, before the CLI decides anything.

Leaves to the CLI whether a rule of the person's allows what is left to it, and to hosts how a person is asked.
"""
