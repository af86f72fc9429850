"""The bank's accounts as the node stores them: changes, stored state, quarantine, binding secrets and erasure.

`store.AccountStore` reads and writes accounts; `changes.AccountChange` is the core's statement about one account.
`bank_secrets.BankSecrets` derives the keys of bindings.
"""
