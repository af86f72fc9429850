"""The platform's gateway: it binds accounts, and decides on payments by the bank's word, read at that moment.

Imports `ledger`, never `node`; a bank's node is met only over HTTP and on the ledger.
"""
