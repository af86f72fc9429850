"""Bindings of accounts at platforms: verification, grants, micro-deposits, velocity limits, unbinding, off-boarding,
resync.

`service.Bindings` answers a platform's request; `routes` is its HTTP side.
"""
