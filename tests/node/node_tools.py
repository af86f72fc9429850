"""Shared by the tests of the node's parts.

A core behind a SQL view, numbered accounts, the ledger as a platform reads it, and a node that dies at a named
point without taking the test with it.
"""

import json
import secrets
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
from eth_account import Account as Keystore
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    MetaData,
    String,
    Table,
    create_engine,
    delete,
    func,
    insert,
    select,
    text,
    update,
)

from standing.ledger.attestations.binding_protocol import GrantDocument
from standing.ledger.attestations.sealing import unseal
from standing.ledger.attestations.terms import Status, Terms
from standing.ledger.service.api_keys import ApiKey, new_key
from standing.node.fault_points import Faults
from standing.node.feed.service import Feed
from standing.node.storage import schema
from tests.databases import new_database
from tests.world import ACCOUNT, CLAIM_FIELDS, Bank, World

OTHER_PLATFORM = "yinhe-pay"


class Killed(BaseException):
    """The node died here."""


def die_at(point: str, times: int = 1) -> Faults:
    """Die when a point is reached for the `times`-th time: as SIGKILL would, but for this process."""
    left = times

    def reach(reached: str) -> None:
        nonlocal left
        if reached == point:
            left -= 1
            if left == 0:
                raise Killed(point)

    return reach


def account(index: int, **changed: Any) -> dict[str, Any]:
    """One of many accounts of the same invented holder."""
    return {**ACCOUNT, "number": f"73{index:010d}", "number_type": "account", **changed}


def feed_of(bank: Bank, faults: Faults, source: str | None = None) -> Feed:
    """Another feed on a bank's store, with faults to be injected."""
    return Feed(
        bank.node.database,
        bank.secrets.vault(),
        bank.secrets.bank_secrets(),
        bank.clock,
        max_waiting=bank.settings.max_waiting,
        on_change=bank.node.publisher.wake,
        faults=faults,
        source=source,
    )


def core_as_of_ms(bank: Bank) -> int:
    """The newest time that the core has stated, to which the watermark moves."""
    as_of_ms: int = bank.get("/v1/status").json()["core_as_of_ms"]
    return as_of_ms


def feed_entries(bank: Bank) -> list[Any]:
    """The feed's entries in the bank's store, in order."""
    with bank.node.database.read() as connection:
        return list(connection.execute(select(schema.feed_entries).order_by(schema.feed_entries.c.as_of_ms)))


def grant_of(answer: httpx.Response) -> dict[str, Any]:
    """The grant in an answer; fails if there is none."""
    assert answer.status_code == 200, answer.text
    assert answer.json()["outcome"] == "granted", answer.text
    grant: dict[str, Any] = answer.json()["grant"]
    return grant


def terms_on_ledger(bank: Bank, grant: Mapping[str, Any]) -> Terms | None:
    """A platform's view of its binding; None before the first attestation."""
    known = GrantDocument.model_validate(grant).grant()
    record = bank.client.read([(bank.bic, known.binding)]).records[0]
    if record.publication == 0:
        return None
    return unseal(
        record.tag_and_head,
        record.tail,
        key=known.binding_key,
        bank=bank.bic,
        binding=known.binding,
        publication=record.publication,
    )


def status_on_ledger(bank: Bank, grant: Mapping[str, Any]) -> Status | None:
    """The status in those terms."""
    terms = terms_on_ledger(bank, grant)
    return None if terms is None else terms.status


def writes(bank: Bank, grant: Mapping[str, Any]) -> int:
    """The number of a binding's statements on the ledger. Several in quick succession share one record."""
    binding = bytes.fromhex(grant["binding"][2:])
    table, publications = schema.outbox.c, schema.publications.c
    stated = (
        select(func.count())
        .select_from(schema.outbox.join(schema.publications, publications.number == table.publication))
        .where(table.binding_id == binding, publications.number <= bank.client.bank(bank.bic).publication)
    )
    with bank.node.database.read() as connection:
        count = int(connection.execute(stated).scalar_one())
    records = sum(event.bindings.count(binding) for event in bank.client.published(0, bank.client.block_number()))
    assert records >= bool(count)
    assert bank.settings.publisher.herd_size > 1 or records <= _signed(bank, binding)
    return count


def _signed(bank: Bank, binding: bytes) -> int:
    """The number of publications that state a binding for its own sake, not as cover."""
    table = schema.outbox.c
    with bank.node.database.read() as connection:
        query = select(func.count(table.publication.distinct())).where(table.binding_id == binding)
        return int(connection.execute(query).scalar_one())


def settings_on_disk(bank: Bank, folder: Path) -> dict[str, Any]:
    """The settings of a bank whose secrets the test holds in memory, with the secrets in files."""
    files = {"bank_secret_file": bank.secrets.bank_secret, "vault_secret_file": bank.secrets.vault_secret}
    for name, secret in files.items():
        (folder / name).write_text(secret.hex())
    stated = bank.settings.model_dump(mode="json", exclude_none=True)
    assert isinstance(bank.secrets.sender_key, bytes)
    for role, key in (("signer", bank.signer_key), ("sender", bank.secrets.sender_key)):
        (folder / f"{role}-password").write_text("password")
        encrypted = Keystore.encrypt(key, "password", kdf="scrypt", iterations=4096)
        (folder / role).write_text(json.dumps(encrypted))
        stated[f"{role}_keystore"] = str(folder / role)
        stated[f"{role}_password_file"] = str(folder / f"{role}-password")
    return {**stated, **{name: str(folder / name) for name in files}}


class Staffed:
    """A bank whose node has an operator's key and a second platform's as well."""

    def __init__(self, a_world: World, stack: ExitStack, faults: Faults | None = None, **settings: Any) -> None:
        self.bank = a_world.make_bank(**settings)
        self.operator_key, operator_hash = new_key()
        self.other_key, other_hash = new_key()
        self.bank.settings.api_keys += [
            ApiKey(name="operator", role="operator", sha256=operator_hash),
            ApiKey(name="other", role="platform", platform=OTHER_PLATFORM, sha256=other_hash),
        ]
        self.bank.start(stack, *([] if faults is None else [faults]))

    def bind(self, stated: Mapping[str, Any], key: str | None = None, **changed: Any) -> httpx.Response:
        """Request a binding, as the first platform or as the one of `key`."""
        claim = {name: stated[name] for name in CLAIM_FIELDS}
        body = {"request_id": secrets.token_hex(8), **claim, **changed}
        return self.bank.post("/v1/bindings", key or self.bank.platform_key, json=body)

    def delete(self, grant: Mapping[str, Any], key: str | None = None) -> httpx.Response:
        """End a binding."""
        headers = {"Authorization": f"Bearer {key or self.bank.platform_key}"}
        return httpx.delete(f"{self.bank.url}/v1/bindings/{grant['binding']}", headers=headers, timeout=30)


class SqlCore:
    """A core banking system with a database, a clock of its own, and the view that docs/FEED.md describes."""

    AS_OF_QUERY = "SELECT now_ms FROM core_clock"

    def __init__(self, folder: Path, now_ms: int) -> None:
        self.url = new_database(folder, "core")
        self._engine = create_engine(self.url)
        self.closing: list[Callable[[], None]] = []
        metadata = MetaData()
        self.table = Table(
            "core_accounts",
            metadata,
            Column("number", String(64), primary_key=True),
            Column("changed_ms", BigInteger),
            Column("number_type", String(8)),
            Column("status", String(16)),
            Column("debit_allowed", Boolean),
            Column("credit_allowed", Boolean),
            Column("currency", String(8)),
            Column("transaction_limit_minor", BigInteger),
            Column("daily_limit_minor", String(24)),
            Column("holder_name", String(200)),
            Column("id_document_scheme", String(8)),
            Column("id_document_country", String(4)),
            Column("id_document_number", String(40)),
            Column("phone", String(64)),
            Column("unbind", String(200)),
            Column("replaces", String(64)),
        )
        self.clock_table = Table("core_clock", metadata, Column("now_ms", BigInteger))
        metadata.create_all(self._engine)
        columns = ", ".join(column.name for column in self.table.columns if column.name != "changed_ms")
        with self._engine.begin() as connection:
            connection.execute(insert(self.clock_table).values(now_ms=now_ms))
            connection.execute(
                text(
                    f"CREATE VIEW standing_accounts AS SELECT {columns}, changed_ms effective_at_ms FROM core_accounts"
                )
            )

    def settings(self, **changed: Any) -> dict[str, Any]:
        """Settings of a node that polls this core."""
        return {"url": self.url, "as_of_query": self.AS_OF_QUERY, "settle_ms": 0, "poll_ms": 50, **changed}

    def set_time(self, now_ms: int) -> None:
        """Move the core's clock."""
        with self._engine.begin() as connection:
            connection.execute(update(self.clock_table).values(now_ms=now_ms))

    def put(self, changed_ms: int | None, *accounts: Mapping[str, Any]) -> None:
        """Insert or overwrite accounts without validation."""
        with self._engine.begin() as connection:
            for stated in accounts:
                connection.execute(delete(self.table).where(self.table.c.number == stated["number"]))
            for start in range(0, len(accounts), 1000):
                rows = [{**stated, "changed_ms": changed_ms} for stated in accounts[start : start + 1000]]
                for row in rows:
                    row["daily_limit_minor"] = str(row["daily_limit_minor"])
                connection.execute(insert(self.table), rows)

    def change(self, number: str, changed_ms: int, **values: Any) -> None:
        """Change one account."""
        with self._engine.begin() as connection:
            connection.execute(
                update(self.table).where(self.table.c.number == number).values(changed_ms=changed_ms, **values)
            )

    def run(self, statement: str) -> None:
        """Run any SQL."""
        with self._engine.begin() as connection:
            connection.execute(text(statement))

    def close(self) -> None:
        """Close the database and everything registered to be closed with it."""
        for close in self.closing:
            close()
        self._engine.dispose()
