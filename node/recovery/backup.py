"""The bank's own export: what neither the core nor the ledger could give back, in one file.

It holds the bindings and the micro-deposits with their accounts and what is unstated of these, the time of the core's
last entry, how far the feed's sources were read, and the last publication, so that a recovery need not walk the
ledger's history from its beginning. A binding whose last change is in no block yet is exported as one to be stated
again: its account is exported with that change, so the core's state of it would be no news after an import, and the
ledger would never hear of it. The rest comes back without it: accounts from the core, publications from the ledger.

The file is text, one line per row, each line sealed under the node's vault secret. Its last line counts the rows and
holds a digest of all of them, so a lost, moved or added line is noticed. It opens only with the same vault secrets, and
so do the columns that are sealed once more in the store.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Executable, LargeBinary, Select, Table, insert, literal, null, or_, select, true

from standing.ledger.clock import Clock
from standing.ledger.errors import StandingError
from standing.ledger.service.database import level_sequences
from standing.ledger.service.private_files import new_private_file
from standing.ledger.service.vault import Vault, VaultError
from standing.node.fault_points import Faults, no_faults
from standing.node.feed import sql_view
from standing.node.storage import schema
from standing.node.storage.database import NodeDatabase

_FORMAT = "standing-node export 1"
_CHUNK = 500
_MAX_LINE = 1024 * 1024


class BadExport(StandingError):
    """The file is not an export of this bank, is damaged, or does not fit the store; the text says which."""


def _queries() -> list[tuple[Table, Executable]]:
    """The exported tables, in an order in which they can be imported."""
    unstated, deposits = schema.unstated_accounts, schema.micro_deposits
    # Each table is read by itself: a deposit's account may have no binding yet.
    bound = select(schema.bindings.c.account_id).union(select(deposits.c.account_id))
    last_entry = (
        select(schema.feed_entries)
        .where(schema.feed_entries.c.complete)
        .order_by(schema.feed_entries.c.as_of_ms.desc())
        .limit(1)
    )
    last_publication = (
        select(schema.publications)
        .where(schema.publications.c.in_block_at_ms.is_not(None))
        .order_by(schema.publications.c.number.desc())
        .limit(1)
    )
    return [
        (schema.accounts, select(schema.accounts).where(schema.accounts.c.id.in_(bound))),
        # Without them an account would count as what was last understood, such as active.
        (schema.unstated_accounts, select(unstated).where(unstated.c.account_id.in_(bound))),
        (schema.bindings, select(schema.bindings)),
        # The order of payment was given; its amount could not be confirmed otherwise, and the next one would be paid.
        (deposits, select(deposits)),
        (schema.off_boardings, select(schema.off_boardings)),
        (schema.restatements, select(schema.restatements).union_all(_unpublished())),
        (schema.recoveries, select(schema.recoveries).where(schema.recoveries.c.fed_again_at_ms.is_(None))),
        # Without the view's cursor: accounts without a binding are not exported, so the whole view must be read again.
        (schema.feed_cursors, select(schema.feed_cursors).where(schema.feed_cursors.c.source != sql_view.SOURCE)),
        (schema.feed_entries, last_entry),
        (schema.publications, last_publication),
        (schema.deployments, select(schema.deployments)),
    ]


def _unpublished() -> Select[Any]:
    """A restatement for each binding whose last change waits, or is signed and in no block, and that has none yet."""
    in_no_block = select(schema.publications.c.number).where(schema.publications.c.in_block_at_ms.is_(None))
    outbox, binding = schema.outbox.c, schema.bindings.c.id
    changed = select(outbox.binding_id).where(or_(outbox.publication.is_(None), outbox.publication.in_(in_no_block)))
    return select(binding, literal(0), true(), null(), null()).where(
        binding.in_(changed), binding.not_in(select(schema.restatements.c.binding_id))
    )


def export(
    database: NodeDatabase,
    vault: Vault,
    bic: str,
    clock: Clock,
    file: Path,
    progress: Callable[[int], None] = lambda _rows: None,
) -> int:
    """Write the export to a new `file`, readable by its owner only. Returns: how many rows.

    Reads one state of a store that may be in use. Raises: SettingsError where the file exists or cannot be written,
    DatabaseUnavailable; then there is no file.
    """
    digest = sha256()
    rows = 0
    with new_private_file(file) as out, database.read() as connection:

        def write(item: dict[str, Any]) -> None:
            text = json.dumps(item, ensure_ascii=False)
            digest.update(text.encode() + b"\n")
            out.write(vault.seal_text(text).decode() + "\n")

        write({"format": _FORMAT, "bic": bic, "made_at_ms": clock.now_ms()})
        for table, query in _queries():
            for row in connection.execution_options(yield_per=_CHUNK).execute(query):
                write({"table": table.name, "row": {name: _to_json(value) for name, value in row._mapping.items()}})
                rows += 1
                progress(rows)
        out.write(vault.seal_text(json.dumps({"rows": rows, "sha256": digest.hexdigest()})).decode() + "\n")
    return rows


def import_(
    database: NodeDatabase,
    vault: Vault,
    bic: str,
    file: Path,
    progress: Callable[[int], None] = lambda _rows: None,
    faults: Faults = no_faults,
) -> int:
    """Put an export into an empty store, whole or not at all. Returns: how many rows. Raises: BadExport."""
    tables = {table.name: table for table, _query in _queries()}
    rows = 0
    for _item in _open(vault, file):
        pass  # read to its end first: only a complete file is imported
    with database.write() as connection:
        _check_empty(connection)
        lines = _open(vault, file)
        head = next(lines, {})
        if head.get("format") != _FORMAT:
            raise BadExport(f"{file} is not an export that this version can read")
        if head["bic"] != bic:
            raise BadExport(f"{file} is an export of {head['bic']}, this node is {bic}'s")
        for item in lines:
            table = tables.get(item["table"])
            if table is None:
                raise BadExport(f"{file} holds rows of {item['table']}, which this version does not know")
            connection.execute(insert(table).values(_from_json(table, item["row"])))
            rows += 1
            progress(rows)
        level_sequences(connection, tables.values())
    faults("imported")
    return rows


def _check_empty(connection: Connection) -> None:
    for table in (schema.bindings, schema.publications, schema.feed_entries):
        if connection.execute(select(table).limit(1)).first() is not None:
            raise BadExport(f"the store is not empty ({table.name}); allowed: a new one")


def _open(vault: Vault, file: Path) -> Iterator[dict[str, Any]]:
    """All lines of an export except the last, which is checked against them."""
    digest = sha256()
    count = 0
    end: dict[str, Any] | None = None
    try:
        with file.open(encoding="ascii") as lines:
            while line := lines.readline(_MAX_LINE):
                if end is not None:
                    raise BadExport(f"{file} continues after its end")
                text = vault.unseal_text(line.rstrip("\n").encode())
                item = json.loads(text)
                if "sha256" in item:
                    end = item
                    continue
                digest.update(text.encode() + b"\n")
                count += 1
                yield item
    except OSError as error:
        raise BadExport(f"{file}: {error.strerror}") from error
    except (VaultError, UnicodeDecodeError) as error:
        raise BadExport(f"{file} is damaged, or was made with another vault secret") from error
    if end is None or end != {"rows": count - 1, "sha256": digest.hexdigest()}:
        raise BadExport(f"{file} is incomplete: lines are missing or out of place")


def _to_json(value: Any) -> Any:
    return {"bytes": b64encode(value).decode()} if isinstance(value, bytes) else value


def _from_json(table: Table, row: dict[str, Any]) -> dict[str, Any]:
    unknown = row.keys() - table.c.keys()
    if unknown:
        raise BadExport(f"{table.name} has no {', '.join(sorted(unknown))} in this version")
    return {
        name: b64decode(value["bytes"]) if isinstance(table.c[name].type, LargeBinary) and value is not None else value
        for name, value in row.items()
    }
