"""The standby gate: a node that stands by answers reads and refuses every call that would change something.

It could store a change for the leader, since they share the store. It does not. The leader would not be woken, and a
core would not notice that nothing is published if all nodes are on standby. One writer is also easier to reason about
during an incident.
"""

from starlette.types import ASGIApp, Receive, Scope, Send

from standing.ledger.service import reloading
from standing.ledger.service.console.pages import HOME
from standing.ledger.service.problem_language import asked_for
from standing.ledger.service.problems import problem_of, problem_response
from standing.node.storage.leadership import Leadership, Standby

_READING = frozenset({"GET", "HEAD", "OPTIONS"})
#: Paths that concern this process alone, and not the store.
_OWN = frozenset({reloading.PATH})


class StandbyGate:
    """ASGI middleware: answers 503 to every call that would change something while the node does not lead."""

    def __init__(self, app: ASGIApp, leadership: Leadership) -> None:
        self._app = app
        self._leadership = leadership

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] not in _READING and not _is_own(scope["path"]):
            try:
                self._leadership.require()
            except Standby as error:
                await problem_response(problem_of(error), asked_for(scope))(scope, receive, send)
                return
        await self._app(scope, receive, send)


def _is_own(path: str) -> bool:
    # The console's pages change nothing except the sign-in session.
    return path in _OWN or path.startswith(HOME)
