"""A user's bound accounts with their present state, as the platform's app shows them."""
