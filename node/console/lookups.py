"""Queries of the console's pages on the node's store. Account numbers are masked here, and no holder is read."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from sqlalchemy import Connection, Row, case, func, select

from standing.ledger.attestations.publication import ATTESTATION_SIZE
from standing.node.accounts.quarantine import Quarantine
from standing.node.publishing import outbox
from standing.node.settings import NodeSettings
from standing.node.storage import schema

#: The most rows on a page.
MAX_LISTED = 100


@dataclass(frozen=True, slots=True)
class StatedEntry:
    """One entry of the feed, as the core stated it."""

    as_of_ms: int
    received_at_ms: int
    changes: int
    attestations: int


@dataclass(frozen=True, slots=True)
class CoreStatements:
    """The core's last entry, its last entry with a change, and how far each source was read."""

    last: StatedEntry | None
    last_change: StatedEntry | None
    sources: tuple[tuple[str, int], ...]
    watermark_on_ledger_ms: int | None


def core_statements(connection: Connection) -> CoreStatements:
    """The core's last statements."""
    table = schema.feed_entries
    newest = select(table).order_by(table.c.as_of_ms.desc()).limit(1)
    cursors = select(schema.feed_cursors.c.source, schema.feed_cursors.c.moved_at_ms)
    return CoreStatements(
        last=_entry(connection.execute(newest.where(table.c.complete)).one_or_none()),
        last_change=_entry(connection.execute(newest.where(table.c.changes > 0)).one_or_none()),
        sources=tuple((row.source, row.moved_at_ms) for row in connection.execute(cursors.order_by("source"))),
        watermark_on_ledger_ms=outbox.watermark_in_block_ms(connection),
    )


def _entry(row: Row[tuple[int, int, int, int]] | None) -> StatedEntry | None:
    return None if row is None else StatedEntry(row.as_of_ms, row.received_at_ms, row.changes, row.attestations)


@dataclass(frozen=True, slots=True)
class UnstatedRow:
    """A quarantined account. `number`: its last four digits. `known`: an earlier row of it was understood."""

    number: str
    known: bool
    since_ms: int
    fields: tuple[str, ...]
    source: str
    problem: str


def unstated_rows(connection: Connection, quarantine: Quarantine) -> list[UnstatedRow]:
    """The quarantined accounts, longest waiting first, at most MAX_LISTED."""
    return [
        UnstatedRow(f"…{each.number[-4:]}", each.known, each.since_ms, each.fields, each.source, each.problem)
        for each in quarantine.listed(connection, MAX_LISTED)
    ]


@dataclass(frozen=True, slots=True)
class PublicationLine:
    """A publication and its progress; times are None for steps that have not happened yet."""

    number: int
    attestations: int
    watermark_ms: int
    signed_at_ms: int
    submitted_at_ms: int | None
    in_block_at_ms: int | None
    block_number: int | None
    transactions: int


def publications(connection: Connection) -> list[PublicationLine]:
    """The newest publications, at most MAX_LISTED."""
    table, sent = schema.publications, schema.transactions
    tries = select(func.count()).where(sent.c.publication == table.c.number).scalar_subquery()
    words = func.length(table.c.attestations) / ATTESTATION_SIZE
    query = select(
        table.c.number,
        words.label("attestations"),
        table.c.watermark_ms,
        table.c.signed_at_ms,
        table.c.submitted_at_ms,
        table.c.in_block_at_ms,
        table.c.block_number,
        tries.label("transactions"),
    )
    rows = connection.execute(query.order_by(table.c.number.desc()).limit(MAX_LISTED))
    return [PublicationLine(row.number, int(row.attestations), *row[2:]) for row in rows]


def oldest_waiting_ms(connection: Connection) -> int | None:
    """Since when the oldest attestation in the outbox has been waiting; None where none waits.

    That is, since it was queued or its entry was received: terms may have taken effect years before either.
    """
    table, entries = schema.outbox.c, schema.feed_entries.c
    since_ms = func.coalesce(table.queued_at_ms, entries.received_at_ms, table.effective_at_ms)
    query = (
        select(since_ms)
        .select_from(schema.outbox.outerjoin(schema.feed_entries, entries.as_of_ms == table.entry_as_of_ms))
        .where(table.publication.is_(None))
        .order_by(table.id)
        .limit(1)
    )
    return connection.execute(query).scalar_one_or_none()


@dataclass(frozen=True, slots=True)
class PlatformLine:
    """A platform in numbers. `deposits_open`: neither confirmed nor expired; `deposits_unpaid`: of these, the
    payment has not been ordered. `off_boarding`: "leaving" while its bindings are being ended, "left" afterwards, None
    where it was not off-boarded."""

    platform: str
    active: int
    ended: int
    last_granted_ms: int | None
    deposits_open: int
    deposits_unpaid: int
    off_boarding: Literal["leaving", "left"] | None


def platforms(connection: Connection, named: list[str], now_ms: int) -> list[PlatformLine]:
    """The platforms in the settings (`named`) and in the store, by name."""
    bound, paid, leaving = schema.bindings.c, schema.micro_deposits.c, schema.off_boardings.c
    active = func.sum(case((bound.ended_at_ms.is_(None), 1), else_=0))
    counted = {
        row.platform: (int(row.active), int(row.bindings), int(row.last_ms))
        for row in connection.execute(
            select(
                bound.platform,
                active.label("active"),
                func.count().label("bindings"),
                func.max(bound.granted_at_ms).label("last_ms"),
            ).group_by(bound.platform)
        )
    }
    unpaid = func.sum(case((paid.paid_at_ms.is_(None), 1), else_=0))
    deposits = {
        row.platform: (int(row.open), int(row.unpaid))
        for row in connection.execute(
            select(paid.platform, func.count().label("open"), unpaid.label("unpaid"))
            .where(paid.binding_id.is_(None), paid.expires_at_ms > now_ms)
            .group_by(paid.platform)
        )
    }
    leaves: dict[str, Literal["leaving", "left"]] = {
        row.platform: "leaving" if row.finished_at_ms is None else "left"
        for row in connection.execute(select(leaving.platform, leaving.finished_at_ms))
    }
    lines = []
    for platform in sorted({*named, *counted, *deposits, *leaves}):
        of, total, last_ms = counted.get(platform, (0, 0, None))
        lines.append(
            PlatformLine(platform, of, total - of, last_ms, *deposits.get(platform, (0, 0)), leaves.get(platform))
        )
    return lines


@dataclass(frozen=True, slots=True)
class Deposit:
    """A micro-deposit whose payment has not been ordered yet. Its amount is stored nowhere, and its account is not
    read."""

    id: str
    platform: str
    created_at_ms: int
    expires_at_ms: int


def deposits_to_pay(connection: Connection, now_ms: int) -> list[Deposit]:
    """The micro-deposits to be paid out, oldest first, at most MAX_LISTED."""
    table = schema.micro_deposits.c
    query = (
        select(table.id, table.platform, table.created_at_ms, table.expires_at_ms)
        .where(table.paid_at_ms.is_(None), table.expires_at_ms > now_ms)
        .order_by(table.created_at_ms, table.id)
        .limit(MAX_LISTED)
    )
    return [Deposit("0x" + row.id.hex(), *row[1:]) for row in connection.execute(query)]


@dataclass(frozen=True, slots=True)
class KeyFile:
    """A secret's file. `written_at_ms`: None where the file cannot be examined, or where a key in a token has no
    file."""

    kind: str
    place: str
    written_at_ms: int | None


def key_files(settings: NodeSettings) -> list[KeyFile]:
    """The files of the node's keys and secrets, and when each was written. None of them is opened."""
    named: list[tuple[str, Path | None]] = [
        ("signer", settings.signer_keystore),
        ("sender", settings.sender_keystore),
        ("bank", settings.bank_secret_file),
        *(("bank", file) for file in settings.newer_bank_secret_files),
        ("vault", settings.vault_secret_file),
        *(("vault", file) for file in settings.older_vault_secret_files),
    ]
    found = [KeyFile(kind, str(file), _written_at_ms(file)) for kind, file in named if file is not None]
    token = settings.signer_pkcs11
    if token is not None:
        found.insert(0, KeyFile("signer", f"PKCS#11: {token.token_label} / {token.key_label}", None))
    return found


def _written_at_ms(file: Path) -> int | None:
    try:
        return file.stat().st_mtime_ns // 1_000_000
    except OSError:
        return None  # the page says that it is missing
