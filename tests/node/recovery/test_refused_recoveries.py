"""Recoveries that are refused: a ledger's answer that does not continue the store is never taken for its history."""

from types import SimpleNamespace
from typing import Any, cast

import pytest

from standing.ledger.chain.client import BankState, Published
from standing.node.recovery.history import CannotRecover, Findings, History
from tests.node.stepped_node import SteppedNode
from tests.world import ACCOUNT

_HELD, _OTHER = b"\x05" * 32, b"\x0f" * 32


def _event(number: int, digest: bytes) -> Published:
    return Published("YUNXCNB0", number, 0, digest, (), 9, bytes(32), bytes(32))


def _state(number: int, head: bytes) -> BankState:
    return BankState(cast(Any, "0x" + "11" * 20), number, 0, cast(Any, "0x" + "22" * 20), False, head)


@pytest.mark.parametrize(
    ("events", "state", "advice"),
    [
        ([_event(5, _OTHER)], _state(5, _OTHER), "a person must examine"),
        ([_event(7, _OTHER)], _state(7, _OTHER), "publication 7 after 5: give an earlier --from-block"),
        ([_event(5, _HELD)], _state(6, _OTHER), "events end at publication 5, its state says 6"),
        ([_event(5, _HELD)], _state(5, _OTHER), "events end at publication 5"),
    ],
    ids=["another one under the last number", "a gap", "an end before the state's", "another end"],
)
def test_a_history_that_does_not_continue_the_stores_last_publication_is_refused(
    events: list[Published], state: BankState, advice: str
) -> None:
    client = SimpleNamespace(block_number=lambda: 9, published=lambda *_range: events, admission=lambda *_range: None)
    history = History(cast(Any, client), cast(Any, SimpleNamespace(bic="YUNXCNB0")), lambda _done, _all: None)
    last = cast(Any, SimpleNamespace(number=5, digest=_HELD))
    with pytest.raises(CannotRecover, match=advice):
        history.rebuild(cast(Any, None), state, last, Findings(5, state.publication), 0)


def test_a_lost_store_is_not_rebuilt_from_a_block_after_the_banks_admission(site: SteppedNode) -> None:
    site.feed(dict(ACCOUNT))
    site.publish()
    first = site.client.published(0, site.client.block_number(), site.bank.bic)[0].block_number
    site.lose_store()
    with pytest.raises(CannotRecover, match=f"admission to this ledger is before block {first}: .*--from-block"):
        site.recover(from_block=first)
    assert site.known_digests() == [], "a refusal changes nothing"


def test_a_bank_that_a_new_ledger_has_not_admitted_is_told_what_to_ask_for(site: SteppedNode) -> None:
    without_banks = site.deploy_without_banks()
    site.stop()
    site.start(contract=without_banks)
    with pytest.raises(CannotRecover, match="signed nothing: ask the registrar to admit it"):
        site.recover()
    site.stop()
    site.start(contract=site.world.client.address)
    site.feed(dict(ACCOUNT))
    site.publish()
    ((number, digest),) = site.known_digests()
    site.stop()
    site.start(contract=without_banks)
    with pytest.raises(CannotRecover, match=f"`admit --number {number} --head 0x{digest.hex()}`"):
        site.recover()
