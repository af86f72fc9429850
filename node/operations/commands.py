"""`standing-node status | export | import | recover | hsm`: an operator's work on a node, running or not."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import httpx
import typer
from rich.console import Group
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from sqlalchemy import Connection

from standing.ledger.chain.connection import parse_address
from standing.ledger.chain.sender import Sender, attestations_within
from standing.ledger.clock import SystemClock
from standing.ledger.errors import LedgerError
from standing.ledger.service.command_language import in_language, label
from standing.ledger.service.commands import Config, console, one_line_errors, tell
from standing.ledger.service.progress import Progress, progress_bar
from standing.ledger.service.settings import SettingsError, load, read_secret
from standing.ledger.service.times import ago, exactly
from standing.node.accounts.bank_secrets import BankSecrets
from standing.node.composition import Secrets, connect_ledger, issuer_of, open_vault, read_secrets
from standing.node.fault_points import faults_of
from standing.node.operations.feed_state import rejected_files
from standing.node.operations.status import StoredStatus, bindings_by_version, core_silence, stored
from standing.node.publishing.keys import PKCS11_MISSING
from standing.node.recovery import backup
from standing.node.recovery.history import CannotRecover, Findings
from standing.node.recovery.service import Recovery
from standing.node.settings import NodeSettings
from standing.node.storage.database import NodeDatabase, opened, opened_to_look, opened_unchanged
from standing.node.storage.leadership import Leadership

_LOOK_TIMEOUT_S = 2.0

hsm = typer.Typer(help="A signing key in a PKCS#11 token.", no_args_is_help=True)


@hsm.callback()  # without a callback, a single command would lose its name
def token() -> None:
    """A signing key in a PKCS#11 token."""


def status(config: Config = None) -> None:
    """Show the state of the node, its store and the ledger. Exit code 1 if the node is not ready."""
    with one_line_errors():
        settings = load(NodeSettings, config)
        with opened_unchanged(settings.database_url) as database, database.read() as connection:
            state = stored(connection)
            versions = _versions(settings, connection)
        trouble, warnings = _trouble(settings)
        silence = core_silence(state.core_as_of_ms, SystemClock().now_ms()) if trouble is None else None
        if silence is not None:
            warnings.insert(0, silence)
        console.print(_screen(settings, state, versions, trouble, warnings, _on_ledger(settings)))
    if trouble is not None:
        raise typer.Exit(1)


def _versions(settings: NodeSettings, connection: Connection) -> str:
    """The active bindings under each version of the bank's secret; empty where there is one version only."""
    if not settings.newer_bank_secret_files:
        return ""
    newer = [read_secret(file, "newer_bank_secret_files") for file in settings.newer_bank_secret_files]
    secrets = BankSecrets([read_secret(settings.bank_secret_file, "bank_secret_file"), *newer])
    counted = bindings_by_version(connection, secrets)
    return "; ".join(f"{count} under version {version}" for version, count in counted.items())


def _trouble(settings: NodeSettings) -> tuple[str | None, list[str]]:
    """Why the running node is not ready, as it reports it, and its other warnings."""
    url = httpx.URL("http:///readyz", host=settings.listen_host, port=settings.listen_port)
    try:
        # Without the environment's proxy: the question is for what listens here.
        answer = httpx.get(url, timeout=_LOOK_TIMEOUT_S, trust_env=False).json()
        return answer["reason"], answer["warnings"]
    except (httpx.HTTPError, ValueError, KeyError, TypeError) as error:
        # Without the node's own answer, the folder at least shows rejected files.
        where = f"{settings.listen_host}:{settings.listen_port}"
        silent = f"no node answers at {where} ({type(error).__name__})"
        if not isinstance(error, httpx.HTTPError):
            silent = f"what answers at {where} is not the node"
        return silent, list(rejected_files(settings.drop_folder).lines)


def _on_ledger(settings: NodeSettings) -> dict[str, str]:
    try:
        state = connect_ledger(settings).bank(settings.bic)
    except LedgerError as error:
        return {"ledger": str(error)}
    if not state.admitted:
        return {"ledger": "the bank is not admitted"}
    return {
        "publication on the ledger": str(state.publication),
        "watermark on the ledger": _ago(state.watermark_ms),
        "suspended": "yes" if state.suspended else "no",
    }


def _screen(
    settings: NodeSettings,
    state: StoredStatus,
    versions: str,
    trouble: str | None,
    warnings: list[str],
    ledger: dict[str, str],
) -> Panel:
    table = Table(show_header=False, box=None, padding=(0, 2))
    rows = {
        "node": "ready" if trouble is None else trouble,
        "core data as of": _ago(state.core_as_of_ms),
        "last publication signed": str(state.publication),
        "its watermark": _ago(state.watermark_ms),
        "last publication in a block": str(state.on_ledger),
        **ledger,
        "waiting for a publication": f"{state.waiting} of at most {settings.max_waiting}",
        "in flight": f"{state.in_flight} of at most {settings.publisher.max_in_flight}",
        "active bindings": str(state.bindings),
    }
    if versions:
        rows["… by bank secret"] = versions
    if state.unstated_accounts:
        rows["accounts unstated"] = f"{state.unstated_accounts}; standing-node feed unstated lists them"
    if state.restatements_left:
        rows["to be attested again"] = str(state.restatements_left)
    if state.recovery is not None:
        until = exactly(state.recovery.core_until_ms)
        rows["the core must feed again"] = f"all that it stated from {exactly(state.recovery.core_from_ms)} to {until}"
    for name, value in rows.items():
        table.add_row(label(name), escape(label(in_language(value))))
    for warning in warnings:
        table.add_row(label("check"), f"[yellow]{escape(in_language(warning))}[/]")
    style = "green" if trouble is None else "red"
    return Panel(Group(table), title=f"standing-node {settings.bic}", border_style=style)


def _ago(time_ms: int) -> str:
    return ago(time_ms, SystemClock().now_ms())


def export(file: Path, config: Config = None) -> None:
    """Export what neither the core nor the ledger could restore to a new file, encrypted under the vault secret."""
    with one_line_errors():
        settings = load(NodeSettings, config)
        with opened_unchanged(settings.database_url) as database, progress_bar("rows exported") as progress:
            vault = open_vault(settings, database)
            rows = backup.export(
                database, vault, settings.bic, SystemClock(), file, lambda count: progress(count, None)
            )
        tell(f"{rows} rows in {file}; it opens with this node's vault secret only: keep both, and not together")


def import_(file: Path, config: Config = None) -> None:
    """Load an export into a new, empty store. Then run `recover`."""
    with one_line_errors():
        settings = load(NodeSettings, config)
        with opened(settings.database_url) as database, _alone(database), progress_bar("rows imported") as progress:
            vault, faults = open_vault(settings, database), faults_of(settings.fault_point)
            rows = backup.import_(database, vault, settings.bic, file, lambda count: progress(count, None), faults)
        tell(f"{rows} rows imported; now: standing-node recover")


def recover(
    config: Config = None,
    confirm: Annotated[
        bool, typer.Option("--confirm", help="Carry it out; without this, only report what would be done")
    ] = False,
    restored: Annotated[
        bool,
        typer.Option(
            "--restored", help="Treat the store as restored from a backup, even if the ledger is not ahead of it"
        ),
    ] = False,
    give_up_oversized: Annotated[
        bool,
        typer.Option(
            "--give-up-oversized",
            help="Abandon signed publications that need more gas than a block of the ledger holds, and sign their "
            "content again in parts that fit",
        ),
    ] = False,
    take_ledger: Annotated[
        bool,
        typer.Option(
            "--take-ledger",
            help="Continue from what somebody else published under the bank's old key, and abandon what this store "
            "signed in its place",
        ),
    ] = False,
    fed_again: Annotated[
        bool, typer.Option("--fed-again", help="The core has fed again what the recovery asked for: resume signing")
    ] = False,
    from_block: Annotated[int, typer.Option(min=0, help="Where the bank's history on the ledger begins")] = 0,
    stranger: Annotated[
        list[str] | None,
        typer.Option(
            "--stranger",
            help="An account that submitted the bank's newest publication and is not the bank's, or no longer: its "
            "transactions are not waited for",
        ),
    ] = None,
) -> None:
    """Bring the store back in sync with the ledger after a disaster; see docs/OPERATIONS.md. Stop the node first."""
    with one_line_errors():
        settings = load(NodeSettings, config)
        secrets = read_secrets(settings)
        if fed_again:
            # The node runs meanwhile, because the core feeds it; the confirmation is one committed row.
            with opened_unchanged(settings.database_url) as database:
                _recovery(settings, secrets, database).fed_again()
            tell("the core has fed again: the node goes on signing")
            return
        store = (opened if confirm else opened_to_look)(settings.database_url)
        with store as database, _alone(database), progress_bar("blocks") as progress:
            findings = _recovery(settings, secrets, database, progress).run(
                confirm=confirm,
                restored=restored,
                take_ledger=take_ledger,
                give_up_oversized=give_up_oversized,
                from_block=from_block,
                strangers=[parse_address(account, "stranger") for account in stranger or ()],
            )
        _report(findings, confirm=confirm)


def _recovery(
    settings: NodeSettings, secrets: Secrets, database: NodeDatabase, progress: Progress = lambda _done, _all: None
) -> Recovery:
    client = connect_ledger(settings)
    sender = Sender(client, secrets.sender_key)
    return Recovery(
        database,
        client,
        issuer_of(settings, secrets, database),
        SystemClock(),
        platforms=[key.platform for key in settings.api_keys if key.platform is not None],
        account=sender.address,
        max_attestations=lambda: attestations_within(sender.gas_ceiling()),
        progress=progress,
        faults=faults_of(settings.fault_point),
    )


def _report(findings: Findings, *, confirm: bool) -> None:
    if findings.nothing_to_do:
        tell("store and ledger are level: there is nothing to recover")
        return
    title = label("recovered" if confirm else "to be recovered (nothing has been changed)")
    table = Table(title=title, show_header=False)
    rows = {
        "last publication in the store": findings.store_publication,
        "last publication on the ledger": findings.ledger_publication,
        "the ledger is a new deployment": "yes" if findings.new_deployment else "no",
        "publications signed here, abandoned": findings.given_up,
        "publications rebuilt": findings.rebuilt,
        "… of which by number and digest only": findings.rebuilt_without_content,
        "bindings to be attested again": findings.stated_again,
        "bindings found ended on the ledger": findings.ended_on_ledger,
        "bindings unknown here, to be ended": findings.unknown_ended,
        "… to be made unreadable, platform unknown": findings.unknown_unreadable,
    }
    for name, value in rows.items():
        table.add_row(label(name), label(str(value)))
    console.print(table)
    if findings.unknown_ended or findings.unknown_unreadable:
        tell("To keep the unknown bindings, import the bank's newest export into an empty store first.")
    if findings.unknown_unreadable:
        tell(
            "Those to be made unreadable were granted under a bank secret, or to a platform, that the settings lack: "
            "check first that all secrets and platforms are there."
        )
    if findings.feed_again:
        tell(
            f"The core must feed again all that it stated after {exactly(findings.core_from_ms)}, at least up to "
            f"{exactly(findings.core_until_ms)}; then: standing-node recover --fed-again. Until then nothing is signed."
        )
    if not confirm:
        tell(
            "To carry this out, run the same command with --confirm. First make sure that no other node signs for the "
            "bank."
        )


@contextmanager
def _alone(database: NodeDatabase) -> Iterator[None]:
    """Leads on the store, so that no node signs meanwhile. Raises: CannotRecover where a node leads."""
    leadership = Leadership(database, SystemClock())
    if not leadership.take():
        raise CannotRecover("a node is running on this store: stop it, and any standby node, first")
    try:
        yield
    finally:
        leadership.leave()


@hsm.command("new-key")
def hsm_new_key(config: Config = None) -> None:
    """Generate the signing key in the token named in the settings, and print its address."""
    with one_line_errors():
        settings = load(NodeSettings, config)
        if settings.signer_pkcs11 is None:
            raise SettingsError("signer_pkcs11: not in the settings")
        try:
            from standing.node.publishing.hsm import new_key  # noqa: PLC0415 - an extra for those with a token
        except ModuleNotFoundError as error:
            raise SettingsError(PKCS11_MISSING) from error
        console.print(new_key(settings.signer_pkcs11))
