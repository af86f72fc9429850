"""Folders and settings files written by commands: whole or not at all, and an operator's own text is kept."""

import os
import signal
import stat
import subprocess
import sys
import tomllib
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import pytest
from typer.testing import CliRunner

from standing.gateway.cli import app as gateway
from standing.ledger.consortium.cli import app as network
from standing.ledger.service.files import add_entry, give_to_owner_of, new_folder, settings_text, write_over
from standing.ledger.service.private_files import write_private
from standing.ledger.service.settings import SettingsError
from standing.node.cli import app as node

_BANK = {"bic": "YUNXCNB0", "name": 'Yunxi "the bank"'}


def _nothing(_text: str) -> None:
    """Accept any settings."""


def test_a_folder_appears_whole_and_for_its_owner_alone(tmp_path: Path) -> None:
    with new_folder(tmp_path / "deep" / "node") as made:
        (made / "secret").write_text("s")
        assert not (tmp_path / "deep" / "node").exists()
    assert (tmp_path / "deep" / "node" / "secret").read_text() == "s"
    assert stat.S_IMODE((tmp_path / "deep" / "node").stat().st_mode) == 0o700


def test_a_folder_that_could_not_be_filled_leaves_nothing_behind(tmp_path: Path) -> None:
    def fail() -> None:
        with new_folder(tmp_path / "node") as made:
            (made / "secret").write_text("s")
            raise SettingsError("no")

    with pytest.raises(SettingsError, match="no"):
        fail()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("what", ["a file", "a full folder"])
def test_an_existing_file_is_not_overwritten(tmp_path: Path, what: str) -> None:
    there = tmp_path / "node"
    if what == "a file":
        there.write_text("mine")
    else:
        there.mkdir()
        (there / "mine").write_text("mine")
    with pytest.raises(SettingsError, match="not overwritten"), new_folder(there):
        pytest.fail("the body must not run")
    assert [path.name for path in tmp_path.iterdir()] == ["node"]


@pytest.mark.parametrize(
    "written",
    [
        pytest.param('# mine\n[[banks]]\nbic = "A"\n\n[policy]  # too\nx = 1\n', id="tables"),
        pytest.param('banks = [ { bic = "A" } ]  # mine\n\n[policy]\nx = 1\n', id="an inline list"),
        pytest.param("# mine\nx = 1\n", id="no list yet"),
    ],
)
def test_adding_an_entry_leaves_the_rest_of_the_file_unchanged(tmp_path: Path, written: str) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(written)
    file.chmod(0o640)
    add_entry(file, "banks", _BANK, _nothing)
    before, after = tomllib.loads(written), tomllib.loads(file.read_text())
    assert after == {**before, "banks": [*before.get("banks", []), _BANK]}
    assert "# mine" in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o640
    assert [path.name for path in tmp_path.iterdir()] == ["gateway.toml"]


def test_an_entry_that_would_be_wrong_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text("x = 1\n")

    def refuse(text: str) -> None:
        assert "YUNXCNB0" in text
        raise SettingsError("wrong")

    with pytest.raises(SettingsError, match="wrong"):
        add_entry(file, "banks", _BANK, refuse)
    assert file.read_text() == "x = 1\n"


@pytest.mark.parametrize("text", ["x = ", "banks = 1\n"])
def test_a_file_that_is_not_a_settings_file_is_left_alone(tmp_path: Path, text: str) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(text)
    with pytest.raises(SettingsError):
        add_entry(file, "banks", _BANK, _nothing)
    assert file.read_text() == text


def test_settings_to_fill_in_are_written_as_comments() -> None:
    text = settings_text({"a": "x", "b": None, "c": [{"d": 1}, {"d": 2}]}, {"a": "first", "b": "later"}, "Head\nline")
    assert tomllib.loads(text) == {"a": "x", "c": [{"d": 1}, {"d": 2}]}
    assert text.startswith("# Head\n# line\n")
    assert "# b = …   # later\n" in text


@pytest.mark.parametrize("name", ['say "hi"', "[bold]a[/] :smile:", "back\\slash", "收单 2026"])
def test_the_lines_of_a_new_api_key_are_toml_whatever_the_name(name: str) -> None:
    made = CliRunner().invoke(gateway, ["api-key", "new", "--name", name, "--role", "platform"], env={"COLUMNS": "40"})
    key, entry = made.stdout.split("\n\n", 1)
    (stated,) = tomllib.loads(entry)["api_keys"]
    digest = sha256(key.rpartition(" ")[2].encode()).hexdigest()
    assert stated == {"name": name, "role": "platform", "sha256": digest}


@pytest.mark.parametrize("name", ["", "two\nlines", "x" * 65])
def test_a_name_that_the_settings_would_refuse_gets_no_api_key(name: str) -> None:
    made = CliRunner().invoke(gateway, ["api-key", "new", "--name", name, "--role", "platform"])
    assert (made.exit_code, "sk_" in made.output) == (2, False)


def test_entries_added_to_one_settings_file_at_once_are_all_kept(tmp_path: Path) -> None:
    (file := tmp_path / "settings.toml").write_text("# ours\n")
    with ThreadPoolExecutor(8) as several:
        list(several.map(lambda number: add_entry(file, "banks", {"bic": number}, _nothing), range(8)))
    assert sorted(each["bic"] for each in tomllib.loads(file.read_text())["banks"]) == list(range(8))
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can give a file away")
def test_what_root_adds_to_a_services_settings_stays_readable_for_the_service(tmp_path: Path) -> None:
    """The owner was root afterwards: the next reload was refused, and the next start failed."""
    (file := tmp_path / "gateway.toml").write_text('platform = "jinqiao-pay"\n')
    file.chmod(0o600)
    os.chown(file, 12_345, 23_456)
    add_entry(file, "banks", _BANK, _nothing)
    now = file.stat()
    assert (now.st_uid, now.st_gid, stat.S_IMODE(now.st_mode)) == (12_345, 23_456, 0o600)
    (key := tmp_path / "node-key").touch(mode=0o600)
    give_to_owner_of(file, key)
    assert (key.stat().st_uid, key.stat().st_gid) == (12_345, 23_456)


@pytest.mark.parametrize("text", ["x = " + "9" * 5_000, "x = " + "[" * 100_000], ids=["number", "nesting"])
def test_toml_without_end_is_refused_in_words_wherever_it_is_read(text: str, tmp_path: Path, usual_depth: None) -> None:
    (file := tmp_path / "file.toml").write_text(text)
    (core := tmp_path / "core.csv").write_text("number\n1\n")
    feed = ["feed", "check", str(core), "--as-of", "2026-01-01T00:00:00Z", "--profile", str(file)]
    for app, arguments in (
        (gateway, ["config", "check", "-c", str(file)]),
        (gateway, ["policy", "check", str(file)]),
        (node, feed),
        (node, ["platform", "add", "jinqiao-pay", "-c", str(file)]),
        (network, ["make", str(file), str(tmp_path / "made")]),
    ):
        refused = CliRunner().invoke(app, arguments)
        assert (refused.exit_code, str(file) in refused.stderr) == (1, True), refused.output


def test_a_byte_order_mark_in_a_policy_is_left_out(tmp_path: Path) -> None:
    (file := tmp_path / "policy.toml").write_bytes(b'\xef\xbb\xbfname = "p"\n')
    assert CliRunner().invoke(gateway, ["policy", "check", str(file)]).exit_code == 0


def test_a_secret_that_could_not_be_written_whole_leaves_no_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(SettingsError, match="No space left"):
        write_private(tmp_path / "secret", "ab")
    assert list(tmp_path.iterdir()) == []


_KILLED = """
import os, signal, sys
from pathlib import Path
from standing.ledger.service.private_files import new_private_file

with new_private_file(Path(sys.argv[1])) as file:
    file.write("a part")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_command_killed_while_it_writes_a_file_leaves_none_of_that_name_and_can_run_again(tmp_path: Path) -> None:
    file = tmp_path / "export"
    ended = subprocess.run([sys.executable, "-c", _KILLED, str(file)], check=False, timeout=60)
    assert (ended.returncode, file.exists()) == (-signal.SIGKILL, False)
    write_private(file, "whole")
    assert file.read_text() == "whole"


def test_a_private_file_is_written_where_the_file_system_has_no_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_links(*_paths: Path) -> None:
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "link", no_links)
    file = tmp_path / "secret"
    write_private(file, "ab")
    with pytest.raises(SettingsError, match="exists already"):
        write_private(file, "x")
    assert (file.read_text(), list(tmp_path.iterdir())) == ("ab", [file])


_OVER_ON_A_FULL_DISK = """
import resource, sys
from pathlib import Path
from standing.ledger.service.files import write_over

resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
try:
    write_over(Path(sys.argv[1]), "with its proof" * 1000)
except OSError:
    print("refused")
"""


@pytest.mark.skipif(os.name != "posix", reason="needs limits of files")
def test_evidence_that_is_written_over_is_kept_where_the_disk_is_full(tmp_path: Path) -> None:
    (file := tmp_path / "evidence.json").write_text("the only copy")
    ended = subprocess.run(
        [sys.executable, "-c", _OVER_ON_A_FULL_DISK, str(file)], capture_output=True, text=True, check=True, timeout=60
    )
    assert (ended.stdout, file.read_text()) == ("refused\n", "the only copy")
    assert list(tmp_path.iterdir()) == [file]


def test_a_report_is_written_to_a_new_file_over_an_old_one_and_to_a_device(tmp_path: Path) -> None:
    for text in ("first", "second"):
        write_over(tmp_path / "report", text)
        assert (tmp_path / "report").read_text() == text
    write_over(Path(os.devnull), "nowhere")
