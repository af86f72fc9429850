"""Off-boarding a platform ends all of its bindings, in batches."""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest
import tomli_w
from sqlalchemy import func, select
from typer.testing import CliRunner

from standing.ledger.attestations.terms import Status
from standing.ledger.errors import Overloaded
from standing.node.bindings.off_boarding import BATCH, OffBoarding, OffBoardings, PlatformOffBoarded
from standing.node.bindings.regranting import RegrantRequest
from standing.node.cli import app as command_line
from standing.node.publishing.outbox import Issuer
from standing.node.storage import schema
from tests.node.bindings.granted import bound
from tests.node.node_tools import (
    OTHER_PLATFORM,
    Killed,
    Staffed,
    account,
    die_at,
    grant_of,
    settings_on_disk,
    status_on_ledger,
    writes,
)
from tests.node.stepped_node import SteppedNode
from tests.world import ACCOUNT, PLATFORM, Bank, World, wait_until


def _wait_for_status(bank: Bank, grant: Mapping[str, Any], status: Status) -> None:
    wait_until(lambda: status_on_ledger(bank, grant) == status)


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
def test_off_boarding_ends_every_binding_of_the_platform_and_no_others(staffed: Staffed, bank: Bank) -> None:
    stated = [account(index) for index in range(5)]
    bank.feed(*stated)
    ours = [bound(staffed, one) for one in stated]
    others = [bound(staffed, one, staffed.other_key) for one in stated[:2]]
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
    # Repeating the call changes nothing.
    assert bank.post(path, staffed.operator_key).json()["ended"] == 5


@pytest.mark.long
def test_an_off_boarding_killed_between_batches_resumes_and_ends_each_binding_once(
    a_world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("standing.node.bindings.off_boarding.BATCH", 2)
    assert BATCH > 2
    with ExitStack() as stack:
        staffed = Staffed(a_world, stack)
        bank = staffed.bank
        stated = [account(index) for index in range(7)]
        bank.feed(*stated)
        grants = [bound(staffed, one) for one in stated]
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
def test_a_full_outbox_delays_an_off_boarding_until_there_is_room(
    a_world: World, stack: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("standing.node.bindings.off_boarding.BATCH", 2)
    staffed = Staffed(a_world, stack, max_waiting=2)
    bank = staffed.bank
    stated = [account(index) for index in range(6)]
    bank.feed(*stated)
    for one in stated:
        bound(staffed, one)
    a_world.chain.down = True
    path = f"/v1/platforms/{PLATFORM}/off-board"
    bank.post(path, staffed.operator_key)
    wait_until(lambda: bank.get("/v1/status").json()["worker_troubles"])
    assert _active(bank, PLATFORM) > 0
    a_world.chain.down = False
    wait_until(lambda: _active(bank, PLATFORM) == 0)


def test_an_off_boarded_platform_gets_no_new_grants_and_the_api_documents_it(
    staffed: Staffed, bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank.feed(ACCOUNT)
    grant = bound(staffed)
    monkeypatch.setattr(OffBoardings, "unfinished", lambda _self: [])  # the binding's turn has not come yet
    bank.post(f"/v1/platforms/{PLATFORM}/off-board", staffed.operator_key)
    path = f"/v1/bindings/{grant['binding']}/regrant"
    answer = bank.post(path, bank.platform_key, json={"request_id": "regrant-1"})
    assert answer.json()["type"] == "urn:standing:problem:platform-off-boarded"
    documented = httpx.get(bank.url + "/openapi.json", timeout=30).json()["paths"]["/v1/bindings/{binding}/regrant"]
    examples = {
        code: set(response["content"]["application/problem+json"]["examples"])
        for code, response in documented["post"]["responses"].items()
        if code in {"403", "422"}
    }
    assert examples == {"403": {"wrong-role", "platform-off-boarded"}, "422": {"malformed-request"}}


def test_the_api_states_no_overload_for_an_off_boarding_which_a_full_outbox_only_delays(bank: Bank) -> None:
    path = httpx.get(bank.url + "/openapi.json", timeout=30).json()["paths"]["/v1/platforms/{platform}/off-board"]
    unavailable = path["post"]["responses"]["503"]["content"]["application/problem+json"]["examples"]
    assert set(unavailable) == {"standby", "database-unavailable"}


@pytest.mark.long
@pytest.mark.parametrize("platform", ["Not-A-Platform", "-", "x" * 33])
def test_off_boarding_an_unknown_platform_is_refused(staffed: Staffed, bank: Bank, platform: str) -> None:
    assert bank.post(f"/v1/platforms/{platform}/off-board", staffed.operator_key).status_code == 422


def test_off_boardings_end_their_own_bindings_in_batches_and_no_others(
    site: SteppedNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("standing.node.bindings.off_boarding.BATCH", 2)
    site.feed(dict(ACCOUNT), *(account(index) for index in range(3)))
    others, third, first = (site.bind(platform=each) for each in (OTHER_PLATFORM, "third-pay", PLATFORM))
    for index in range(3):
        site.bind(account(index)["number"], number_type=account(index)["number_type"])
    off_boardings = site.node.off_boardings
    begun, _ = off_boardings.begin(PLATFORM), off_boardings.begin("third-pay")
    assert (begun.ended, begun.left, begun.finished_at_ms) == (0, 4, None)
    with pytest.raises(PlatformOffBoarded):
        site.node.regranting.regrant(PLATFORM, bytes.fromhex(first.binding[2:]), RegrantRequest(request_id="regrant-1"))
    halfway = off_boardings.end_batch(PLATFORM)
    assert (halfway.ended, halfway.left, halfway.finished_at_ms) == (2, 2, None)
    whole = off_boardings.end_batch(PLATFORM)
    assert (whole.ended, whole.left, whole.finished_at_ms) == (4, 0, site.world.clock.now_ms())
    assert off_boardings.unfinished() == ["third-pay"]
    untouched = off_boardings.state("third-pay")
    assert (untouched.ended, untouched.left, untouched.finished_at_ms) == (0, 1, None)
    off_boardings.readmit("third-pay")
    assert off_boardings.state(PLATFORM) == whole
    site.publish()
    assert [site.status(each) for each in (first, others, third)] == ["unbound", "active", "active"]


@pytest.mark.long
def test_the_command_off_boards_and_readmits_while_the_node_runs(
    a_world: World, staffed: Staffed, tmp_path: Path
) -> None:
    bank = staffed.bank
    bank.feed(account(1))
    grant = bound(staffed, account(1))
    config = tmp_path / "node.toml"
    config.write_text(tomli_w.dumps(settings_on_disk(bank, tmp_path)))
    run = CliRunner()
    ended = run.invoke(command_line, ["platform", "off-board", PLATFORM, "--config", str(config)])
    assert ended.exit_code == 0, ended.output
    assert "1 bindings ended" in ended.output
    wait_until(lambda: status_on_ledger(bank, grant) == Status.UNBOUND)
    assert staffed.bind(account(1)).status_code == 403
    assert run.invoke(command_line, ["platform", "readmit", PLATFORM, "--config", str(config)]).exit_code == 0
    grant_of(staffed.bind(account(1)))
    wrong = run.invoke(command_line, ["platform", "readmit", "NO SUCH", "--config", str(config)])
    assert wrong.exit_code == 1


@pytest.mark.long
def test_the_command_says_once_that_it_waits_for_a_full_outbox(
    staffed: Staffed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "node.toml"
    config.write_text(tomli_w.dumps(settings_on_disk(staffed.bank, tmp_path)))
    refusals, end_batch = iter(range(3)), OffBoardings.end_batch

    def full_at_first(off_boardings: OffBoardings, platform: str) -> OffBoarding:
        if next(refusals, None) is not None:
            raise Overloaded("100000 attestations wait for the ledger", 5)
        return end_batch(off_boardings, platform)

    monkeypatch.setattr(OffBoardings, "end_batch", full_at_first)
    monkeypatch.setattr("standing.node.operations.platform_commands._WAIT_S", 0)
    ended = CliRunner().invoke(command_line, ["platform", "off-board", PLATFORM, "--config", str(config)])
    assert (ended.exit_code, ended.output.count("The outbox is full")) == (0, 1)


def test_the_command_says_that_it_knows_no_such_platform(staffed: Staffed, tmp_path: Path) -> None:
    """A mistyped id ends nothing, and the platform that was meant goes on."""
    config = tmp_path / "node.toml"
    config.write_text(tomli_w.dumps(settings_on_disk(staffed.bank, tmp_path)))
    for platform, is_known in (("yinhe-pya", False), (OTHER_PLATFORM, True)):
        ended = CliRunner().invoke(command_line, ["platform", "off-board", platform, "--config", str(config)])
        assert ended.exit_code == 0, ended.output
        assert (f"platform readmit {platform}" not in ended.output) is is_known
