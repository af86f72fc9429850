"""The console at `/console`: pages for the people who answer the phone, rendered on the server, in English and Chinese.

It is an application of its own, mounted by `gateway.app`: its errors are pages, its callers have sessions in place of
API keys, and each answer carries a strict Content-Security-Policy. It reads and acts through the services of other
rooms.
"""
