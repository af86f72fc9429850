"""All communication with a ledger node. No other package imports web3, except the development chain.

`client.LedgerClient` reads and submits, `history` and `proofs` serve recovery and evidence, and `governance` admits and
suspends banks.
"""
