"""Resync: publish a binding's present terms once more, on request of its platform or of the node's operator.

What is on its way to the ledger already, queued or signed, is not queued twice; it is sent again at once instead,
because the caller has not seen it on the ledger.
"""

from collections.abc import Callable

from pydantic import BaseModel
from sqlalchemy import select

from standing.ledger.attestations.binding_protocol import Hex32
from standing.ledger.clock import Clock
from standing.ledger.errors import NotFound
from standing.ledger.service.database import Database
from standing.ledger.service.vault import Vault
from standing.node.accounts.store import AccountStore, unbound
from standing.node.bindings.velocity import Bucket, Rate, Velocity
from standing.node.fault_points import Faults, no_faults
from standing.node.publishing import outbox
from standing.node.publishing.outbox import Issuer
from standing.node.storage import schema

#: How many resyncs a platform may ask for at once, and in an hour.
RESYNC_RATE = Rate(capacity=60, refill_per_hour=600)


class ResyncAnswer(BaseModel):
    """`queued` is false where the newest terms were on their way already: they are sent again, and nothing is added."""

    binding: Hex32
    effective_at_ms: int
    queued: bool


class Resync:
    """Publishes the present terms of bindings again."""

    def __init__(
        self,
        database: Database,
        vault: Vault,
        issuer: Issuer,
        clock: Clock,
        *,
        on_doubt: Callable[[], None],
        faults: Faults = no_faults,
    ) -> None:
        self._database = database
        self._accounts = AccountStore(vault)
        self._issuer = issuer
        self._clock = clock
        self._velocity = Velocity(vault, clock)
        self._on_doubt = on_doubt
        self._faults = faults

    def resync(self, platform: str | None, binding: bytes) -> ResyncAnswer:
        """Queue the terms of a binding, if `platform` is None or its own. An ended binding is published as ended again.

        Raises: NotFound, TooManyAttempts.
        """
        table = schema.bindings
        with self._database.write() as connection:
            row = connection.execute(select(table).where(table.c.id == binding)).one_or_none()
            if row is None or platform not in {None, row.platform}:
                raise NotFound("there is no such binding")
            bucket = Bucket(f"resync\x1f{platform or ''}", "this caller", RESYNC_RATE)
            self._velocity.check(connection, bucket)
            account = self._accounts.get(connection, row.account_id)
            ended = row.ended_at_ms is not None
            effective_at_ms = row.ended_at_ms if ended else account.effective_at_ms
            queued = not outbox.on_its_way(connection, binding)
            self._velocity.charge(connection, 1, bucket)
            if queued:
                terms = account.terms(self._issuer.secret, binding, row.platform)
                terms = unbound(terms, row.ended_at_ms) if ended else terms
                outbox.put(connection, binding, terms, self._clock.now_ms())
        self._faults("resync_committed")
        self._on_doubt()
        return ResyncAnswer(binding="0x" + binding.hex(), effective_at_ms=effective_at_ms, queued=queued)
