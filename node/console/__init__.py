"""The node's console at `/console`: read-only pages for the bank's operators.

What both consoles share (sign-in, sessions, languages, page layout) is in `ledger.service.console`.
"""
