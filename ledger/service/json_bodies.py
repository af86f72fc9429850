"""JSON bodies read strictly: anything that two parsers could read differently is refused (RFC 8259, sections 4 and
8.1).

Of two equal keys Python's parser takes the last, while other software takes the first: one body would then be two
transactions. Everything that is not JSON is a `malformed-request`: bytes that are not UTF-8, numbers too long to
parse, nesting too deep.
"""

import json
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute

_MAX_SHOWN = 40
#: In place of a position that the parser does not tell.
SOMEWHERE = -1


def strict_json(body: bytes) -> Any:
    """The value of a JSON text. Raises: json.JSONDecodeError, with what is wrong, and where if known."""
    try:
        return json.loads(body.decode(), object_pairs_hook=_unique)
    except json.JSONDecodeError:
        raise
    except UnicodeDecodeError as error:
        raise json.JSONDecodeError("not UTF-8", "", error.start) from None
    except _DuplicateKey as error:
        raise json.JSONDecodeError(f"the key {error.key[:_MAX_SHOWN]!r} occurs twice", "", SOMEWHERE) from None
    except RecursionError:
        raise json.JSONDecodeError("nested too deeply", "", SOMEWHERE) from None
    except ValueError:
        raise json.JSONDecodeError("a number is too long", "", SOMEWHERE) from None


class _DuplicateKey(ValueError):
    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise _DuplicateKey(key)
            seen.add(key)
    return made


class _StrictRequest(Request):
    async def json(self) -> Any:
        if not hasattr(self, "_strict"):
            self._strict = strict_json(await self.body())
        return self._strict


class StrictJsonRoute(APIRoute):
    """A route that reads its JSON body with `strict_json`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def strict(request: Request) -> Response:
            return await handle(_StrictRequest(request.scope, request.receive))

        return strict
