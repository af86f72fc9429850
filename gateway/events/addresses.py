"""Restricts webhooks to public addresses (unless a setting allows others), and resolves their host names.

The check applies to the resolved address of each connection, just before it is opened, so a name that changes its
address between check and connection (DNS rebinding) gains nothing.
"""

import asyncio
import ipaddress
import socket
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

from aiohttp.abc import AbstractResolver, ResolveResult

from standing.ledger.errors import InvalidValue

_NAT64 = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052: an IPv4 address in the last 32 bits
#: IANA reserves these for protocols and relays (RFC 6890, RFC 7526), although Python treats parts of them as global.
_PROTOCOLS = tuple(ipaddress.ip_network(text) for text in ("192.0.0.0/24", "192.88.99.0/24"))
_UNICAST = ipaddress.ip_network("2000::/3")  # all of IPv6 that IANA has allocated for the Internet
_TUNNELS = tuple(ipaddress.ip_network(text) for text in ("2001::/23", "2002::/16"))  # Teredo, 6to4: IPv4 inside


class AddressRefused(OSError):
    """A connection to an address that is not public was refused; nothing was sent."""


def is_public(address: str) -> bool:
    """Whether `address` (IPv4 or IPv6, as text) is a public Internet address by IANA's registries."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return is_public(str(parsed.ipv4_mapped))
        if parsed in _NAT64:
            return is_public(str(ipaddress.IPv4Address(int(parsed) & 0xFFFF_FFFF)))
        if parsed not in _UNICAST or any(parsed in tunnel for tunnel in _TUNNELS):
            return False
    elif any(parsed in network for network in _PROTOCOLS):
        return False
    return parsed.is_global and not parsed.is_multicast and not parsed.is_reserved


def check_host(host: str) -> None:
    """Refuse a host given as a non-public address. Raises: InvalidValue."""
    try:
        public = is_public(host)
    except ValueError:
        return  # a name: its address is checked at every connection
    if not public:
        raise InvalidValue("url", "not a public address", "a public host, unless webhooks.allow_private_addresses")


class PublicSockets:
    """Makes sockets for public addresses only. Pass it to aiohttp as `socket_factory`."""

    def __init__(self) -> None:
        #: Whether an address was refused since this was last set to False.
        self.refused = False

    def __call__(self, addr_info: tuple[Any, ...]) -> socket.socket:
        """Make a socket. Raises: AddressRefused."""
        family, kind, protocol, _, address = addr_info
        if not is_public(address[0]):
            self.refused = True
            raise AddressRefused("the address is not public")
        return socket.socket(family=family, type=kind, proto=protocol)


class OwnResolver(AbstractResolver):
    """Resolves names in its own thread. Pass it to aiohttp as `resolver`, and close it.

    A look-up cannot be cancelled and may run far longer than its caller waits. In shared threads, a few names with
    unresponsive servers would block all callers.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="names")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Resolve a name. Raises: OSError."""
        look_up = partial(socket.getaddrinfo, host, port, family=family, type=socket.SOCK_STREAM)
        found = await asyncio.get_running_loop().run_in_executor(self._thread, look_up)
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=int(address[1]),
                family=kind,
                proto=protocol,
                flags=socket.AI_NUMERICHOST | socket.AI_NUMERICSERV,
            )
            for kind, _, protocol, _, address in found
        ]

    async def close(self) -> None:
        """Stop resolving, without waiting for a look-up that hangs."""
        self._thread.shutdown(wait=False, cancel_futures=True)
