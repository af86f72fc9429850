"""Running the gateway: status, metrics, probes, reloads, re-keying, and the commands of `standing-gateway`.

`service.GatewayStatus` is the status that routes and console show. Commands are listed in `gateway.cli`.
"""
