"""The bank's node, which runs beside a core banking system: it takes in changes, grants bindings and publishes.

It imports `ledger` and never `gateway`. `composition` builds the services, `app` serves them, and `cli` lists the
commands of `standing-node`.
"""
