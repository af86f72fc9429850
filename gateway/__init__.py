"""The platform's gateway: binds accounts, and decides on payments by the bank's attestation, read at that time.

It imports `ledger` and never `node`; it reaches a bank's node only over HTTP and through the ledger. `composition`
builds the services, `app` serves them, and `cli` lists the commands of `standing-gateway`.
"""
