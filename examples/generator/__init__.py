"""Makes the invented banks, accounts, users and day of this folder.

Nothing here imports the project: what the day expects is worked out a second time, from the decision table alone, so
that an error in the project cannot hide in the answers it is judged by.
"""
