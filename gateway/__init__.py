"""The platform's gateway: it binds accounts, and decides on payments by the bank's attestation, read at that moment.

It imports `ledger` and never `node`. A bank's node is reached only over HTTP, and through the ledger.
"""
