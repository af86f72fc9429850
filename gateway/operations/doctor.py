"""`standing-gateway doctor`: reports what is missing or wrong, in plain words. It changes nothing."""

import asyncio
from collections.abc import Iterator
from datetime import UTC
from email.utils import parsedate_to_datetime

import httpx

from standing.gateway.access.id_token import OpenIdError
from standing.gateway.access.openid_provider import Provider
from standing.gateway.bindings.banks import Bank, BankDirectory
from standing.gateway.decisions.policy import Policy
from standing.gateway.evidence.signing import read_evidence_keys
from standing.gateway.settings import GatewaySettings, read_client_secret, read_policy, read_vault_secrets
from standing.ledger.attestations.sealing import NO_BINDING
from standing.ledger.chain.client import LedgerClient
from standing.ledger.clock import SystemClock
from standing.ledger.service import diagnosis
from standing.ledger.service.commands import Config, one_line_errors
from standing.ledger.service.diagnosis import Finding, look, well, wrong
from standing.ledger.service.settings import load
from standing.ledger.service.times import span

#: A `Date` header has whole seconds only, and the answer took a moment.
_CLOCK_ALLOWANCE_MS = 3_000


def doctor(config: Config = None) -> None:
    """Report what is missing or wrong, and what to do. Exit code 1 if something is wrong."""
    with one_line_errors():
        settings = load(GatewaySettings, config)
        timeout_s = settings.bank_node_timeout_ms / 1000
        client = LedgerClient(settings.all_ledger_urls, settings.ledger_contract, timeout_s=timeout_s)
        diagnosis.examine(
            [
                ("secrets", lambda: _secrets(settings)),
                ("policy", lambda: [well("policy", f"its version is {read_policy(settings).version}")]),
                (
                    "ledger",
                    lambda: diagnosis.ledger_nodes(
                        settings.all_ledger_urls, settings.ledger_contract, settings.chain_id, timeout_s
                    ),
                ),
                ("clock", lambda: diagnosis.clock(client, SystemClock().now_ms())),
                ("database", lambda: diagnosis.database(settings.database_url, "standing.gateway.storage")),
                ("banks", lambda: _banks(settings, client)),
                ("sign-in", lambda: _sign_in(settings)),
                ("running", lambda: diagnosis.running(settings.listen_host, settings.listen_port)),
            ]
        )


def _secrets(settings: GatewaySettings) -> Iterator[Finding]:
    read_vault_secrets(settings)
    read_evidence_keys(settings.evidence_key_file, settings.older_evidence_key_files)
    read_client_secret(settings)
    openid = settings.console.openid
    yield from diagnosis.private_files(
        [
            *settings.vault_secret_files,
            settings.evidence_key_file,
            *([openid.client_secret_file] if openid is not None else []),
            *(bank.node_api_key_file for bank in settings.banks if bank.node_api_key_file.exists()),
        ]
    )


def _sign_in(settings: GatewaySettings) -> Iterator[Finding]:
    """Whether the console's identity provider answers, and fits the settings."""
    openid = settings.console.openid
    if not settings.console.enabled or openid is None:
        return
    try:
        asyncio.run(Provider(openid, SystemClock()).keys())
    except OpenIdError as error:
        yield wrong("sign-in", f"nobody can sign in with {openid.label}: {error}")
    else:
        yield well("sign-in", f"{openid.label} answers, and is the issuer named in the settings")


def _banks(settings: GatewaySettings, client: LedgerClient) -> Iterator[Finding]:
    policy = read_policy(settings)
    for bank in BankDirectory(settings.banks):
        yield from on_ledger(bank, client, policy, SystemClock().now_ms())
        yield from _node(bank, settings.bank_node_timeout_ms / 1000)


def on_ledger(bank: Bank, client: LedgerClient, policy: Policy, now_ms: int) -> Iterator[Finding]:
    """How a bank stands on the ledger."""
    state = client.bank(bank.bic)
    if not state.admitted:
        yield wrong("banks", f"{bank.bic} is not admitted to this ledger: check the BIC and the contract address")
    elif state.suspended:
        yield wrong("banks", f"{bank.bic} is suspended on the ledger: its accounts are declined until it is reinstated")
    elif not state.watermark_ms:
        yield look("banks", f"{bank.bic} is admitted and has not published yet")
    elif (age_ms := now_ms - state.watermark_ms) < -policy.ahead_allowance_ms:
        yield look(
            "banks",
            f"{bank.bic} is ahead: its watermark is {span(-age_ms)} later than this machine's clock; one of the two is "
            "wrong, and meanwhile no transaction with its accounts is approved",
        )
    elif age_ms > policy.widest_staleness_ms:
        yield look("banks", f"{bank.bic} is silent: its watermark is {span(age_ms)} old")
    else:
        yield well("banks", f"{bank.bic} is up to date: its watermark is {span(max(age_ms, 0))} old")


def _node(bank: Bank, timeout_s: float) -> Iterator[Finding]:
    """Whether the bank's node answers, accepts this gateway's key, and agrees on the time."""
    asked_ms = SystemClock().now_ms()
    try:
        answer = httpx.get(
            f"{bank.node_url}/v1/bindings/0x{NO_BINDING.hex()}/trail",  # a node that knows the key answers 404
            headers={"Authorization": f"Bearer {bank.node_key}"},
            timeout=timeout_s,
        )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        yield wrong(
            "banks", f"the node of {bank.bic} does not answer at {bank.node_url} ({type(error).__name__}): is it up?"
        )
        return
    if answer.status_code in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
        yield wrong("banks", f"the node of {bank.bic} does not accept this gateway's key: ask the bank for one")
    elif answer.status_code != httpx.codes.NOT_FOUND or "urn:standing:problem" not in answer.text:
        yield wrong("banks", f"{bank.node_url} is not a bank's node (HTTP {answer.status_code})")
    else:
        yield well("banks", f"the node of {bank.bic} answers, and accepts this gateway's key")
    yield from _clock(bank, answer.headers.get("Date", ""), asked_ms)


def _clock(bank: Bank, date: str, asked_ms: int) -> Iterator[Finding]:
    try:
        node_time = parsedate_to_datetime(date)
    except ValueError:
        return  # a proxy in front of the node may leave it out
    if node_time.tzinfo is None:
        node_time = node_time.replace(tzinfo=UTC)
    apart_ms = int(node_time.timestamp()) * 1000 - asked_ms
    if abs(apart_ms) > _CLOCK_ALLOWANCE_MS:
        apart = span(abs(apart_ms))
        if apart_ms > 0:
            yield look("banks", f"the clock of {bank.bic}'s node is {apart} ahead of this machine's")
        else:
            yield look("banks", f"the clock of {bank.bic}'s node is {apart} behind this machine's")
