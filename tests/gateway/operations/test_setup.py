"""A gateway from nothing: `init`, `bank add`, and a doctor that reports what is missing."""

import re
import shlex
import stat
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from standing.gateway.app import create_app
from standing.gateway.cli import app
from standing.gateway.settings import GatewaySettings
from standing.ledger.service.serve import served
from standing.ledger.service.settings import load
from tests.gateway.gateway_rig import rig
from tests.gateway.openid_provider import provider


def run(arguments: Sequence[object], **options: Any) -> Result:
    return CliRunner().invoke(app, [str(argument) for argument in arguments], **options)


def _init(folder: Path, *options: object) -> Path:
    made = run(["init", folder, "--platform", "jinqiao-pay", *options])
    assert made.exit_code == 0, made.output
    return folder / "gateway.toml"


def test_the_version_is_printed() -> None:
    assert re.fullmatch(r"standing-gateway \d+\.\d+\.\d+\n", run(["--version"]).stdout)


def test_a_gateway_is_set_up_from_nothing_to_reading_a_bank(tmp_path: Path) -> None:
    with rig(tmp_path) as it:
        config = _init(tmp_path / "gw", "--ledger-url", it.chain_url, "--contract", it.contract)
        assert "banks: none" in run(["config", "check", "-c", config]).stderr
        files = [path for path in config.parent.rglob("*") if path.is_file()]
        assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
        settings = it.settings.banks[0]
        bank = ["bank", "add", settings.bic, "--name", settings.name, "--node-url", settings.node_url, "-c", config]
        added = run(bank, input=settings.node_api_key_file.read_text())
        assert added.exit_code == 0, added.output
        assert "sk_" not in added.output
        assert run(["config", "check", "-c", config]).exit_code == 0
        again = run(bank, input="another\n")
        assert (again.exit_code, "exists already" in again.stderr) == (1, True)
        it.banks[settings.bic].publish()
        doctor = run(["doctor", "-c", config], env={"COLUMNS": "300"})
        assert f"the node of {settings.bic} answers, and accepts this gateway's key" in doctor.stdout
        assert "does not exist yet; the first start creates it" in doctor.stdout
        with served(create_app(load(GatewaySettings, config), it.clock)):
            assert "can be reached and is up to date" in run(["doctor", "-c", config], env={"COLUMNS": "300"}).stdout


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"node_key": "sk_of_nobody"}, "does not accept this gateway's key"),
        ({"node_url": "http://127.0.0.1:9"}, "does not answer at http://127.0.0.1:9"),
        ({"bic": "ZZZZCNB0"}, "ZZZZCNB0 is not admitted to this ledger"),
    ],
)
def test_the_doctor_reports_a_banks_problem(tmp_path: Path, changed: dict[str, str], message: str) -> None:
    with rig(tmp_path) as it:
        settings = it.settings.banks[0]
        config = _init(tmp_path / "gw", "--ledger-url", it.chain_url, "--contract", it.contract)
        (key_file := tmp_path / "key").write_text(changed.get("node_key", settings.node_api_key_file.read_text()))
        url = changed.get("node_url", settings.node_url)
        bank = ["bank", "add", changed.get("bic", settings.bic), "--name", "x", "--node-url", url, "-c", config]
        assert run([*bank, "--key-file", key_file]).exit_code == 0
        doctor = run(["doctor", "-c", config], env={"COLUMNS": "300"})
        assert (doctor.exit_code, message in doctor.stdout) == (1, True), doctor.stdout


def test_the_doctor_checks_the_consoles_identity_provider(tmp_path: Path) -> None:
    with rig(tmp_path) as it, provider() as there:
        config = _init(tmp_path / "gw", "--ledger-url", it.chain_url, "--contract", it.contract)
        settings = it.settings.banks[0]
        bank = ["bank", "add", settings.bic, "--name", "x", "--node-url", settings.node_url, "-c", config]
        assert run([*bank, "--key-file", settings.node_api_key_file]).exit_code == 0
        (secret := tmp_path / "openid-secret").write_text("secret\n")
        secret.chmod(0o644)
        with config.open("a") as file:
            file.write(
                f'\n[console.openid]\nissuer = "{there.issuer}"\nclient_id = "c"\nclient_secret_file = "{secret}"\n'
                'public_url = "https://gateway.example"\nrole_claim = "groups"\nroles = { a = "admin" }\n'
            )
        output = run(["doctor", "-c", config], env={"COLUMNS": "300"}).stdout
        assert "OpenID Connect answers" in output
        assert f"chmod 600 {secret}" in output
        there.discovery = {"issuer": "https://elsewhere.example"}
        doctor = run(["doctor", "-c", config], env={"COLUMNS": "300"})
        assert (doctor.exit_code, "its discovery document names another" in doctor.stdout) == (1, True)


def test_an_unreachable_ledger_and_world_readable_files_are_reported(tmp_path: Path) -> None:
    config = _init(tmp_path / "gw", "--ledger-url", "http://127.0.0.1:9", "--contract", "0x" + "11" * 20)
    (key_file := tmp_path / "key").write_text("sk_x")
    bank = ["bank", "add", "YUNXCNB0", "--name", "x", "--node-url", "http://127.0.0.1:9", "--key-file", key_file]
    assert run([*bank, "-c", config]).exit_code == 0
    (config.parent / "vault-secret").chmod(0o644)
    doctor = run(["doctor", "-c", config], env={"COLUMNS": "300"})
    assert doctor.exit_code == 1
    assert "127.0.0.1:9 does not answer: start the ledger node there" in doctor.stdout
    assert f"chmod 600 {config.parent / 'vault-secret'}" in doctor.stdout


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--time-zone", "Asia/Nowhere"], "time_zone"),
        (["--node-url", "not a url"], "node_url"),
        (["--key-file", "none"], "none does not exist"),
    ],
)
def test_an_invalid_bank_is_not_added(tmp_path: Path, options: list[str], message: str) -> None:
    config = _init(tmp_path / "gw", "--contract", "0x" + "11" * 20)
    before = config.read_text()
    arguments = ["bank", "add", "YUNXCNB0", "--name", "x", "--node-url", "http://127.0.0.1:9", "-c", config, *options]
    result = run(arguments, input="sk_x\n")
    assert (result.exit_code, message in result.stderr) == (1, True), result.output
    assert config.read_text() == before
    assert not (config.parent / "node-key-YUNXCNB0").exists()


def test_a_bank_whose_addition_was_killed_after_its_key_was_stored_can_be_added_again(tmp_path: Path) -> None:
    config = _init(tmp_path / "gw", "--contract", "0x" + "11" * 20)
    (stored := config.parent / "node-key-YUNXCNB0").write_text("sk_x\n")
    bank = ["bank", "add", "YUNXCNB0", "--name", "x", "--node-url", "http://127.0.0.1:9", "-c", config]
    other = run(bank, input="sk_y\n")
    assert (other.exit_code, "exists already" in other.stderr, stored.read_text()) == (1, True, "sk_x\n")
    refused = run([*bank, "--time-zone", "Asia/Nowhere"], input="sk_x\n")
    assert (refused.exit_code, stored.exists()) == (1, True)
    assert run(bank, input="sk_x\n").exit_code == 0
    (added,) = tomllib.loads(config.read_text())["banks"]
    assert added["node_api_key_file"] == str(stored)


def test_without_a_contract_config_check_names_the_missing_setting(tmp_path: Path) -> None:
    config = _init(tmp_path / "gw")
    assert "ledger_contract" not in tomllib.loads(config.read_text())
    assert "ledger_contract: Field required" in run(["config", "check", "-c", config]).stderr


def test_an_invalid_platform_id_creates_no_folder(tmp_path: Path) -> None:
    result = run(["init", tmp_path / "gw", "--platform", "Jinqiao Pay"])
    assert (result.exit_code, "platform: not a platform's id" in result.stderr) == (1, True)
    assert list(tmp_path.iterdir()) == []


def test_a_printed_command_can_be_pasted_where_the_path_has_spaces(tmp_path: Path) -> None:
    folder = tmp_path / "机房 1"
    made = run(["init", folder, "--platform", "jinqiao-pay", "--contract", "0x" + "11" * 20])
    (key_file := tmp_path / "key").write_text("sk_x")
    bank = ["bank", "add", "YUNXCNB0", "--name", "x", "--node-url", "http://127.0.0.1:9", "--key-file", key_file]
    added = run([*bank, "-c", folder / "gateway.toml"])
    pasted = re.findall(r"standing-gateway .* -c .*", made.stdout + added.stdout)
    assert [shlex.split(line)[-1] for line in pasted] == [str(folder / "gateway.toml")] * 4


def test_a_missing_client_secret_is_found_by_config_check(tmp_path: Path) -> None:
    config = _init(tmp_path / "gw", "--contract", "0x" + "11" * 20)
    (key_file := tmp_path / "key").write_text("sk_x")
    bank = ["bank", "add", "YUNXCNB0", "--name", "x", "--node-url", "http://127.0.0.1:9", "--key-file", key_file]
    assert run([*bank, "-c", config]).exit_code == 0
    assert run(["config", "check", "-c", config]).exit_code == 0
    with config.open("a") as file:
        file.write(
            '\n[console.openid]\nissuer = "https://id.example"\nclient_id = "c"\n'
            f'client_secret_file = "{tmp_path}/none"\n'
            'public_url = "https://gateway.example"\nrole_claim = "groups"\nroles = { a = "admin" }\n'
        )
    checked = run(["config", "check", "-c", config])
    assert (checked.exit_code, "console.openid.client_secret_file" in checked.stderr) == (1, True)
