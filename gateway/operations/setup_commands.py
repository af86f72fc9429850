"""Commands that prepare a gateway: settings, secrets, API keys, the evidence key, the policy."""

import sys
from pathlib import Path

import typer

from standing.gateway.bindings.banks import BankDirectory
from standing.gateway.decisions.policy_file import PolicyFileWrong, load_policy
from standing.gateway.evidence.signing import load_evidence_key, new_evidence_key
from standing.gateway.settings import EXAMPLE, ROLES, GatewaySettings, read_policy, read_vault_secrets
from standing.ledger.service.commands import api_key_app, config_app, console, one_line_errors, secret_app
from standing.ledger.service.settings import load

api_key = api_key_app(ROLES)
secret = secret_app()


def _check(config: Path | None) -> None:
    settings = load(GatewaySettings, config)
    read_vault_secrets(settings)
    read_policy(settings)
    load_evidence_key(settings.evidence_key_file)
    BankDirectory(settings.banks)


config = config_app(EXAMPLE, _check)
evidence_key = typer.Typer(help="The key that signs decisions' evidence.", no_args_is_help=True)
policy = typer.Typer(help="The policy: what it says of freshness and risk.", no_args_is_help=True)


@evidence_key.callback()  # with it, one command alone keeps its name
def evidence_keys() -> None:
    """The key that signs decisions' evidence."""


@evidence_key.command("new")
def evidence_key_new(file: Path) -> None:
    """Write a fresh Ed25519 private key (PEM) to a new file that only you can read."""
    with one_line_errors():
        new_evidence_key(file)
    console.print(f"wrote {file}")


@policy.callback()
def policies() -> None:
    """The policy: what it says of freshness and risk."""


@policy.command("check")
def policy_check(file: Path) -> None:
    """Check a policy file: its version if it is right; else each fault with its line, and exit code 1."""
    try:
        checked = load_policy(file)
    except PolicyFileWrong as error:
        for line in error.lines:
            print(line, file=sys.stderr)  # noqa: T201 - plain, so that editors find file and line
        raise typer.Exit(1) from error
    console.print(f"{file} is right; its version is {checked.version}", highlight=False, soft_wrap=True)
