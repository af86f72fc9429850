"""Running the node: status, metrics, housekeeping, the standby gate, and the commands of `standing-node`."""
