"""The operator's view: metrics, status on one screen, logs; and several gateways on one database."""

import asyncio
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
from prometheus_client.parser import text_string_to_metric_families
from typer.testing import CliRunner

from standing.gateway.app import create_app
from standing.gateway.cli import app
from standing.gateway.ledger_reading.nodes import LedgerNodes, Watch
from standing.gateway.metrics import Meters
from standing.ledger.attestations.terms import Status
from standing.ledger.clock import ManualClock
from standing.ledger.service.serve import served
from tests.gateway.gateway_rig import BICS, Rig, rig
from tests.world import wait_until

PREFIX = "standing_gateway_"


def figures(it: Rig) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    """Every sample of /metrics, by its name and labels."""
    text = it.nobody("GET", "/metrics").text
    return {
        (sample.name.removeprefix(PREFIX), tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def of(it: Rig, name: str, **labels: str) -> float | None:
    return figures(it).get((name, tuple(sorted(labels.items()))))


def test_every_metric_has_a_description_and_is_on_the_operators_page(a_rig: Rig) -> None:
    a_rig.bound().decide()
    families = list(text_string_to_metric_families(a_rig.nobody("GET", "/metrics").text))
    assert len(families) > 10
    for family in families:
        assert family.name.startswith(PREFIX), family.name
        assert len(family.documentation) > 20, family.name
    assert len({family.name for family in families}) == len(families)
    page = (Path(__file__).parents[3] / "docs" / "GATEWAY-OPERATIONS.md").read_text(encoding="utf-8")
    table = page.split("\n## Metrics\n")[1].split("\n## ")[0]
    documented = {name.removesuffix("_total") for name in re.findall(r"`([a-z0-9_]+)(?:\{[a-z,]+\})?`", table)}
    # prometheus_client adds when each counter was made.
    exposed = {name for family in families if not (name := family.name.removeprefix(PREFIX)).endswith("_created")}
    assert exposed - documented == set()


def test_decisions_are_counted_by_outcome_and_reason_and_timed_by_stage(a_rig: Rig) -> None:
    person = a_rig.bound()
    before = figures(a_rig)
    assert person.decide()["outcome"] == "approve"
    assert person.decide(currency="USD")["reason"] == "currency_not_allowed"
    person.bank.change(person.number, status=Status.LOST)
    assert person.decide()["reason"] == "account_lost"
    after = figures(a_rig)

    def more(name: str, **labels: str) -> float:
        key = (name, tuple(sorted(labels.items())))
        return after[key] - before.get(key, 0)

    assert more("decisions_total", outcome="approve", reason="none") == 1
    assert more("decisions_total", outcome="decline", reason="currency_not_allowed") == 1
    assert more("decisions_total", outcome="decline", reason="account_lost") == 1
    assert more("decision_seconds_count", stage="commit") == 3
    assert more("decision_seconds_count", stage="total") == 3
    assert more("decision_seconds_count", stage="read") >= 3
    for stage in ("read", "commit", "total"):
        assert more("decision_seconds_sum", stage=stage) > 0
    assert more("commit_decisions_sum") == 3


def test_a_repeated_transaction_is_not_counted_again(a_rig: Rig) -> None:
    person = a_rig.bound()
    person.decide(transaction_id="t-counted-once")
    before = of(a_rig, "decisions_total", outcome="approve", reason="none")
    person.decide(transaction_id="t-counted-once")
    assert of(a_rig, "decisions_total", outcome="approve", reason="none") == before


@pytest.mark.long
def test_reads_sharing_a_call_raise_the_coalescing_factor(a_rig: Rig) -> None:
    people = [a_rig.bound() for _ in range(4)]
    before = figures(a_rig)
    with ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda index: people[index % 4].decide(amount_minor=1), range(64)))
    after = figures(a_rig)
    reads, calls = (
        after[f"ledger_call_queries_{sample}", ()] - before[f"ledger_call_queries_{sample}", ()]
        for sample in ("sum", "count")
    )
    assert reads >= 64
    assert calls < reads


def test_bank_staleness_is_measured_at_the_scrape(a_rig: Rig) -> None:
    a_rig.clock.advance(30_000)
    a_rig.banks[BICS[0]].publish()
    assert of(a_rig, "bank_staleness_seconds", bank=BICS[0]) == 0
    assert of(a_rig, "bank_staleness_seconds", bank=BICS[1]) == 30
    assert of(a_rig, "bank_suspended", bank=BICS[0]) == 0
    assert of(a_rig, "ledger_up") == 1


def test_an_unreachable_ledger_is_a_metric_and_leaves_no_stale_ones(a_rig: Rig) -> None:
    a_rig.chain.down = True
    found = figures(a_rig)
    assert found["ledger_up", ()] == 0
    assert found["database_up", ()] == 1
    assert not [name for name, _ in found if name == "bank_staleness_seconds"]


def test_no_metric_names_a_binding_a_user_or_a_transaction(a_rig: Rig) -> None:
    person = a_rig.bound()
    answer = person.decide()
    text = a_rig.nobody("GET", "/metrics").text
    for name in (person.binding[2:], person.user_id + '"', answer["transaction_id"], person.number):
        assert name not in text


_SEVERAL = """
import os, sys
from pathlib import Path
from standing.gateway import metrics

metrics.share(Path(sys.argv[1]))
for outcome, reason in (("approve", None), ("decline", "account_closed")):
    if os.fork() == 0:
        meters = metrics.Meters()
        meters.committed([(outcome, reason)] * 3)
        meters.call_queries.observe(4)
        meters.total_latency.observe(0.003)
        meters.refused.inc()
        os._exit(0)
    assert os.wait()[1] == 0
meters = metrics.Meters()
meters.call_queries.observe(1)
print(meters.outcomes, meters.reads_per_call, meters.refused_count, meters.decided_within_ms(99))
sys.stdout.write(metrics.exposition(meters, []).decode())
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="workers are forked")
def test_counts_of_several_workers_are_summed_and_outlive_them(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _SEVERAL, str(tmp_path)]
    output = subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
    assert output.startswith("{'approve': 3, 'decline': 3, 'review': 0} 3.0 2 5\n"), output
    assert 'standing_gateway_decisions_total{outcome="decline",reason="account_closed"} 3.0' in output
    assert 'standing_gateway_decision_seconds_count{stage="total"} 2.0' in output


def test_two_gateways_in_one_process_keep_separate_metrics() -> None:
    one, other = Meters(), Meters()
    one.committed([("approve", None)])
    assert (one.outcomes["approve"], other.outcomes["approve"]) == (1, 0)
    assert (one.reads_per_call, other.reads_per_call) == (None, None)
    for queries in (1, 5):
        one.call_queries.observe(queries)
    assert one.reads_per_call == 3


def test_status_shows_the_gateways_current_state(a_rig: Rig) -> None:
    a_rig.bound().decide()
    # A gateway that has just started has not polled its nodes yet.
    wait_until(lambda: a_rig.support("GET", "/v1/status").json()["ledger"]["nodes"][0]["block_number"])
    status = a_rig.support("GET", "/v1/status").json()
    assert (status["ready"], status["trouble"]) == (True, None)
    assert status["policy"] == a_rig.settings.policy.version
    assert status["ledger"]["reads"] == "latest"
    (node,) = status["ledger"]["nodes"]
    assert node["node"] == a_rig.chain_url.removeprefix("http://")
    assert node["state"] in {"fit", "stalled"}
    assert node["block_number"] <= a_rig.ledger.block_number()
    assert {bank["bic"] for bank in status["banks"]} == set(BICS)
    assert status["decisions"]["approve"] >= 1
    assert status["reads_per_call"] >= 1
    assert status["waiting"] == {"reads": 0, "decisions": 0}
    a_rig.chain.down = True
    status = a_rig.support("GET", "/v1/status").json()
    assert status["ready"] is False
    assert status["trouble"].startswith("ledger: ")
    assert status["banks"] is None


def test_the_status_command_shows_one_screen(a_rig: Rig, tmp_path: Path) -> None:
    key = tmp_path / "key"
    key.write_text(a_rig.keys["support"] + "\n")
    command = ["status", "--url", a_rig.url, "--key-file", str(key)]
    shown = CliRunner().invoke(app, command)
    assert shown.exit_code == 0, shown.output
    assert len(shown.stdout.splitlines()) < 40
    for text in ("ready", *BICS, a_rig.chain_url.removeprefix("http://"), "decisions"):
        assert text in shown.stdout
    assert "webhooks to" not in shown.stdout
    troubles = a_rig.app.state.gateway.following.dispatcher._worker_troubles
    troubles["we_1"] = "does not open"
    assert "webhooks to we_1: does not open" in CliRunner().invoke(app, command).stdout
    in_chinese = CliRunner().invoke(app, command, env={"LANGUAGE": "zh"}).stdout
    for text in ("网关", "就绪", "发往 we_1 的 Webhook：does not open", "账本节点", "正常更新"):
        assert text in in_chinese
    del troubles["we_1"]
    as_json = CliRunner().invoke(app, [*command, "--json"])
    assert json.loads(as_json.stdout)["ready"] is True
    a_rig.chain.down = True
    assert CliRunner().invoke(app, command).exit_code == 2


def _warnings(it: Rig) -> list[str]:
    """The bindings that the event log reports as at risk."""
    found, position = [], 0
    while page := it.platform("GET", f"/v1/events?after={position}&limit=500").json()["events"]:
        found += [event["data"]["binding"] for event in page if event["type"] == "binding.at_risk"]
        position = page[-1]["position"]
    return found


def test_the_scoring_commands_show_the_state_and_make_a_run(a_rig: Rig, tmp_path: Path) -> None:
    support, admin = tmp_path / "support", tmp_path / "admin"
    support.write_text(a_rig.keys["support"] + "\n")
    admin.write_text(a_rig.keys["admin"] + "\n")
    show = ["scoring", "show", "--url", a_rig.url, "--key-file", str(support)]
    before = CliRunner().invoke(app, show)
    assert before.exit_code == 0, before.output
    for text in ("every 1440 minutes", "last run", "plain rules warn", "over_transaction", "0 of 2000 scores"):
        assert text in before.stdout
    warnings_before = _warnings(a_rig)
    why = ["--reason", "限额调整之后"]
    run = ["scoring", "run", "--url", a_rig.url, "--key-file"]
    refused = CliRunner().invoke(app, [*run, str(support), *why])
    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "answers" in refused.stderr
    made = CliRunner().invoke(app, [*run, str(admin), *why, "--wait-s", "60", "--json"])
    assert made.exit_code == 0, made.output
    state = json.loads(made.stdout)
    assert state["last"]["ended_at_ms"] is not None
    # The module's other tests share this gateway, so what they did may call for a warning.
    assert state["last"]["counts"]["warned"] == len(_warnings(a_rig)) - len(warnings_before)
    (entry,) = a_rig.client("admin")("GET", "/v1/audit?subject=/v1/scoring").json()["entries"]
    assert (entry["action"], entry["reason"], entry["outcome"]) == ("run_scoring", "限额调整之后", "done")
    nobody = CliRunner().invoke(app, ["scoring", "show", "--url", "http://127.0.0.1:9", "--key-file", str(support)])
    assert (nobody.exit_code, "no service answers" in nobody.stderr) == (1, True)


@pytest.mark.long
@pytest.mark.parametrize(
    ("url", "key", "message"),
    [("http://127.0.0.1:9", "sk_any", "no service answers"), ("", "sk_wrong", "API key"), ("", "", "key-file")],
)
def test_a_failure_of_the_status_command_is_one_line(
    a_rig: Rig, monkeypatch: pytest.MonkeyPatch, url: str, key: str, message: str
) -> None:
    monkeypatch.setenv("STANDING_GATEWAY_KEY", key)
    result = CliRunner().invoke(app, ["status", "--url", url or a_rig.url])
    assert result.exit_code == 1
    # The rig's own gateway may log there too.
    (line,) = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert message in line
    assert "Traceback" not in result.output
    if key:
        assert key not in result.stderr


@contextmanager
def _second(it: Rig) -> Iterator[Any]:
    """Another gateway on the same database. Yields: its app and a client with the support key."""
    other = create_app(it.settings, it.clock)
    with served(other) as url, httpx.Client(base_url=url, timeout=60) as client:
        client.headers["Authorization"] = f"Bearer {it.keys['support']}"
        yield other, client


@pytest.mark.long
def test_of_two_gateways_on_one_database_one_reconciles_and_the_other_takes_over(tmp_path: Path) -> None:
    with rig(tmp_path) as it:
        person = it.bound()
        first = it.app.state.gateway.reconcile_schedule
        with _second(it) as (other, client):
            second = other.state.gateway.reconcile_schedule
            it.clock.advance(600_000)
            for schedule in (first, second):
                schedule.look()
            statuses = [it.support("GET", "/v1/status").json(), client.get("/v1/status").json()]
            assert [status["reconcile"]["leads"] for status in statuses] == [True, False]
            last = [status["reconcile"]["last"] for status in statuses]
            assert last[0] == last[1]  # both show the result of the one that ran
            assert last[0]["checked"] == 1
            it.heartbeat()
            # Both decide, sharing one daily limit.
            assert client.get(f"/v1/bindings/{person.binding}").status_code == 200
            asyncio.run(first.close())  # its own thread too, which would acquire the lock again
            second.look()
            assert second.leader.led
            assert not first.leader.leads()


async def _look_once(url: str, clock: ManualClock) -> None:
    nodes = LedgerNodes([url], "0x" + "ab" * 20, budget_ms=1_000, watch=Watch(1, clock))
    await nodes.open()
    await nodes.close()


@pytest.mark.anyio
async def test_an_excluded_node_is_logged_without_the_secrets_of_its_url() -> None:
    with structlog.testing.capture_logs() as logs:
        await _look_once("http://user:secret@127.0.0.1:9/token-in-the-path", ManualClock(1))
    (line,) = [line for line in logs if line["event"] == "ledger_node_left_out"]
    assert (line["node"], line["state"], line["log_level"]) == ("127.0.0.1:9", "failing", "warning")
    assert "secret" not in str(logs)
    assert "token" not in str(logs)


@pytest.mark.long
def test_logs_of_binding_deciding_and_reconciling_hold_no_personal_data(tmp_path: Path) -> None:
    with structlog.testing.capture_logs() as logs, rig(tmp_path) as it:
        person = it.bound()
        person.decide()
        it.clock.advance(600_000)
        it.app.state.gateway.reconcile_schedule.look()
    assert {"bound", "reconciled"} <= {line["event"] for line in logs}
    text = json.dumps(logs, ensure_ascii=False, default=str)
    for personal in (*(value for value in person.claim.values() if len(value) > 4), it.keys["platform"]):
        assert personal not in text
