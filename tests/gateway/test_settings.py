"""Settings, the command line, the schema: a startup error is one clear line with exit code 1."""

import os
import signal
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from pydantic import BaseModel
from typer.testing import CliRunner

from processes import free_port
from standing.gateway.cli import app
from standing.gateway.decisions.policy import FreshnessBand, Policy
from standing.gateway.evidence.signing import load_evidence_key
from standing.gateway.settings import EXAMPLE, GatewaySettings
from standing.gateway.storage.schema import metadata
from standing.ledger.attestations.money import MAX_AMOUNT_MINOR
from standing.ledger.service.database import Database, migrate
from standing.ledger.service.settings import SettingsError, load
from tests.gateway.gateway_rig import Rig


def test_the_example_is_complete_and_loads(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(EXAMPLE)
    settings = load(GatewaySettings, file)
    assert settings.policy == Policy()  # the example states the defaults
    stated = tomllib.loads(EXAMPLE)
    assert GatewaySettings.model_fields.keys() - stated.keys() == {
        "chain_id",
        "ledger_urls",
        "policy_file",
        "vault_secrets",
    }
    assert "# chain_id = " in EXAMPLE
    for name, field in GatewaySettings.model_fields.items():
        # The policy is compared above; a ledger has no default, it is optional only because ledger_urls may name it.
        # An empty list of banks is refused with its own hint.
        if (
            name in stated
            and not field.is_required()
            and name not in {"policy", "ledger_url", "vault_secret_files", "banks"}
        ):
            default = field.get_default()
            assert stated[name] == (
                default.model_dump(exclude_none=True) if isinstance(default, BaseModel) else default
            ), name


def test_the_environment_overrides_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "gateway.toml"
    file.write_text(EXAMPLE)
    monkeypatch.setenv("STANDING_GATEWAY_LISTEN_PORT", "9000")
    monkeypatch.setenv("STANDING_GATEWAY_POLICY__WHEN_SILENT", "decline")
    settings = load(GatewaySettings, file)
    assert settings.listen_port == 9000
    assert settings.policy.when_silent == "decline"
    assert settings.policy.freshness == Policy().freshness


@pytest.mark.parametrize(
    ("old", "new", "field"),
    [
        ('platform = "jinqiao-pay"', 'platform = "Jinqiao"', "platform"),
        ('platform = "jinqiao-pay"', "", "platform"),
        ("listen_port = 8200", "listen_port = 70000", "listen_port"),
        ("listen_port = 8200", "listen_prot = 8200", "listen_prot"),
        ('"sqlite:////var/lib/standing/gateway.sqlite3"', '"sqlite://"', "database_url"),
        ('"sqlite:////var/lib/standing/gateway.sqlite3"', '"nonsense"', "database_url"),
        ('ledger_url = "http://', 'ledger_url = "ftp://', "ledger_url"),
        ('ledger_contract = "0x00', 'ledger_contract = "0x0', "ledger_contract"),
        ("ledger_read_timeout_ms = 800", "ledger_read_timeout_ms = 0", "ledger_read_timeout_ms"),
        ('vault_secret_files = ["/etc/standing/gateway-secret"]', "vault_secret_files = []", "vault_secret_files"),
        ('role = "platform"', 'role = "root"', "api_keys"),
        ('bic = "BKCHCNBJ"', 'bic = "BANK"', "banks.0.bic"),
        ('time_zone = "Asia/Shanghai"', 'time_zone = "Beijing"', "banks.0.time_zone"),
        ('time_zone = "Asia/Shanghai"', 'time_zone = "../etc/passwd"', "banks.0.time_zone"),
        ('when_silent = "review"', 'when_silent = "approve"', "policy.when_silent"),
        ('phone = "review"', 'phone = "ignore"', "policy.identity.phone"),
        ("max_staleness_ms = 300000", "max_staleness_ms = 0", "policy.freshness.0.max_staleness_ms"),
        ('up_to_minor = "any"', "up_to_minor = 2000000", "policy"),
        ("up_to_minor = 1000000", 'up_to_minor = "any"', "policy"),
        ("[policy]", "[policy", "line"),
    ],
)
def test_a_settings_error_is_one_line_naming_the_field(tmp_path: Path, old: str, new: str, field: str) -> None:
    file = tmp_path / "gateway.toml"
    assert old in EXAMPLE
    file.write_text(EXAMPLE.replace(old, new, 1))
    result = CliRunner().invoke(app, ["serve", "--config", str(file)])
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1
    assert field in result.stderr


def test_a_bank_listed_twice_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "gateway.toml"
    bank = EXAMPLE[EXAMPLE.index("[[banks]]") : EXAMPLE.index("[policy]")]
    file.write_text(EXAMPLE.replace("[policy]", bank + "[policy]", 1))
    with pytest.raises(SettingsError, match="BKCHCNBJ is listed twice"):
        load(GatewaySettings, file)


@pytest.mark.parametrize(
    ("amount_minor", "bound_ms"), [(1, 5), (10, 5), (11, 4), (20, 4), (21, 3), (MAX_AMOUNT_MINOR, 3)]
)
def test_exactly_one_band_applies_to_an_amount(amount_minor: int, bound_ms: int) -> None:
    policy = Policy(
        freshness=(
            FreshnessBand(up_to_minor=10, max_staleness_ms=5),
            FreshnessBand(up_to_minor=20, max_staleness_ms=4),
            FreshnessBand(up_to_minor="any", max_staleness_ms=3),
        )
    )
    assert policy.max_staleness_ms(amount_minor) == bound_ms
    assert policy.widest_staleness_ms == 5


@pytest.mark.parametrize("bands", [(), (20, 10, "any"), (10, 10, "any"), (10,), ("any", "any"), ("any", 10)])
def test_bands_with_a_gap_or_an_overlap_are_refused(bands: tuple[Any, ...]) -> None:
    with pytest.raises(ValueError, match="freshness"):
        Policy.model_validate({"freshness": [{"up_to_minor": up_to, "max_staleness_ms": 1} for up_to in bands]})


def _file(rig: Rig, folder: Path, **changed: Any) -> Path:
    """The rig's settings as a TOML file, with its own database and port."""
    stated = rig.settings.model_dump(mode="json", exclude_none=True)
    stated |= {"database_url": f"sqlite:///{folder}/own.sqlite3", "listen_port": free_port()} | changed
    lines = [f"{name} = {_toml(value)}" for name, value in stated.items() if value is not None]
    file = folder / "gateway.toml"
    file.write_text("\n".join(lines))
    return file


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{name} = {_toml(item)}" for name, item in value.items() if item is not None) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value).lower()


@pytest.mark.long
@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (lambda rig: {"ledger_url": f"http://127.0.0.1:{free_port()}/"}, "answer"),
        (lambda rig: {"chain_id": rig.ledger.domain.chain_id + 1}, "chain id"),
        (lambda rig: {"ledger_contract": "0x" + "11" * 20}, "no contract"),
        (lambda rig: {"vault_secret_files": ["/nonexistent"]}, "vault_secret_files"),
        (lambda rig: {"evidence_key_file": str(rig.settings.vault_secret_files[0])}, "evidence_key_file"),
        (
            lambda rig: {"banks": [rig.settings.banks[0].model_dump(mode="json") | {"node_api_key_file": "/none"}]},
            "node_api_key_file",
        ),
        (lambda rig: {"database_url": "sqlite:////nonexistent/folder/x.sqlite3"}, "database"),
    ],
)
def test_a_startup_failure_is_one_line_and_exit_code_1(
    a_rig: Rig, tmp_path: Path, changed: Callable[[Rig], dict[str, Any]], message: str
) -> None:
    file = _file(a_rig, tmp_path, **changed(a_rig))
    result = CliRunner().invoke(app, ["serve", "--config", str(file)])
    assert result.exit_code == 1
    assert result.stderr.count("\n") == 1, result.stderr
    assert message in result.stderr


def test_a_missing_vault_secret_is_reported_at_startup(a_rig: Rig, tmp_path: Path) -> None:
    a_rig.bound()
    other = tmp_path / "other-secret"
    other.write_text("ab" * 32)
    changed = {"database_url": a_rig.settings.database_url, "vault_secret_files": [str(other)]}
    result = CliRunner().invoke(app, ["serve", "--config", str(_file(a_rig, tmp_path, **changed))])
    assert result.exit_code == 1
    assert result.stderr == "error: stored data cannot be decrypted: is a vault secret missing?\n"


@pytest.mark.long
def test_serve_runs_from_a_settings_file_in_its_own_process(a_rig: Rig, tmp_path: Path) -> None:
    file = _file(a_rig, tmp_path)
    url = f"http://127.0.0.1:{tomllib.loads(file.read_text())['listen_port']}"
    command = [sys.executable, "-c", "from standing.gateway.cli import app; app()", "serve", "--config", str(file)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"})
    try:
        transport = httpx.HTTPTransport(retries=8)  # until the server listens
        with httpx.Client(transport=transport, base_url=url, timeout=30) as client:
            assert client.get("/readyz").json() == {"ok": True, "reason": None}
    finally:
        process.send_signal(signal.SIGTERM)
        errors = process.communicate(timeout=30)[1]
    assert b"Traceback" not in errors


def test_generated_keys_are_usable_and_private(tmp_path: Path) -> None:
    runner = CliRunner()
    evidence, secret = tmp_path / "evidence.pem", tmp_path / "secret"
    for command, file in (("evidence-key", evidence), ("secret", secret)):
        assert runner.invoke(app, [command, "new", str(file)]).exit_code == 0
        assert file.stat().st_mode & 0o777 == 0o600
        again = runner.invoke(app, [command, "new", str(file)])
        assert again.exit_code == 1
        assert "exists already" in again.stderr
    load_evidence_key(evidence)
    assert len(bytes.fromhex(secret.read_text())) == 32
    made = runner.invoke(app, ["api-key", "new", "--name", "desk", "--role", "support"])
    assert made.exit_code == 0
    assert 'role = "support"' in made.stdout
    assert runner.invoke(app, ["api-key", "new", "--name", "desk", "--role", "root"]).exit_code == 2
    assert runner.invoke(app, ["config", "example"]).stdout == EXAMPLE


# SQLite cannot reflect expression indexes; test_lookups covers the index by last four digits.
@pytest.mark.filterwarnings("ignore:.*expression-based index")
def test_the_newest_migration_makes_exactly_the_tables_of_the_schema(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/gateway.sqlite3")
    for _ in range(2):  # a second start changes nothing
        migrate(database, "standing.gateway.storage")
    with database.read() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    database.close()
