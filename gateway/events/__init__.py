"""What a platform is notified of: the durable event log, webhooks and server-sent events.

`log` appends events; `webhooks` and `streams` deliver them.
"""
