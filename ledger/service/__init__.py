"""The base of every Standing HTTP service: problem documents, API keys, bounds, database, secrets, logs."""
