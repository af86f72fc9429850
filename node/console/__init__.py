"""The node's console at `/console`: pages for the bank's operators, which only read.

What both consoles share (sign-in, sessions, languages, the frame of pages) is in `ledger.service.console`.
"""
