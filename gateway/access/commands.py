"""What commands that call a running gateway share."""

#: The environment variable with the API key.
KEY_VARIABLE = "STANDING_GATEWAY_KEY"
