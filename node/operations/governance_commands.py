"""`standing-node ledger …`: deploy the contract, admit, suspend and reinstate banks, rotate a signer.

Every command that changes something has `--dry-run`, which shows the change and asks the contract whether the caller
may make it, and sends nothing.
"""

from pathlib import Path
from typing import Annotated

import typer
from eth_account import Account
from rich.table import Table

from standing.ledger.attestations.bic import parse_bic
from standing.ledger.chain import governance
from standing.ledger.chain.client import BankState, LedgerClient
from standing.ledger.chain.connection import connect, ledger_errors, parse_address, parse_digest
from standing.ledger.chain.governance import Step
from standing.ledger.clock import SystemClock
from standing.ledger.service.command_language import in_language, label, of_both
from standing.ledger.service.commands import console, one_line_errors, tell
from standing.ledger.service.times import ago
from standing.node.publishing.keys import load_private_key

app = typer.Typer(help="Govern banks on the ledger. The contract defines the roles.", no_args_is_help=True)

Url = Annotated[str, typer.Option("--ledger-url", envvar="STANDING_LEDGER_URL", help="JSON-RPC URL of a ledger node")]
Contract = Annotated[
    str, typer.Option("--contract", envvar="STANDING_LEDGER_CONTRACT", help="Address of the StatusLedger contract")
]
Keystore = Annotated[Path, typer.Option("--keystore", help="Encrypted keystore of the caller's key")]
PasswordFile = Annotated[Path, typer.Option("--password-file", help="File with the keystore's password")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show what would change without sending anything")]
Bank = Annotated[str, typer.Argument(help="The bank's BIC")]


@app.command()
def show(bank: Bank, ledger_url: Url, contract: Contract) -> None:
    """Show what the ledger holds about a bank."""
    with one_line_errors():
        _show(bank, _client(ledger_url, contract).bank(parse_bic(bank)))


@app.command()
def deploy(
    ledger_url: Url,
    keystore: Keystore,
    password_file: PasswordFile,
    governor: Annotated[str, typer.Option(help="Address that may grant and revoke the roles")],
    registrar: Annotated[str, typer.Option(help="Address that admits and reinstates banks; in production a multisig")],
    guardian: Annotated[str, typer.Option(help="Address that may suspend a bank")],
    dry_run: DryRun = False,
) -> None:
    """Deploy a new StatusLedger contract and print its address."""
    with one_line_errors():
        key = load_private_key(keystore, password_file, "caller")
        roles = {
            "governor": parse_address(governor, "governor"),
            "registrar": parse_address(registrar, "registrar"),
            "guardian": parse_address(guardian, "guardian"),
        }
        if not dry_run:
            console.print(
                governance.deploy(
                    ledger_url,
                    key,
                    governor=roles["governor"],
                    registrar=roles["registrar"],
                    guardian=roles["guardian"],
                )
            )
            return
        with ledger_errors():
            chain_id = connect(ledger_url).eth.chain_id
        tell(f"would deploy StatusLedger on chain {chain_id} as {Account.from_key(key).address}")
        for name, address in roles.items():
            console.print(f"  {name}: {address}")


@app.command()
def admit(
    bank: Bank,
    ledger_url: Url,
    contract: Contract,
    keystore: Keystore,
    password_file: PasswordFile,
    signer: Annotated[str, typer.Option(help="Address of the key that signs publications")],
    admin: Annotated[str, typer.Option(help="Address that may rotate the signer")],
    number: Annotated[
        int, typer.Option(help="Number of the last publication in the history to continue; 0 for a new bank")
    ] = 0,
    head: Annotated[str, typer.Option(help="Its digest, 0x and 64 digits; zeros for a new bank")] = "0x" + "00" * 32,
    dry_run: DryRun = False,
) -> None:
    """Admit a bank. The caller must be the registrar."""
    with one_line_errors():
        step = governance.admit(
            bank,
            parse_address(signer, "signer"),
            parse_address(admin, "admin"),
            number=number,
            head=parse_digest(head, "head"),
        )
        _carry_out(
            step, bank, _client(ledger_url, contract), load_private_key(keystore, password_file, "caller"), dry_run
        )


@app.command()
def suspend(
    bank: Bank,
    ledger_url: Url,
    contract: Contract,
    keystore: Keystore,
    password_file: PasswordFile,
    dry_run: DryRun = False,
) -> None:
    """Suspend a bank immediately: from then on its attestations are not accepted. The caller must be the guardian."""
    with one_line_errors():
        key = load_private_key(keystore, password_file, "caller")
        _carry_out(governance.suspend(bank), bank, _client(ledger_url, contract), key, dry_run)


@app.command()
def reinstate(
    bank: Bank,
    ledger_url: Url,
    contract: Contract,
    keystore: Keystore,
    password_file: PasswordFile,
    signer: Annotated[str, typer.Option(help="The signer from now on")],
    admin: Annotated[str, typer.Option(help="The admin from now on")],
    dry_run: DryRun = False,
) -> None:
    """End a suspension and set the bank's keys again. The caller must be the registrar."""
    with one_line_errors():
        step = governance.reinstate(bank, parse_address(signer, "signer"), parse_address(admin, "admin"))
        _carry_out(
            step, bank, _client(ledger_url, contract), load_private_key(keystore, password_file, "caller"), dry_run
        )


@app.command()
def rotate_signer(
    bank: Bank,
    ledger_url: Url,
    contract: Contract,
    keystore: Keystore,
    password_file: PasswordFile,
    signer: Annotated[str, typer.Option(help="The new signer; the old one becomes invalid immediately")],
    dry_run: DryRun = False,
) -> None:
    """Replace a bank's signer. The caller must be the bank's admin."""
    with one_line_errors():
        key = load_private_key(keystore, password_file, "caller")
        step = governance.rotate_signer(bank, parse_address(signer, "signer"))
        _carry_out(step, bank, _client(ledger_url, contract), key, dry_run)


def _client(ledger_url: str, contract: str) -> LedgerClient:
    client = LedgerClient(ledger_url, contract)
    client.check()
    return client


def _carry_out(step: Step, bank: str, client: LedgerClient, key: bytes, dry_run: bool) -> None:
    bic = parse_bic(bank)
    caller = Account.from_key(key).address
    tell(f"would send {step} as {caller}" if dry_run else f"sending {step} as {caller}")
    if dry_run:
        governance.dry_run(client, step, caller)
        tell("the contract would accept it; the bank now:")
    else:
        before = client.in_flight(caller)
        if before:
            tell(f"{before} transactions of {caller} are in no block yet, perhaps this step already: it waits for them")
        transaction = governance.execute(client, step, key)
        tell(f"in a block: 0x{transaction.hex()}; the bank now:")
    _show(bic, client.bank(bic))


def _show(bank: str, state: BankState) -> None:
    table = Table("", "", title=of_both(f"{bank} on the ledger", f"账本上的 {bank}"), show_header=False)
    table.columns[1].overflow = "fold"  # a digest that is cut off is useless
    rows = {"admitted": "no"}
    if state.admitted:
        rows = {
            "signer": state.signer,
            "admin": state.admin,
            "suspended": "yes" if state.suspended else "no",
            "publication": str(state.publication),
            "watermark": ago(state.watermark_ms, SystemClock().now_ms()),
            "head": "0x" + state.head.hex(),
        }
    for name, value in rows.items():
        table.add_row(label(name), label(in_language(value)))
    console.print(table)
