"""The console at `/console`: pages for support staff, rendered on the server, in English and Chinese.

It is an application of its own, mounted by `gateway.app`: its errors are pages, its callers have sessions instead of
API keys, and every response carries a strict Content-Security-Policy. It reads and acts through the services
of other packages.
"""
