"""The doctor: checks this machine, and the kernel if there is one, for everything that keeps Claude from answering.

It changes nothing and calls only the CLI; only a test turn reaches the API. The person does what it advises.
"""
