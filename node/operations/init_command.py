"""`standing-node init`: a new node's folder, with every secret, keystore, key and setting that it needs."""

import secrets
import shlex
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from standing.ledger.attestations.bic import parse_bic
from standing.ledger.chain.client import ZERO_ADDRESS
from standing.ledger.chain.connection import parse_address
from standing.ledger.errors import InvalidValue
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
from standing.node.publishing.keys import new_keystore
from standing.node.settings import NodeSettings

_HEADING = """The settings of a bank's node, made by `standing-node init`. All others: `standing-node config example`.
The environment takes precedence: STANDING_NODE_LISTEN_PORT …"""

#: In front of each point of a list.
_ITEM = "  - "
_COMMENTS = {
    "listen_host": "put TLS in front of it",
    "ledger_url": "your own node of the ledger's network",
    "ledger_contract": 'the address that you get from the registrar, such as "0x…"',
    "chain_id": "refuse to start on any other chain",
    "bank_secret_file": "every binding key comes from it: keep a copy apart from the database",
    "vault_secret_file": "encrypts personal data in the database: keep a copy apart from it",
    "signer_keystore": "signs publications; the ledger knows its address",
    "sender_keystore": "pays for transactions",
}

Bic = Annotated[str, typer.Option("--bic", help="The bank's BIC, 8 or 11 characters")]
Admin = Annotated[
    str | None,
    typer.Option(
        help="Address of the bank's admin key, which may rotate the signer, if you made one on another machine; "
        "otherwise one is made in DIR/admin, which you should move off this machine"
    ),
]
Platform = Annotated[list[str] | None, typer.Option(help="Id of a payment platform that gets a key; may be repeated")]


class _Made(NamedTuple):
    """The three addresses that are shown at the end."""

    signer: str
    sender: str
    admin: str


def init(
    folder: NewFolder,
    bic: Bic,
    ledger_url: LedgerUrl = "http://127.0.0.1:8545",
    contract: Contract = None,
    chain_id: ChainId = None,
    database_url: Annotated[str | None, typer.Option(help="Default: SQLite in DIR")] = None,
    listen_port: Port = 8100,
    admin: Admin = None,
    platform: Platform = None,
) -> None:
    """Make a node's folder: secrets, keystores with passwords, keys and settings. Nothing leaves this machine."""
    with one_line_errors():
        bic = parse_bic(bic, "bic")
        platforms = _checked(platform or [])
        contract = None if contract is None else parse_address(contract, "contract")
        admin = None if admin is None else parse_address(admin, "admin")
        final = folder.absolute()
        callers: list[tuple[str, str, str | None]] = [("core", "core", None), ("operator", "operator", None)]
        callers += [(name, "platform", name) for name in platforms]
        keys = [(name, role, owner, *new_key()) for name, role, owner in callers]
        stated = _settings(final, bic, ledger_url, contract, chain_id, database_url, listen_port)
        stated["api_keys"] = [
            {"name": name, "role": role, **({"platform": owner} if owner else {}), "sha256": digest}
            for name, role, owner, _, digest in keys
        ]
        text = settings_text(stated, _COMMENTS, _HEADING)
        # The contract's address may come later; all else must be right now.
        filled = stated | {"ledger_contract": contract or ZERO_ADDRESS}
        load_text(NodeSettings, settings_text(filled, _COMMENTS, _HEADING), "init")
        with new_folder(folder) as made:
            addresses = _fill(made, admin)
            for name, _, _, key, _ in keys:
                write_private(made / "keys" / name, key + "\n")
            write_private(made / "node.toml", text)
    _guide(final, bic, addresses, platforms, own_admin=admin is None, contract=contract)


def _checked(platforms: list[str]) -> list[str]:
    for name in platforms:
        check_platform(name)
        if name in {"core", "operator"}:
            raise InvalidValue("platform", f"another key is called {name}", "another name for the platform")
    return list(dict.fromkeys(platforms))


def _settings(
    final: Path,
    bic: str,
    ledger_url: str,
    contract: str | None,
    chain_id: int | None,
    database_url: str | None,
    listen_port: int,
) -> dict[str, Any]:
    return {
        "bic": bic,
        "database_url": database_url or f"sqlite:///{final / 'node.sqlite3'}",
        "listen_host": "127.0.0.1",
        "listen_port": listen_port,
        "ledger_url": ledger_url,
        "ledger_contract": contract,
        "chain_id": chain_id,
        "bank_secret_file": str(final / "bank-secret"),
        "vault_secret_file": str(final / "vault-secret"),
        "signer_keystore": str(final / "signer.json"),
        "signer_password_file": str(final / "signer-password"),
        "sender_keystore": str(final / "sender.json"),
        "sender_password_file": str(final / "sender-password"),
    }


def _fill(made: Path, admin: str | None) -> _Made:
    """Secrets, keystores and their passwords."""
    for name in ("bank-secret", "vault-secret"):
        write_private(made / name, secrets.token_hex(32) + "\n")
    (made / "keys").mkdir(mode=0o700)
    signer, sender = _keystore(made, "signer"), _keystore(made, "sender")
    if admin is None:
        (made / "admin").mkdir(mode=0o700)
        admin = _keystore(made / "admin", "admin")
    return _Made(signer, sender, admin)


def _keystore(folder: Path, role: str) -> str:
    password = folder / f"{role}-password"
    write_private(password, secrets.token_hex(32) + "\n")
    return new_keystore(folder / f"{role}.json", password)


def _guide(final: Path, bic: str, made: _Made, platforms: list[str], *, own_admin: bool, contract: str | None) -> None:
    config = final / "node.toml"
    tell(f"Made {final} for {bic}: node.toml, two secrets, keystores with passwords, API keys in keys/.")
    tell("Send these to the ledger's registrar over a trusted channel, and have two people check them:", "\n")
    say(f"  bank    {bic}\n  signer  {made.signer}\n  admin   {made.admin}")
    tell("The registrar then admits the bank with:")
    say(f"  standing-node ledger admit {bic} --signer {made.signer} --admin {made.admin} \\")
    say("    --keystore REGISTRAR.json --password-file REGISTRAR-PASSWORD\n")
    tell("Before the bank goes live:")
    tell("copy bank-secret and vault-secret to a safe place, apart from the database and its backups", _ITEM)
    if own_admin:
        tell(f"move {final / 'admin'} off this machine: it is needed to replace a leaked or lost signing key", _ITEM)
    tell(f"if the ledger charges for gas, fund the sending account {made.sender}", _ITEM)
    for name in platforms:
        tell(f"give {name} its key, which is in {final / 'keys' / name}", _ITEM)
    if contract is None:
        tell(f"write ledger_contract into {config}: the registrar provides the address", _ITEM)
    file = shlex.quote(str(config))
    tell(f"Next: standing-node doctor -c {file}", "\n")
    tell(f"Then: standing-node serve -c {file}")
