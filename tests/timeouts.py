"""How long tests wait for an answer: longer than any machine needs, so that no test fails for slowness.

A test about time sets its own timeout.
"""

from standing.ledger.chain.client import LedgerClient

PATIENT_MS = 20_000


def patient_ledger(url: str, contract: str) -> LedgerClient:
    """A client of the ledger that waits for a slow machine."""
    return LedgerClient(url, contract, timeout_s=PATIENT_MS / 1000)
