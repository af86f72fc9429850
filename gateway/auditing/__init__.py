"""External audits: a ledger's whole history from its URL alone, and a gateway's decisions from its export.

`ledger` walks the history, `decisions` repeats decisions and adds up usage, `export` writes a gateway's export.
"""
