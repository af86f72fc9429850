"""A bank's node from nothing: `init` and the steps it prints, up to a platform's key used by the running node."""

import json
import re
import shlex
import stat
import tomllib
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import tomli_w
from eth_account import Account
from typer.testing import CliRunner, Result

from standing.ledger.attestations.publication import LocalSigner
from standing.ledger.chain import governance
from standing.ledger.chain.codec import encode_read
from standing.ledger.chain.connection import parse_address
from standing.ledger.chain.sender import GAS_FIXED, Sender
from standing.ledger.clock import DAY_MS
from standing.ledger.service.api_keys import new_key
from standing.ledger.service.serve import served
from standing.ledger.service.settings import load
from standing.node.app import create_app
from standing.node.cli import app
from standing.node.composition import build, read_secrets
from standing.node.publishing.keys import load_private_key
from standing.node.settings import NodeSettings
from tests.node.node_tools import settings_on_disk
from tests.world import GUARDIAN, REGISTRAR, World, wait_until


def run(arguments: Sequence[object], **options: Any) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], **options)


def printed_error(result: Result) -> str:
    """The one-line error of a command."""
    assert result.exit_code == 1, result.output
    lines = result.stderr.splitlines()
    assert len(lines) == 1, lines
    return lines[0]


def test_the_version_is_printed() -> None:
    assert re.fullmatch(r"standing-node \d+\.\d+\.\d+\n", run(["--version"]).stdout)


@pytest.mark.long
def test_a_new_bank_gets_from_nothing_to_a_platforms_key_by_following_the_output(
    a_world: World, tmp_path: Path
) -> None:
    folder = tmp_path / "node"
    config = folder / "node.toml"
    ledger = ["--ledger-url", a_world.chain.url, "--contract", a_world.contract]
    made = run(["init", folder, "--bic", "YUNXCNB0", "--listen-port", 1, *ledger])
    assert made.exit_code == 0, made.output
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    assert run(["config", "check", "-c", config]).exit_code == 0
    doctor = run(["doctor", "-c", config])
    assert doctor.exit_code == 1
    assert "YUNXCNB0 is not admitted" in doctor.stdout
    assert re.search(r"wrong\s+gas\s+the sending account 0x\w{40} holds 0 wei", doctor.stdout)

    signer = re.search(r"signer  (0x\w{40})", made.stdout)
    admin = re.search(r"admin   (0x\w{40})", made.stdout)
    assert signer is not None
    assert admin is not None
    assert signer[1] in doctor.stdout
    step = governance.admit("YUNXCNB0", parse_address(signer[1], "signer"), parse_address(admin[1], "admin"))
    governance.execute(a_world.client, step, REGISTRAR)
    settings = load(NodeSettings, config)
    node = build(settings, read_secrets(settings))
    with served(create_app(node, lambda: load(NodeSettings, config))) as url:
        key_file = tmp_path / "key"
        added = run(["platform", "add", "jinqiao-pay", "-c", config, "--key-file", key_file])
        assert added.exit_code == 0, added.output
        again = run(["reload", "--url", url, "--key-file", folder / "keys" / "operator"])
        assert (again.exit_code, "api_keys" in again.stdout) == (0, True), again.output
        assert node.settings.api_keys != load(NodeSettings, config).api_keys
        doctor = run(["doctor", "-c", config])
        assert "is admitted with this signer" in doctor.stdout
        assert "with a key: jinqiao-pay" in doctor.stdout
        core = run(["reload", "--url", url, "--key-file", folder / "keys" / "core"])
        assert "operator" in printed_error(core)
        wait_until(lambda: node.leadership.active)


def test_settings_without_a_contract_say_what_to_fill_in(tmp_path: Path) -> None:
    admin = LocalSigner(REGISTRAR).address
    made = run(["init", tmp_path / "node", "--bic", "yunxcnb0", "--admin", admin, "--platform", "jinqiao-pay"])
    assert made.exit_code == 0, made.output
    assert "write ledger_contract into" in made.stdout
    assert f"admin   {admin}" in made.stdout
    assert not (tmp_path / "node" / "admin").exists()
    stated = tomllib.loads((tmp_path / "node" / "node.toml").read_text())
    assert stated["bic"] == "YUNXCNB0"
    assert [key["role"] for key in stated["api_keys"]] == ["core", "operator", "platform"]
    checked = run(["config", "check", "-c", tmp_path / "node" / "node.toml"])
    assert printed_error(checked) == "error: ledger_contract: Field required"
    assert "not overwritten" in printed_error(run(["init", tmp_path / "node", "--bic", "YUNXCNB0"]))


def test_a_printed_command_can_be_pasted_where_the_path_has_spaces(tmp_path: Path) -> None:
    folder = tmp_path / "机房 1"
    made = run(["init", folder, "--bic", "YUNXCNB0"])
    pasted = re.findall(r"standing-node (?:doctor|serve) .*", made.stdout)
    assert [shlex.split(line)[3:] for line in pasted] == [[str(folder / "node.toml")]] * 2


@pytest.mark.parametrize(
    ("options", "error"),
    [
        (["--bic", "NOBIC"], "bic"),
        (["--bic", "YUNXCNB0", "--contract", "0x12"], "contract: not an address"),
        (["--bic", "YUNXCNB0", "--admin", "me"], "admin: not an address"),
        (["--bic", "YUNXCNB0", "--platform", "Jinqiao Pay"], "platform: not a platform's id"),
        (["--bic", "YUNXCNB0", "--platform", "core"], "platform: another key is called core"),
    ],
)
def test_wrong_options_create_no_folder(tmp_path: Path, options: list[str], error: str) -> None:
    assert error in printed_error(run(["init", tmp_path / "node", *options]))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.long
@pytest.mark.usefixtures("usual_keystores")
def test_each_guess_at_a_new_keystores_password_costs_256_mib_of_scrypt(tmp_path: Path) -> None:
    (password := tmp_path / "password").write_text("a password")
    assert run(["keystore", "new", tmp_path / "key.json", "--password-file", password]).exit_code == 0
    scrypt = json.loads((tmp_path / "key.json").read_text())["crypto"]["kdfparams"]
    assert 128 * scrypt["n"] * scrypt["r"] >= 256 * 2**20  # bytes: RFC 7914, section 2


def test_an_existing_key_can_be_imported_into_a_keystore_in_three_ways(tmp_path: Path) -> None:
    key = bytes(Account.create().key)
    (password := tmp_path / "password").write_text("of the new one")
    (plain := tmp_path / "plain").write_text(f"0x{key.hex()}\n")
    by_file = run(["keystore", "import", tmp_path / "a", "--password-file", password, "--key-file", plain])
    by_hand = run(["keystore", "import", tmp_path / "b", "--password-file", password], input=key.hex() + "\n")
    source = ["--from-keystore", tmp_path / "a", "--from-password-file", password]
    by_keystore = run(["keystore", "import", tmp_path / "c", "--password-file", password, *source])
    for result in (by_file, by_hand, by_keystore):
        assert result.exit_code == 0, result.output
        assert LocalSigner(key).address in result.stdout
        assert key.hex() not in result.output
    assert {load_private_key(tmp_path / name, password, "any") for name in "abc"} == {key}


def test_a_malformed_key_or_missing_password_file_is_reported_in_one_line_without_the_key(tmp_path: Path) -> None:
    (password := tmp_path / "password").write_text("p")
    (plain := tmp_path / "plain").write_text("ab" * 31)
    short = printed_error(run(["keystore", "import", tmp_path / "a", "--password-file", password, "--key-file", plain]))
    assert "64 hexadecimal digits" in short
    assert "abab" not in short
    missing = run(["keystore", "new", tmp_path / "a", "--password-file", tmp_path / "none"])
    assert "none does not exist" in printed_error(missing)
    assert not (tmp_path / "a").exists()


def test_an_empty_ledger_url_beside_several_is_none(tmp_path: Path) -> None:
    (tmp_path / "node.toml").write_text('ledger_url = ""\nledger_urls = ["http://127.0.0.1:8545"]\n')
    assert "ledger_url" not in run(["config", "check", "-c", tmp_path / "node.toml"]).stderr


def test_every_mistake_in_the_settings_gets_its_own_line(tmp_path: Path) -> None:
    (tmp_path / "node.toml").write_text(
        'bic = "x"\nlisten_port = 70000\nlisten_host = ""\nlog_level = "loud"\nledger_urls = ["127.0.0.1:8545"]\n'
    )
    result = run(["config", "check", "-c", tmp_path / "node.toml"])
    assert result.exit_code == 1
    lines = result.stderr.splitlines()
    assert all(line.startswith("error: ") for line in lines)
    for field in ("bic:", "listen_port:", "listen_host:", "log_level:", "ledger_urls.0:", "database_url:", "api_keys:"):
        assert sum(line.startswith(f"error: {field}") for line in lines) == 1, lines
    assert "error: log_level: Input should be 'debug', 'info', 'warning' or 'error'" in lines


def test_no_platform_key_is_written_if_the_settings_would_become_invalid(tmp_path: Path) -> None:
    (config := tmp_path / "node.toml").write_text("x = 1\n")
    key_file = tmp_path / "key"
    result = run(["platform", "add", "jinqiao-pay", "-c", config, "--key-file", key_file])
    assert result.exit_code == 1
    assert (config.read_text(), key_file.exists()) == ("x = 1\n", False)


def test_doctor_reads_the_view_as_the_node_will(tmp_path: Path) -> None:
    config = tmp_path / "node" / "node.toml"
    ledger = ["--ledger-url", "http://127.0.0.1:1", "--contract", "0x" + "00" * 19 + "01"]
    assert run(["init", tmp_path / "node", "--bic", "YUNXCNB0", "--listen-port", 1, *ledger]).exit_code == 0
    with config.open("a") as settings:
        settings.write(f'\n[sql_view]\nurl = "sqlite:///{tmp_path}/core.sqlite3"\nview = "no_such_view"\n')
    assert "the core has no such view" in run(["doctor", "-c", config]).stdout


@pytest.mark.parametrize("source", ['[drop_folder]\npath = "."', '[sql_view]\nurl = "sqlite:///core.sqlite3"'])
def test_a_missing_profile_is_found_by_config_check(tmp_path: Path, source: str) -> None:
    config = tmp_path / "node" / "node.toml"
    assert run(["init", config.parent, "--bic", "YUNXCNB0", "--contract", "0x" + "11" * 20]).exit_code == 0
    with config.open("a") as file:
        file.write(f'\n{source}\nprofile = "{tmp_path}/none.toml"\n')
    assert "none.toml: cannot be read" in printed_error(run(["config", "check", "-c", config]))


def test_an_old_kind_of_keystore_is_reported_in_words(tmp_path: Path) -> None:
    (password := tmp_path / "password").write_text("p")
    (old := tmp_path / "old.json").write_text('{"version": 1}')
    source = ["--from-keystore", old, "--from-password-file", password]
    assert "of a kind that cannot be read" in printed_error(
        run(["keystore", "import", tmp_path / "new.json", "--password-file", password, *source])
    )


def test_a_mistyped_address_of_a_banks_key_is_refused_by_its_checksum(tmp_path: Path) -> None:
    address = LocalSigner(REGISTRAR).address
    mistyped = address[:-1] + ("e" if address[-1] != "e" else "f")
    made = run(["init", tmp_path / "node", "--bic", "YUNXCNB0", "--admin", mistyped])
    assert "admin: an address with a wrong checksum" in printed_error(made)
    ledger = ["--ledger-url", "http://127.0.0.1:9", "--contract", address, "--keystore", "k", "--password-file", "p"]
    admitted = run(["ledger", "admit", "YUNXCNB0", "--signer", mistyped, "--admin", address, *ledger])
    assert "signer: an address with a wrong checksum" in printed_error(admitted)
    assert parse_address(address.lower(), "any") == address


def test_a_governance_command_says_that_it_waits_behind_transactions_that_are_in_no_block(
    a_world: World, tmp_path: Path
) -> None:
    """Run again beside one that was stuck, it stood still without a word."""
    bank, chain = a_world.make_bank(), a_world.chain
    (password := tmp_path / "password").write_text("p")
    (keystore := tmp_path / "guardian").write_text(json.dumps(Account.encrypt(GUARDIAN, "p", iterations=2)))
    chain.counts_held = chain.holding = True
    sender = Sender(a_world.client, GUARDIAN)
    sender.transmit(sender.prepare(encode_read([]), gas=100_000))
    command = ["ledger", "suspend", bank.bic, "--ledger-url", chain.url, "--contract", a_world.client.address]
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(run, [*command, "--keystore", keystore, "--password-file", password])
        wait_until(lambda: len(chain.mempool.taken) == 2)
        chain.release()
        result = done.result()
    said = " ".join(result.stdout.split())
    assert f"1 transactions of {sender.address} are in no block yet, perhaps this step already" in said


def test_a_platforms_key_file_left_by_an_interrupted_run_is_named_and_its_key_stays_useless(tmp_path: Path) -> None:
    """An operator could hand that key over: "exists already" does not say that the node accepts another or none."""
    run(["init", tmp_path / "node", "--bic", "YUNXCNB0", "--contract", f"0x{'11' * 20}"])
    config, key_file = tmp_path / "node" / "node.toml", tmp_path / "key"
    before = config.read_text()
    key_file.write_text(new_key()[0] + "\n")
    add = ["platform", "add", "jinqiao-pay", "-c", config, "--key-file", key_file]
    assert "does not accept" in printed_error(run(add))
    assert config.read_text() == before
    key_file.unlink()
    assert run(add).exit_code == 0
    assert "exists already, and is not overwritten" in printed_error(run(add))


@pytest.mark.parametrize(
    ("pays_for_ms", "state", "said"),
    [(7 * DAY_MS - 1_000, "look", "7 days at 1 wei"), (7 * DAY_MS, "ok", "7 days at 1 wei")],
)
def test_doctor_warns_a_week_before_the_sending_account_is_empty(
    a_world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pays_for_ms: int, state: str, said: str
) -> None:
    """It had warned below a thousand heartbeats, which are 17 minutes at one a second."""
    config = tmp_path / "node.toml"
    config.write_text(
        tomli_w.dumps(settings_on_disk(a_world.make_bank(), tmp_path) | {"publisher": {"heartbeat_ms": 1_000}})
    )
    monkeypatch.setattr(Sender, "gas_price_wei", lambda _: 1)
    monkeypatch.setattr(Sender, "balance_wei", lambda _: GAS_FIXED * pays_for_ms // 1_000)
    gas = next(line for line in run(["doctor", "-c", config]).stdout.splitlines() if " gas " in line)
    assert (gas.split()[0], said in gas) == (state, True), gas
