"""Running the gateway: status, metrics, probes, re-keying, and the commands of `standing-gateway`."""
