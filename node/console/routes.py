"""The pages: the node's state, rows that wait, publications, platforms, keys. Each page reads one state of the
store."""

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends
from sqlalchemy import Connection
from starlette.responses import Response

from standing.ledger.service.console.visits import VisitDep
from standing.ledger.service.injection import provided
from standing.ledger.service.reloading import Reloader
from standing.node.accounts import quarantine
from standing.node.composition import Node
from standing.node.console import lookups
from standing.node.operations import status
from standing.node.publishing import outbox
from standing.node.settings import NodeSettings

router = APIRouter()

NodeDep = Annotated[Node, Depends(provided(Node))]
ReloaderDep = Annotated[Reloader[NodeSettings], Depends(provided(Reloader))]

_T = TypeVar("_T")


async def _read(node: Node, look: Callable[[Connection], _T]) -> _T:
    """Raises: DatabaseUnavailable."""

    def work() -> _T:
        with node.database.read() as connection:
            return look(connection)

    return await run_sync(work)


@router.get("/")
async def state_page(visited: VisitDep, node: NodeDep, reloader: ReloaderDep) -> Response:
    """The node's state: what the core stated last, how much of it is on the ledger, and what stops it if it is
    stopped."""
    node_status = await run_sync(status.look, node, reloader.state)
    core = await _read(node, lookups.core_statements)
    failover = node.client.failover
    nodes = [(name, name == failover.current, failures) for name, failures in sorted(failover.failures.items())]
    return visited.page(
        "state.html",
        node_status=node_status,
        state="standby" if not node_status.leads else "fit" if node_status.trouble is None else "unfit",
        core=core,
        nodes=nodes,
        now_ms=node.clock.now_ms(),
    )


@router.get("/rows")
async def rows_page(visited: VisitDep, node: NodeDep) -> Response:
    """Quarantined accounts: which fields are wrong, where they were stated, and why."""

    def look(connection: Connection) -> dict[str, Any]:
        return {
            "rows": lookups.unstated_rows(connection, node.quarantine),
            "count": quarantine.count(connection),
        }

    return visited.page("rows.html", **await _read(node, look), now_ms=node.clock.now_ms())


@router.get("/publications")
async def publications_page(visited: VisitDep, node: NodeDep) -> Response:
    """The outbox, and publications on their way and in blocks."""

    def look(connection: Connection) -> dict[str, Any]:
        return {
            "lines": lookups.publications(connection),
            "waiting": outbox.waiting(connection),
            "oldest_ms": lookups.oldest_waiting_ms(connection),
        }

    return visited.page("publications.html", **await _read(node, look), now_ms=node.clock.now_ms())


@router.get("/platforms")
async def platforms_page(visited: VisitDep, node: NodeDep) -> Response:
    """Platforms in numbers, and the micro-deposits to pay out."""
    now_ms = node.clock.now_ms()
    named = [key.platform for key in node.settings.api_keys if key.platform is not None]

    def look(connection: Connection) -> dict[str, Any]:
        return {
            "platforms": lookups.platforms(connection, named, now_ms),
            "deposits": lookups.deposits_to_pay(connection, now_ms),
        }

    return visited.page("platforms.html", **await _read(node, look), now_ms=now_ms)


@router.get("/keys")
async def keys_page(visited: VisitDep, node: NodeDep) -> Response:
    """The node's keys and secrets with their age, and the API keys by name."""
    files = await run_sync(lookups.key_files, node.settings)
    return visited.page(
        "keys.html",
        files=files,
        signer=node.publisher.issuer.signer.address,
        api_keys=node.sessions.keys,
        now_ms=node.clock.now_ms(),
    )
