"""The ids of JSON-RPC requests, and whether an answer is to the request that was sent.

A proxy between this process and a ledger node may mix up the answers on its own connections, for example after it gave
up on one. So no two requests have the same id, also not those of two processes behind one proxy, as far as chance
allows.
"""

import itertools
import secrets
from collections.abc import Iterator, Mapping
from typing import Any

_BITS = 48  # JavaScript's numbers hold 53


def request_ids() -> Iterator[int]:
    """Ascending ids from a random one on."""
    return itertools.count(secrets.randbits(_BITS))


def is_answer_to(request_id: int, answer: Mapping[str, Any]) -> bool:
    """Whether an answer has a request's id. An error may have none, because a request can be refused before it is
    read."""
    found = answer.get("id")
    return found == request_id or (found is None and answer.get("error") is not None)
