"""Restating: after a recovery, the present state of some bindings is published before anything else.

Each of them is in the table `restatements`. While one is left, the watermark does not move, so no platform relies on
outdated state. A binding that the ledger has and this store does not know is ended: nothing would report a
frozen account to the ledger, and a moving watermark would vouch for it.
"""

import secrets
from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, Row, and_, case, delete, func, insert, or_, select, update

from standing.ledger.attestations.publication import TAG_AND_HEAD_SIZE, Attestation, Publication
from standing.ledger.attestations.sealing import HEAD_SIZE
from standing.ledger.attestations.terms import TERMS_SIZE, Terms
from standing.node.accounts.store import AccountStore, unbound
from standing.node.publishing import herds, outbox, publications
from standing.node.publishing.deployments import Deployment
from standing.node.publishing.herds import Cover
from standing.node.publishing.outbox import Draft, Issuer
from standing.node.storage import schema


def left(connection: Connection) -> int:
    """How many bindings are still to be stated again."""
    return int(connection.execute(select(func.count()).select_from(schema.restatements)).scalar_one())


class Restating:
    """Signs the publications that state bindings again."""

    def __init__(self, accounts: AccountStore, issuer: Issuer) -> None:
        self._accounts = accounts
        self._issuer = issuer

    def sign_next(
        self, connection: Connection, deployment: Deployment, *, max_attestations: int, latest_ms: int, now_ms: int
    ) -> Publication | None:
        """Seal, sign and store the next of these publications; None if nothing is left to state again.

        `latest_ms`: the latest time that the ledger accepts now.
        """
        table, bindings = schema.restatements, schema.bindings
        rows = connection.execute(
            select(table)
            .outerjoin(bindings, bindings.c.id == table.c.binding_id)
            .order_by(bindings.c.herd, table.c.binding_id)  # members of a herd together
            .limit(max_attestations)
        ).all()
        if not rows:
            return None
        stated = [row.binding_id for row in rows]
        covers = herds.cover(connection, stated, self._issuer.herd_size)
        count, cover = herds.fitting(stated, covers, max_attestations)
        rows = rows[:count]
        drafts = outbox.in_bounds(connection, [self._draft(connection, row) for row in rows if row.known], latest_ms)
        foreign = [row for row in rows if not row.known]
        ended_at_ms = min(now_ms, latest_ms)
        last = outbox.last_publication(connection)
        restated = outbox.in_order([*outbox.covering(self._not_restated(connection, cover)), *drafts])
        publication = publications.sign(
            connection,
            self._issuer,
            deployment,
            last,
            lambda number: sorted(
                [
                    *(publications.attest(draft, self._issuer, number) for draft in restated),
                    *(self._end(row, number, ended_at_ms) for row in foreign),
                ],
                key=lambda attestation: attestation.binding,
            ),
            # Other waiting rows are published afterwards, and the watermark moves with those publications.
            watermark_ms=outbox.watermark_floor_ms(last, deployment),
            now_ms=now_ms,
        )
        self._settle(connection, drafts, publication.number, deployment, latest_ms)
        done = [row.binding_id for row in rows]
        connection.execute(delete(schema.restatements).where(schema.restatements.c.binding_id.in_(done)))
        return publication

    def _not_restated(self, connection: Connection, cover: Sequence[Cover]) -> list[Cover]:
        """The cover, without members that are still to be stated again themselves: this store's last statement of them
        may be old."""
        table = schema.restatements.c.binding_id
        wanted = {each.binding for each in cover}
        coming = set(connection.execute(select(table).where(table.in_(wanted))).scalars())
        return [each for each in cover if each.binding not in coming]

    def _draft(self, connection: Connection, row: Row[Any]) -> Draft:
        """The present state of a binding that the store knows."""
        binding = connection.execute(select(schema.bindings).where(schema.bindings.c.id == row.binding_id)).one()
        account = self._accounts.get(connection, binding.account_id)
        terms = account.terms(self._issuer.secret, binding.id, binding.platform)
        if binding.ended_at_ms is not None:
            terms = unbound(terms, max(account.effective_at_ms, binding.ended_at_ms))
        return Draft(binding.id, binding.platform, terms, floor_ms=row.floor_ms)

    def _end(self, row: Row[Any], number: int, ended_at_ms: int) -> Attestation:
        """The end of a binding that the store does not know. It takes effect now: an end at the time of the last terms
        would be a change that the bank's watermark has already ruled out."""
        if row.terms is None:
            # Nobody can open this. A platform that finds it declines, and nothing more can be stated.
            return Attestation(
                row.binding_id, secrets.token_bytes(TAG_AND_HEAD_SIZE), secrets.token_bytes(TERMS_SIZE - HEAD_SIZE)
            )
        draft = Draft(row.binding_id, row.platform, unbound(Terms.unpack(row.terms), max(row.floor_ms, ended_at_ms)))
        return publications.attest(draft, self._issuer, number)

    def _settle(
        self, connection: Connection, drafts: Sequence[Draft], number: int, deployment: Deployment, latest_ms: int
    ) -> None:
        """Rows that waited for these bindings are covered by their present state: they count as published with it."""
        if not drafts:
            return
        abandoned = select(schema.publications.c.number).where(
            schema.publications.c.in_block_at_ms.is_(None), schema.publications.c.number <= deployment.base_number
        )
        table = schema.outbox
        connection.execute(
            update(table)
            .where(
                and_(
                    table.c.binding_id.in_([draft.binding for draft in drafts]),
                    or_(table.c.publication.is_(None), table.c.publication.in_(abandoned)),
                )
            )
            .values(
                publication=number,
                effective_at_ms=case((table.c.effective_at_ms > latest_ms, latest_ms), else_=table.c.effective_at_ms),
            )
        )
        connection.execute(
            insert(table),
            [
                {
                    "binding_id": draft.binding,
                    "effective_at_ms": draft.terms.effective_at_ms,
                    "terms": draft.terms.pack(),
                    "holds_from_ms": 0,
                    "publication": number,
                }
                for draft in drafts
            ],
        )
