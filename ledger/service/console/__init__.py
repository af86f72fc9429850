"""The shared part of both consoles: sign-in and sessions, languages, pages, and response headers.

A console is an application of its own at `/console`: its errors are pages, its callers have sessions instead of API
keys, and every response has a strict Content-Security-Policy.
"""
