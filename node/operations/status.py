"""How the node is doing: for its API, for Prometheus, and for the screen of `standing-node status`."""

from collections import Counter

from pydantic import BaseModel
from sqlalchemy import Connection, func, select

from standing.ledger.service.reloading import SettingsState
from standing.node.accounts import quarantine
from standing.node.accounts.bank_secrets import BankSecrets
from standing.node.composition import Node
from standing.node.operations.feed_state import rejected_files
from standing.node.operations.metrics import State
from standing.node.publishing import deployments, outbox, publications, recoveries, restating
from standing.node.storage import schema
from standing.node.storage.database import DatabaseUnavailable

#: The narrowest staleness bound in the gateway's own policy.
_SILENT_MS = 60_000


class RecoveryWanted(BaseModel):
    """After a recovery: what the core has to feed again before anything is signed."""

    core_from_ms: int
    core_until_ms: int


class StoredStatus(BaseModel):
    """What the store alone shows. Times in milliseconds; 0 where something has not happened yet."""

    core_as_of_ms: int
    watermark_ms: int
    publication: int
    on_ledger: int
    waiting: int
    in_flight: int
    restatements_left: int
    recovery: RecoveryWanted | None
    bindings: int
    unstated_accounts: int


class NodeStatus(StoredStatus):
    """The state of the node. `trouble`: why it is not ready; null if it is. `warnings`: what an operator should check
    although the node works, such as a rejected feed file.

    `waiting` against `max_waiting`, and `in_flight` against `max_in_flight`, show how close the node is to its limits.
    At the first limit, the feed answers 503 to changes; at the second, changes wait for receipts.
    """

    bic: str
    signer: str
    leads: bool
    max_waiting: int
    max_in_flight: int
    ledger_node: str
    trouble: str | None
    worker_troubles: list[str]
    rejected_files: int
    warnings: list[str]
    settings: SettingsState


def stored(connection: Connection) -> StoredStatus:
    """Look up what the store alone shows."""
    last = outbox.last_publication(connection)
    deployment = deployments.current(connection)
    base_number = deployment.base_number if deployment is not None else 0
    unmet = recoveries.pending(connection)
    bindings = select(func.count()).select_from(schema.bindings).where(schema.bindings.c.ended_at_ms.is_(None))
    return StoredStatus(
        core_as_of_ms=outbox.last_as_of_ms(connection),
        watermark_ms=last.watermark_ms if last is not None else 0,
        publication=last.number if last is not None else 0,
        on_ledger=outbox.last_in_block(connection, base_number),
        waiting=outbox.waiting(connection),
        in_flight=len(publications.unfinished(connection, base_number)),
        restatements_left=restating.left(connection),
        recovery=RecoveryWanted(core_from_ms=unmet.core_from_ms, core_until_ms=unmet.core_until_ms) if unmet else None,
        bindings=connection.execute(bindings).scalar_one(),
        unstated_accounts=quarantine.count(connection),
    )


def bindings_by_version(connection: Connection, secrets: BankSecrets) -> dict[int, int]:
    """How many active bindings there are under each version of the bank's secret, zero included.

    Walks all of them: the version is in their ids, and nothing is stored for it.
    """
    table = schema.bindings
    active = select(table.c.id).where(table.c.ended_at_ms.is_(None)).execution_options(yield_per=1_000)
    counted = Counter(secrets.version_of(binding) for binding in connection.execute(active).scalars())
    return {version: counted[version] for version in range(1, secrets.newest + 1)}


def look(node: Node, settings: SettingsState) -> NodeStatus:
    """How a running node is doing. Raises: DatabaseUnavailable."""
    rejected = rejected_files(node.settings.drop_folder)
    with node.database.read() as connection:
        stored_status = stored(connection)
    issuer = node.publisher.issuer
    trouble = why_not_ready(node)
    # What stops the node comes first: it may be why the core seems silent.
    silence = core_silence(stored_status.core_as_of_ms, node.clock.now_ms()) if trouble is None else None
    return NodeStatus(
        **stored_status.model_dump(),
        bic=issuer.bic,
        signer=issuer.signer.address,
        leads=node.leadership.active,
        max_waiting=node.settings.max_waiting,
        max_in_flight=node.settings.publisher.max_in_flight,
        ledger_node=node.client.failover.current,
        trouble=trouble,
        worker_troubles=node.workers.troubles,
        rejected_files=rejected.files,
        warnings=[*([silence] if silence is not None else []), *warnings(node, settings)],
        settings=settings,
    )


def why_not_ready(node: Node) -> str | None:
    """Why the node is not ready; None if it is."""
    if not node.leadership.active:
        return f"on standby: {node.leadership.trouble or 'another node is the leader on this store'}"
    # A worker in trouble tries again, and `worker_troubles` reports it. A worker that has ended needs an operator. So
    # does a feed that cannot continue, because nothing from the core reaches the ledger.
    return node.publisher.trouble or next(iter(node.workers.ended), None) or feed_stopped(node)


def core_silence(core_as_of_ms: int, now_ms: int) -> str | None:
    """That the core's last statement is old; None where it is not, or before the first one."""
    if not core_as_of_ms or now_ms - core_as_of_ms < _SILENT_MS:
        return None
    return (
        "the core's last statement is more than a minute old: platforms approve nothing at this bank once its age "
        "exceeds their bound; look at what feeds the node"
    )


def feed_stopped(node: Node) -> str | None:
    """Why the node's own source of the feed cannot continue until somebody acts; None where it can."""
    source = node.settings.feed_source
    trouble = None if source is None else node.workers.stopped(source)
    return None if trouble is None else f"the feed has stopped: {source}: {trouble.removeprefix(f'{source}: ')}"


def warnings(node: Node, settings: SettingsState) -> list[str]:
    """Conditions that an operator should look at although the node works."""
    found = list(rejected_files(node.settings.drop_folder).lines)
    ahead_s = node.publisher.ahead_ms // 1000
    if ahead_s:
        found.append(
            f"the latest time that the ledger accepts is {ahead_s} s behind this machine's clock, so platforms may "
            "take this bank for silent: compare both clocks (`standing-node doctor`)"
        )
    refused_s = node.feed.refused_ahead_ms // 1000
    if refused_s:
        found.append(
            f"the core's last entry was refused: its time is {refused_s} s ahead of this machine's clock; platforms "
            "take this bank for silent meanwhile: set the clock that is wrong (`standing-node doctor`)"
        )
    if settings.trouble is not None:
        found.append(f"the settings were not reloaded: {settings.trouble}")
    if settings.needs_restart:
        found.append(f"changed in the settings, takes effect after a restart: {', '.join(settings.needs_restart)}")
    return found


def measure(node: Node, now_ms: int) -> State:
    """The gauges of a running node. NaN where the database does not answer."""
    try:
        with node.database.read() as connection:
            stored_status: StoredStatus | None = stored(connection)
            published_ms = outbox.watermark_in_block_ms(connection)
    except DatabaseUnavailable:
        stored_status, published_ms = None, None

    def of(value: float | None) -> float:
        return float("nan") if value is None or stored_status is None else float(value)

    def age_s(since_ms: int | None) -> float:
        # Before the first event there is no age; 0 would look like a fresh one.
        return of((now_ms - since_ms) / 1000 if since_ms else None)

    return State(
        leads=float(node.leadership.active),
        ready=float(why_not_ready(node) is None),
        feed_lag_seconds=age_s(stored_status.core_as_of_ms if stored_status else None),
        watermark_age_seconds=age_s(published_ms),
        outbox_depth=of(stored_status.waiting if stored_status else None),
        outbox_capacity=node.settings.max_waiting,
        in_flight=of(stored_status.in_flight if stored_status else None),
        in_flight_capacity=node.settings.publisher.max_in_flight,
        restatements_left=of(stored_status.restatements_left if stored_status else None),
        unstated_accounts=of(stored_status.unstated_accounts if stored_status else None),
        publication_number=of(stored_status.publication if stored_status else None),
        feed_stopped=float(feed_stopped(node) is not None),
        rejected_files=rejected_files(node.settings.drop_folder).files,
        ledger_node_failures=sum(node.client.failover.failures.values()),
    )
