"""A bank moves to a new deployment of the ledger while its core keeps feeding it: one history, nothing lost."""

from pathlib import Path

import pytest
from sqlalchemy import select

from standing.gateway.auditing.findings import Audit
from standing.gateway.auditing.ledger import audit_ledger
from standing.ledger.attestations.publication import Publication
from standing.ledger.attestations.terms import Status
from standing.ledger.chain.client import LedgerClient
from standing.node.publishing.submission import PublishingHalted
from standing.node.recovery.history import CannotRecover
from standing.node.storage import schema
from tests.node.stepped_node import CARD, SteppedNode
from tests.world import ACCOUNT, World

_CARDS = (CARD, "9156026831789191", "9156010708800389741")


def _history(ledger: LedgerClient, bic: str, previous: bytes) -> list[Publication]:
    """A bank's publications on one deployment, each read from its transaction and proved by its digest."""
    found = []
    for event in ledger.published(0, ledger.block_number(), bic):
        rebuilt = ledger.publication_of(event, previous)
        assert rebuilt is not None
        assert rebuilt[0].digest == event.digest
        found.append(rebuilt[0])
        previous = event.digest
    return found


@pytest.mark.long
@pytest.mark.parametrize("herd_size", [1, 3])
def test_a_bank_moves_to_a_new_deployment_while_fed_and_its_history_continues(
    a_world: World, tmp_path: Path, herd_size: int
) -> None:
    site = SteppedNode(a_world, tmp_path, publisher={"herd_size": herd_size})
    site.feed(*({**ACCOUNT, "number": card} for card in _CARDS))
    grants = {card: site.bind(card) for card in _CARDS}
    site.publish()
    site.feed({"number": _CARDS[0], "status": "frozen"})
    site.publish()
    old, old_contract = site.client, site.client.address

    # The core keeps feeding; the last entry before the move is stored and not published.
    site.feed({"number": _CARDS[1], "daily_limit_minor": 777})
    with site.node.database.read() as connection:
        table = schema.publications
        last = connection.execute(select(table).order_by(table.c.number.desc()).limit(1)).one()
    site.stop()
    site.start(contract=site.deploy_again(last.number, last.digest))

    # Under the new settings the node accepts the feed but signs nothing until it is recovered.
    site.feed({"number": _CARDS[2], "status": "lost"})
    with pytest.raises(PublishingHalted, match="standing-node recover"):
        site.node.publisher.step()
    site.feed({"number": _CARDS[0], "status": "active"})
    found = site.recover()
    assert (found.new_deployment, found.feed_again, found.stated_again) == (True, False, len(_CARDS))
    site.feed({"number": _CARDS[1], "status": "dormant"})
    site.publish()
    site.feed({"number": _CARDS[2], "status": "closed"})
    site.publish()

    terms = {card: site.terms(grant) for card, grant in grants.items()}
    assert [terms[card].status for card in _CARDS] == [Status.ACTIVE, Status.DORMANT, Status.CLOSED]
    assert terms[_CARDS[1]].limits.daily_limit_minor == 777
    assert site.client.bank(site.bank.bic).watermark_ms == site.entries[-1].as_of_ms

    # One chain over both deployments: numbers without a gap, each publication naming the one before.
    before = _history(old, site.bank.bic, bytes(32))
    after = _history(site.client, site.bank.bic, before[-1].digest)
    whole = before + after
    assert [each.number for each in whole] == list(range(1, len(whole) + 1))
    assert [each.previous for each in whole[1:]] == [each.digest for each in whole[:-1]]
    assert {each.domain.contract for each in before} == {old_contract} != {each.domain.contract for each in after}
    assert old.bank(site.bank.bic).publication == before[-1].number, "nothing more was published on the old one"
    audit = Audit()
    audit_ledger(site.client, audit)
    assert (audit.findings, audit.counted["Published"]) == ([], len(after))
    site.stop()


def test_a_bank_that_moves_to_another_deployment_is_never_told_to_be_admitted_as_new(
    a_world: World, tmp_path: Path
) -> None:
    """A bank is admitted once: as a new one, with the number 0, it could never publish there."""
    site = SteppedNode(a_world, tmp_path)
    site.feed({**ACCOUNT, "number": CARD})
    site.publish()
    site.stop()
    site.start(contract=site.deploy_without_banks())
    site.feed({"number": CARD, "status": "frozen"})
    with pytest.raises(PublishingHalted, match=r"this store has published to .* run `standing-node recover`"):
        site.node.publisher.step()
    with pytest.raises(CannotRecover, match=r"`admit --number \d+ --head 0x"):
        site.recover()
    site.stop()


def test_a_bank_that_would_move_back_is_told_that_only_a_new_deployment_helps(a_world: World, tmp_path: Path) -> None:
    """Its registrar was to be asked for an admission, which the contract refuses: a bank is admitted once."""
    site = SteppedNode(a_world, tmp_path)
    site.bind_and_publish()
    first, left = site.client.address, site.client.bank(site.bank.bic)
    site.stop()
    site.start(contract=site.deploy_again(left.publication, left.head))
    site.recover()
    site.publish()
    moved = site.client.bank(site.bank.bic)
    site.stop()
    site.start(contract=first)
    with pytest.raises(CannotRecover) as refused:
        site.recover()
    assert f"at publication {left.publication} of this ledger" in str(refused.value)
    assert "A bank is admitted once, so it cannot publish here: it needs a new deployment" in str(refused.value)
    assert f"`admit --number {moved.publication} --head 0x{moved.head.hex()}`" in str(refused.value)
    site.stop()
