"""The bank's accounts as the node keeps them: changes, stored state, the secrets their bindings' keys derive from,
erasure.

`store.AccountStore` reads and writes accounts; `changes.AccountChange` is the core's statement about one.
"""
