"""The store is lost: it is rebuilt from the bank's export and the ledger."""

import errno
import json
import os
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import LargeBinary, String, delete, insert, select

from standing.ledger.attestations.binding_protocol import BindingRequest
from standing.ledger.attestations.terms import Status
from standing.ledger.service.settings import SettingsError
from standing.node.accounts.changes import AccountChange, FeedEntry, Trouble
from standing.node.feed import cursors, file_load, sql_view
from standing.node.feed.cursors import Cursor
from standing.node.publishing import recoveries
from standing.node.publishing.submission import PublishingHalted
from standing.node.recovery import backup
from standing.node.storage import schema
from tests.node.stepped_node import CARD, OTHER_CARD, SteppedNode
from tests.world import ACCOUNT, CLAIM_FIELDS, PLATFORM, World


@pytest.mark.long
def test_a_lost_store_is_rebuilt_from_the_banks_export_and_the_ledger(site: SteppedNode) -> None:
    grant = site.bind_and_publish()
    file = site.export()
    lost = site.feed({"number": CARD, "status": "frozen"})
    site.publish()

    site.lose_store()
    site.import_(file)
    site.node.feed.accept(lost)
    with pytest.raises(PublishingHalted, match="must be recovered"):
        site.node.publisher.step()
    found = site.recover()
    assert (found.rebuilt, found.stated_again, found.unknown_ended) == (1, 1, 0)
    site.recovery().fed_again()
    site.publish()
    assert site.terms(grant).status is Status.FROZEN
    site.node.bindings.unbind(PLATFORM, bytes.fromhex(grant.binding[2:]))
    site.publish()
    assert site.terms(grant).status is Status.UNBOUND


def test_a_view_is_read_from_its_beginning_after_an_import(site: SteppedNode) -> None:
    with site.node.database.write() as connection:
        cursors.save(connection, Cursor(sql_view.SOURCE, {"as_of_ms": 5}), 6)
        cursors.save(connection, Cursor(file_load.SOURCE, {"file": "f", "sha256": "", "line": 1}), 7)
    file = site.export()
    site.lose_store()
    site.import_(file)
    with site.node.database.read() as connection:
        assert cursors.load(connection, sql_view.SOURCE) is None
        assert cursors.load(connection, file_load.SOURCE) is not None


@pytest.mark.long
def test_a_store_lost_with_its_export_ends_every_binding_on_the_ledger(site: SteppedNode) -> None:
    grant = site.bind_and_publish()
    before = site.client.bank(site.bank.bic)
    site.lose_store()
    found = site.recover()
    assert (found.store_publication, found.rebuilt, found.unknown_ended) == (0, before.publication, 1)
    site.feed(dict(ACCOUNT))
    site.recovery().fed_again()
    site.publish()
    assert site.terms(grant).status is Status.UNBOUND
    again = site.bind()
    site.publish()
    assert site.terms(again).status is Status.ACTIVE


@pytest.mark.parametrize("signed", [False, True], ids=["waiting", "signed and in no block"])
def test_what_an_export_finds_unpublished_is_published_after_its_import(site: SteppedNode, signed: bool) -> None:
    """The core states no state twice: a freeze or an end that was lost here would never reach the ledger."""
    site.feed(dict(ACCOUNT), {**ACCOUNT, "number": OTHER_CARD})
    frozen, ended = site.bind(CARD), site.bind(OTHER_CARD)
    site.publish()
    site.feed({"number": CARD, "status": "frozen"})
    site.node.bindings.unbind(PLATFORM, bytes.fromhex(ended.binding[2:]))
    if signed:
        site.world.chain.holding = True
        site.world.clock.advance(60)
        assert site.node.publisher.step() > 0
        site.world.chain.lose()
    file = site.export()
    site.lose_store()
    site.import_(file)
    assert site.recover(restored=True).feed_again
    site.feed()
    site.recovery().fed_again()
    site.publish()
    assert (site.terms(frozen).status, site.terms(ended).status) == (Status.FROZEN, Status.UNBOUND)


def test_an_account_that_was_unstated_at_an_export_stays_so_after_its_import(site: SteppedNode) -> None:
    """What the core said of its status was not understood, and may have been a freeze."""
    site.feed(dict(ACCOUNT))
    grant = site.bind()
    at_ms = site.world.clock.advance(10)
    odd = AccountChange.not_understood(CARD, at_ms, ["status"], Trouble("a file", "not a status"))
    site.node.feed.accept(FeedEntry(as_of_ms=at_ms, changes=[odd]))
    site.publish()
    assert site.terms(grant).status is Status.UNSTATED
    file = site.export()
    site.lose_store()
    site.import_(file)
    site.feed({"number": CARD, "daily_limit_minor": 5})
    site.publish()
    assert site.terms(grant).status is Status.UNSTATED
    site.feed({"number": CARD, "status": "active"})
    site.publish()
    assert site.terms(grant).status is Status.ACTIVE


def test_an_import_restores_every_exported_row_as_it_was(site: SteppedNode) -> None:
    """Among them the platforms that are being off-boarded: a forgotten one would be granted bindings again."""
    grant = site.bind_and_publish()
    last = site.feed({"number": CARD, "status": "frozen"})
    exported = backup._queries()
    with site.node.database.write() as connection:
        recoveries.begin(connection, recoveries.PendingRefeed(1, 2), 3)
        off_boarding = {"platform": "another-pay", "asked_at_ms": 5, "ended": 2, "finished_at_ms": None}
        connection.execute(schema.off_boardings.insert().values(off_boarding))
        account_id = connection.scalar(select(schema.accounts.c.id))
        unstated = {
            "number_lookup": b"n",
            "number_sealed": b"",
            "since_ms": 1,
            "fields": "[]",
            "source": "",
            "problem": "",
        }
        connection.execute(schema.unstated_accounts.insert().values(account_id=account_id, **unstated))
        cursors.save(connection, Cursor(file_load.SOURCE, {"file": "f", "sha256": "", "line": 1}), 7)
        deposit = {"id": b"d", "account_id": account_id, "platform": PLATFORM, "request_id": "request-d"}
        hashes = dict.fromkeys(("request_digest", "amount_hash", "holder_hash", "wrong_hashes"), b"h")
        connection.execute(
            schema.micro_deposits.insert().values(**deposit, **hashes, differs="", created_at_ms=1, expires_at_ms=2)
        )
        counts = {"received_at_ms": 1, "changes": 1, "attestations": 0, "complete": False}
        half_read = counts | {"as_of_ms": last.as_of_ms + 9, "digest": b""}
        restated = {"binding_id": bytes.fromhex(grant.binding[2:]), "floor_ms": 5, "known": True}
        connection.execute(schema.feed_entries.insert().values(half_read))
        connection.execute(schema.restatements.insert().values(restated))  # and its last change waits as well
        before = {table.name: connection.execute(query).all() for table, query in exported}
    assert all(before.values()), "a table without a row shows nothing"
    assert [row.as_of_ms for row in before["feed_entries"]] == [last.as_of_ms], "the last that was read to its end"
    assert [row.number for row in before["publications"]] == [site.client.bank(site.bank.bic).publication]
    file = site.export()
    site.lose_store()
    assert site.import_(file) == sum(len(rows) for rows in before.values())
    with site.node.database.read() as connection:
        assert {table.name: connection.execute(query).all() for table, query in exported} == before
        for table in (schema.accounts, schema.bindings, schema.off_boardings, schema.deployments):
            assert len(connection.execute(select(table)).all()) == len(before[table.name])


def test_an_import_is_refused_where_anything_was_fed_or_published(site: SteppedNode) -> None:
    file = site.export()
    for table in (schema.publications, schema.feed_entries):
        blank = {LargeBinary: b"1", String: "1"}
        row = {column.name: blank.get(type(column.type), 1) for column in table.columns if not column.nullable}
        with site.node.database.write() as connection:
            connection.execute(insert(table).values(row))
        with pytest.raises(backup.BadExport, match=rf"not empty \({table.name}\)"):
            site.import_(file)
        with site.node.database.write() as connection:
            connection.execute(delete(table))


def test_an_export_to_a_full_disk_leaves_no_file(site: SteppedNode, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(SettingsError, match="export: No space left"):
        site.export()
    assert not (site.folder / "export").exists()


def test_an_export_with_a_line_moved_dropped_or_changed_is_refused_whole(site: SteppedNode) -> None:
    site.bind_and_publish()
    file = site.export()
    text = file.read_text()
    for secret in (ACCOUNT["number"], ACCOUNT["holder_name"], ACCOUNT["phone"], site.bank.bic):
        assert secret not in text
    lines = text.splitlines(keepends=True)
    site.lose_store()
    damaged: dict[str, list[str] | bytes] = {
        "no text": b"\xff\xfe" + text.encode(),
        "dropped": lines[:1] + lines[2:],
        "moved": [lines[0], lines[2], lines[1], *lines[3:]],
        "cut": lines[:-1],
        "longer": [*lines, lines[1]],
        "changed": [lines[0], lines[1][:50] + "AAAA" + lines[1][54:], *lines[2:]],
    }
    head: dict[str, Any] = {"format": backup._FORMAT, "bic": site.bank.bic}
    foreign: dict[str, list[dict[str, Any]]] = {
        "of another version": [head | {"format": "standing-node export 2"}],
        "with another table": [head, {"table": "tomorrow", "row": {}}],
        "with another column": [head, {"table": "bindings", "row": {"tomorrow": 1}}],
    }
    for name, rows in foreign.items():
        texts = [json.dumps(row) for row in rows]
        digest = sha256("".join(f"{text}\n" for text in texts).encode()).hexdigest()
        texts.append(json.dumps({"rows": len(rows) - 1, "sha256": digest}))
        damaged[name] = [site.bank.secrets.vault().seal_text(text).decode() + "\n" for text in texts]
    for name, content in damaged.items():
        bad = site.folder / name
        bad.write_bytes("".join(content).encode() if isinstance(content, list) else content)
        with pytest.raises(backup.BadExport):
            site.import_(bad)
    with pytest.raises(backup.BadExport, match="is an export of"):
        backup.import_(site.node.database, site.bank.secrets.vault(), "BKCHCNBJ", file)
    other = replace(site.bank.secrets, vault_secret=bytes(32)).vault()
    with pytest.raises(backup.BadExport, match="vault secret"):
        backup.import_(site.node.database, other, site.bank.bic, file)
    assert site.import_(file) > 0
    with pytest.raises(backup.BadExport, match="not empty"):
        site.import_(file)


def test_a_deposit_that_waits_for_its_amount_is_confirmed_after_an_import(a_world: World, tmp_path: Path) -> None:
    """The user has the money already, and would have been told that there is no such deposit."""
    (tmp_path / "payouts").mkdir()
    paying = {"policy": "always", "payout_folder": tmp_path / "payouts"}
    site = SteppedNode(a_world, tmp_path, micro_deposit=paying)
    site.feed(dict(ACCOUNT))
    site.publish()
    claim = BindingRequest(request_id="request-1", **{name: ACCOUNT[name] for name in CLAIM_FIELDS})
    asked = site.node.bindings.bind(PLATFORM, claim).micro_deposit
    assert asked is not None
    file = site.export()
    site.lose_store()
    site.import_(file)
    (orders,) = (tmp_path / "payouts").iterdir()
    paid = json.loads(orders.read_text())["amount_minor"]
    answer = site.node.bindings.confirm(PLATFORM, bytes.fromhex(asked.id[2:]), paid)
    assert answer.outcome == "granted"
    assert len(orders.read_text().splitlines()) == 1
    site.stop()
