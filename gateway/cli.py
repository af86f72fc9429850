"""`standing-gateway`: run a platform's gateway, and make its keys."""

from pathlib import Path

import typer

from gateway.app import create_app
from gateway.evidence import new_evidence_key
from gateway.settings import EXAMPLE, ROLES, GatewaySettings
from ledger.service import logs
from ledger.service.cli import Config, add_common_commands, console, one_line_errors
from ledger.service.serve import serve as serve_app
from ledger.service.settings import load

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
