"""Following the ledger in the background: published changes, banks that stop reporting, and nightly reconciliation.

`assembly.Following` runs the follower and the delivery of events; `reconcile.Reconciler` compares the store with the
ledger.
"""
