"""For support staff: the sync trail of a binding, risk holds, resync and rebind."""
