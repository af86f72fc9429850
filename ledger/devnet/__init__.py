"""The embedded development chain: eth-tester behind JSON-RPC on loopback.

`chain.Devnet` is the whole interface.
"""
