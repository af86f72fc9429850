"""`standing-node`: `api-key new` prints lines ready for the settings; `status` asks the node itself."""

import tomllib
from pathlib import Path
from typing import Any

import httpx
import pytest
import tomli_w
from typer.testing import CliRunner

from standing.ledger.service.api_keys import ApiKey
from standing.node.cli import app
from tests.node.node_tools import settings_on_disk
from tests.world import World, wait_until


def _made(*options: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["api-key", "new", "--name", "key-2026", *options])
    return result.exit_code, result.output


@pytest.mark.parametrize(
    ("options", "platform"),
    [(["--role", "core"], None), (["--role", "platform", "--platform", "jinqiao-pay"], "jinqiao-pay")],
)
def test_the_output_of_a_new_key_is_valid_settings(options: list[str], platform: str | None) -> None:
    exit_code, output = _made(*options)
    assert exit_code == 0, output
    [key] = tomllib.loads(output[output.index("[[api_keys]]") :])["api_keys"]
    assert ApiKey.model_validate(key).platform == platform


@pytest.mark.parametrize(
    "options",
    [
        pytest.param(["--role", "platform"], id="a platform's key without its platform"),
        pytest.param(["--role", "core", "--platform", "jinqiao-pay"], id="a core's key with one"),
        pytest.param(["--role", "platform", "--platform", 'Jinqiao"'], id="not a platform's id"),
    ],
)
def test_only_a_platforms_key_names_a_platform(options: list[str]) -> None:
    exit_code, output = _made(*options)
    assert (exit_code, "--platform" in output, "sk_" in output) == (2, True, False)


@pytest.mark.long
@pytest.mark.parametrize(
    ("host", "exit_code", "expected"),
    [("127.0.0.1", 0, "ready"), ("::1", 1, "no node answers at ::1")],
    ids=["not through a proxy", "an IPv6 address"],
)
def test_the_status_screen_asks_the_node_and_says_when_none_answers(
    a_world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: str, exit_code: int, expected: str
) -> None:
    bank = a_world.start_bank()
    bank.heartbeat()
    # From then on the node makes no ledger calls of its own, through any proxy.
    bank.wait_until_published()
    config = tmp_path / "node.toml"
    listening: dict[str, Any] = {"listen_host": host, "listen_port": httpx.URL(bank.url).port}
    config.write_text(tomli_w.dumps(settings_on_disk(bank, tmp_path) | listening))
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    shown = CliRunner().invoke(app, ["status", "-c", str(config)], env={"COLUMNS": "160"})
    assert (shown.exit_code, expected in shown.output) == (exit_code, True), shown.output
    in_chinese = CliRunner().invoke(app, ["status", "-c", str(config)], env={"COLUMNS": "160", "LANGUAGE": "zh"})
    assert ("核心数据时点" in in_chinese.output, "上限 100000" in in_chinese.output) == (True, True), in_chinese.output


@pytest.mark.long
def test_the_status_screen_points_out_a_core_that_has_fallen_silent(
    a_world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank = a_world.start_bank()
    bank.heartbeat()
    bank.wait_until_published()
    wait_until(lambda: bank.get("/readyz").status_code == 200)
    config = tmp_path / "node.toml"
    config.write_text(tomli_w.dumps(settings_on_disk(bank, tmp_path) | {"listen_port": httpx.URL(bank.url).port}))

    def screen(language: str = "en") -> str:
        done = CliRunner().invoke(app, ["status", "-c", str(config)], env={"LANGUAGE": language})
        assert done.exit_code == 0, done.output
        space = "" if language == "zh" else " "
        return space.join(done.output.replace("│", " ").split())  # as wide as the terminal, a sentence has many lines

    silent = "more than a minute old"
    assert silent not in screen()
    # The command's own clock is the machine's.
    monkeypatch.setattr("standing.ledger.clock.SystemClock.now_ms", lambda _clock: a_world.clock.now_ms() + 61_000)
    assert silent in screen()
    assert "数据时点已超过一分钟" in screen("zh")
