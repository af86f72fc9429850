"""Makes the invented banks, accounts, users and day of this folder.

Nothing here imports the project: the expected decisions are computed independently, from the decision table alone, so
that an error in the project cannot hide in them.
"""
