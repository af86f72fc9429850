"""Disasters: an old store, a lost store, a lost ledger. After each, the ledger says what the core and the bank know."""

import errno
import os
from dataclasses import replace
from secrets import token_bytes
from typing import Any

import pytest
from sqlalchemy import make_url, select, text

from standing.ledger.attestations.binding_protocol import GrantDocument
from standing.ledger.attestations.publication import Attestation, LocalSigner, Publication
from standing.ledger.attestations.terms import Status
from standing.ledger.chain import governance
from standing.ledger.chain.client import Published
from standing.ledger.chain.sender import Sender, publication_gas
from standing.ledger.errors import LedgerError
from standing.node.feed import cursors, file_load, sql_view
from standing.node.feed.cursors import Cursor
from standing.node.publishing.outbox import Issuer
from standing.node.publishing.submission import PublishingHalted
from standing.node.recovery import backup
from standing.node.recovery.history import CannotRecover, History
from standing.node.recovery.service import Recovery
from standing.node.storage import schema
from tests.databases import new_database
from tests.node.stepped_node import CARD, SteppedNode
from tests.world import ACCOUNT, BANK_ADMIN, GUARDIAN, PLATFORM, REGISTRAR, World

OTHER_CARD = "9156026831789191"


@pytest.mark.long
def test_an_old_store_signs_nothing_until_recovered_and_the_core_has_fed_again(site: SteppedNode) -> None:
    site.feed(dict(ACCOUNT))
    grant = site.bind()
    site.publish()
    old = site.backup()
    site.feed({"number": CARD, "daily_limit_minor": 5})
    site.publish()
    site.feed({"number": CARD, "status": "frozen"})
    site.publish()
    before = site.client.bank(site.bank.bic)
    site.stop()

    site.start(old)
    with pytest.raises(PublishingHalted, match="must be recovered"):
        site.node.publisher.step()
    looked = site.recovery().run(confirm=False)
    assert looked.rebuilt == before.publication - looked.store_publication > 0
    assert looked.stated_again == 1
    with pytest.raises(PublishingHalted, match="must be recovered"):
        site.node.publisher.step()

    found = site.recover()
    assert found == looked, "what was shown is what was done"
    assert found.core_until_ms == before.watermark_ms
    with pytest.raises(PublishingHalted, match="feed again"):
        site.node.publisher.step()
    assert site.client.bank(site.bank.bic).publication == before.publication
    assert site.terms(grant).status is Status.FROZEN


@pytest.mark.postgresql
def test_a_recovery_may_read_the_ledger_for_longer_than_any_other_transaction_may_say_nothing(
    site: SteppedNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.feed(dict(ACCOUNT))
    site.publish()
    old = site.backup()
    site.feed({"number": CARD, "status": "frozen"})
    site.publish()
    site.stop()
    bound = {"options": "-c idle_in_transaction_session_timeout=500ms"}
    site.start(make_url(old).update_query_dict(bound).render_as_string(hide_password=False))
    rebuild = History.rebuild

    def slowly(*args: Any) -> Any:
        with site.node.database.read() as connection:
            connection.execute(text("SELECT pg_sleep(1)"))
        return rebuild(*args)

    monkeypatch.setattr(History, "rebuild", slowly)
    assert site.recover().rebuilt == 1


@pytest.mark.long
def test_after_the_core_fed_again_the_present_state_is_stated_once_and_never_an_older_one(site: SteppedNode) -> None:
    site.feed(dict(ACCOUNT))
    grant = site.bind()
    site.publish()
    old = site.backup()
    lost = [
        site.feed({"number": CARD, "daily_limit_minor": 5}),
        site.feed({"number": CARD, "status": "frozen"}),
    ]
    site.publish()
    before = site.client.bank(site.bank.bic)
    site.stop()
    site.start(old)
    found = site.recover()
    with pytest.raises(CannotRecover, match="must feed"):
        site.recovery().fed_again()
    for entry in lost:
        site.node.feed.accept(entry)
    site.recovery().fed_again()
    site.publish()
    events = [
        event
        for event in site.client.published(0, site.client.block_number(), site.bank.bic)
        if event.number > before.publication and event.bindings
    ]
    assert [len(event.bindings) for event in events] == [1], "one restatement: the two changes went with it"
    terms = site.terms(grant)
    assert (terms.status, terms.limits.daily_limit_minor) == (Status.FROZEN, 5)
    assert site.client.bank(site.bank.bic).watermark_ms >= found.core_until_ms
    # And life goes on.
    site.feed({"number": CARD, "status": "active"})
    site.publish()
    assert site.terms(grant).status is Status.ACTIVE


@pytest.mark.long
def test_a_binding_granted_after_the_backup_is_ended_since_nobody_would_tell_of_its_freeze(site: SteppedNode) -> None:
    site.feed(dict(ACCOUNT), {**ACCOUNT, "number": OTHER_CARD})
    kept = site.bind(CARD)
    site.publish()
    old = site.backup()
    orphan = site.bind(OTHER_CARD)
    last = site.feed()
    site.publish()
    assert site.terms(orphan).status is Status.ACTIVE
    site.stop()
    site.start(old)
    found = site.recover()
    assert (found.unknown_ended, found.unknown_unreadable) == (1, 0)
    site.node.feed.accept(last)
    site.recovery().fed_again()
    site.publish()
    assert site.terms(orphan).status is Status.UNBOUND
    assert site.terms(kept).status is Status.ACTIVE


@pytest.mark.long
def test_a_binding_that_its_platform_ended_after_the_backup_is_not_revived(site: SteppedNode) -> None:
    site.feed(dict(ACCOUNT))
    grant = site.bind()
    site.publish()
    old = site.backup()
    site.node.bindings.unbind(PLATFORM, bytes.fromhex(grant.binding[2:]))
    last = site.feed()
    site.publish()
    site.stop()
    site.start(old)
    assert site.recover().ended_on_ledger == 1
    site.node.feed.accept(last)
    site.recovery().fed_again()
    site.publish()
    site.feed({"number": CARD, "status": "frozen"})
    site.publish()
    assert site.terms(grant).status is Status.UNBOUND


@pytest.mark.long
def test_a_lost_store_comes_back_from_the_banks_export_and_the_ledger(site: SteppedNode) -> None:
    site.feed(dict(ACCOUNT))
    grant = site.bind()
    site.publish()
    file = site.folder / "export"
    vault = site.bank.secrets.vault()
    assert backup.export(site.node.database, vault, site.bank.bic, site.bank.clock, file) > 0
    lost = site.feed({"number": CARD, "status": "frozen"})
    site.publish()
    site.stop()

    site.start(new_database(site.folder, "fresh"))
    backup.import_(site.node.database, vault, site.bank.bic, file)
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


def test_after_an_import_a_view_is_read_from_its_beginning_since_unbound_accounts_were_not_exported(
    site: SteppedNode,
) -> None:
    with site.node.database.write() as connection:
        cursors.save(connection, Cursor(sql_view.SOURCE, {"as_of_ms": 5}), 6)
        cursors.save(connection, Cursor(file_load.SOURCE, {"file": "f", "sha256": "", "line": 1}), 7)
    vault, file = site.bank.secrets.vault(), site.folder / "export"
    backup.export(site.node.database, vault, site.bank.bic, site.bank.clock, file)
    site.stop()
    site.start(new_database(site.folder, "fresh"))
    backup.import_(site.node.database, vault, site.bank.bic, file)
    with site.node.database.read() as connection:
        assert cursors.load(connection, sql_view.SOURCE) is None
        assert cursors.load(connection, file_load.SOURCE) is not None


@pytest.mark.long
def test_a_store_lost_with_its_export_ends_every_binding_on_the_ledger(site: SteppedNode) -> None:
    site.feed(dict(ACCOUNT))
    grant = site.bind()
    site.publish()
    before = site.client.bank(site.bank.bic)
    site.stop()
    site.start(new_database(site.folder, "fresh"))
    found = site.recover()
    assert (found.store_publication, found.rebuilt, found.unknown_ended) == (0, before.publication, 1)
    site.feed(dict(ACCOUNT))
    site.recovery().fed_again()
    site.publish()
    assert site.terms(grant).status is Status.UNBOUND
    assert site.terms(site_bind_and_publish(site)).status is Status.ACTIVE


@pytest.mark.long
def test_of_a_long_history_the_ledger_is_asked_only_for_what_is_no_heartbeat(
    site: SteppedNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.feed(dict(ACCOUNT))
    for _ in range(4):
        site.feed()
        site.publish()
    site.bind()
    site.publish()
    stored = site.known_digests()
    site.stop()
    site.start(new_database(site.folder, "fresh"))
    asked: list[int] = []
    whole = site.client.publication_of

    def noted(event: Published, previous: bytes) -> Any:
        asked.append(event.number)
        return whole(event, previous)

    monkeypatch.setattr(site.client, "publication_of", noted)
    found = site.recover()
    assert (found.rebuilt, found.rebuilt_without_content) == (len(stored), 0)
    assert len(stored) >= 5
    assert asked == [len(stored)]
    assert site.known_digests() == stored


def site_bind_and_publish(site: SteppedNode) -> GrantDocument:
    grant = site.bind()
    site.publish()
    return grant


@pytest.mark.long
def test_a_lost_ledger_gets_every_binding_again_before_the_watermark_moves(site: SteppedNode) -> None:
    site.feed(dict(ACCOUNT), {**ACCOUNT, "number": OTHER_CARD})
    active, ended = site.bind(CARD), site.bind(OTHER_CARD)
    site.publish()
    site.node.bindings.unbind(PLATFORM, bytes.fromhex(ended.binding[2:]))
    site.publish()
    # Something is signed, and on no ledger when the ledger is lost.
    site.world.chain.holding = True
    site.feed({"number": CARD, "status": "frozen"})
    site.world.clock.advance(60)
    assert site.node.publisher.step() == 1
    site.world.chain.lose()
    with site.node.database.read() as connection:
        last = connection.execute(
            select(schema.publications).order_by(schema.publications.c.number.desc()).limit(1)
        ).one()
    site.stop()
    site.bank.settings = site.bank.settings.model_copy(
        update={"publisher": site.bank.settings.publisher.model_copy(update={"max_attestations": 1})}
    )
    site.start(contract=site.deploy_again(last.number, last.digest))
    with pytest.raises(PublishingHalted, match="standing-node recover"):
        site.node.publisher.step()
    found = site.recover()
    assert found.new_deployment
    assert (found.rebuilt, found.stated_again, found.feed_again) == (0, 2, False)
    site.publish()
    watermarks = [
        (event.number, event.watermark_ms, len(event.bindings))
        for event in site.client.published(0, site.client.block_number(), site.bank.bic)
    ]
    assert [number for number, _, _ in watermarks][:2] == [last.number + 1, last.number + 2]
    assert [watermark_ms for _, watermark_ms, written in watermarks if written] == [0, 0]
    assert watermarks[-1][1] > 0
    assert site.terms(active).status is Status.FROZEN
    assert site.terms(ended).status is Status.UNBOUND


def test_a_new_ledger_that_admitted_the_bank_with_another_history_is_refused_with_what_to_ask_for(
    site: SteppedNode,
) -> None:
    site.feed(dict(ACCOUNT))
    site.publish()
    site.stop()
    site.start(contract=site.deploy_again(0, bytes(32)))
    with pytest.raises(CannotRecover, match=r"admit --number 1 --head 0x[0-9a-f]{64}"):
        site.recover()
    with pytest.raises(PublishingHalted):
        site.node.publisher.step()


def test_two_histories_under_one_key_are_never_made_one(site: SteppedNode, a_world: World) -> None:
    site.feed(dict(ACCOUNT))
    twin = site.backup()
    site.publish()
    site.stop()
    site.start(twin)
    a_world.chain.down = True
    with pytest.raises(LedgerError):
        site.node.publisher.step()
    a_world.chain.down = False
    site.stop()
    # The twin signed nothing while the ledger was away; forge what it would have signed.
    site.start(twin)
    with site.node.database.write() as connection:
        first = site.client.published(0, site.client.block_number(), site.bank.bic)[0]
        forged = {
            "number": 1,
            "chain_id": site.client.domain.chain_id,
            "contract": site.client.address,
            "previous": bytes(32),
            "watermark_ms": first.watermark_ms,
            "digest": b"\1" * 32,
            "attestations": b"",
            "signer": site.bank.signer.address,
            "signature": b"",
            "signed_at_ms": 1,
        }
        connection.execute(schema.publications.insert().values(forged))
        connection.execute(
            schema.deployments.insert().values(
                chain_id=forged["chain_id"], contract=forged["contract"], base_number=0, since_ms=1
            )
        )
    with pytest.raises(PublishingHalted, match="two histories"):
        site.node.publisher.step()


def steal(site: SteppedNode, grant: GrantDocument) -> Publication:
    """Publish under the bank's own key, on the ledger's history as it stands, what nobody can open."""
    state = site.client.bank(site.bank.bic)
    words = Attestation(bytes.fromhex(grant.binding[2:]), bytes(26), bytes(32))
    theft = Publication(
        site.client.domain, site.bank.bic, state.publication + 1, state.head, state.watermark_ms, (words,)
    )
    thief = Sender(site.client, BANK_ADMIN)
    prepared = thief.prepare(
        site.client.publish_calldata(theft, site.bank.signer.sign(theft.digest)), gas=publication_gas(1)
    )
    thief.transmit(prepared)
    thief.wait(prepared, timeout_s=20)
    return theft


def reinstate(site: SteppedNode) -> None:
    """Let the bank be suspended and reinstated with a new signer, which the node's settings then name."""
    signer = LocalSigner(token_bytes(32))
    governance.execute(site.client, governance.suspend(site.bank.bic), GUARDIAN)
    step = governance.reinstate(site.bank.bic, signer.address, LocalSigner(BANK_ADMIN).address)
    governance.execute(site.client, step, REGISTRAR)
    site.bank.secrets = replace(site.bank.secrets, signer=signer)


@pytest.mark.long
def test_after_a_theft_the_store_goes_on_from_what_the_thief_published_and_states_the_truth_again(
    site: SteppedNode,
) -> None:
    site.feed(dict(ACCOUNT), {**ACCOUNT, "number": OTHER_CARD})
    robbed, other = site.bind(CARD), site.bind(OTHER_CARD)
    site.publish()
    # What the node signs now never comes into a block: the thief's publication takes its number.
    site.world.chain.holding = True
    site.feed({"number": OTHER_CARD, "status": "frozen"})
    site.world.clock.advance(60)
    site.node.publisher.step()
    signed = site.known_digests()[-1]
    site.world.chain.lose()
    theft = steal(site, robbed)
    assert theft.number == signed[0]
    assert theft.digest != signed[1]

    with pytest.raises(PublishingHalted, match="two histories"):
        site.node.publisher.step()
    with pytest.raises(CannotRecover, match="two histories"):
        site.recover()
    with pytest.raises(CannotRecover, match="still believes"):
        site.recover(take_ledger=True)
    site.stop()
    reinstate(site)
    site.start()
    with pytest.raises(PublishingHalted, match="two histories"):
        site.node.publisher.step()
    with pytest.raises(CannotRecover, match="two histories"):
        site.recover()
    assert site.known_digests()[-1] == signed, "refused, so nothing is changed"

    looked = site.recovery().run(confirm=False, take_ledger=True)
    assert site.known_digests()[-1] == signed, "only looked"
    found = site.recover(take_ledger=True)
    assert found == looked
    assert (found.given_up, found.rebuilt, found.stated_again) == (1, 1, 2)
    assert site.known_digests()[-1] == (theft.number, theft.digest)
    with pytest.raises(PublishingHalted, match="feed again"):
        site.node.publisher.step()
    site.feed()
    site.recovery().fed_again()
    site.publish()
    assert site.terms(robbed).status is Status.ACTIVE, "what the thief overwrote"
    assert site.terms(other).status is Status.FROZEN, "what the thief was faster than"
    events = site.client.published(0, site.client.block_number(), site.bank.bic)
    assert site.known_digests() == [(event.number, event.digest) for event in events]


@pytest.mark.long
def test_a_store_far_behind_a_theft_finds_where_the_histories_part(site: SteppedNode) -> None:
    site.feed(dict(ACCOUNT))
    grant = site.bind()
    site.publish()
    site.world.chain.holding = True
    for daily_limit_minor in (1, 2):
        site.feed({"number": CARD, "daily_limit_minor": daily_limit_minor})
        site.world.clock.advance(60)
        site.node.publisher.step()
    own = site.known_digests()
    # The first of the two does come into a block, unseen by the node; after it, the thief publishes three times.
    held = site.world.chain.mempool.drain()
    site.world.chain.lose()
    site.world.chain.devnet.call(held[0])
    thefts = [steal(site, grant) for _ in range(3)]
    assert thefts[0].number == own[-1][0]
    site.stop()
    reinstate(site)
    site.start()
    found = site.recover(take_ledger=True)
    assert (found.given_up, found.rebuilt) == (1, 3)
    assert site.known_digests() == own[:-1] + [(theft.number, theft.digest) for theft in thefts]
    site.feed()
    site.recovery().fed_again()
    site.publish()
    assert site.terms(grant).limits.daily_limit_minor == 2


def test_recovery_waits_for_transactions_that_are_still_on_their_way(site: SteppedNode) -> None:
    site.feed(dict(ACCOUNT))
    site.publish()
    recovery = replace_in_flight(site, 2)
    with pytest.raises(CannotRecover, match="2 transactions"):
        recovery.run(confirm=True)


def replace_in_flight(site: SteppedNode, transactions: int) -> Recovery:
    secrets = site.bank.secrets
    return Recovery(
        site.node.database,
        site.client,
        Issuer(site.bank.bic, secrets.bank_secrets(), secrets.signer),
        site.bank.clock,
        platforms=[],
        in_flight=lambda: transactions,
        max_attestations=lambda: 500,
    )


def test_level_stores_have_nothing_to_recover(site: SteppedNode) -> None:
    site.feed(dict(ACCOUNT))
    site.publish()
    assert site.recover().nothing_to_do
    site.feed({"number": CARD, "status": "frozen"})
    site.publish()


def test_an_export_to_a_disk_that_is_full_is_said_to_be_of_no_use(
    site: SteppedNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fail)
    file = site.folder / "export"
    with pytest.raises(backup.BadExport, match="not whole, and of no use: No space left"):
        backup.export(site.node.database, site.bank.secrets.vault(), site.bank.bic, site.bank.clock, file)


def test_an_export_with_a_line_moved_dropped_or_changed_is_refused_whole(site: SteppedNode) -> None:
    site.feed(dict(ACCOUNT))
    site.bind()
    site.publish()
    file = site.folder / "export"
    vault = site.bank.secrets.vault()
    backup.export(site.node.database, vault, site.bank.bic, site.bank.clock, file)
    text = file.read_text()
    for secret in (ACCOUNT["number"], ACCOUNT["holder_name"], ACCOUNT["phone"], site.bank.bic):
        assert secret not in text
    lines = text.splitlines(keepends=True)
    site.stop()
    site.start(new_database(site.folder, "fresh"))
    damaged: dict[str, list[str] | bytes] = {
        "no text": b"\xff\xfe" + text.encode(),
        "dropped": lines[:1] + lines[2:],
        "moved": [lines[0], lines[2], lines[1], *lines[3:]],
        "cut": lines[:-1],
        "longer": [*lines, lines[1]],
        "changed": [lines[0], lines[1][:50] + "AAAA" + lines[1][54:], *lines[2:]],
    }
    for name, content in damaged.items():
        bad = site.folder / name
        bad.write_bytes("".join(content).encode() if isinstance(content, list) else content)
        with pytest.raises(backup.BadExport):
            backup.import_(site.node.database, vault, site.bank.bic, bad)
    with pytest.raises(backup.BadExport, match="is an export of"):
        backup.import_(site.node.database, vault, "BKCHCNBJ", file)
    other = replace(site.bank.secrets, vault_secret=bytes(32)).vault()
    with pytest.raises(backup.BadExport, match="vault secret"):
        backup.import_(site.node.database, other, site.bank.bic, file)
    assert backup.import_(site.node.database, vault, site.bank.bic, file) > 0
    with pytest.raises(backup.BadExport, match="not empty"):
        backup.import_(site.node.database, vault, site.bank.bic, file)
