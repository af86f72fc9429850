"""Notifications to the platform: the durable event log, webhooks and server-sent events.

`log` appends events; `webhooks` and `streams` deliver them.
"""
