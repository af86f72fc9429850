"""Auditing from outside: a ledger's whole history from its URL alone, and a gateway's decisions from its export.

`ledger` walks the history, `decisions` decides again and adds usage up, `export` writes what a gateway hands over.
"""
