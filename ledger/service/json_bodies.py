"""JSON bodies read strictly: anything that two parsers could read differently is refused (RFC 8259, sections 4 and
8.1).

Of two equal keys Python's parser takes the last, while other software takes the first: one body would then be two
transactions. Everything that is not JSON is a `malformed-request`: bytes that are not UTF-8, numbers too long to
parse, nesting too deep.
"""

import json
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from fastapi import Request, Response
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from standing.ledger.service.api_keys import RoleCheck

_MAX_SHOWN = 40
#: The most keys of an object. No request has nearly as many fields, and to name each that is unknown takes longer than
#: anything else that a request may ask for.
_MAX_KEYS = 1_000
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
    except _TooManyKeys:
        raise json.JSONDecodeError(f"an object has more than {_MAX_KEYS} keys", "", SOMEWHERE) from None
    except RecursionError:
        raise json.JSONDecodeError("nested too deeply", "", SOMEWHERE) from None
    except ValueError:
        raise json.JSONDecodeError("a number is too long", "", SOMEWHERE) from None


class _DuplicateKey(ValueError):
    def __init__(self, key: str) -> None:
        super().__init__(key)
        self.key = key


class _TooManyKeys(ValueError):
    pass


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) > _MAX_KEYS:
        raise _TooManyKeys
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
    """A route that reads its JSON body with `strict_json`, and only of callers who may use the route.

    A body may take seconds to parse, in which nobody else is answered.
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        checks = list(_role_checks(self.dependant))

        async def strict(request: Request) -> Response:
            # Here, because the framework parses the body before it asks a route's dependencies.
            for check in checks:
                await check.of(request)
            return await handle(_StrictRequest(request.scope, request.receive))

        return strict


def _role_checks(dependant: Dependant) -> Iterator[RoleCheck]:
    for each in dependant.dependencies:
        if isinstance(each.call, RoleCheck):
            yield each.call
        yield from _role_checks(each)
