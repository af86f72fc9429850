"""A user's bound accounts with their current state, as the platform's app shows them.

`service.Accounts` lists them; `health` is the state of one account, judged as a decision would be.
"""
