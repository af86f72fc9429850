"""A grant asked for again, because the answer was lost; and by how many platforms."""

from dataclasses import replace
from pathlib import Path
from secrets import token_bytes

import pytest
from eth_typing import ChecksumAddress
from sqlalchemy import select

from standing.ledger.attestations.binding_protocol import MAX_TIME_MS, BindingAnswer, BindingRequest, GrantDocument
from standing.ledger.attestations.publication import LocalSigner
from standing.ledger.chain import governance
from standing.ledger.errors import InvalidValue, Overloaded
from standing.node.bindings.granting import MAX_BINDINGS_PER_ACCOUNT
from standing.node.bindings.regranting import RegrantRequest
from standing.node.bindings.velocity import TooManyAttempts
from standing.node.publishing import outbox
from standing.node.storage import schema
from tests.node.stepped_node import SteppedNode
from tests.world import ACCOUNT, BANK_ADMIN, CLAIM_FIELDS, PLATFORM, World, wait_until


def _ask(site: SteppedNode) -> GrantDocument:
    claim = {name: ACCOUNT[name] for name in CLAIM_FIELDS}
    grant = site.node.bindings.bind(PLATFORM, BindingRequest(request_id="request-1", **claim)).grant
    assert grant is not None
    return grant


def test_a_grant_whose_answer_was_lost_is_accepted_after_the_signing_key_was_rotated(site: SteppedNode) -> None:
    """Platforms compare its signer with the bank's present one, and the account counts as bound."""
    site.feed(dict(ACCOUNT))
    lost = _ask(site)
    assert _ask(site) == lost
    site.stop()
    new = LocalSigner(token_bytes(32))
    site.bank.secrets = replace(site.bank.secrets, signer=new)
    site.start()
    again = _ask(site)
    assert again.grant().signer == new.address
    assert again.model_dump(exclude={"signature"}) == lost.model_dump(exclude={"signature"})


def test_nothing_is_granted_between_the_rotation_on_the_ledger_and_the_nodes_restart(a_world: World) -> None:
    """The platform would refuse the grant, and every further request for the account would be `already-bound`."""
    bank = a_world.start_bank()
    bank.change(dict(ACCOUNT))

    def rotate_to(address: ChecksumAddress) -> None:
        governance.execute(a_world.client, governance.rotate_signer(bank.bic, address), BANK_ADMIN)
        bank.feed()
        bank.make_heartbeat_due()

    rotate_to(LocalSigner(token_bytes(32)).address)
    wait_until(lambda: "signed by" in (bank.get("/readyz").json()["reason"] or ""))
    deposit = f"/v1/micro-deposits/0x{bytes(32).hex()}/confirm"
    regrant = f"/v1/bindings/0x{bytes(32).hex()}/regrant"
    for refused in (
        bank.bind(),
        bank.post(deposit, bank.platform_key, json={"amount_minor": 1}),
        bank.post(regrant, bank.platform_key, json={"request_id": "request-1"}),
    ):
        assert (refused.status_code, refused.json()["type"]) == (503, "urn:standing:problem:signer-replaced")
        assert refused.headers["Retry-After"] == "30"
    rotate_to(bank.secrets.signer.address)
    wait_until(lambda: bank.get("/readyz").status_code == 200)
    assert bank.bind().json()["outcome"] == "granted"


def test_an_account_is_bound_at_no_more_platforms_than_its_bound_allows(site: SteppedNode) -> None:
    site.feed(dict(ACCOUNT))
    claim = {name: ACCOUNT[name] for name in CLAIM_FIELDS}

    def bind(index: int, **changes: str) -> BindingAnswer:
        return site.node.bindings.bind(
            f"platform-{index}", BindingRequest(**{"request_id": "request-1", **claim, **changes})
        )

    first, *_ = [bind(index).grant for index in range(MAX_BINDINGS_PER_ACCOUNT)]
    assert first is not None
    with pytest.raises(InvalidValue, match="bound at too many platforms"):
        bind(MAX_BINDINGS_PER_ACCOUNT)
    # One that is replaced makes room for its successor.
    assert bind(0, request_id="request-2", replaces=first.binding).outcome == "granted"


def test_replaced_bindings_leave_half_of_the_outbox_to_the_core(a_world: World, tmp_path: Path) -> None:
    """A platform that replaces many bindings delays no freeze."""
    site = SteppedNode(a_world, tmp_path, max_waiting=2)
    site.feed(dict(ACCOUNT))
    granted = bytes.fromhex(_ask(site).binding[2:])  # its first attestation waits
    with pytest.raises(Overloaded):
        site.node.regranting.regrant(PLATFORM, granted, RegrantRequest(request_id="regrant-1"))
    site.feed({"number": ACCOUNT["number"], "status": "frozen"})
    site.stop()


def test_a_platform_that_replaces_its_binding_again_and_again_is_stopped(a_world: World, tmp_path: Path) -> None:
    """Each replacement is kept for ever, and its publication costs the bank."""
    rates = {"platform_capacity": 20, "platform_refill_per_hour": 1}
    site = SteppedNode(a_world, tmp_path, velocity=rates)
    site.feed(dict(ACCOUNT))
    binding = _ask(site).binding
    for at in range(20):
        before, binding = binding, _regrant(site, binding, f"regrant-{at:04}")
    with pytest.raises(TooManyAttempts):
        _regrant(site, binding, "regrant-more")
    assert _regrant(site, before, "regrant-0019") == binding, "an answer that was lost is given again"
    a_world.clock.advance(3_600_000)
    _regrant(site, binding, "regrant-more")
    site.stop()


def test_a_binding_that_was_replaced_often_does_not_let_its_herd_grow(a_world: World, tmp_path: Path) -> None:
    """Every publication for a herd states all its members: beside the live ones as many ended ones as its size."""
    site = SteppedNode(a_world, tmp_path, publisher={"herd_size": 8})
    site.feed(dict(ACCOUNT))
    site.bind(platform="yinhe-pay")  # keeps the account in its herd
    binding = _ask(site).binding
    for at in range(30):
        binding = _regrant(site, binding, f"regrant-{at:04}")
        if at % 5 == 0:
            site.publish()
    site.publish()
    _regrant(site, binding, "regrant-last")
    table = schema.bindings.c
    with site.node.database.read() as connection:
        herd = connection.execute(select(table.herd).where(table.ended_at_ms.is_(None)).distinct()).scalar_one()
        members = set(connection.execute(select(table.id).where(table.herd == herd)).scalars())
        drafts, _ = outbox.next_drafts(connection, 8, 200, MAX_TIME_MS)
    assert len(members) == 10  # those of the two platforms, and eight that ended
    assert {draft.binding for draft in drafts} == members
    site.stop()


def _regrant(site: SteppedNode, binding: str, request_id: str) -> str:
    site.world.clock.advance(1)
    answer = site.node.regranting.regrant(PLATFORM, bytes.fromhex(binding[2:]), RegrantRequest(request_id=request_id))
    assert answer.grant is not None
    return answer.grant.binding
