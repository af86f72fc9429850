"""Running the node: status, metrics, probes, reloads, the standby gate, and the commands of `standing-node`.

`status` is what routes and console show; `standby.StandbyGate` refuses requests on a node that does not lead.
"""
