"""Notifications to the platform: the durable event log, webhooks and server-sent events.

Other packages append events to the `log`, in the transaction that records what happened, and call `wakeups`. `streams`
reads the log for each client. `webhooks` has one worker for each of the `endpoints`: it moves events from the log into
the endpoint's queue (`deliveries`), and sends those that are due. `types` lists all events.
"""
