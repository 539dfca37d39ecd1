"""Decides what Claude may do unasked, what needs a question, and what is off, before the CLI decides anything.

The CLI applies the person's rules to calls that pass here. Hosts ask the person.
"""
