"""Evidence that many tests look at."""

import pytest

from tests.gateway.evidence_samples import (
    EvidenceSample,
    evidence_sample,
)
from tests.gateway.gateway_rig import Rig


@pytest.fixture(scope="module")
def approved(shared_rig: Rig) -> EvidenceSample:
    """An approval that many tests look at and none changes; what comes onto the ledger later does not matter to it."""
    shared_rig.heartbeat()
    return evidence_sample(shared_rig, shared_rig.bound())
