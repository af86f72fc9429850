"""Evidence of decisions, for third parties to verify later.

`claims` lists what evidence contains, `signing` makes it, and `verification` checks it against a ledger,
or offline by a storage proof.
"""
