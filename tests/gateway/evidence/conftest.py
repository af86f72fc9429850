"""Evidence shared by many tests."""

import pytest

from tests.gateway.evidence_samples import (
    EvidenceSample,
    evidence_sample,
)
from tests.gateway.gateway_rig import Rig


@pytest.fixture(scope="module")
def approved(shared_rig: Rig) -> EvidenceSample:
    """An approval shared read-only by many tests; later ledger entries do not affect it."""
    shared_rig.heartbeat()
    return evidence_sample(shared_rig, shared_rig.bound())
