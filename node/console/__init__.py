"""The node's console at `/console`: read-only pages for the bank's operators.

Sign-in, sessions, languages and page layout are in `ledger.service.console`. Others use `app.create_console`.
"""
