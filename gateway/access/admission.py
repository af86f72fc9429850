"""A bound on how much work is in progress at once. Beyond it, work is refused before it begins."""

from types import TracebackType

from standing.ledger.errors import Overloaded

_RETRY_AFTER_S = 1


class Admission:
    """`with admission:` holds one of `limit` places. Raises: Overloaded if none is free. For one event loop."""

    def __init__(self, limit: int, what: str) -> None:
        self._limit = limit
        self._what = what
        self._inside = 0

    def __enter__(self) -> None:
        if self._inside >= self._limit:
            raise Overloaded(f"{self._limit} {self._what} are in progress already", _RETRY_AFTER_S)
        self._inside += 1

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._inside -= 1
