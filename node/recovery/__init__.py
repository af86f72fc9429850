"""Getting a store level with the ledger again: history rebuilt from the chain, backup and restore.

`service.Recovery` is what the `recover` command runs.
"""
