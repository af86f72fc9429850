"""A node that stands by reads, and changes nothing: whatever would change something is refused, and says where to go.

It could store a change for the node leading, since they share the store. It does not: that one would not be woken, and
a core answered by a node that does not publish would not see that its word goes nowhere if all of them stand by. One
writer is also the easier thing to reason about at three in the morning.
"""

from starlette.types import ASGIApp, Receive, Scope, Send

from standing.ledger.service.problems import problem_of, problem_response
from standing.node.storage.leadership import Leadership, Standby

_READING = frozenset({"GET", "HEAD", "OPTIONS"})


class StandbyGate:
    """ASGI middleware: answers 503 to every call that would change something while the node is not leading."""

    def __init__(self, app: ASGIApp, leadership: Leadership) -> None:
        self._app = app
        self._leadership = leadership

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["method"] not in _READING:
            try:
                self._leadership.require()
            except Standby as error:
                await problem_response(problem_of(error))(scope, receive, send)
                return
        await self._app(scope, receive, send)
