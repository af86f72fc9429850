"""The demo's page: a bank's desk on the left, a shop on the right, the ledger between them.

It uses public interfaces alone: the feed of one bank's node, the gateway's API, and its stream of events.
"""
