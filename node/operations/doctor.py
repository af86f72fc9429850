"""`standing-node doctor`: reports what is missing or wrong, in plain words. It changes nothing."""

import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from standing.ledger.attestations.publication import Signer
from standing.ledger.chain.client import LedgerClient
from standing.ledger.chain.sender import GAS_FIXED, Sender, attestations_within, publication_gas
from standing.ledger.clock import DAY_MS, SystemClock
from standing.ledger.errors import NotFound
from standing.ledger.service import diagnosis
from standing.ledger.service.commands import Config, one_line_errors
from standing.ledger.service.diagnosis import Finding, look, well, wrong
from standing.ledger.service.settings import load
from standing.ledger.service.times import ago, span
from standing.node.composition import open_sender, open_signer, read_secrets
from standing.node.feed.core_database import CoreView
from standing.node.feed.profile import profile_of
from standing.node.operations.feed_state import rejected_files
from standing.node.settings import NodeSettings
from standing.node.storage.database import DatabaseUnavailable, opened_unchanged

#: With money for heartbeats of less time than this, the sender should be topped up soon.
_LOW_MS = 7 * DAY_MS


def doctor(config: Config = None) -> None:
    """Report what is missing or wrong, and what to do. Exit code 1 if something is wrong."""
    with one_line_errors():
        settings = load(NodeSettings, config)
        client = LedgerClient(
            settings.all_ledger_urls, settings.ledger_contract, timeout_s=settings.ledger_timeout_ms / 1000
        )
        timeout_s = settings.ledger_timeout_ms / 1000
        diagnosis.examine(
            [
                ("secrets", lambda: _secrets(settings)),
                (
                    "ledger",
                    lambda: diagnosis.ledger_nodes(
                        settings.all_ledger_urls, settings.ledger_contract, settings.chain_id, timeout_s
                    ),
                ),
                ("admission", lambda: _admission(settings, client)),
                ("gas", lambda: _gas(settings, client)),
                ("clock", lambda: diagnosis.clock(client, SystemClock().now_ms())),
                ("database", lambda: diagnosis.database(settings.database_url, "standing.node.storage")),
                ("core", lambda: _core(settings)),
                ("platforms", lambda: _platforms(settings)),
                ("running", lambda: diagnosis.running(settings.listen_host, settings.listen_port)),
            ]
        )


def _secrets(settings: NodeSettings) -> Iterator[Finding]:
    secrets = read_secrets(settings)
    secrets.bank_secrets()
    # The check of the database reports a store that is missing or cannot be read.
    with suppress(NotFound, DatabaseUnavailable), opened_unchanged(settings.database_url) as database:
        secrets.vault_of(database)
        secrets.bank_secrets_of(database)
    files: Iterable[Path | None] = (
        settings.bank_secret_file,
        *settings.newer_bank_secret_files,
        settings.vault_secret_file,
        *settings.older_vault_secret_files,
        settings.signer_keystore,
        settings.signer_password_file,
        settings.sender_keystore,
        settings.sender_password_file,
    )
    yield from diagnosis.private_files(file for file in files if file is not None)


def _admission(settings: NodeSettings, client: LedgerClient) -> Iterator[Finding]:
    signer: Signer = open_signer(settings)
    state = client.bank(settings.bic)
    if not state.admitted:
        yield wrong(
            "admission",
            f"{settings.bic} is not admitted to the ledger {client.address}: give the registrar the signer "
            f"{signer.address} and the admin's address; the registrar runs standing-node ledger admit, for a store "
            "that has published to another ledger with the --number and --head that standing-node recover prints",
        )
        return
    if state.suspended:
        yield wrong("admission", f"{settings.bic} is suspended on the ledger: ask its registrar")
    if state.signer != signer.address:
        yield wrong(
            "admission",
            f"the ledger expects the signer {state.signer}, this node signs as {signer.address}: configure the "
            "keystore of that signer, or run standing-node ledger rotate-signer with the bank's admin key",
        )
    elif not state.suspended:
        reached = ago(state.watermark_ms, SystemClock().now_ms())
        yield well("admission", f"{settings.bic} is admitted with this signer; its watermark on the ledger: {reached}")


def _gas(settings: NodeSettings, client: LedgerClient) -> Iterator[Finding]:
    sender = Sender(client, open_sender(settings), max_gas_price_wei=settings.max_gas_price_wei)
    fitting = attestations_within(ceiling := sender.gas_ceiling())
    if fitting < 1:
        yield wrong(
            "gas",
            f"a block holds {ceiling} gas, one attestation needs {publication_gas(1)}: ask for a higher gas limit",
        )
    elif fitting < settings.publisher.max_attestations:
        yield look("gas", f"a block holds {ceiling} gas: a publication can have at most {fitting} attestations")
    price = sender.gas_price_wei()
    balance = sender.balance_wei()
    if price == 0:
        yield well("gas", f"gas is free on this ledger; the sending account is {sender.address}")
        return
    heartbeats = balance // (price * GAS_FIXED)
    account = sender.address
    if heartbeats < 1:
        yield wrong(
            "gas",
            f"the sending account {account} holds {balance} wei and cannot pay for gas at {price} wei per unit: "
            "fund this address on the ledger",
        )
    elif (lasts_ms := heartbeats * settings.publisher.heartbeat_ms) < _LOW_MS:
        yield look(
            "gas",
            f"the sending account {account} holds {balance} wei, enough for heartbeats of about {span(lasts_ms)} "
            f"at {price} wei per unit: top it up soon",
        )
    else:
        yield well(
            "gas",
            f"the sending account {account} holds {balance} wei, enough for heartbeats of about {span(lasts_ms)} "
            f"at {price} wei per unit",
        )


def _core(settings: NodeSettings) -> Iterator[Finding]:
    if settings.sql_view is not None:
        view = CoreView(settings.sql_view, profile_of(settings.sql_view.profile))
        try:
            with view.snapshot() as snapshot:
                now_ms = snapshot.now_ms()
                with snapshot.pages(now_ms, now_ms) as pages:
                    next(pages, None)  # the node's own query, for a range of time that has no rows
        finally:
            view.close()
        yield well("core", f"the view {settings.sql_view.view} can be read")
    if settings.drop_folder is not None:
        folder = settings.drop_folder.path
        if not folder.is_dir() or not os.access(folder, os.R_OK | os.W_OK | os.X_OK):
            yield wrong("core", f"{folder} is not a folder that this user can read and write (drop_folder.path)")
        else:
            yield well("core", f"{folder} can be read and written")
            yield from (look("core", rejected) for rejected in rejected_files(settings.drop_folder).lines)
    if settings.feed_source is None:
        if any(key.role == "core" for key in settings.api_keys):
            yield well("core", "the core calls POST /v1/feed with its key")
        else:
            yield wrong(
                "core", "the node has no feed: configure an API key with the role core, [sql_view] or [drop_folder]"
            )


def _platforms(settings: NodeSettings) -> Iterator[Finding]:
    names = sorted({key.platform for key in settings.api_keys if key.platform is not None})
    if names:
        yield well("platforms", f"platforms with a key: {', '.join(names)}")
    else:
        yield look("platforms", "no platform has a key yet: standing-node platform add ID")
