"""Bringing the store back in line with the ledger: history rebuilt from the chain, backup and restore.

`service.Recovery` is what the `recover` command runs.
"""
