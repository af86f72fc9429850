"""What banks and platforms share: terms and their sealing, publications and their signing, the typed ledger client.

Imports neither `node` nor `gateway`; they meet only here, over HTTP, and on the ledger.
"""
