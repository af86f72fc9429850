"""Standing on a real network of validators: the promises that hold when nodes die, lag, lie or lose contact.

`engine` makes the network's genesis, `hosts` are what its nodes run on, `validators` runs its nodes, `consortium` adds
banks and gateways, and `load` keeps it busy and knows the ground truth. Run with `make test-network`.
"""
