"""Reconciliation runs: one block, concurrency, other processes, failures, the schedule and the reports."""

import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from sqlalchemy import delete, insert, update
from structlog.testing import capture_logs
from typer.testing import CliRunner

from standing.gateway.cli import app
from standing.gateway.decisions.messages import MESSAGES
from standing.gateway.decisions.rules import Reason
from standing.gateway.following.reconcile_schedule import ReconcileSchedule
from standing.gateway.storage import schema
from standing.ledger.attestations.terms import Status
from standing.ledger.chain import governance
from standing.ledger.chain.client import LedgerClient
from standing.ledger.chain.codec import Reading
from standing.ledger.errors import LedgerUnreachable
from standing.ledger.service.leader import Leader, NoLock
from tests.gateway.following.reconciling import change, raw, reconciler, rows, run
from tests.gateway.gateway_rig import BICS, Rig
from tests.world import GUARDIAN


@pytest.mark.long
def test_a_run_reads_one_block_regardless_of_later_publications(alone: Rig) -> None:
    people = [alone.bound() for _ in range(5)]
    asked: list[Any] = []

    class Busy(LedgerClient):
        def read(self, queries: Any, block: Any = "latest") -> Reading:
            asked.append((len(queries), block))
            # Between two batches the bank closes every account.
            for person in people:
                person.bank.accounts[person.number].__dict__["status"] = Status.CLOSED
            people[0].bank.publish(*map(raw, people))
            return super().read(queries, block)

    report = reconciler(alone, Busy(alone.chain_url, alone.contract), batch=2).run()
    assert report is not None
    assert [count for count, _ in asked] == [len(BICS), 2, 2, 1]
    assert {block for _, block in asked} == {report.block_number}
    assert (report.checked, report.dead_count) == (5, 0)
    assert run(alone).dead_count == 5


@pytest.mark.long
def test_a_floor_raised_by_a_decision_after_the_block_was_pinned_is_no_drift(alone: Rig) -> None:
    person = alone.bound()
    decided: list[str] = []

    class Busy(LedgerClient):
        """Between the pin and the first batch, the bank publishes and a decision reads the publication."""

        def read(self, queries: Any, block: Any = "latest") -> Reading:
            if not decided:
                person.bank.publish(raw(person))
                decided.append(person.decide()["outcome"])
            return super().read(queries, block)

    report = reconciler(alone, Busy(alone.chain_url, alone.contract)).run()
    assert report is not None
    assert decided == ["approve"]
    assert (report.drift_count, report.dead_count) == (0, 0)
    assert report.reasons[person.bank.bic] == {"well": 1}


@pytest.mark.long
def test_an_answer_for_another_block_is_rejected_and_a_brief_failure_is_tolerated(alone: Rig) -> None:
    alone.bound()
    failures = [LedgerUnreachable("for a moment")]

    class Faulty(LedgerClient):
        other_block = False

        def read(self, queries: Any, block: Any = "latest") -> Reading:
            if failures:
                raise failures.pop()
            return super().read(queries, "latest" if self.other_block else block)

    faulty = Faulty(alone.chain_url, alone.contract)
    report = reconciler(alone, faulty).run()
    assert report is not None
    assert report.checked == 1
    runs = len(rows(alone, schema.reconcile_runs))

    class OnAnother(LedgerClient):
        def read(self, queries: Any, block: Any = "latest") -> Reading:
            return super().read(queries, int(block) - 1)

    with pytest.raises(LedgerUnreachable, match="answers for block"):
        reconciler(alone, OnAnother(alone.chain_url, alone.contract)).run()
    assert len(rows(alone, schema.reconcile_runs)) == runs  # no partial report


@pytest.mark.long
def test_decisions_continue_during_reconciliation(alone: Rig) -> None:
    people = [alone.bound() for _ in range(6)]
    stop = threading.Event()

    def reconcile_repeatedly() -> int:
        runs = 0
        while not stop.is_set():
            runs += run(alone, batch=1).checked == len(people)
        return runs

    with ThreadPoolExecutor(2) as pool:
        reconciling = pool.submit(reconcile_repeatedly)
        answers = [person.decide()["outcome"] for _ in range(5) for person in people]
        stop.set()
        assert reconciling.result(timeout=60) >= 1
    assert answers == ["approve"] * 30


@pytest.mark.long
def test_a_stopped_run_ends_between_batches_and_leaves_no_report(alone: Rig) -> None:
    for _ in range(3):
        alone.bound()
    seen: list[tuple[int, int]] = []
    stopped = reconciler(alone, batch=1).run(lambda *done: seen.append(done), lambda: len(seen) == 2)
    assert stopped is None
    assert seen == [(1, 3), (2, 3)]
    assert rows(alone, schema.reconcile_runs) == []


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


@pytest.mark.long
def test_the_report_page_is_complete_escaped_and_self_contained(alone: Rig) -> None:
    person = alone.bound()
    person.bank.change(person.number, status=Status.CLOSED)
    change(alone, update(schema.bindings).values(user_id='<script>alert("1")</script>'))
    text = run(alone).to_html()
    page = _Page()
    page.feed(text)
    assert not {tag for tag, _ in page.tags} & {"script", "img", "link", "iframe", "object", "form"}
    assert not [
        name for _, attributes in page.tags for name in attributes if name in {"src", "href"} or name[:2] == "on"
    ]
    assert not re.search(r"https?://|url\(|@import", text)
    assert "&lt;script&gt;" in text
    assert MESSAGES[Reason.ACCOUNT_CLOSED].zh in text
    assert person.binding in text


def _schedule(it: Rig, leader: Leader) -> ReconcileSchedule:
    gateway = it.app.state.gateway
    return ReconcileSchedule(reconciler(it), gateway.storage, it.clock, leader, every_minutes=60)


@pytest.mark.long
def test_one_process_makes_the_scheduled_run_when_it_is_due(alone: Rig) -> None:
    alone.bound()

    class Taken(NoLock):
        def hold(self) -> bool:
            return False

    mine, other = _schedule(alone, Leader(NoLock(), "reconcile")), _schedule(alone, Leader(Taken(), "reconcile"))
    made = []
    for minutes in (0, 9, 1, 59, 1, 59, 1):
        alone.clock.advance(minutes * 60_000)
        for schedule in (other, mine):
            schedule.look()
        made.append(len(rows(alone, schema.reconcile_runs)))
    assert made == [0, 0, 1, 1, 2, 2, 3]


@pytest.mark.long
def test_a_crash_of_the_schedule_is_logged_and_reported_and_another_process_takes_over(
    alone: Rig, monkeypatch: pytest.MonkeyPatch
) -> None:
    schedule = alone.app.state.gateway.reconcile_schedule

    def broken() -> None:
        assert schedule.leader.leads()
        raise RuntimeError("text that must not be shown")

    monkeypatch.setattr(schedule, "look", broken)
    monkeypatch.setattr(schedule, "_look_every_s", 0)
    with capture_logs() as logs, pytest.raises(RuntimeError):
        schedule._keep_looking()
    assert not schedule.leader.led
    assert {"event": "reconcile_ended", "error": "RuntimeError", "log_level": "critical"} in logs
    status = alone.support("GET", "/v1/status").json()
    assert status["worker_troubles"] == [
        "reconciliation: ended by an unexpected RuntimeError; see the log, and start the gateway again"
    ]
    assert status["ready"]


@pytest.mark.long
def test_a_failed_run_is_retried_a_minute_later(alone: Rig) -> None:
    schedule = _schedule(alone, Leader(NoLock(), "reconcile"))
    alone.clock.advance(600_000)
    alone.chain.down = True
    schedule.look()
    alone.chain.down = False
    alone.clock.advance(59_999)
    schedule.look()
    assert rows(alone, schema.reconcile_runs) == []
    alone.clock.advance(1)
    schedule.look()
    assert len(rows(alone, schema.reconcile_runs)) == 1


@pytest.mark.long
def test_a_run_made_while_the_clock_was_ahead_does_not_delay_the_next_one(alone: Rig) -> None:
    schedule = _schedule(alone, Leader(NoLock(), "reconcile"))
    year_ms = 365 * 24 * 3_600_000
    alone.clock.advance(year_ms)
    schedule.look()
    alone.clock._now_ms -= year_ms - 600_000
    for _ in range(2):  # and is made once
        schedule.look()
    now_ms = alone.clock.now_ms()
    assert [run.started_at_ms for run in rows(alone, schema.reconcile_runs)] == [now_ms + year_ms - 600_000, now_ms]


def test_staff_get_the_last_report_as_json_and_as_a_page(alone: Rig) -> None:
    assert alone.support("GET", "/v1/reconciliation").status_code == 404
    assert alone.platform("GET", "/v1/reconciliation").status_code == 403
    person = alone.bound()
    person.bank.change(person.number, status=Status.CLOSED)
    report = run(alone)
    assert alone.support("GET", "/v1/reconciliation").json() == json.loads(report.to_json())
    page = alone.support("GET", "/v1/reconciliation.html")
    assert page.headers["content-type"].startswith("text/html")
    assert page.text == report.to_html()


@pytest.mark.long
def test_the_command_writes_both_reports_and_its_exit_code_reveals_findings(alone: Rig, tmp_path: Path) -> None:
    person = alone.bound()
    config = tmp_path / "gateway.toml"
    stated = alone.settings.model_dump(mode="json", exclude_none=True) | {
        "ledger_url": alone.chain_url,
        "database_url": alone.settings.database_url,
    }
    stated.pop("ledger_urls", None)
    config.write_text(tomli_w.dumps(stated))
    files = [tmp_path / "report.json", tmp_path / "report.html"]
    command = ["reconcile", "--config", str(config), "--json", str(files[0]), "--html", str(files[1])]
    well = CliRunner().invoke(app, command)
    assert well.exit_code == 0, well.output
    assert "1 checked, 0 no longer usable, 0 drifted" in well.stdout
    seen = {"block_number": 0, "silent": False, "suspended": False}
    change(alone, insert(schema.bank_states).values(bank=person.bank.bic, watermark_ms=2**47, **seen))
    went_back = CliRunner().invoke(app, command)
    assert (went_back.exit_code, "0 drifted" in went_back.stdout) == (2, True)
    change(alone, delete(schema.bank_states))
    governance.execute(alone.ledger, governance.suspend(BICS[1]), GUARDIAN)
    suspended = CliRunner().invoke(app, command)
    assert (suspended.exit_code, "suspended" in suspended.stdout) == (0, True), (
        "decisions detect a suspension themselves"
    )
    person.bank.change(person.number, status=Status.CLOSED)
    amiss = CliRunner().invoke(app, command)
    assert amiss.exit_code == 2
    assert f"dead   {person.binding}" in amiss.stdout
    assert json.loads(files[0].read_text())["dead_count"] == 1
    assert person.binding in files[1].read_text()
    alone.chain.down = True
    down = CliRunner().invoke(app, command)
    assert (down.exit_code, down.stderr.splitlines()[-1][:6]) == (1, "error:")
