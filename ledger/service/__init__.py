"""The base of both HTTP services: problem documents, API keys, request limits, databases, secrets, settings and logs.

Others mostly use `vault.Vault`, `database.Database`, `settings`, `problems`, `injection.provided` and `commands`.
"""
