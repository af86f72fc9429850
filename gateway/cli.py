"""`standing-gateway`: run a platform's gateway, and make its keys."""

import sys
from pathlib import Path

import typer
from rich.progress import Progress

from standing.gateway.app import create_app
from standing.gateway.decisions.policy_file import PolicyFileWrong, load_policy
from standing.gateway.evidence.signing import new_evidence_key
from standing.gateway.evidence.verification.commands import prove_command, verify_command
from standing.gateway.operations.commands import reconcile_command, status_command
from standing.gateway.operations.rekey import count_sealed
from standing.gateway.operations.rekey import rekey as renew
from standing.gateway.settings import EXAMPLE, ROLES, GatewaySettings, read_vault_secrets
from standing.gateway.storage.database import Storage
from standing.gateway.storage.vault import open_vault
from standing.ledger.service import logs
from standing.ledger.service.commands import Config, add_common_commands, console, one_line_errors
from standing.ledger.service.database import Database, migrate
from standing.ledger.service.serve import serve as serve_app
from standing.ledger.service.settings import load

app = typer.Typer(
    name="standing-gateway",
    help="A payment platform's gateway: binds bank accounts, and decides on payments by the bank's word of the moment."
    "\n\nTo begin: `config example > gateway.toml`, `secret new`, `evidence-key new`, `api-key new`, then "
    "`serve -c gateway.toml`.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
add_common_commands(app, roles=ROLES, example=EXAMPLE)

evidence_key = typer.Typer(help="The key that signs decisions' evidence.", no_args_is_help=True)
app.add_typer(evidence_key, name="evidence-key")

app.command("reconcile")(reconcile_command)
app.command("status")(status_command)
app.command("verify")(verify_command)
app.command("prove")(prove_command)

policy = typer.Typer(help="The policy: what it says of freshness and risk.", no_args_is_help=True)
app.add_typer(policy, name="policy")


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


@app.command()
def rekey(config: Config = None) -> None:
    """Encrypt everything at rest under the newest vault secret; stopped in between, simply run it again.

    First put the new secret in front of the old one in the settings, and restart every gateway. When this has ended
    well, the old one may go.
    """
    with one_line_errors():
        settings = load(GatewaySettings, config)
        database = Database(settings.database_url)
        migrate(database, "standing.gateway.storage")
        storage = Storage(database)
        try:
            vault = open_vault(storage, read_vault_secrets(settings))
            with Progress(console=console) as progress:
                task = progress.add_task("values", total=count_sealed(storage))
                done = renew(storage, vault, lambda count: progress.advance(task, count))
        finally:
            storage.close()
    console.print(f"{done.renewed} of {done.seen} values encrypted anew; the rest was already", highlight=False)


@evidence_key.command("new")
def evidence_key_new(file: Path) -> None:
    """Write a fresh Ed25519 private key (PEM) to a new file that only you can read."""
    with one_line_errors():
        new_evidence_key(file)
    console.print(f"wrote {file}")


@app.command()
def serve(config: Config = None) -> None:
    """Run the gateway until it is told to stop."""
    with one_line_errors():
        settings = load(GatewaySettings, config)
        logs.configure(settings.log_level)
        asgi = create_app(settings)
    serve_app(asgi, settings.listen_host, settings.listen_port)
