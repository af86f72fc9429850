"""The formats that both sides share: terms, sealing, publications, grants, identity, money and BICs.

Pure: no I/O and no clock. `binding_protocol` holds the bodies that a gateway and a bank's node exchange over HTTP.
"""
