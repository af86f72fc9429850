"""The hosts of a test network and the links between them: network namespaces, or TCP pipes on one host.

Namespaces need root, iproute2 and a kernel that supports them; delay and loss on their links also need the kernel's
netem. Where the machine lacks what a network needs, pipes are used instead. `STANDING_TEST_HOSTS=pipes` or
`=namespaces` overrides the choice; with `namespaces` a network fails where there are none.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Protocol

from tests.network.namespaces import Namespaces, Unavailable
from tests.network.pipes import PipedHosts

_VARIABLE = "STANDING_TEST_HOSTS"


class Hosts(Protocol):
    """Hosts, numbered from 0, and a link for peers between every two of them."""

    @property
    def why_no_weather(self) -> str | None:
        """Why links cannot be made slow and lossy, in one line; None where they can."""

    def address(self, host: int) -> str:
        """The address at which all but its peers reach a host, whatever happens to its links."""

    def address_for_peers(self, host: int) -> str:
        """The address at which it listens for its peers."""

    def peer(self, host: int, other: int, port: int) -> str:
        """`address:port` at which a host finds the port that another one opens for its peers."""

    def inside(self, host: int, command: Sequence[str]) -> list[str]:
        """The command that runs `command` on a host, as the same process."""

    def cut(self, host: int, other: int) -> None:
        """Make a link carry nothing and close nothing, like an unplugged cable."""

    def heal(self) -> None:
        """Restore every link at once, without loss."""

    def worsen(self, *, delay_ms: int, loss_per_mille: int) -> None:
        """Make every link slow, by `delay_ms` one way, and lossy. Raises: Unavailable."""


@cache
def _lacks() -> tuple[str | None, str | None]:
    """Why there are no namespaces here, and why their links have no weather, found by trying both."""
    try:
        with Namespaces(2) as trial:
            return None, trial.why_no_weather
    except Unavailable as error:
        return str(error), str(error)


def _why_pipes(weather: bool) -> str | None:
    """Why hosts are not namespaces, in one line; None where they are."""
    match os.environ.get(_VARIABLE, ""):
        case "pipes":
            return f"{_VARIABLE} says so"
        case "namespaces":
            return None
        case "":
            return _lacks()[weather]
        case other:
            raise ValueError(f"{_VARIABLE} is {other!r}; pipes or namespaces are known")


@contextmanager
def hosts(count: int, *, weather: bool) -> Iterator[Hosts]:
    """Hosts, removed on exit. `weather`: whether a test makes their links slow and lossy.

    Raises: Unavailable where namespaces are asked for and there are none.
    """
    with Namespaces(count) if _why_pipes(weather) is None else PipedHosts() as made:
        yield made


def hosts_in_use() -> str:
    """The kind of hosts on this machine, in one line, with the reason."""
    plain, slow = _why_pipes(False), _why_pipes(True)
    if plain is not None:
        return f"hosts: TCP pipes on one host ({plain})"
    if slow is not None:
        return f"hosts: network namespaces; TCP pipes where links must be slow and lossy ({slow})"
    return "hosts: network namespaces"
