"""Notifications to the platform: the durable event log, webhooks and server-sent events.

`log` appends events, `types` lists them, and `webhooks` and `streams` deliver them.
"""
