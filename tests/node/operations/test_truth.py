"""The node's reports about itself: a stopped feed, a rejected file, reloaded settings."""

from contextlib import ExitStack
from pathlib import Path

import httpx
import pytest

from standing.ledger.errors import InvalidValue
from standing.ledger.service.api_keys import ApiKey, new_key
from standing.ledger.service.serve import served
from standing.node.app import create_app
from standing.node.composition import build
from standing.node.feed.settings import DropFolderSettings
from standing.node.operations import commands
from standing.node.operations.feed_state import rejected_files
from standing.node.recovery.history import Findings
from standing.node.storage.database import NodeDatabase
from tests.node.node_tools import SqlCore, account
from tests.world import Bank, World, wait_until

_PATH = "/v1/settings:reload"


def _figure(bank: Bank, name: str) -> float:
    lines = httpx.get(bank.url + "/metrics").text.splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith(f"standing_node_{name} ")))


def test_a_stopped_feed_shows_in_status_readiness_and_metrics(a_world: World, tmp_path: Path) -> None:
    core = SqlCore(tmp_path, a_world.clock.now_ms())
    core.put(None, account(1))
    bank = a_world.start_bank(sql_view=core.settings())
    trouble = "the feed has stopped: sql_view: 1 of 1 rows cannot be understood"
    wait_until(lambda: (bank.get("/readyz").json()["reason"] or "").startswith(trouble))
    assert bank.get("/readyz").status_code == 503
    assert bank.get("/v1/status").json()["trouble"].startswith(trouble)
    assert _figure(bank, "feed_stopped") == 1
    core.put(a_world.clock.now_ms() - 1, account(1))
    wait_until(lambda: bank.get("/readyz").status_code == 200)
    assert _figure(bank, "feed_stopped") == 0
    core.close()


def test_a_recovery_without_a_bank_secret_says_what_to_check_before_it_makes_bindings_unreadable(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With a wrong secret and an empty store, every binding would be: for good, as what is published stays."""
    commands._report(Findings(0, 7, rebuilt=7, unknown_unreadable=3), confirm=False)
    assert "check first that all secrets and platforms are there" in " ".join(capsys.readouterr().out.split())


def test_a_rejected_file_is_reported_until_it_is_removed(a_world: World, tmp_path: Path) -> None:
    folder = tmp_path / "drop"
    folder.mkdir()
    bank = a_world.start_bank(drop_folder={"path": folder, "poll_ms": 50})
    (folder / "accounts.csv").write_text("number\n")
    wait_until(lambda: bank.get("/v1/status").json()["rejected_files"] == 1)
    ready = bank.get("/readyz")
    assert ready.status_code == 200, "later files are still loaded"
    (warning,) = ready.json()["warnings"]
    assert "accounts.csv was rejected at " in warning
    assert " UTC (accounts.csv: file name: not the name of a feed file" in warning
    assert warning.endswith("supply a corrected one, and only once that is loaded take the old one out of rejected/")
    assert bank.get("/v1/status").json()["warnings"] == [warning]
    assert _figure(bank, "rejected_files") == 1
    for path in (folder / "rejected").iterdir():
        path.unlink()
    assert bank.get("/readyz").json()["warnings"] == []
    assert _figure(bank, "rejected_files") == 0


def test_a_rejected_file_with_an_unreadable_report_is_still_reported(tmp_path: Path) -> None:
    (tmp_path / "rejected").mkdir()
    (tmp_path / "rejected" / "full.csv.report.json").write_text("{")
    found = rejected_files(DropFolderSettings(path=tmp_path))
    assert found.files == 1
    assert "full.csv was rejected" in found.lines[0]


def test_a_rotated_key_takes_effect_at_once_even_on_a_standby(a_world: World) -> None:
    bank = a_world.make_bank()
    operator_key, digest = new_key()
    bank.settings.api_keys.append(ApiKey(name="operator", role="operator", sha256=digest))
    standing = [bank.settings]
    with ExitStack() as stack:
        node = build(bank.settings, bank.secrets, bank.clock)
        urls = [stack.enter_context(served(create_app(node, lambda: standing[0])))]
        other = build(bank.settings, bank.secrets, bank.clock)
        urls.append(stack.enter_context(served(create_app(other, lambda: standing[0]))))
        late_key, late_digest = new_key()
        kept = [key for key in bank.settings.api_keys if key.role != "core"]
        late = ApiKey(name="core-2", role="core", sha256=late_digest)
        standing[0] = bank.settings.model_copy(update={"api_keys": [*kept, late], "max_waiting": 7})
        for url in urls:
            bank.url = url
            assert bank.get("/v1/status", late_key).status_code == 401
            assert bank.post(_PATH, bank.core_key).status_code == 403
            answer = bank.post(_PATH, operator_key)
            assert answer.status_code == 200, answer.text
            assert (answer.json()["changed"], answer.json()["needs_restart"]) == (["api_keys"], ["max_waiting"])
            assert bank.get("/v1/status", late_key).status_code == 200
            assert bank.get("/v1/status").status_code == 401, "the old core's key"
            status = bank.get("/v1/status", late_key).json()
            assert status["settings"]["needs_restart"] == ["max_waiting"]
            assert "takes effect after a restart: max_waiting" in status["warnings"][0]


def test_a_node_that_cannot_be_built_closes_its_database(
    a_world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bank = a_world.make_bank(drop_folder=DropFolderSettings(path=tmp_path, profile=tmp_path / "none.toml"))
    closed: list[NodeDatabase] = []
    close = NodeDatabase.close

    def noting(database: NodeDatabase) -> None:
        closed.append(database)
        close(database)

    monkeypatch.setattr(NodeDatabase, "close", noting)
    with pytest.raises(InvalidValue, match="cannot be read"):
        build(bank.settings, bank.secrets, bank.clock)
    assert len(closed) == 1
