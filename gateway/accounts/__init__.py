"""A user's bound accounts, each with how it is now: what the platform's app shows."""
