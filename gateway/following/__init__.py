"""Following the ledger in the background: published changes, silent banks, and nightly reconciliation."""
