"""Commands that prepare a gateway: settings, secrets, API keys, the evidence key, the policy."""

import sys
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Table
from rich.text import Text

from standing.gateway.access.commands import KEY_VARIABLE
from standing.gateway.bindings.banks import BankDirectory
from standing.gateway.decisions.policy_file import PolicyFileWrong, load_policy
from standing.gateway.decisions.policy_try import DryRun, dry_run
from standing.gateway.evidence.signing import new_evidence_key, read_evidence_keys
from standing.gateway.settings import (
    EXAMPLE,
    ROLES,
    GatewaySettings,
    read_client_secret,
    read_policy,
    read_vault_secrets,
)
from standing.gateway.storage.database import opened
from standing.ledger.attestations.money import amount_text
from standing.ledger.errors import InvalidValue
from standing.ledger.service.command_language import in_language, label
from standing.ledger.service.commands import (
    Config,
    api_key_app,
    config_app,
    console,
    one_line_errors,
    print_json,
    secret_app,
    tell,
)
from standing.ledger.service.settings import load
from standing.ledger.service.vault import Vault

api_key = api_key_app(ROLES)
secret = secret_app()


def _check(config: Path | None) -> None:
    settings = load(GatewaySettings, config)
    Vault(read_vault_secrets(settings), "check")
    read_client_secret(settings)
    read_policy(settings)
    read_evidence_keys(settings.evidence_key_file, settings.older_evidence_key_files)
    BankDirectory(settings.banks)


config = config_app(GatewaySettings, EXAMPLE, _check, key_variable=KEY_VARIABLE)
evidence_key = typer.Typer(help="The key that signs the evidence of decisions.", no_args_is_help=True)
policy = typer.Typer(help="The policy: freshness bounds and risk rules.", no_args_is_help=True)


@evidence_key.callback()  # without a callback, a single command would lose its name
def evidence_keys() -> None:
    """The key that signs the evidence of decisions."""


@evidence_key.command("new")
def evidence_key_new(file: Path) -> None:
    """Write a new Ed25519 private key (PEM) to a new file that only you can read."""
    with one_line_errors():
        new_evidence_key(file)
    tell(f"wrote {file}")


@policy.callback()
def policies() -> None:
    """The policy: freshness bounds and risk rules."""


@policy.command("check")
def policy_check(file: Path) -> None:
    """Check a policy file. Prints its version if it is valid, else each error with its line and exits with code 1."""
    try:
        checked = load_policy(file)
    except PolicyFileWrong as error:
        told = [replace(fault, problem=in_language(fault.problem)) for fault in error.faults]
        for line in PolicyFileWrong(file, told).lines:
            print(line, file=sys.stderr)  # noqa: T201 - plain, so that editors find file and line
        raise typer.Exit(1) from error
    tell(f"{file} is valid; its version is {checked.version}")


@policy.command("try")
def policy_try(
    file: Path,
    since: Annotated[str, typer.Option(help="The first day, such as 2026-03-01 (UTC)")],
    config: Config = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON")] = False,
) -> None:
    """Replay recorded approvals against a policy's risk rules: what each rule would have held, and how those ended.

    Nothing is written, and a running gateway is not affected.
    """
    with one_line_errors():
        since_ms = _day_ms(since)
        settings = load(GatewaySettings, config)
        with opened(settings.database_url) as storage, storage.read() as connection:
            run = dry_run(connection, load_policy(file).risk, since_ms)
    if as_json:
        print_json(asdict(run))
        return
    console.print(_tried(run))


def _tried(run: DryRun) -> Table:
    headings = ("rule", "would hold", "sums", "ended as", "refunded", "trouble within 7 days")
    table = Table(*(label(heading) for heading in headings))
    for name, tried in run.rules.items():
        held = in_language(f"{tried.held} of {run.approved}")
        sums = ", ".join(amount_text(sum_minor, code) for code, sum_minor in tried.sum_minor.items())
        ends = ", ".join(in_language(f"{count} {state}") for state, count in tried.ends.items())
        table.add_row(Text(name), held, sums, ends, str(tried.refunded), str(tried.trouble_soon))
    return table


def _day_ms(day: str) -> int:
    try:
        return int(datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC).timestamp()) * 1000
    except ValueError as error:
        raise InvalidValue("since", "not a day", "such as 2026-03-01") from error
