"""What the consoles of both services share: sign-in and sessions, languages, pages, and the headers of every answer.

A console is an application of its own at `/console`: its errors are pages, its callers have sessions in place of API
keys, and each answer carries a strict Content-Security-Policy.
"""
