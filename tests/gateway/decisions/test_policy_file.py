"""The policy in its own file: errors are reported by file, line and field; a valid policy has a version."""

import tomllib
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from standing.gateway.cli import app
from standing.gateway.decisions.policy import Policy
from standing.gateway.decisions.policy_file import PolicyFileWrong, load_policy
from standing.gateway.settings import EXAMPLE, GatewaySettings, read_policy
from standing.ledger.service.settings import SettingsError, load

GOOD = """\
# How much of a bank's silence is bearable here.
name = "checkout-2026-03"
when_silent = "decline"
ahead_allowance_ms = 5000
ledger_read_timeout_ms = 400

[identity]
name = "review"

[[freshness]]
up_to_minor = 1000000
max_staleness_ms = 300000

[[freshness]]
up_to_minor = "any"
max_staleness_ms = 60000

[[freshness_of.JPY]]
up_to_minor = "any"
max_staleness_ms = 30000

[[risk]]
rule = "new_binding"
name = "first-day"
currency = "CNY"
over_minor = 100000
within_hours = 24
kinds = ["payment"]

[[risk]]
rule = "velocity"
name = "burst"
currency = "CNY"
over_count = 10
within_minutes = 10
hold_minutes = 30

[binding]
max_refusals = 3
within_minutes = 30
hold_minutes = 120
"""


def _file(folder: Path, text: str) -> Path:
    file = folder / "policy.toml"
    file.write_text(text)
    return file


def _line_of(text: str, piece: str) -> int:
    return text[: text.index(piece)].count("\n") + 1


def test_a_complete_policy_is_read_as_written(tmp_path: Path) -> None:
    policy = load_policy(_file(tmp_path, GOOD))
    assert (policy.name, policy.when_silent, policy.ledger_read_timeout_ms) == ("checkout-2026-03", "decline", 400)
    assert (policy.identity.name, policy.identity.phone) == ("review", "review")
    assert [rule.name for rule in policy.risk] == ["first-day", "burst"]
    assert policy.max_staleness_ms(1, 392) == 30_000
    assert policy.binding.max_refusals == 3


WRONG: list[tuple[str, str, str, str]] = [
    # replaced text, replacement, text on the reported line, reported field
    ('when_silent = "decline"', 'when_silent = "approve"', "when_silent", "when_silent"),
    ("ahead_allowance_ms = 5000", "ahead_allowance_ms = -1", "ahead_allowance_ms", "ahead_allowance_ms"),
    ("ledger_read_timeout_ms = 400", "ledger_read_timeout_ms = 5", "ledger_read_timeout_ms", "ledger_read_timeout_ms"),
    ('name = "review"', 'name = "ignore"', 'name = "ignore"', "identity.name"),
    ("[identity]", "[identiy]", "[identiy]", "identiy"),
    ("max_staleness_ms = 300000", "max_staleness_ms = 0", "max_staleness_ms = 0", "freshness.0.max_staleness_ms"),
    ("max_staleness_ms = 60000", "max_staleness_ms = 60000\noops = 1", "oops", "freshness.1.oops"),
    ("up_to_minor = 1000000", "up_to_minor = 0", "up_to_minor = 0", "freshness.0.up_to_minor"),
    ("up_to_minor = 1000000", 'up_to_minor = "any"', "[[freshness]]", "freshness"),
    ("[[freshness_of.JPY]]", "[[freshness_of.JPX]]", "[[freshness_of.JPX]]", "freshness_of.JPX"),
    ("max_staleness_ms = 30000\n", "max_staleness_ms = 3.5\n", "= 3.5", "freshness_of.JPY.0.max_staleness_ms"),
    ('rule = "velocity"', 'rule = "speed"', '[[risk]]\nrule = "speed"', "risk.1"),
    ("over_count = 10\n", "", '[[risk]]\nrule = "velocity"', "risk.1"),
    ("over_count = 10", "over_count = 0", "over_count = 0", "risk.1.over_count"),
    ("hold_minutes = 30\n", "", '[[risk]]\nrule = "velocity"', "risk.1.hold_minutes"),
    ('kinds = ["payment"]', 'kinds = ["gift"]', "kinds", "risk.0.kinds.0"),
    ('name = "burst"', 'name = "first-day"', "[[risk]]", "risk"),
    ('currency = "CNY"\nover_minor', 'currency = "XQX"\nover_minor', 'currency = "XQX"', "risk.0.currency"),
    ("max_refusals = 3", "max_refusals = 0", "max_refusals = 0", "binding.max_refusals"),
]


@pytest.mark.parametrize(("old", "new", "at", "field"), WRONG)
def test_a_policy_error_is_reported_by_file_line_and_field(
    tmp_path: Path, old: str, new: str, at: str, field: str
) -> None:
    assert old in GOOD
    text = GOOD.replace(old, new, 1)
    file = _file(tmp_path, text)
    with pytest.raises(PolicyFileWrong) as caught:
        load_policy(file)
    (fault,) = caught.value.faults
    assert (fault.line, fault.field) == (_line_of(text, at), field)
    result = CliRunner().invoke(app, ["policy", "check", str(file)])
    assert result.exit_code == 1
    assert result.stderr.startswith(f"{file}:{fault.line}: {field}")


def test_all_policy_errors_are_reported_together_in_file_order(tmp_path: Path) -> None:
    text = GOOD.replace('"decline"', '"approve"').replace("over_count = 10", "over_count = 0")
    result = CliRunner().invoke(app, ["policy", "check", str(_file(tmp_path, text))])
    assert [line.split(": ")[1] for line in result.stderr.splitlines()] == ["when_silent", "risk.1.over_count"]


@pytest.mark.parametrize(
    ("raw", "line"),
    [
        (b"name = 'x'\nwhen_silent =\n", 2),
        (b"name = 'x'\n[identity\n", 2),
        (b"name = 'x'\nname = 'y'\n", 2),
        (b"name = 'x'\n# \xff\n", 2),
        (b"when_silent = 'review'\n", 1),  # a policy in its own file needs a name
    ],
)
def test_a_file_that_is_not_a_policy_is_reported_with_its_line(tmp_path: Path, raw: bytes, line: int) -> None:
    file = tmp_path / "policy.toml"
    file.write_bytes(raw)
    with pytest.raises(PolicyFileWrong, match=f"policy.toml:{line}: "):
        load_policy(file)


def test_a_missing_or_oversized_policy_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(PolicyFileWrong, match="No such file"):
        load_policy(tmp_path / "none.toml")
    with pytest.raises(PolicyFileWrong, match="larger than"):
        load_policy(_file(tmp_path, "#" * 300_000))


def test_the_version_depends_on_a_policys_content_and_not_on_its_layout(tmp_path: Path) -> None:
    first = load_policy(_file(tmp_path, GOOD))
    laid_out = GOOD.replace("# How much of a bank's silence is bearable here.\n", "").replace(" = ", "=")
    # A default stated explicitly changes nothing either.
    stated = laid_out.replace("[identity]\n", '[identity]\nphone = "review"\n')
    assert load_policy(_file(tmp_path, stated)).version == first.version
    assert first.version.startswith("checkout-2026-03@")
    assert len(first.version.partition("@")[2]) == 32


CHANGES: list[tuple[str, str]] = [
    ("2026-03", "2026-04"),
    ("ahead_allowance_ms = 5000", "ahead_allowance_ms = 5001"),
    ("up_to_minor = 1000000", "up_to_minor = 1000001"),
    ("freshness_of.JPY", "freshness_of.USD"),
    ("within_hours = 24", "within_hours = 25"),
    ("max_refusals = 3", "max_refusals = 4"),
]


def test_every_change_of_a_policys_content_changes_its_version(tmp_path: Path) -> None:
    versions = {load_policy(_file(tmp_path, GOOD.replace(old, new))).version for old, new in CHANGES}
    assert len(versions | {load_policy(_file(tmp_path, GOOD)).version}) == len(CHANGES) + 1


def test_checking_a_valid_file_shows_its_version(tmp_path: Path) -> None:
    file = _file(tmp_path, GOOD)
    result = CliRunner().invoke(app, ["policy", "check", str(file)])
    assert result.exit_code == 0
    assert load_policy(file).version in result.stdout


def _settings(folder: Path, **stated: Any) -> GatewaySettings:
    file = folder / "gateway.toml"
    head, _, _ = EXAMPLE.partition("[policy]")
    lines = "".join(f"{name} = {value}\n" for name, value in stated.items())
    file.write_text(head.replace("# policy_file", "# p").replace("[[api_keys]]", lines + "[[api_keys]]", 1))
    return load(GatewaySettings, file)


def test_the_settings_name_the_file_or_hold_the_policy_and_never_both(tmp_path: Path) -> None:
    file = _file(tmp_path, GOOD)
    assert read_policy(_settings(tmp_path)) == Policy()
    assert read_policy(_settings(tmp_path, policy_file=f'"{file}"')).name == "checkout-2026-03"
    with pytest.raises(SettingsError, match="policy, policy_file"):
        _settings(tmp_path, policy_file=f'"{file}"', policy="{ when_silent = 'review' }")


def test_a_gateway_does_not_start_with_an_invalid_policy_and_reports_where_it_is_wrong(tmp_path: Path) -> None:
    wrong = _file(tmp_path, GOOD.replace("over_count = 10", "over_count = 0"))
    settings = tmp_path / "gateway.toml"
    secret = tmp_path / "secret"
    secret.write_text("ab" * 32)
    head, _, _ = EXAMPLE.partition("[policy]")
    head = head.replace("/etc/standing/gateway-secret", str(secret))
    settings.write_text(head.replace("[[api_keys]]", f'policy_file = "{wrong}"\n[[api_keys]]', 1))
    result = CliRunner().invoke(app, ["serve", "--config", str(settings)])
    assert result.exit_code == 1
    line = _line_of(wrong.read_text(), "over_count")
    assert result.stderr.startswith(f"error: policy_file: {wrong}:{line}: risk.1.over_count")
    assert result.stderr.count("\n") == 1
    wrong.unlink()
    missing = CliRunner().invoke(app, ["serve", "--config", str(settings)])
    assert (missing.exit_code, missing.stderr) == (1, f"error: policy_file: {wrong}: No such file or directory\n")


GUIDE = Path(__file__).parents[3] / "docs" / "GATEWAY.md"


def test_the_policy_in_the_guide_is_complete_and_valid(tmp_path: Path) -> None:
    text = GUIDE.read_text(encoding="utf-8").partition("```toml\n")[2].partition("```")[0]
    policy = load_policy(_file(tmp_path, text))
    assert Policy.model_fields.keys() == tomllib.loads(text).keys()
    kinds = {"new_binding", "velocity", "unusual_amount", "identity_change", "binding_burst", "early_withdrawal"}
    assert {rule.rule for rule in policy.risk} == kinds
