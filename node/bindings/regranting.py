"""Regranting: a binding gets a new id, and with it a new key, under the newest version of the bank's secret.

It serves a platform whose binding key may have leaked, and a bank that wants to retire an old secret. The holder is not
asked, because the holder is not in doubt.
"""

import hmac
from collections.abc import Callable

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import select

from standing.ledger.attestations.binding_protocol import BindingAnswer
from standing.ledger.clock import Clock
from standing.ledger.errors import Conflict
from standing.ledger.service.vault import Vault
from standing.node.accounts.store import AccountStore
from standing.node.bindings import off_boarding
from standing.node.bindings.granting import Granting, active_binding
from standing.node.bindings.velocity import Bucket, Rate, Velocity
from standing.node.fault_points import Faults, no_faults
from standing.node.publishing import outbox
from standing.node.publishing.outbox import Issuer
from standing.node.storage import schema
from standing.node.storage.database import NodeDatabase

_ID_USED = "request_id: used before for something else; allowed: a new id"


class RegrantRequest(BaseModel):
    """`request_id` makes it safe to repeat the request after a lost answer."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"request_id": "regrant-2026-0001"}]})

    request_id: str = Field(min_length=8, max_length=64, pattern="^[A-Za-z0-9_-]+$")


class Regranting:
    """Replaces bindings of one bank by new ones."""

    def __init__(
        self,
        database: NodeDatabase,
        vault: Vault,
        issuer: Issuer,
        clock: Clock,
        *,
        rate: Rate,
        max_waiting: int,
        on_change: Callable[[], None],
        faults: Faults = no_faults,
    ) -> None:
        """`rate`: how often a platform may ask. `max_waiting`: at most half as many attestations may wait for the
        ledger, so that the core's changes find room."""
        self._rate = rate
        self._velocity = Velocity(vault, clock)
        self._max_waiting = max(1, max_waiting // 2)
        self._database = database
        self._vault = vault
        self._accounts = AccountStore(vault)
        self._granting = Granting(issuer, clock)
        self._on_change = on_change
        self._faults = faults

    def regrant(self, platform: str, binding: bytes, request: RegrantRequest) -> BindingAnswer:
        """End a binding of this platform and grant a new one of the same account, in one step.

        The same request id gets the same grant again. Raises: NotFound (also for one that has ended), Conflict where
        the request id was used for something else, PlatformOffBoarded, TooManyAttempts, Overloaded.
        """
        table = schema.bindings
        digest = self._vault.lookup("regrant", f"{binding.hex()} {request.request_id}")
        with self._database.write() as connection:
            again = connection.execute(
                select(table).where(table.c.platform == platform, table.c.request_id == request.request_id)
            ).one_or_none()
            if again is not None:
                if not hmac.compare_digest(again.request_digest, digest):
                    raise Conflict(_ID_USED)
                return self._granting.again(again, [])
            # A binding that came from a deposit has the deposit's request id.
            deposits = schema.micro_deposits
            deposit = connection.execute(
                select(deposits.c.id).where(
                    deposits.c.platform == platform, deposits.c.request_id == request.request_id
                )
            ).one_or_none()
            if deposit is not None:
                raise Conflict(_ID_USED)
            old = active_binding(connection, platform, binding)
            off_boarding.check(connection, platform)
            bucket = Bucket(f"regrant\x1f{platform}", "this platform", self._rate)
            self._velocity.check(connection, bucket)
            outbox.check_room(connection, self._max_waiting)
            self._velocity.charge(connection, 1, bucket)
            account = self._accounts.get(connection, old.account_id)
            answer = self._granting.grant(
                connection,
                account,
                platform=platform,
                request_id=request.request_id,
                request_digest=digest,
                mismatches=[],
                replaces=binding,
            )
        self._faults("grant_committed")
        self._on_change()
        return answer
