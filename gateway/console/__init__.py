"""The console at `/console`: pages for support staff, rendered on the server, in English and Chinese.

It is an application of its own, which `gateway.app` mounts: its errors are pages, its callers have sessions instead of
API keys, and every response has a strict Content-Security-Policy. It reads and acts through the services of other
packages. Others use `app.create_console`.
"""
