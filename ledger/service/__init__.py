"""What every Standing HTTP service has in common: problem documents, API keys, bounds, database, secrets, logs."""
