"""What a platform can do with bindings of others, whose ids are on the ledger for all to see: nothing."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import select

from standing.ledger.attestations.binding_protocol import BindingRequest, GrantDocument
from standing.ledger.errors import Conflict, NotFound
from standing.node.bindings.granting import AlreadyBound
from standing.node.bindings.regranting import RegrantRequest
from standing.node.bindings.velocity import Rate, TooManyAttempts
from standing.node.composition import Node
from standing.node.storage import schema
from tests.node.node_tools import OTHER_PLATFORM, account
from tests.node.stepped_node import SteppedNode
from tests.world import ACCOUNT, CLAIM_FIELDS, PLATFORM

_CHALLENGE = bytes(32)


def _certify(node: Node, platform: str, binding: bytes) -> object:
    return node.certificates.issue(platform, binding, _CHALLENGE)


def _resync(node: Node, platform: str, binding: bytes) -> object:
    return node.resync.resync(platform, binding)


_ACTS: dict[str, Callable[[Node, str, bytes], object]] = {
    "unbind": lambda node, platform, binding: node.bindings.unbind(platform, binding),
    "resync": _resync,
    "certify": _certify,
    "regrant": lambda node, platform, binding: node.regranting.regrant(
        platform, binding, RegrantRequest(request_id="regrant-1")
    ),
    "trail": lambda node, platform, binding: node.trail.binding(platform, binding),
}


def _id(grant: GrantDocument) -> bytes:
    return bytes.fromhex(grant.binding[2:])


def _active(site: SteppedNode) -> set[bytes]:
    table = schema.bindings.c
    with site.node.database.read() as connection:
        return set(connection.scalars(select(table.id).where(table.ended_at_ms.is_(None))))


def test_a_platform_can_do_nothing_with_a_binding_of_another_platform(site: SteppedNode) -> None:
    site.feed(dict(ACCOUNT))
    grant = _id(site.bind())
    for act in _ACTS.values():
        with pytest.raises(NotFound):
            act(site.node, OTHER_PLATFORM, grant)
    assert _active(site) == {grant}


def test_a_grant_whose_answer_was_lost_is_given_again_only_to_its_own_platform_and_for_the_same_claim(
    site: SteppedNode,
) -> None:
    """It has the key of the binding."""
    site.feed(dict(ACCOUNT), account(1))
    claim = {name: ACCOUNT[name] for name in CLAIM_FIELDS}
    request = BindingRequest(request_id="request-1", **claim)
    another = BindingRequest(request_id="request-1", **{name: account(1)[name] for name in CLAIM_FIELDS})
    granted = site.node.bindings.bind(PLATFORM, request)
    assert site.node.bindings.bind(PLATFORM, request) == granted
    with pytest.raises(Conflict, match="request_id"):
        site.node.bindings.bind(PLATFORM, another)
    with pytest.raises(AlreadyBound):
        site.node.bindings.bind(PLATFORM, request.model_copy(update={"request_id": "request-2"}))
    theirs = site.node.bindings.bind(OTHER_PLATFORM, request)
    assert granted.grant is not None
    assert theirs.grant is not None
    assert theirs.grant.binding != granted.grant.binding


def test_a_binding_that_has_ended_stays_ended_since_then(site: SteppedNode) -> None:
    site.feed(dict(ACCOUNT))
    binding = _id(site.bind())

    def unbind() -> tuple[Any, ...]:
        site.node.bindings.unbind(PLATFORM, binding)
        site.world.clock.advance(1_000)
        with site.node.database.read() as connection:
            return tuple(
                connection.scalars(select(column)).all()
                for column in (schema.bindings.c.ended_at_ms, schema.outbox.c.id)
            )

    assert unbind() == unbind()


def test_a_replacement_is_given_again_only_to_its_own_platform_and_for_the_same_binding(site: SteppedNode) -> None:
    """It has the key of the binding."""
    other_account: dict[str, Any] = {"card": account(1)["number"], "number_type": account(1)["number_type"]}
    site.feed(dict(ACCOUNT), account(1))
    mine, beside, theirs = site.bind(), site.bind(**other_account), site.bind(platform=OTHER_PLATFORM)
    request, regrant = RegrantRequest(request_id="regrant-1"), site.node.regranting.regrant
    granted = regrant(PLATFORM, _id(mine), request)
    assert regrant(PLATFORM, _id(mine), request) == granted
    with pytest.raises(NotFound):
        regrant(OTHER_PLATFORM, _id(mine), request)
    with pytest.raises(Conflict):
        regrant(PLATFORM, _id(beside), request)
    assert regrant(OTHER_PLATFORM, _id(theirs), request).grant is not None


def test_a_claim_ends_no_binding_of_another_account_or_platform_by_its_id(site: SteppedNode) -> None:
    other_account: dict[str, Any] = {"card": account(1)["number"], "number_type": account(1)["number_type"]}
    site.feed(dict(ACCOUNT), account(1))
    mine = site.bind()
    beside = site.bind(**other_account, replaces=mine.binding)
    theirs = site.bind(platform=OTHER_PLATFORM, replaces=mine.binding)
    assert _active(site) == {_id(each) for each in (mine, beside, theirs)}
    with pytest.raises(AlreadyBound):
        site.bind(replaces=theirs.binding)
    successor = site.bind(replaces=mine.binding)
    assert _active(site) == {_id(each) for each in (successor, beside, theirs)}


@pytest.mark.parametrize(
    ("act", "rate"), [(_certify, "certificates.CERTIFICATE_RATE"), (_resync, "resync.RESYNC_RATE")]
)
def test_a_platform_that_asks_too_often_is_told_when_to_come_back_and_takes_nothing_from_another(
    site: SteppedNode, act: Callable[[Node, str, bytes], object], rate: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"standing.node.bindings.{rate}", Rate(capacity=3, refill_per_hour=600))
    site.feed(dict(ACCOUNT))
    grant, others = _id(site.bind()), _id(site.bind(platform=OTHER_PLATFORM))
    for _ in range(3):
        act(site.node, PLATFORM, grant)
    with pytest.raises(TooManyAttempts) as refused:
        act(site.node, PLATFORM, grant)
    act(site.node, OTHER_PLATFORM, others)
    site.world.clock.advance(refused.value.retry_after_s * 1_000)
    act(site.node, PLATFORM, grant)
