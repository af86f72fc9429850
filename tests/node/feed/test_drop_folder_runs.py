"""Feed files over time: checksums, order, kills, and a file beside another source."""

import hashlib
import signal
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from localnet import LocalNet
from standing.ledger.attestations.publication import LocalSigner
from standing.ledger.attestations.terms import Status
from standing.ledger.chain import governance
from standing.ledger.clock import SystemClock
from standing.ledger.errors import InvalidValue
from standing.ledger.service.serve import served
from standing.node.fault_points import PART_FAULT_POINTS
from standing.node.feed import file_load
from standing.node.feed.comparison import compare_states
from tests.faulty_chain import Chain
from tests.node.feed.dropped_files import GOING, drop_folder, report_of, write_file
from tests.node.node_tools import (
    Killed,
    account,
    core_as_of_ms,
    die_at,
    feed_entries,
    grant_of,
    status_on_ledger,
    writes,
)
from tests.world import ACCOUNT, GUARDIAN, PLATFORM, REGISTRAR, Bank, World, wait_until


@pytest.mark.long
@pytest.mark.parametrize(
    ("stated", "where"),
    [
        pytest.param(lambda content: hashlib.sha256(content).hexdigest(), "done", id="right"),
        pytest.param(lambda _: "0" * 64, "rejected", id="wrong"),
        pytest.param(lambda _: "none", "rejected", id="none at all"),
    ],
)
def test_a_checksum_that_does_not_match_its_file_is_refused(bank: Bank, folder: Path, stated: Any, where: str) -> None:
    drop = drop_folder(bank, folder, require_checksum=True)
    name = write_file(folder, "full", bank.clock.advance(10), ACCOUNT)
    drop.step(GOING)
    assert (folder / name).exists(), "it waits for its checksum"
    (folder / f"{name}.sha256").write_text(f"{stated((folder / name).read_bytes())}  {name}\n")
    drop.step(GOING)
    report_of(folder, where, name)
    assert (folder / where / f"{name}.sha256").exists()
    assert (core_as_of_ms(bank) > 0) == (where == "done")


@pytest.mark.long
@pytest.mark.parametrize("point", ["file_reported", "file_checksum_moved"])
def test_a_wrong_checksum_stays_the_reason_of_rejection_even_if_the_node_is_killed(
    bank: Bank, folder: Path, point: str
) -> None:
    name = write_file(folder, "full", bank.clock.advance(10), ACCOUNT)
    (folder / f"{name}.sha256").write_text("0" * 64)
    with pytest.raises(Killed):
        drop_folder(bank, folder, die_at(point)).step(GOING)
    drop_folder(bank, folder).step(GOING)
    assert "not the checksum of this file" in report_of(folder, "rejected", name)["problems"][0]["problem"]
    assert (folder / "rejected" / f"{name}.sha256").exists()
    assert not list((folder / "working").iterdir())
    assert feed_entries(bank) == []


def test_changes_are_not_loaded_past_a_file_that_waits_for_its_checksum(bank: Bank, folder: Path) -> None:
    drop = drop_folder(bank, folder, require_checksum=True)
    started_ms = bank.clock.advance(10)
    write_file(folder, "full", started_ms, account(1), account(2), checksum=True)
    drop.step(GOING)
    frozen = {"number": account(1)["number"], "status": "frozen"}
    waits = write_file(folder, "changes", bank.clock.advance(1_000), frozen)
    later_ms = bank.clock.advance(1_000)
    write_file(folder, "changes", later_ms, {"number": account(2)["number"], "status": "dormant"}, checksum=True)
    drop.step(GOING)
    assert core_as_of_ms(bank) == started_ms, "the freeze is not on the ledger, so nothing later is promised"
    bank.clock.advance(60_000)
    with pytest.raises(InvalidValue, match=f"{waits} waits for its checksum.*loses what it states"):
        drop.step(GOING)
    (folder / f"{waits}.sha256").write_text(hashlib.sha256((folder / waits).read_bytes()).hexdigest())
    drop.step(GOING)
    assert core_as_of_ms(bank) == later_ms
    assert sorted(path.name for path in (folder / "rejected").iterdir()) == []


def test_a_file_too_old_to_be_loaded_holds_nothing_back_without_its_checksum(bank: Bank, folder: Path) -> None:
    drop = drop_folder(bank, folder, require_checksum=True)
    old_ms, started_ms = bank.clock.advance(10), bank.clock.advance(10)
    write_file(folder, "full", started_ms, account(1), checksum=True)
    drop.step(GOING)
    write_file(folder, "changes", old_ms, {"number": account(1)["number"], "status": "frozen"})
    later_ms = bank.clock.advance(10)
    write_file(folder, "changes", later_ms, {"number": account(1)["number"], "status": "lost"}, checksum=True)
    drop.step(GOING)
    bank.clock.advance(60_000)
    drop.step(GOING)
    assert core_as_of_ms(bank) == later_ms


@pytest.mark.parametrize("required", [True, False])
def test_a_checksum_file_that_a_shell_has_only_opened_is_waited_for(bank: Bank, folder: Path, required: bool) -> None:
    drop = drop_folder(bank, folder, require_checksum=required)
    name = write_file(folder, "full", bank.clock.advance(10), ACCOUNT)
    (folder / f"{name}.sha256").touch()  # as `sha256sum FILE > FILE.sha256` does before it reads the file
    drop.step(GOING)
    assert (folder / name).exists()
    (folder / f"{name}.sha256").write_text(hashlib.sha256((folder / name).read_bytes()).hexdigest())
    drop.step(GOING)
    assert report_of(folder, "done", name)["outcome"] == "loaded"


def test_files_are_loaded_in_order_of_their_own_times_not_of_arrival(bank: Bank, folder: Path) -> None:
    first_ms, second_ms, third_ms = (bank.clock.advance(10) for _ in range(3))
    write_file(folder, "changes", third_ms, {"number": ACCOUNT["number"], "status": "active"})
    write_file(folder, "changes", second_ms, {"number": ACCOUNT["number"], "status": "frozen"})
    write_file(folder, "full", first_ms, ACCOUNT)
    drop_folder(bank, folder).step(GOING)
    assert [entry.as_of_ms for entry in feed_entries(bank)] == [first_ms, second_ms, third_ms]
    assert len(list((folder / "done").glob("*.jsonl"))) == 3


_FILE_POINTS = [point for point in PART_FAULT_POINTS if point.startswith("file_")]


@pytest.mark.long
@pytest.mark.parametrize("kind", ["full", "changes"])
@pytest.mark.parametrize(
    ("point", "times"),
    [(point, 1) for point in [*_FILE_POINTS, "feed_committed"]] + [("feed_committed", 2), ("feed_committed", 3)],
)
def test_a_node_killed_at_any_step_of_a_file_loses_and_repeats_nothing(
    bank: Bank, folder: Path, kind: str, point: str, times: int
) -> None:
    stated = [account(index) for index in range(25)]
    write_file(folder, "full", bank.clock.advance(10), *stated)
    drop_folder(bank, folder).step(GOING)
    grants = [grant_of(bank.bind(stated[index])) for index in (0, 9, 10, 24)]
    frozen_ms = bank.clock.advance(1_000)
    if kind == "full":
        frozen = [{**one, "status": "frozen"} for one in stated]
        name = write_file(folder, kind, frozen_ms, *frozen, checksum=True)
    else:
        # The first account changes twice: resuming must not revert it.
        twice = {"number": stated[0]["number"], "status": "lost"}
        frozen = [{"number": one["number"], "status": "frozen"} for one in stated]
        name = write_file(folder, kind, frozen_ms, twice, *frozen, checksum=True)
    with pytest.raises(Killed):
        drop_folder(bank, folder, die_at(point, times), page_size=10, require_checksum=True).step(GOING)
    drop_folder(bank, folder, page_size=10, require_checksum=True).step(GOING)
    bank.clock.advance(bank.settings.publisher.heartbeat_ms + 1)
    wait_until(lambda: bank.client.bank(bank.bic).watermark_ms == frozen_ms)
    assert [status_on_ledger(bank, grant) for grant in grants] == [Status.FROZEN] * 4
    assert [writes(bank, grant) for grant in grants] == [2 + (kind == "changes"), 2, 2, 2]
    report = report_of(folder, "done", name)
    assert report["changes"] == 25 + (kind == "changes")
    assert report["attestations"] == 4 + (kind == "changes")
    assert [entry.complete for entry in feed_entries(bank)] == [True, True]
    assert not list((folder / "working").iterdir())


@pytest.mark.parametrize("cure", ["the same time", "a full file", "removed"])
def test_nothing_is_loaded_past_a_rejected_file_of_changes_until_it_is_made_up_for(
    bank: Bank, folder: Path, cure: str
) -> None:
    drop = drop_folder(bank, folder)
    started_ms = bank.clock.advance(10)
    write_file(folder, "full", started_ms, account(1), account(2))
    drop.step(GOING)
    lost_ms, next_ms = bank.clock.advance(1_000), bank.clock.advance(1_000)
    frozen = {"number": account(1)["number"], "status": "frozen"}
    lost = write_file(folder, "changes", lost_ms, frozen, {"number": "6.22E+18", "status": "lost"})
    later = write_file(folder, "changes", next_ms, {"number": account(2)["number"], "status": "dormant"})
    for _ in range(2):  # it stays so, also for another process
        with pytest.raises(InvalidValue, match=f"{lost} was rejected.*removing the rejected one loses its changes"):
            drop_folder(bank, folder).step(GOING)
    assert (core_as_of_ms(bank), (folder / later).exists()) == (started_ms, True), "the bank promises nothing more"
    if cure == "the same time":
        write_file(folder, "changes", lost_ms, frozen)
    elif cure == "a full file":
        write_file(folder, "full", lost_ms, account(1, status="frozen"), account(2))
    else:
        (folder / "rejected" / lost).unlink()
    drop.step(GOING)
    assert (core_as_of_ms(bank), (folder / "done" / later).exists()) == (next_ms, True)
    assert len(feed_entries(bank)) == (2 if cure == "removed" else 3)


def test_a_file_rejected_twice_stops_the_folder_after_the_first_copy_is_removed(bank: Bank, folder: Path) -> None:
    drop = drop_folder(bank, folder)
    started_ms = bank.clock.advance(10)
    write_file(folder, "full", started_ms, account(1), account(2))
    drop.step(GOING)
    lost_ms, next_ms = bank.clock.advance(1_000), bank.clock.advance(1_000)
    for _ in range(2):  # the second is the corrected one, still wrong
        lost = write_file(folder, "changes", lost_ms, {"number": "6.22E+18", "status": "lost"})
        with pytest.raises(InvalidValue, match=f"{lost} was rejected"):
            drop.step(GOING)
    for name in (lost, f"{lost}.report.json"):
        (folder / "rejected" / name).unlink()
    write_file(folder, "changes", next_ms, {"number": account(2)["number"], "status": "dormant"})
    with pytest.raises(InvalidValue, match=f"{lost}.2 was rejected"):
        drop.step(GOING)
    assert core_as_of_ms(bank) == started_ms


def test_a_full_file_of_a_time_to_come_never_undoes_what_another_source_has_stated(bank: Bank, folder: Path) -> None:
    drop = drop_folder(bank, folder, role="reconcile")
    bank.feed(ACCOUNT)
    grant = grant_of(bank.bind())
    # Its name is in local time, eight hours ahead of UTC.
    name = write_file(folder, "full", bank.clock.now_ms() + 8 * 3_600_000, ACCOUNT)
    drop.step(GOING)
    bank.clock.advance(3_600_000)
    bank.feed({"number": ACCOUNT["number"], "status": "frozen"})
    wait_until(lambda: status_on_ledger(bank, grant) == Status.FROZEN)
    bank.clock.advance(8 * 3_600_000)
    bank.feed()
    drop.step(GOING)
    assert "ahead of this node's clock" in report_of(folder, "rejected", name)["problems"][0]["problem"]
    bank.clock.advance(bank.settings.publisher.heartbeat_ms + 1)
    wait_until(lambda: bank.client.bank(bank.bic).watermark_ms == core_as_of_ms(bank))
    assert status_on_ledger(bank, grant) == Status.FROZEN


@pytest.mark.long
def test_a_full_file_beside_another_source_repairs_drift_without_moving_the_watermark(bank: Bank, folder: Path) -> None:
    stated = [account(index) for index in range(4)]
    bank.feed(*stated)
    grants = [grant_of(bank.bind(one)) for one in stated]
    drop = drop_folder(bank, folder, role="reconcile")
    file_ms = bank.clock.advance(1_000)
    # The live feed missed the freeze of 1. It reported the loss of 2 after the file was written.
    name = write_file(folder, "full", file_ms, stated[0], {**stated[1], "status": "frozen"}, stated[2])
    drop.step(GOING)
    assert (folder / name).exists(), "the file waits until the feed has reached its time"
    last_ms = bank.feed({"number": stated[2]["number"], "status": "lost"})
    drop.step(GOING)
    report = report_of(folder, "done", name)
    assert (report["changes"], report["changed_since"], report["missing"]) == (1, 1, 1)
    wait_until(lambda: status_on_ledger(bank, grants[1]) == Status.FROZEN)
    assert status_on_ledger(bank, grants[2]) == Status.LOST
    assert core_as_of_ms(bank) == last_ms
    # The live feed continues, also for the repaired account.
    bank.change({"number": stated[1]["number"], "status": "active"})
    assert status_on_ledger(bank, grants[1]) == Status.ACTIVE


@pytest.mark.long
def test_changes_from_the_other_source_during_a_comparison_are_not_undone(
    bank: Bank, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank.feed(ACCOUNT, account(1), account(2))
    grant = grant_of(bank.bind())
    file_ms = bank.clock.advance(1_000)
    stated = {**ACCOUNT, "daily_limit_minor": 7}, {**account(1), "daily_limit_minor": 7}, account(2)
    name = write_file(folder, "full", file_ms, *stated)
    bank.feed()

    def compare(*given: Any) -> Any:
        found = compare_states(*given)
        bank.feed({"number": ACCOUNT["number"], "status": "frozen"})
        return found

    monkeypatch.setattr(file_load, "compare_states", compare)
    drop_folder(bank, folder, role="reconcile").step(GOING)
    report = report_of(folder, "done", name)
    assert (report["changes"], report["changed_since"]) == (1, 1)
    bank.heartbeat()
    assert status_on_ledger(bank, grant) == Status.FROZEN


def test_a_file_of_changes_beside_another_source_is_rejected(bank: Bank, folder: Path) -> None:
    last_ms = bank.feed(ACCOUNT)
    name = write_file(folder, "changes", last_ms, {"number": ACCOUNT["number"], "status": "frozen"})
    drop_folder(bank, folder, role="reconcile").step(GOING)
    assert "full files only" in report_of(folder, "rejected", name)["problems"][0]["allowed"]


def test_a_file_waits_for_a_full_outbox_until_the_node_stops(a_world: World, folder: Path) -> None:
    bank = a_world.start_bank(max_waiting=1)
    bank.feed(ACCOUNT)
    a_world.chain.down = True
    bank.wait_until_nothing_is_signed()
    assert bank.bind().json()["outcome"] == "granted"
    name = write_file(folder, "changes", bank.clock.advance(10), {"number": ACCOUNT["number"], "status": "frozen"})
    stop = threading.Event()
    drop = drop_folder(bank, folder)
    thread = threading.Thread(target=drop.step, args=(stop,))
    thread.start()
    wait_until((folder / "working" / name).exists)
    stop.set()
    thread.join(20)
    assert not thread.is_alive()
    assert (folder / "working" / name).exists()
    a_world.chain.down = False
    wait_until(lambda: bank.get("/v1/status").json()["waiting"] == 0)
    drop_folder(bank, folder).step(GOING)
    report_of(folder, "done", name)


def test_a_missing_folder_is_a_transient_failure(a_world: World, folder: Path) -> None:
    folder.rmdir()
    bank = a_world.start_bank(drop_folder={"path": folder, "poll_ms": 50})
    trouble = wait_until(lambda: bank.get("/v1/status").json()["worker_troubles"])
    assert "drop_folder" in trouble[0]
    folder.mkdir()
    wait_until(lambda: not bank.get("/v1/status").json()["worker_troubles"])


@pytest.mark.long
@pytest.mark.parametrize("point", _FILE_POINTS)
def test_a_node_killed_while_loading_a_file_resumes_it(tmp_path: Path, point: str) -> None:
    with ExitStack() as stack:
        chain = Chain(SystemClock())
        net = LocalNet(tmp_path, PLATFORM, ledger_url=stack.enter_context(served(chain.app)))
        stack.callback(net.stop)
        address = LocalSigner(REGISTRAR).address
        net.contract = governance.deploy(
            net.ledger_url, REGISTRAR, governor=address, registrar=address, guardian=LocalSigner(GUARDIAN).address
        )
        folder = tmp_path / "drop"
        folder.mkdir()
        bank = net.add_bank("YUNXCNB0", "Yunxi", drop_folder={"path": str(folder), "poll_ms": 50})
        process = net.start_bank(bank, {"STANDING_NODE_FAULT_POINT": point})
        stated = [account(index) for index in range(3)]
        name = write_file(folder, "full", SystemClock().now_ms(), *stated, checksum=True)
        assert process.wait_for_end(20) == -signal.SIGKILL
        net.start_bank(bank)
        wait_until((folder / "done" / name).exists)
        answer = httpx.get(bank.url + "/v1/status", headers={"Authorization": f"Bearer {bank.core_key}"}, timeout=20)
        assert answer.json()["core_as_of_ms"] > 0
        assert report_of(folder, "done", name)["changes"] == 3
