"""Grants whose records are on the ledger, and waiting for a node to write about them."""

from collections.abc import Mapping
from typing import Any

from tests.node.node_tools import (
    Staffed,
    grant_of,
    writes,
)
from tests.world import ACCOUNT, wait_until


def bound(
    staffed: Staffed, stated: Mapping[str, Any] = ACCOUNT, key: str | None = None, **changed: Any
) -> dict[str, Any]:
    """A grant whose first attestation is on the ledger."""
    grant = grant_of(staffed.bind(stated, key, **changed))
    wait_until(lambda: writes(staffed.bank, grant) == 1)
    return grant
