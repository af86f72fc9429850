"""`config check` and the environment, in both services."""

from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from standing.gateway.cli import app as gateway
from standing.node.cli import app as node


@pytest.mark.parametrize(("app", "prefix"), [(node, "STANDING_NODE_"), (gateway, "STANDING_GATEWAY_")])
def test_a_misspelt_variable_is_warned_of_and_no_other(app: typer.Typer, prefix: str) -> None:
    names = ["LISTN_PORT", "SERVICE_HOST__PORT", "LISTEN_PORT", "WARNING__LEARN", "SIGNER_PKCS11__KEY_LABEL", "KEY"]
    wrong = names[:2] + (["WARNING__LEARN"] if app is node else ["SIGNER_PKCS11__KEY_LABEL"])
    result = CliRunner().invoke(app, ["config", "check"], env={prefix + name: "pa55w0rd" for name in names})
    warned = [line for line in result.stderr.splitlines() if line.startswith("warning: ")]
    assert warned == [f"warning: {prefix}{name} is no setting, and has no effect" for name in sorted(wrong)]
    assert "pa55w0rd" not in result.output


@pytest.mark.parametrize("app", [node, gateway], ids=["node", "gateway"])
@pytest.mark.parametrize(
    ("stated", "place"),
    [('policy_file = "a\\u0000b"', "policy_file"), ('banks = [{ node_url = "\\u0000" }]', "banks.0.node_url")],
)
def test_a_nul_character_in_a_setting_is_named(app: typer.Typer, stated: str, place: str, tmp_path: Path) -> None:
    (config := tmp_path / "settings.toml").write_text(stated)
    result = CliRunner().invoke(app, ["config", "check", "-c", str(config)])
    assert result.exit_code == 1
    assert result.stderr == f"error: {config}: {place}: holds a NUL character; allowed: text without one\n"


@pytest.mark.parametrize(("app", "prefix"), [(node, "STANDING_NODE_"), (gateway, "STANDING_GATEWAY_")])
def test_a_variable_that_is_not_the_json_its_setting_needs_is_named_in_both_languages(
    app: typer.Typer, prefix: str
) -> None:
    wrong = {prefix + "LEDGER_URLS": "http://pa55w0rd@a,http://b", prefix + "LISTEN_PORT": "8201"}
    told = [
        CliRunner().invoke(app, ["config", "check"], env=wrong | {"LANGUAGE": language}).stderr
        for language in ("en", "zh")
    ]
    assert told == [
        f'error: {prefix}LEDGER_URLS: not JSON; allowed: a list as ["a", "b"], a table as {{"name": "a"}}\n',
        f'error: {prefix}LEDGER_URLS：不是 JSON；列表须写成 ["a", "b"]，表须写成 {{"name": "a"}}\n',
    ]


@pytest.mark.parametrize(
    ("stated", "english", "in_chinese"),
    [
        (
            'reconcile_every_minutes = "x"',
            "reconcile_every_minutes: Input should be a valid integer, unable to parse string as an integer, "
            "or: Input should be 'never'",
            "reconcile_every_minutes：应为整数，或：应为 'never'",
        ),
        (
            "ledger_block = { depth = 0 }",
            "ledger_block.depth: Input should be greater than or equal to 1",
            "ledger_block.depth：应大于或等于 1",
        ),
        (
            "policy = { freshness = [] }",
            "policy.freshness: Tuple should have at least 1 item after validation, not 0",
            "policy.freshness：至少 1 项，现有 0 项",
        ),
    ],
)
def test_a_wrong_setting_is_one_fault_under_the_name_that_the_file_has(
    stated: str, english: str, in_chinese: str, tmp_path: Path
) -> None:
    (config := tmp_path / "settings.toml").write_text(stated)
    for language, expected in (("en", english), ("zh", in_chinese)):
        told = CliRunner().invoke(gateway, ["config", "check", "-c", str(config)], env={"LANGUAGE": language}).stderr
        name = stated.split(maxsplit=1)[0]
        assert [line for line in told.splitlines() if name in line] == [f"error: {expected}"]
