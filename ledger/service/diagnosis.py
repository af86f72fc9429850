"""The findings of `doctor`: one for each thing that a service needs, with the remedy where it is wrong."""

import os
import stat
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from enum import Enum
from pathlib import Path
from typing import NamedTuple

import httpx
import typer
from rich.markup import escape
from sqlalchemy import make_url
from sqlalchemy.exc import SQLAlchemyError

from standing.ledger.chain.client import LedgerClient
from standing.ledger.errors import LedgerMismatch, LedgerUnreachable, StandingError
from standing.ledger.service.command_language import in_language, label
from standing.ledger.service.commands import console, wide
from standing.ledger.service.database import (
    MOVED,
    Database,
    foreign_encoding,
    may_create_tables,
    revisions,
    shown,
    unusable,
)
from standing.ledger.service.serve import listener
from standing.ledger.service.settings import SettingsError
from standing.ledger.service.times import span, when

#: How far a block's time may be ahead of this machine's clock: block times are whole seconds, and proposers round up.
_CLOCK_ALLOWANCE_MS = 2_000
_LOOK_TIMEOUT_S = 2.0


class State(Enum):
    """The state of a thing: well, worth a look, or wrong. The value: its mark on the screen, and its colour."""

    WELL = ("ok", "green")
    LOOK = ("look", "yellow")
    WRONG = ("wrong", "red")


class Finding(NamedTuple):
    """One thing and its state."""

    what: str
    state: State
    text: str


def well(what: str, text: str) -> Finding:
    """Nothing is wrong."""
    return Finding(what, State.WELL, text)


def look(what: str, text: str) -> Finding:
    """It works, but somebody should look at it."""
    return Finding(what, State.LOOK, text)


def wrong(what: str, text: str) -> Finding:
    """It does not work, and the text says what to do."""
    return Finding(what, State.WRONG, text)


def examine(parts: Iterable[tuple[str, Callable[[], Iterable[Finding]]]]) -> None:
    """Check each part and print a line for each finding. Exit code 1 where something is wrong.

    An error raised by a part is a finding as well, and later parts are still checked.
    """
    amiss = 0
    for what, find in parts:
        for finding in _found(what, find):
            mark, colour = finding.state.value
            amiss += finding.state is State.WRONG
            marked, where = wide(label(mark), 5), wide(label(finding.what), 9)
            text = escape(in_language(finding.text))
            console.print(f"[{colour}]{marked}[/]  {where}  {text}", highlight=False, soft_wrap=True)
    if amiss:
        raise typer.Exit(1)


def _found(what: str, find: Callable[[], Iterable[Finding]]) -> Iterator[Finding]:
    try:
        yield from find()
    except SettingsError as error:
        for fault in error.each:
            yield wrong(what, fault)
    except StandingError as error:
        yield wrong(what, str(error))


def private_files(files: Iterable[Path]) -> Iterator[Finding]:
    """Whether secrets can be read by others on this machine."""
    seen = 0
    for file in files:
        seen += 1
        if stat.S_IMODE(file.stat().st_mode) & (stat.S_IRWXG | stat.S_IRWXO):
            yield look("secrets", f"{file} can be read by others on this machine: chmod 600 {file}")
    yield well("secrets", f"{seen} secret files exist and can be read")


def database(url: str, package: str) -> Iterator[Finding]:
    """Whether the database can be reached, and its schema is what this version expects. Changes nothing."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        file = Path(parsed.database or "")
        if not file.exists():
            if os.access(file.parent, os.W_OK):
                yield well("database", f"{file} does not exist yet; the first start creates it")
            else:
                yield wrong("database", f"{file.parent} is not a folder that this user can write to")
            return
        if not os.access(file, os.W_OK) or not os.access(file.parent, os.W_OK):
            yield wrong("database", f"{file} and its folder must be writable for this user")
            return
    opened = Database(url)
    try:
        finding = _schema(opened, package, shown(url))
    except SQLAlchemyError as error:
        finding = wrong("database", unusable(url, error))
    finally:
        opened.close()
    yield finding


def _schema(opened: Database, package: str, name: str) -> Finding:
    """Whether the database `name` holds the tables of this version, or can. Raises: SQLAlchemyError."""
    present, newest, known, are_anothers = revisions(opened, package)
    encoding = foreign_encoding(opened)
    if encoding is not None:
        text = f"the encoding of {name} is {encoding}: create another one with TEMPLATE template0 ENCODING 'UTF8'"
        return wrong("database", text)
    if present is None:
        return _empty(opened, name)
    if are_anothers:
        return wrong(
            "database", f"{name} is another service's: each node and each platform needs a database of its own"
        )
    if not known:
        return _unknown(name, present)
    if present != newest:
        return look("database", f"{name} is from an older version; the next start upgrades it: back it up first")
    return well("database", f"{name} can be reached and is up to date")


def _unknown(name: str, revision: str) -> Finding:
    if revision == MOVED:
        return wrong("database", f"everything in {name} was moved to another database: set database_url to that one")
    return wrong("database", f"{name} was upgraded by a newer version of Standing: install that version")


def _empty(opened: Database, name: str) -> Finding:
    if not may_create_tables(opened):
        return wrong("database", f"{name} is empty, and its user may not create tables: make the user its owner")
    return well("database", f"{name} can be reached and is empty; the first start creates the tables")


def running(host: str, port: int) -> Iterator[Finding]:
    """Whether the service runs and is ready; where it does not run, whether its port is free."""
    answer = None
    url = httpx.URL("http:///readyz", host=_reachable(host), port=port)
    with suppress(httpx.HTTPError, ValueError):
        # Without the environment's proxy: the question is for what listens here.
        answer = httpx.get(url, timeout=_LOOK_TIMEOUT_S, trust_env=False).json()
    if isinstance(answer, dict) and "ok" in answer:
        reason = answer.get("reason")
        yield well("running", f"it is ready at {host}:{port}") if reason is None else wrong("running", reason)
        for warning in answer.get("warnings", []):
            yield look("running", warning)
        return
    listener(host, port).close()
    yield look("running", f"it is not running; {host}:{port} is free")


def _reachable(host: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - compared with, not listened on


def ledger_nodes(urls: Iterable[str], contract: str, chain_id: int | None, timeout_s: float) -> Iterator[Finding]:
    """Whether each ledger node answers, is on the right chain, and has the contract."""
    for url in urls:
        client = LedgerClient(url, contract, timeout_s=timeout_s)
        name = client.failover.current
        try:
            client.check(chain_id)
            head = client.head()
        except LedgerUnreachable:
            yield wrong("ledger", f"{name} does not answer: start the ledger node there, or configure another one")
            continue
        except LedgerMismatch as error:
            yield wrong("ledger", f"{error}: check ledger_contract, chain_id and the node")
            continue
        chain = client.domain.chain_id
        yield well("ledger", f"{name} answers: chain {chain}, block {head.number} of {when(head.time_s * 1000)}")
        if chain_id is None:
            yield look("ledger", f"chain_id is not set: chain_id = {chain} would make any other chain be refused")
        yield from _peers(client, name)


def _peers(client: LedgerClient, name: str) -> Iterator[Finding]:
    """Whether a ledger node has peers. Nodes that do not report them are skipped: the method is optional."""
    count = client.peers()
    if count == 0:
        yield look("peers", f"the ledger node {name} has no peers: on a network of several nodes it is cut off")
    elif count is not None:
        yield well("peers", f"the ledger node {name} has {count} peers")


def clock(client: LedgerClient, now_ms: int) -> Iterator[Finding]:
    """Whether this machine's clock agrees with the ledger's."""
    ahead_ms = now_ms - client.latest_allowed_ms()
    behind_ms = client.head().time_s * 1000 - now_ms
    if ahead_ms > 0:
        # A ledger that makes no blocks looks the same, and no clock is wrong then.
        yield wrong(
            "clock",
            f"the ledger's time is at least {span(ahead_ms)} behind this machine's clock: either it makes no blocks "
            "(look whether the number of its newest block grows), or this clock is ahead (set it by NTP)",
        )
    elif behind_ms > _CLOCK_ALLOWANCE_MS:
        yield wrong("clock", f"this machine's clock is at least {span(behind_ms)} behind the ledger's: set it by NTP")
    else:
        yield well("clock", f"it is {when(now_ms)} here, which agrees with the ledger's time")
