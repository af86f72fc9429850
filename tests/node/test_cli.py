"""`standing-node api-key new`: the lines that it prints are settings as they are."""

import tomllib

import pytest
from typer.testing import CliRunner

from ledger.service.auth import ApiKey
from node.cli import app


def _made(*options: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["api-key", "new", "--name", "key-2026", *options])
    return result.exit_code, result.output


@pytest.mark.parametrize(
    ("options", "platform"),
    [(["--role", "core"], None), (["--role", "platform", "--platform", "jinqiao-pay"], "jinqiao-pay")],
)
def test_the_lines_of_a_new_key_are_what_the_settings_need(options: list[str], platform: str | None) -> None:
    exit_code, output = _made(*options)
    assert exit_code == 0, output
    [key] = tomllib.loads(output[output.index("[[api_keys]]") :])["api_keys"]
    assert ApiKey.model_validate(key).platform == platform


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(["--role", "platform"], id="a platform's key without its platform"),
        pytest.param(["--role", "core", "--platform", "jinqiao-pay"], id="a core's key with one"),
        pytest.param(["--role", "platform", "--platform", 'Jinqiao"'], id="what is no platform's id"),
    ],
)
def test_a_platform_is_named_by_a_platforms_key_and_by_no_other(options: list[str]) -> None:
    exit_code, output = _made(*options)
    assert (exit_code, "--platform" in output, "sk_" in output) == (2, True, False)
