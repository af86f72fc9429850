"""Hosts as network namespaces of this machine, connected by bridges. Their links are the kernel's own.

    this machine ── veth ──┐                 ┌── host 0: services, peers
                           bridge "services" ┤
                                             └── host 1: services, peers
                                                                   │
                           bridge "peers"  ────────────────────────┘  cut, slow and lossy

Each host has two network devices: through `services` this machine reaches it, whatever happens to its links; through
`peers` hosts reach each other. Both bridges are in a namespace of their own, out of reach of the machine's packet
filters. Addresses are from 198.18.0.0/15, which is reserved for such tests (RFC 2544) and routed nowhere.

All names begin with `standing-` and the id of this process. Namespaces of processes that no longer exist are removed
before new ones are made, and what still runs in them is killed.
"""

import itertools
import json
import os
import random
import re
import shutil
import signal
import subprocess
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path

_NAME = re.compile(r"standing-(\d+)-\S+")
_SERVICES, _PEERS = "198.18", "198.19"
_THIS_MACHINE = 254
#: The address of no network device: frames to it are lost, and the sender gets no error.
_NOBODY = "02:00:00:00:00:00"
#: The longest retransmission timeout of TCP. By default it grows to the length of the cut, so that links heal slowly;
#: kernels before 6.15 do not have the setting.
_LONGEST_WAIT = Path("/proc/sys/net/ipv4/tcp_rto_max_ms")
_LONGEST_WAIT_MS = 2_000
_TIMEOUT_S = 30.0
_made = itertools.count(1)


class Unavailable(Exception):
    """There are no namespaces here, or their links cannot be made slow and lossy; the text says why."""


class Namespaces:
    """`count` hosts: `tests.network.hosts.Hosts`. A context manager. Raises: Unavailable."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._prefix = f"standing-{os.getpid()}-{next(_made)}-"
        self._cut: set[tuple[int, int]] = set()
        self._ended = ExitStack()
        self.why_no_weather: str | None = None

    def __enter__(self) -> "Namespaces":
        if os.geteuid() != 0:
            raise Unavailable("network namespaces need root")
        if shutil.which("ip") is None:
            raise Unavailable("network namespaces need iproute2: apt-get install iproute2")
        with ExitStack() as undo:  # if a step fails
            _end_those_of_dead_processes()
            self._subnet = _free_subnet()
            self._join(undo)
            self._ended = undo.pop_all()
        try:
            self.worsen(delay_ms=0, loss_per_mille=0)
        except Unavailable as error:
            self.why_no_weather = f"no netem: {error}"
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.close()

    def address(self, host: int) -> str:
        return f"{_SERVICES}.{self._subnet}.{host + 1}"

    def address_for_peers(self, host: int) -> str:
        return f"{_PEERS}.{self._subnet}.{host + 1}"

    def peer(self, host: int, other: int, port: int) -> str:
        return f"{self.address_for_peers(other)}:{port}"

    def inside(self, host: int, command: Sequence[str]) -> list[str]:
        return ["ip", "netns", "exec", self._name(host), *command]

    def cut(self, host: int, other: int) -> None:
        for near, far in ((host, other), (other, host)):
            to = (self.address_for_peers(far), "lladdr", _NOBODY, "nud", "permanent", "dev", "peers")
            _ip("-n", self._name(near), "neigh", "replace", *to)
            self._cut.add((near, far))

    def heal(self) -> None:
        while self._cut:
            near, far = self._cut.pop()
            _ip("-n", self._name(near), "neigh", "del", self.address_for_peers(far), "dev", "peers")
        if self.why_no_weather is None:
            self.worsen(delay_ms=0, loss_per_mille=0)

    def worsen(self, *, delay_ms: int, loss_per_mille: int) -> None:
        if self.why_no_weather is not None:
            raise Unavailable(self.why_no_weather)
        for host in range(self._count):
            weather = ("netem", "delay", f"{delay_ms}ms", "loss", f"{loss_per_mille / 10}%")
            _run("tc", "-n", self._name(host), "qdisc", "replace", "dev", "peers", "root", *weather)

    def _name(self, host: int | str) -> str:
        return f"{self._prefix}{host}"

    def _join(self, undo: ExitStack) -> None:
        """Make the namespaces, and connect them with each other and with this machine."""
        switch = self._name("switch")
        for name in (switch, *(self._name(host) for host in range(self._count))):
            _ip("netns", "add", name)
            undo.callback(_end, name)
            _ip("-n", name, "link", "set", "dev", "lo", "up")
            if _LONGEST_WAIT.exists():
                _ip("netns", "exec", name, "sh", "-c", f"echo {_LONGEST_WAIT_MS} > {_LONGEST_WAIT}")
        for bridge in ("services", "peers"):
            _ip("-n", switch, "link", "add", bridge, "type", "bridge")
            _ip("-n", switch, "link", "set", "dev", bridge, "up")
        for host in range(self._count):
            for bridge, address in (("services", self.address(host)), ("peers", self.address_for_peers(host))):
                self._plug(f"{bridge}-{host}", bridge, ("-n", self._name(host)), bridge, address)
        own = f"st{self._prefix.removeprefix('standing-').rstrip('-')}"
        self._plug("machine", "services", (), own, f"{_SERVICES}.{self._subnet}.{_THIS_MACHINE}")

    def _plug(self, port: str, bridge: str, where: tuple[str, ...], device: str, address: str) -> None:
        """Give a namespace, or this machine, a device that is connected to a bridge."""
        switch = self._name("switch")
        _ip(*where, "link", "add", device, "type", "veth", "peer", "name", port, "netns", switch)
        _ip("-n", switch, "link", "set", "dev", port, "master", bridge, "up")
        _ip(*where, "addr", "add", f"{address}/24", "dev", device)
        _ip(*where, "link", "set", "dev", device, "up")


def _end(name: str) -> None:
    """Remove a namespace, and kill what runs in it."""
    for pid in _ip("netns", "pids", name).split():
        with suppress(ProcessLookupError):
            os.kill(int(pid), signal.SIGKILL)
    _ip("netns", "delete", name)


def _end_those_of_dead_processes() -> None:
    for line in _ip("netns", "list").splitlines():
        found = _NAME.match(line)
        if found is not None and not Path(f"/proc/{found[1]}").exists():
            _end(found[0])


def _free_subnet() -> int:
    """A subnet that no other run on this machine uses."""
    devices = json.loads(_ip("-json", "-4", "addr", "show"))
    used = {each["local"].rpartition(".")[0] for device in devices for each in device["addr_info"]}
    return random.choice([subnet for subnet in range(256) if f"{_SERVICES}.{subnet}" not in used])


def _ip(*what: str) -> str:
    return _run("ip", *what)


def _run(*command: str) -> str:
    """Returns: the output of a command. Raises: Unavailable where it fails."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False)
    if done.returncode != 0:
        error = Unavailable(f"{command[0]}: {' '.join(done.stderr.split())}")
        error.add_note(" ".join(command))
        raise error
    return done.stdout
