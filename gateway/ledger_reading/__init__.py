"""Reading the ledger at transaction time: coalesced calls over several ledger nodes.

`reader.Reader` is what others use. `nodes.LedgerNodes` chooses the ledger node for each call.
`rpc.Endpoint` calls one node, over `connections.Connections`.
"""
