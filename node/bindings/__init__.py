"""Bindings of accounts at platforms: verification, grants, micro-deposits, velocity limits, unbinding, off-boarding
and resync.

`service.Bindings` answers a platform's request, and `routes` serves it over HTTP. `assembly.make_bindings` builds it.
"""
