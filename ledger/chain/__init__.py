"""Everything that speaks to a ledger node. No other package imports web3.

`client.LedgerClient` reads and submits; `history` and `proofs` serve recovery and evidence; `governance` admits and
suspends banks.
"""
