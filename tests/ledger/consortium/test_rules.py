"""Each alert of a member's Prometheus fires when it should and not before, tested with promtool."""

import re
import shutil
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from standing.gateway.settings import GatewaySettings
from standing.ledger.consortium.besu import configuration
from standing.ledger.consortium.operations import prometheus, rules
from standing.ledger.consortium.plan import Member
from standing.node.settings import NodeSettings
from tests.ledger.consortium.test_consortium import plan_of

_MEMBERS = {
    kind: Member.model_validate(next(member for member in plan_of()["members"] if kind in member))
    for kind in ("bank", "platform")
}

#: Member, alert, series that make it fire within five minutes, series that do not.
_CASES: list[tuple[str, str, dict[str, str], dict[str, str]]] = [
    ("bank", "BankNotReady", {"standing_node_ready": "0x20"}, {"standing_node_ready": "1x20"}),
    ("bank", "NobodyLeads", {"standing_node_leads": "0x20"}, {"standing_node_leads": "1x20"}),
    ("bank", "FeedStopped", {"standing_node_feed_stopped": "1x20"}, {"standing_node_feed_stopped": "0x20"}),
    (
        "bank",
        "WatermarkOld",
        {"standing_node_watermark_age_seconds": "21x20"},
        {"standing_node_watermark_age_seconds": "20x20"},
    ),
    (
        "bank",
        "OutboxFilling",
        {"standing_node_outbox_depth": "51x20", "standing_node_outbox_capacity": "100x20"},
        {"standing_node_outbox_depth": "50x20", "standing_node_outbox_capacity": "100x20"},
    ),
    (
        "bank",
        "AccountsUnstated",
        {"standing_node_unstated_accounts": "2x60"},
        {"standing_node_unstated_accounts": "0x60"},
    ),
    ("bank", "Down", {"up": "0x20"}, {"up": "1x20"}),
    (
        "platform",
        "DecisionsRefused",
        {"standing_gateway_decision_requests_refused_total": "0+5x60"},
        {"standing_gateway_decision_requests_refused_total": "7x60"},
    ),
    (
        "platform",
        "DecisionsSlow",
        {
            'standing_gateway_decision_seconds_bucket{stage="total",le="0.25"}': "0+1x60",
            'standing_gateway_decision_seconds_bucket{stage="total",le="0.5"}': "0+10x60",
            'standing_gateway_decision_seconds_bucket{stage="total",le="+Inf"}': "0+10x60",
        },
        {
            'standing_gateway_decision_seconds_bucket{stage="total",le="0.25"}': "0+10x60",
            'standing_gateway_decision_seconds_bucket{stage="total",le="0.5"}': "0+10x60",
            'standing_gateway_decision_seconds_bucket{stage="total",le="+Inf"}': "0+10x60",
        },
    ),
    (
        "platform",
        "LedgerUnreachable",
        {'standing_gateway_decisions_total{reason="ledger_unreachable"}': "0+1x60"},
        {'standing_gateway_decisions_total{reason="none"}': "0+1x60"},
    ),
    (
        "platform",
        "BanksSilent",
        {'standing_gateway_decisions_total{reason="bank_silent"}': "0+1x60"},
        {'standing_gateway_decisions_total{reason="bank_silent"}': "3x60"},
    ),
]


@pytest.fixture
def promtool() -> str:
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("promtool is missing: make test-consortium fetches it")
    return found


def _labelled(series: dict[str, str]) -> list[dict[str, str]]:
    """Input series for promtool, all of member m."""
    inputs = []
    for name, values in series.items():
        base, _, labels = name.partition("{")
        inputs.append({"series": f'{base}{{member="m"{"," + labels if labels else "}"}', "values": values})
    return inputs


def _run(promtool: str, folder: Path, *arguments: str) -> None:
    result = subprocess.run([promtool, *arguments], cwd=folder, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


@pytest.mark.parametrize("kind", _MEMBERS)
def test_prometheus_accepts_the_configuration_and_the_rules(tmp_path: Path, promtool: str, kind: str) -> None:
    (tmp_path / "prometheus.yml").write_text(prometheus(_MEMBERS[kind]))
    (tmp_path / "rules.yml").write_text(rules(_MEMBERS[kind]))
    _run(promtool, tmp_path, "check", "config", "prometheus.yml")


def test_every_alert_has_a_test_case() -> None:
    for kind, member in _MEMBERS.items():
        stated = yaml.safe_load(rules(member))["groups"][0]["rules"]
        tried = {name for whose, name, _, _ in _CASES if whose == kind} | {"Down"}
        assert {rule["alert"] for rule in stated} == tried
        # What affects payments wakes somebody; an account that is unstated waits for the morning.
        assert {rule["alert"] for rule in stated if rule["labels"]["severity"] != "page"} <= {"AccountsUnstated"}


@pytest.mark.parametrize(("kind", "settings"), [("bank", NodeSettings), ("platform", GatewaySettings)])
def test_prometheus_scrapes_the_ports_that_the_service_and_besu_listen_on(kind: str, settings: Any) -> None:
    member = _MEMBERS[kind]
    jobs = yaml.safe_load(prometheus(member))["scrape_configs"]
    ports = {"standing": settings.model_fields["listen_port"].default}
    ports["besu"] = tomllib.loads(configuration(member))["metrics-port"]
    assert {job["job_name"]: job["static_configs"][0]["targets"] for job in jobs} == {
        name: [f"127.0.0.1:{port}"] for name, port in ports.items()
    }


@pytest.mark.parametrize(("kind", "page"), [("bank", "OPERATIONS.md"), ("platform", "GATEWAY-OPERATIONS.md")])
def test_every_alert_watches_figures_that_are_documented(kind: str, page: str) -> None:
    """Other tests compare the pages with `/metrics`: an alert about a figure that no longer exists stays quiet."""
    text = (Path(__file__).parents[3] / "docs" / page).read_text(encoding="utf-8")
    documented = set(re.findall(r"[`, ](?:standing_node_)?([a-z_]+)(?:\{[a-z,]+\})?`", text))
    watched = re.findall(r"standing_(?:node|gateway)_(\w+?)(?:_bucket)?\b", rules(_MEMBERS[kind]))
    assert watched
    assert set(watched) <= documented


@pytest.mark.parametrize(("kind", "alert", "bad", "good"), _CASES, ids=[f"{case[0]}-{case[1]}" for case in _CASES])
def test_an_alert_fires_when_it_should_and_stays_quiet_otherwise(
    tmp_path: Path, promtool: str, kind: str, alert: str, bad: dict[str, str], good: dict[str, str]
) -> None:
    (tmp_path / "rules.yml").write_text(rules(_MEMBERS[kind]))
    stated = next(one for one in yaml.safe_load(rules(_MEMBERS[kind]))["groups"][0]["rules"] if one["alert"] == alert)
    labels = {"severity": stated["labels"]["severity"], "member": "m"}
    annotations = stated["annotations"] | ({"description": " of m does not answer"} if alert == "Down" else {})
    fires: list[dict[str, Any]] = [{"exp_labels": labels, "exp_annotations": annotations}]
    at = "7m" if alert == "AccountsUnstated" else "3m"
    tests = [
        {
            "interval": "10s",
            "input_series": _labelled(series),
            "alert_rule_test": [{"eval_time": at, "alertname": alert, "exp_alerts": expected}],
        }
        for series, expected in ((bad, fires), (good, []))
    ]
    (tmp_path / "tests.yml").write_text(yaml.safe_dump({"rule_files": ["rules.yml"], "tests": tests}))
    _run(promtool, tmp_path, "test", "rules", "tests.yml")
