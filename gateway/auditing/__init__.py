"""External audits: the whole history of a ledger, from its URL alone, and the decisions of a gateway, from its export.

`ledger` walks the history, `decisions` repeats decisions and adds up usage, and `export` writes a gateway's export.
"""
