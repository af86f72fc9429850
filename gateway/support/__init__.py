"""Services for support staff: the sync trail of a binding, risk holds, resync and rebind.

`trail.Trails` traces a change from the bank's core to a decision; `proof.HoldProofs` lifts holds by a bank's
certificate.
"""
