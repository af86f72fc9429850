"""`standing-gateway init`: a new gateway's folder, with every secret, key and setting that it needs."""

import secrets
import shlex
from pathlib import Path
from typing import Annotated, Any

import typer

from standing.gateway.evidence.signing import new_evidence_key
from standing.gateway.settings import ROLES, GatewaySettings
from standing.ledger.chain.client import ZERO_ADDRESS
from standing.ledger.chain.connection import parse_address
from standing.ledger.service.api_keys import new_key
from standing.ledger.service.commands import (
    ChainId,
    Contract,
    LedgerUrl,
    NewFolder,
    Port,
    check_platform,
    one_line_errors,
    say,
    tell,
)
from standing.ledger.service.files import new_folder, settings_text
from standing.ledger.service.private_files import write_private
from standing.ledger.service.settings import load_text

_HEADING = """The settings of a platform's gateway, made by `standing-gateway init`. All others, and the policy:
`standing-gateway config example`. The environment takes precedence: STANDING_GATEWAY_LISTEN_PORT …"""

#: In front of each point of a list.
_ITEM = "  - "
_COMMENTS = {
    "platform": "this platform's id, as the banks know it",
    "listen_host": "put TLS in front of it",
    "ledger_url": "your own node of the ledger's network",
    "ledger_contract": 'the address that you get from the registrar, such as "0x…"',
    "chain_id": "refuse to start on any other chain",
    "vault_secret_files": "encrypts what the database holds of users: keep a copy apart from it; newest first",
    "evidence_key_file": "signs the evidence of decisions",
}

#: Placeholders for settings that may follow later, so that all others are checked now.
_LATER = """
[[banks]]
bic = "BKCHCNBJ"
name = "later"
node_url = "http://127.0.0.1"
node_api_key_file = "later"
time_zone = "UTC"
"""


def init(
    folder: NewFolder,
    platform: Annotated[str, typer.Option(help="This platform's id, as registered with the banks")],
    ledger_url: LedgerUrl = "http://127.0.0.1:8545",
    contract: Contract = None,
    chain_id: ChainId = None,
    database_url: Annotated[
        str | None, typer.Option(help="Default: SQLite in DIR; use postgresql+psycopg://… for several gateways")
    ] = None,
    listen_port: Port = 8200,
) -> None:
    """Make a gateway's folder: secret, evidence key, API keys and settings. Nothing leaves this machine."""
    with one_line_errors():
        check_platform(platform)
        contract = None if contract is None else parse_address(contract, "contract")
        final = folder.absolute()
        stated: dict[str, Any] = {
            "platform": platform,
            "database_url": database_url or f"sqlite:///{final / 'gateway.sqlite3'}",
            "listen_host": "127.0.0.1",
            "listen_port": listen_port,
            "ledger_url": ledger_url,
            "ledger_contract": contract,
            "chain_id": chain_id,
            "vault_secret_files": [str(final / "vault-secret")],
            "evidence_key_file": str(final / "evidence-key.pem"),
        }
        keys = {role: new_key() for role in ROLES}
        stated["api_keys"] = [{"name": role, "role": role, "sha256": digest} for role, (_, digest) in keys.items()]
        text = settings_text(stated, _COMMENTS, _HEADING)
        filled = stated | {"ledger_contract": contract or ZERO_ADDRESS}
        load_text(GatewaySettings, settings_text(filled, _COMMENTS, _HEADING) + _LATER, "init")
        with new_folder(folder) as created:
            write_private(created / "vault-secret", secrets.token_hex(32) + "\n")
            new_evidence_key(created / "evidence-key.pem")
            (created / "keys").mkdir(mode=0o700)
            for role, (key, _) in keys.items():
                write_private(created / "keys" / role, key + "\n")
            write_private(created / "gateway.toml", text)
    _say_next_steps(final, platform, contract)


def _say_next_steps(final: Path, platform: str, contract: str | None) -> None:
    config = final / "gateway.toml"
    tell(f"Made {final} for {platform}: gateway.toml, a secret, the evidence key, an API key for each role in keys/.")
    tell("Before the gateway goes live:", "\n")
    tell("copy vault-secret and evidence-key.pem to a safe place, apart from the database and its backups", _ITEM)
    if contract is None:
        tell(f"write ledger_contract into {config}: the registrar provides the address of the ledger", _ITEM)
    tell(
        f"ask each bank for a key for the platform {platform} (the bank: standing-node platform add {platform} …)",
        _ITEM,
    )
    file = shlex.quote(str(config))
    tell("Next, for each bank:", "\n")
    say(f"  standing-gateway bank add BIC --name NAME --node-url URL -c {file}")
    tell(f"Then: standing-gateway doctor -c {file}")
    tell(f"Then: standing-gateway serve -c {file}")
