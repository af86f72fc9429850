"""The ledger is lost, or replaced by another one."""

import pytest
from sqlalchemy import select

from standing.ledger.attestations.terms import Status
from standing.ledger.errors import LedgerError
from standing.node.publishing import outbox
from standing.node.publishing.submission import PublishingHalted
from standing.node.recovery.history import CannotRecover
from standing.node.storage import schema
from tests.node.stepped_node import CARD, OTHER_CARD, SteppedNode
from tests.world import ACCOUNT, PLATFORM, World


@pytest.mark.long
def test_every_binding_is_republished_to_a_lost_ledger_before_the_watermark_moves(site: SteppedNode) -> None:
    site.feed(dict(ACCOUNT), {**ACCOUNT, "number": OTHER_CARD})
    active, ended = site.bind(CARD), site.bind(OTHER_CARD)
    site.publish()
    site.node.bindings.unbind(PLATFORM, bytes.fromhex(ended.binding[2:]))
    site.publish()
    # One publication is signed but on no ledger when the ledger is lost.
    site.world.chain.holding = True
    frozen = site.feed({"number": CARD, "status": "frozen"})
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
    assert site.node.trail.entry(frozen.as_of_ms).on_ledger


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


def test_a_resync_adds_nothing_to_what_a_recovery_states_again(site: SteppedNode) -> None:
    site.feed(dict(ACCOUNT))
    grant = site.bind(CARD)
    site.publish()
    # The newest terms are signed but on no ledger when the ledger is lost, and their publication is never sent again.
    site.world.chain.holding = True
    site.feed({"number": CARD, "status": "frozen"})
    site.world.clock.advance(60)
    assert site.node.publisher.step() == 1
    site.world.chain.lose()
    with site.node.database.read() as connection:
        last = outbox.last_publication(connection)
    assert last is not None
    site.stop()
    site.start(contract=site.deploy_again(last.number, last.digest))
    site.recover()
    assert not site.node.resync.resync(PLATFORM, bytes.fromhex(grant.binding[2:])).queued
    with site.node.database.read() as connection:
        assert outbox.waiting(connection) == 0
    site.publish()
    assert site.terms(grant).status is Status.FROZEN


def test_two_histories_under_one_key_are_never_merged(site: SteppedNode, a_world: World) -> None:
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
    # The twin signed nothing while the ledger was away; forge a publication in its name.
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
