"""What becomes of a binding after its grant: ended by either side, told again, moved to a new card, off-boarded."""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
import tomli_w
from sqlalchemy import func, select
from typer.testing import CliRunner

from standing.ledger.attestations.terms import Status
from standing.node.bindings.off_boarding import BATCH, OffBoardings
from standing.node.cli import app as command_line
from standing.node.publishing.outbox import Issuer
from standing.node.storage import schema
from tests.node.node_tools import (
    OTHER_PLATFORM,
    Killed,
    Staffed,
    account,
    die_at,
    grant_of,
    settings_on_disk,
    status_on_ledger,
    terms_on_ledger,
    writes,
)
from tests.world import ACCOUNT, PLATFORM, Bank, World, wait_until

_NEW_CARD = "9156026831789191"


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    with ExitStack() as made:
        yield made


@pytest.fixture
def staffed(a_world: World, stack: ExitStack) -> Staffed:
    return Staffed(a_world, stack)


@pytest.fixture
def bank(staffed: Staffed) -> Bank:
    return staffed.bank


def _bound(
    staffed: Staffed, stated: Mapping[str, Any] = ACCOUNT, key: str | None = None, **changed: Any
) -> dict[str, Any]:
    """A grant whose first attestation is on the ledger."""
    grant = grant_of(staffed.bind(stated, key, **changed))
    wait_until(lambda: writes(staffed.bank, grant) == 1)
    return grant


def _wait_for_writes(bank: Bank, grant: Mapping[str, Any], count: int) -> None:
    wait_until(lambda: writes(bank, grant) == count)


def _wait_for_status(bank: Bank, grant: Mapping[str, Any], status: Status) -> None:
    wait_until(lambda: status_on_ledger(bank, grant) == status)


def _resync(staffed: Staffed, grant: Mapping[str, Any], key: str | None = None) -> httpx.Response:
    bank = staffed.bank
    return bank.post(f"/v1/bindings/{grant['binding']}/resync", key or bank.platform_key)


# Ended from either side


@pytest.mark.long
@pytest.mark.parametrize("side", ["platform", "bank"])
def test_either_side_can_end_a_binding_and_only_that_one(staffed: Staffed, bank: Bank, side: str) -> None:
    bank.feed(ACCOUNT)
    grant = _bound(staffed)
    other = _bound(staffed, key=staffed.other_key)
    # The platform's own word needs no word of the core's.
    bank.clock.advance(60_000)
    if side == "platform":
        assert staffed.delete(grant).status_code == 204
    else:
        bank.feed({"number": ACCOUNT["number"], "unbind": [PLATFORM]})
    wait_until(lambda: status_on_ledger(bank, grant) == Status.UNBOUND)
    assert status_on_ledger(bank, other) == Status.ACTIVE
    bank.change({"number": ACCOUNT["number"], "status": "frozen"})
    assert status_on_ledger(bank, other) == Status.FROZEN
    assert status_on_ledger(bank, grant) == Status.UNBOUND
    # And it may be bound again, under another id.
    assert grant_of(staffed.bind(ACCOUNT))["binding"] != grant["binding"]


@pytest.mark.long
def test_no_platform_ends_anothers_binding(staffed: Staffed, bank: Bank) -> None:
    bank.feed(ACCOUNT)
    grant = _bound(staffed)
    assert staffed.delete(grant, staffed.other_key).status_code == 404
    bank.heartbeat()
    assert status_on_ledger(bank, grant) == Status.ACTIVE


# In place of another


@pytest.mark.long
def test_a_binding_made_in_place_of_another_ends_that_one_in_the_same_step_and_is_made_once(
    staffed: Staffed, bank: Bank
) -> None:
    bank.feed(ACCOUNT)
    old, others = _bound(staffed), _bound(staffed, key=staffed.other_key)
    assert staffed.bind(ACCOUNT).status_code == 409
    changed = {"request_id": "in-its-place", "replaces": old["binding"]}
    grant = grant_of(staffed.bind(ACCOUNT, **changed))
    wait_until(lambda: status_on_ledger(bank, old) == Status.UNBOUND)
    wait_until(lambda: status_on_ledger(bank, grant) == Status.ACTIVE)
    assert status_on_ledger(bank, others) == Status.ACTIVE
    assert grant_of(staffed.bind(ACCOUNT, **changed)) == grant
    assert staffed.bind(ACCOUNT, request_id="in-its-place").status_code == 409


@pytest.mark.long
def test_a_claim_that_is_refused_ends_nothing_whatever_it_would_replace(staffed: Staffed, bank: Bank) -> None:
    bank.feed(ACCOUNT)
    old = _bound(staffed)
    answer = staffed.bind({**ACCOUNT, "holder_name": "Nobody"}, replaces=old["binding"])
    assert answer.json()["outcome"] == "refused"
    bank.heartbeat()
    assert status_on_ledger(bank, old) == Status.ACTIVE


@pytest.mark.long
def test_no_request_ends_the_binding_of_another_account_or_platform_by_its_id(staffed: Staffed, bank: Bank) -> None:
    bank.feed(ACCOUNT, account(1))
    kept, others = _bound(staffed), _bound(staffed, account(1), staffed.other_key)
    _bound(staffed, account(1))
    assert staffed.bind(account(1), replaces=kept["binding"]).status_code == 409
    assert staffed.bind(account(1), replaces=others["binding"]).status_code == 409
    _bound(staffed, key=staffed.other_key, replaces=kept["binding"])
    assert status_on_ledger(bank, kept) == status_on_ledger(bank, others) == Status.ACTIVE


# Resync


def test_the_trail_of_a_binding_shows_each_hop_of_its_changes_to_its_platform_and_the_operator_only(
    a_world: World, staffed: Staffed, bank: Bank
) -> None:
    bank.feed(account(1))
    grant = _bound(staffed, account(1))
    frozen_ms = bank.change({"number": account(1)["number"], "status": "frozen"})
    path = f"/v1/bindings/{grant['binding']}/trail"
    frozen, granted = bank.get(path, bank.platform_key).json()["hops"]
    assert (frozen["entry_as_of_ms"], frozen["effective_at_ms"]) == (frozen_ms, frozen_ms)
    assert granted["entry_as_of_ms"] is None, "it came of the grant"
    hops = frozen["publication"]
    assert hops["number"] > granted["publication"]["number"]
    assert hops["signed_at_ms"] <= hops["submitted_at_ms"] <= hops["in_block_at_ms"]
    receipt = a_world.client.receipt(bytes.fromhex(hops["transaction_hash"][2:]))
    assert receipt is not None
    assert receipt["blockNumber"] == hops["block_number"]
    a_world.chain.down = True
    bank.feed({"number": account(1)["number"], "status": "lost"})
    newest = bank.get(path, staffed.operator_key).json()["hops"][0]
    assert newest["publication"] is None or newest["publication"]["in_block_at_ms"] is None
    a_world.chain.down = False
    assert bank.get(path, staffed.other_key).status_code == 404
    assert bank.get(path, bank.core_key).status_code == 403


def test_a_resync_publishes_the_present_terms_once_more(staffed: Staffed, bank: Bank) -> None:
    bank.feed(ACCOUNT)
    grant = _bound(staffed)
    before = terms_on_ledger(bank, grant)
    for count, key in ((2, None), (3, staffed.operator_key)):
        _wait_until_all_is_in_blocks(bank)
        answer = _resync(staffed, grant, key)
        assert answer.status_code == 200, answer.text
        assert answer.json()["queued"]
        _wait_for_writes(bank, grant, count)
    assert terms_on_ledger(bank, grant) == before


def test_a_resync_of_a_binding_that_has_ended_says_so_again(staffed: Staffed, bank: Bank) -> None:
    bank.feed(ACCOUNT)
    grant = _bound(staffed)
    staffed.delete(grant)
    assert _resync(staffed, grant).status_code == 200
    wait_until(lambda: writes(bank, grant) >= 2)
    assert status_on_ledger(bank, grant) == Status.UNBOUND


def test_a_resync_adds_nothing_while_the_newest_terms_wait_to_be_signed(
    a_world: World, staffed: Staffed, bank: Bank
) -> None:
    bank.feed(ACCOUNT)
    grant = _bound(staffed)
    _wait_until_all_is_in_blocks(bank)
    a_world.chain.down = True
    bank.feed({"number": ACCOUNT["number"], "status": "frozen"})
    rows = _outbox_rows(bank)
    assert not _resync(staffed, grant).json()["queued"]
    assert _outbox_rows(bank) == rows
    a_world.chain.down = False
    wait_until(lambda: status_on_ledger(bank, grant) == Status.FROZEN)


def test_a_resync_adds_nothing_while_the_newest_terms_are_signed_and_in_no_block_yet(
    a_world: World, staffed: Staffed, bank: Bank
) -> None:
    bank.feed(ACCOUNT)
    grant = _bound(staffed)
    _wait_until_all_is_in_blocks(bank)
    a_world.chain.holding = True
    bank.feed({"number": ACCOUNT["number"], "status": "frozen"})
    wait_until(lambda: bank.get("/v1/status").json()["waiting"] == 0)
    assert bank.get("/v1/status").json()["in_flight"] >= 1
    rows = _outbox_rows(bank)
    assert not _resync(staffed, grant).json()["queued"]
    assert _outbox_rows(bank) == rows
    a_world.chain.release()
    wait_until(lambda: status_on_ledger(bank, grant) == Status.FROZEN)
    _wait_until_all_is_in_blocks(bank)
    assert _resync(staffed, grant).json()["queued"]


def _outbox_rows(bank: Bank) -> int:
    with bank.node.database.read() as connection:
        return connection.execute(select(func.count()).select_from(schema.outbox)).scalar_one()


def _wait_until_all_is_in_blocks(bank: Bank) -> None:
    def idle() -> bool:
        status = bank.get("/v1/status").json()
        return bool(status["waiting"] == 0 and status["in_flight"] == 0)

    wait_until(idle)


@pytest.mark.long
def test_resyncs_are_bounded_and_the_answer_says_when_to_come_back(staffed: Staffed, bank: Bank) -> None:
    bank.feed(ACCOUNT)
    grant = _bound(staffed)
    _wait_until_all_is_in_blocks(bank)
    asked = 0
    while True:
        answer = _resync(staffed, grant)
        if answer.status_code != 200:
            break
        asked += answer.json()["queued"]
        _wait_until_all_is_in_blocks(bank)
    assert (asked, answer.status_code) == (60, 429)
    bank.clock.advance(int(answer.headers["retry-after"]) * 1000)
    assert _resync(staffed, grant).status_code == 200


def test_a_platform_resyncs_its_own_bindings_only(staffed: Staffed, bank: Bank) -> None:
    bank.feed(ACCOUNT)
    grant = _bound(staffed)
    assert _resync(staffed, grant, staffed.other_key).status_code == 404
    assert _resync(staffed, {"binding": "0x" + "00" * 32}, staffed.operator_key).status_code == 404
    assert _resync(staffed, grant, bank.core_key).status_code == 403


# A card issued anew


@pytest.mark.long
def test_bindings_of_a_lost_card_go_on_with_the_new_one_under_the_same_id_and_key(staffed: Staffed, bank: Bank) -> None:
    bank.feed(ACCOUNT)
    grant = _bound(staffed)
    bank.change({"number": ACCOUNT["number"], "status": "lost"})
    assert status_on_ledger(bank, grant) == Status.LOST
    bank.change({"number": _NEW_CARD, "replaces": ACCOUNT["number"], "status": "active"})
    terms = terms_on_ledger(bank, grant)
    assert terms is not None
    assert terms.status == Status.ACTIVE
    # What the new card did not state is as it was; what the old card does is no business of the binding any more.
    assert terms.limits.transaction_limit_minor == ACCOUNT["transaction_limit_minor"]
    bank.change({"number": ACCOUNT["number"], "status": "closed"})
    assert status_on_ledger(bank, grant) == Status.ACTIVE
    bank.change({"number": _NEW_CARD, "status": "frozen"})
    assert status_on_ledger(bank, grant) == Status.FROZEN
    # The old number binds no more, the new one is bound already.
    assert staffed.bind(ACCOUNT).json()["mismatches"][0]["field"] == "account"
    assert staffed.bind({**ACCOUNT, "number": _NEW_CARD}).status_code == 409
    # The platform ends it by the id that it has had from the beginning.
    assert staffed.delete(grant).status_code == 204
    wait_until(lambda: status_on_ledger(bank, grant) == Status.UNBOUND)


@pytest.mark.long
def test_loss_and_replacement_may_come_in_one_entry(staffed: Staffed, bank: Bank) -> None:
    bank.feed(ACCOUNT)
    grant = _bound(staffed)
    bank.change(
        {"number": ACCOUNT["number"], "status": "lost"},
        {"number": _NEW_CARD, "replaces": ACCOUNT["number"], "status": "active"},
        {"number": _NEW_CARD, "daily_limit_minor": 5},
    )
    terms = terms_on_ledger(bank, grant)
    assert terms is not None
    assert (terms.status, terms.limits.daily_limit_minor) == (Status.ACTIVE, 5)


@pytest.mark.long
def test_the_bank_may_let_the_bindings_of_a_replaced_card_end(staffed: Staffed, bank: Bank) -> None:
    bank.feed(ACCOUNT)
    grant = _bound(staffed)
    bank.change({"number": _NEW_CARD, "replaces": ACCOUNT["number"], "status": "active", "replaced_bindings": "end"})
    assert status_on_ledger(bank, grant) == Status.UNBOUND
    grant_of(staffed.bind({**ACCOUNT, "number": _NEW_CARD}))


@pytest.mark.long
def test_where_the_new_card_is_bound_already_the_old_binding_ends(staffed: Staffed, bank: Bank) -> None:
    new = {**ACCOUNT, "number": _NEW_CARD}
    bank.feed(ACCOUNT, new)
    old_here, new_here = _bound(staffed), _bound(staffed, new)
    old_there = _bound(staffed, key=staffed.other_key)
    bank.change({"number": _NEW_CARD, "replaces": ACCOUNT["number"]})
    assert status_on_ledger(bank, old_here) == Status.UNBOUND
    assert status_on_ledger(bank, new_here) == Status.ACTIVE
    bank.change({"number": _NEW_CARD, "status": "frozen"})
    assert status_on_ledger(bank, old_there) == Status.FROZEN
    assert status_on_ledger(bank, new_here) == Status.FROZEN


BAD_REPLACEMENTS = [
    pytest.param({"number": _NEW_CARD, "replaces": ACCOUNT["number"]}, "number", id="a new card without a status"),
    pytest.param({"number": ACCOUNT["number"], "replaces": ACCOUNT["number"]}, "replaces", id="by itself"),
    pytest.param({"number": _NEW_CARD, "replaces": "00-x!", "status": "active"}, "replaces", id="no number"),
    pytest.param({"number": _NEW_CARD, "replaces": "7300000009", "status": "active"}, "number", id="an unknown one"),
]


@pytest.mark.long
@pytest.mark.parametrize(("change", "field"), BAD_REPLACEMENTS)
def test_a_replacement_that_makes_no_sense_is_refused_and_moves_nothing(
    staffed: Staffed, bank: Bank, change: dict[str, Any], field: str
) -> None:
    bank.feed(ACCOUNT)
    grant = _bound(staffed)
    at = bank.clock.advance(10)
    entry = {"as_of_ms": at, "changes": [{"effective_at_ms": at, **change}]}
    answer = bank.post("/v1/feed", bank.core_key, json=entry)
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"] == f"changes[0].{field}"
    bank.change({"number": ACCOUNT["number"], "status": "frozen"})
    assert status_on_ledger(bank, grant) == Status.FROZEN


# A closed account


@pytest.mark.long
def test_bindings_of_a_closed_account_read_as_closed_and_may_be_ended_or_reopened(staffed: Staffed, bank: Bank) -> None:
    bank.feed(ACCOUNT)
    grant = _bound(staffed)
    bank.change({"number": ACCOUNT["number"], "status": "closed"})
    assert status_on_ledger(bank, grant) == Status.CLOSED
    answer = staffed.bind(ACCOUNT, staffed.other_key).json()
    assert answer["outcome"] == "refused"
    assert answer["mismatches"][0]["problem"] == "the account is closed"
    bank.change({"number": ACCOUNT["number"], "status": "active"})
    assert status_on_ledger(bank, grant) == Status.ACTIVE
    bank.change({"number": ACCOUNT["number"], "status": "closed"})
    assert staffed.delete(grant).status_code == 204
    wait_until(lambda: status_on_ledger(bank, grant) == Status.UNBOUND)


# A platform off-boarded


def _active(bank: Bank, platform: str) -> int:
    table = schema.bindings
    with bank.node.database.read() as connection:
        query = select(func.count()).where(table.c.platform == platform, table.c.ended_at_ms.is_(None))
        return int(connection.execute(query).scalar_one())


def _off_boardings(bank: Bank, point: str, max_waiting: int = 100_000) -> OffBoardings:
    issuer = Issuer(bank.bic, bank.secrets.bank_secrets(), bank.signer)
    return OffBoardings(
        bank.node.database, bank.secrets.vault(), issuer, bank.clock, max_waiting=max_waiting, faults=die_at(point)
    )


@pytest.mark.long
def test_off_boarding_ends_all_bindings_of_the_platform_and_none_of_anothers(staffed: Staffed, bank: Bank) -> None:
    stated = [account(index) for index in range(5)]
    bank.feed(*stated)
    ours = [_bound(staffed, one) for one in stated]
    others = [_bound(staffed, one, staffed.other_key) for one in stated[:2]]
    path = f"/v1/platforms/{PLATFORM}/off-board"
    assert bank.get(path, staffed.operator_key).status_code == 404
    answer = bank.post(path, staffed.operator_key)
    assert answer.status_code == 202
    assert answer.json()["left"] == 5
    wait_until(lambda: bank.get(path, staffed.operator_key).json()["finished_at_ms"])
    assert bank.get(path, staffed.operator_key).json()["ended"] == 5
    for grant in ours:
        _wait_for_status(bank, grant, Status.UNBOUND)
    assert [status_on_ledger(bank, grant) for grant in others] == [Status.ACTIVE] * 2
    refused = staffed.bind(stated[0])
    assert refused.status_code == 403
    assert refused.json()["type"] == "urn:standing:problem:platform-off-boarded"
    # Asked again, it is as it was.
    assert bank.post(path, staffed.operator_key).json()["ended"] == 5


@pytest.mark.long
def test_killed_between_batches_an_off_boarding_goes_on_and_ends_each_binding_once(
    a_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("standing.node.bindings.off_boarding.BATCH", 2)
    assert BATCH > 2
    with ExitStack() as stack:
        staffed = Staffed(a_world, stack)
        bank = staffed.bank
        stated = [account(index) for index in range(7)]
        bank.feed(*stated)
        grants = [_bound(staffed, one) for one in stated]
    dying = _off_boardings(bank, "off_board_batch")
    dying.begin(PLATFORM)
    with pytest.raises(Killed):
        dying.end_batch(PLATFORM)
    assert _active(bank, PLATFORM) == 5
    with ExitStack() as stack:
        bank.start(stack)
        for grant in grants:
            _wait_for_status(bank, grant, Status.UNBOUND)
        wait_until(lambda: bank.get("/v1/status").json()["waiting"] == 0)
        assert [writes(bank, grant) for grant in grants] == [2] * 7


@pytest.mark.long
def test_a_full_outbox_holds_an_off_boarding_back_until_there_is_room(
    a_world: World, stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("standing.node.bindings.off_boarding.BATCH", 2)
    staffed = Staffed(a_world, stack, max_waiting=2)
    bank = staffed.bank
    stated = [account(index) for index in range(6)]
    bank.feed(*stated)
    for one in stated:
        _bound(staffed, one)
    a_world.chain.down = True
    path = f"/v1/platforms/{PLATFORM}/off-board"
    bank.post(path, staffed.operator_key)
    wait_until(lambda: bank.get("/v1/status").json()["worker_troubles"])
    assert _active(bank, PLATFORM) > 0
    a_world.chain.down = False
    wait_until(lambda: _active(bank, PLATFORM) == 0)


def test_an_off_boarded_platform_is_granted_nothing_again_and_the_call_documents_that(
    staffed: Staffed, bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank.feed(ACCOUNT)
    grant = _bound(staffed)
    monkeypatch.setattr(OffBoardings, "unfinished", lambda _self: [])  # the binding's turn has not come yet
    bank.post(f"/v1/platforms/{PLATFORM}/off-board", staffed.operator_key)
    path = f"/v1/bindings/{grant['binding']}/regrant"
    answer = bank.post(path, bank.platform_key, json={"request_id": "regrant-1"})
    assert answer.json()["type"] == "urn:standing:problem:platform-off-boarded"
    documented = httpx.get(bank.url + "/openapi.json", timeout=30).json()["paths"]["/v1/bindings/{binding}/regrant"]
    examples = {
        code: set(told["content"]["application/problem+json"]["examples"])
        for code, told in documented["post"]["responses"].items()
        if code in {"403", "422"}
    }
    assert examples == {"403": {"wrong-role", "platform-off-boarded"}, "422": {"malformed-request"}}


@pytest.mark.long
@pytest.mark.parametrize("platform", ["Not-A-Platform", "-", "x" * 33])
def test_off_boarding_of_what_is_no_platform_is_refused(staffed: Staffed, bank: Bank, platform: str) -> None:
    assert bank.post(f"/v1/platforms/{platform}/off-board", staffed.operator_key).status_code == 422


@pytest.mark.parametrize("role", ["core", "platform"])
def test_only_the_operator_off_boards(staffed: Staffed, bank: Bank, role: str) -> None:
    key = bank.core_key if role == "core" else bank.platform_key
    assert bank.post(f"/v1/platforms/{OTHER_PLATFORM}/off-board", key).status_code == 403


@pytest.mark.long
def test_the_command_off_boards_beside_the_running_node_and_readmits(
    a_world: World, staffed: Staffed, tmp_path: Path
) -> None:
    bank = staffed.bank
    bank.feed(account(1))
    grant = _bound(staffed, account(1))
    config = tmp_path / "node.toml"
    config.write_text(tomli_w.dumps(settings_on_disk(bank, tmp_path)))
    run = CliRunner()
    told = run.invoke(command_line, ["platform", "off-board", PLATFORM, "--config", str(config)])
    assert told.exit_code == 0, told.output
    assert "1 bindings ended" in told.output
    wait_until(lambda: status_on_ledger(bank, grant) == Status.UNBOUND)
    assert staffed.bind(account(1)).status_code == 403
    assert run.invoke(command_line, ["platform", "readmit", PLATFORM, "--config", str(config)]).exit_code == 0
    grant_of(staffed.bind(account(1)))
    wrong = run.invoke(command_line, ["platform", "readmit", "NO SUCH", "--config", str(config)])
    assert wrong.exit_code == 1


@pytest.mark.long
def test_an_erased_account_leaves_no_row_behind_and_only_once_nobody_relies_on_it(
    a_world: World, staffed: Staffed, tmp_path: Path
) -> None:
    bank = staffed.bank
    bank.feed(account(1), account(2))
    grant, other = (_bound(staffed, account(index)) for index in (1, 2))
    config = tmp_path / "node.toml"
    config.write_text(tomli_w.dumps(settings_on_disk(bank, tmp_path)))

    def erase(number: str) -> Any:
        return CliRunner().invoke(command_line, ["account", "erase", "--config", str(config)], input=f"{number}\n")

    still_bound = erase(account(1)["number"])
    assert still_bound.exit_code == 1
    assert "have not ended" in still_bound.output
    a_world.chain.down = True
    staffed.delete(grant)
    assert "was not told yet" in erase(account(1)["number"]).output
    a_world.chain.down = False
    wait_until(lambda: status_on_ledger(bank, grant) == Status.UNBOUND)
    wait_until(lambda: bank.get("/v1/status").json()["in_flight"] == 0)
    erased = erase(account(1)["number"])
    assert "erased, with 1 bindings" in erased.output
    assert account(1)["number"] not in erased.output
    with bank.node.database.read() as connection:
        left = {
            table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in (schema.accounts, schema.bindings, schema.outbox)
        }
    assert left == {"accounts": 1, "bindings": 1, "outbox": 1}
    assert staffed.bind(account(1)).json()["mismatches"][0]["field"] == "number"
    assert "no such account" in erase(account(1)["number"]).output
    bank.change({"number": account(2)["number"], "status": "frozen"})
    assert status_on_ledger(bank, other) == Status.FROZEN
