"""The demo's page: a bank's core on the left, a shop on the right, the ledger between them.

It uses public interfaces only: the feed of one bank's node, the gateway's API, and its event stream.
"""
