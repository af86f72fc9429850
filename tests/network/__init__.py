"""Standing on a real network of validators: what holds when nodes die, lag, lie and lose each other.

`engine` makes the network's genesis, `pipes` are its links, `validators` runs its nodes, `consortium` puts banks and
gateways on it, `load` keeps it busy and knows the truth. Run with `make test-network`.
"""
