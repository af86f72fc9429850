"""Links of both kinds can be cut and healed, validators run on both kinds of host, and no namespace is left behind."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from demo_day import wait_for
from processes import free_port
from tests.network import hosts as chosen
from tests.network.hosts import Hosts, hosts, hosts_in_use
from tests.network.namespaces import Namespaces, Unavailable
from tests.network.pipes import PipedHosts
from tests.network.validators import validators

_PATIENCE_S = 60.0
#: Long enough for about eight blocks if the network were whole.
_SPAN_S = 3.0
_ECHO = """
import socket, sys, threading
def echo(peer):
    while said := peer.recv(1): peer.sendall(said)
server = socket.create_server((sys.argv[1], int(sys.argv[2])))
print("listening", flush=True)
while True: threading.Thread(target=echo, args=server.accept()[:1], daemon=True).start()
"""
#: Sends each line's first byte, and prints it when it comes back.
_TALK = """
import socket, sys
peer = socket.create_connection(sys.argv[1].split(":"))
for line in sys.stdin:
    peer.sendall(line[:1].encode())
    print(peer.recv(1).decode(), flush=True)
"""


def _why_no_namespaces() -> str | None:
    try:
        with Namespaces(1):
            return None
    except Unavailable as error:
        return str(error)


_NO_NAMESPACES = _why_no_namespaces()
_in_namespaces = pytest.mark.skipif(_NO_NAMESPACES is not None, reason=str(_NO_NAMESPACES))


@pytest.fixture(params=["pipes", pytest.param("namespaces", marks=_in_namespaces)])
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("STANDING_TEST_HOSTS", request.param)
    return str(request.param)


class _Talk:
    """Host 0, connected to host 1, which echoes everything."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.received: list[tuple[str, float]] = []
        threading.Thread(target=self._receive, daemon=True).start()

    def say(self, what: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(what + "\n")
        self._process.stdin.flush()

    def answer(self, what: str) -> float:
        """The seconds until a message is back."""
        count, began_s = len(self.received), time.monotonic()
        self.say(what)
        wait_for(lambda: len(self.received) > count, f"{what} to be back")
        assert self.received[-1][0] == what
        return self.received[-1][1] - began_s

    def _receive(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.received.append((line.strip(), time.monotonic()))


@contextmanager
def _talk(it: Hosts) -> Iterator[tuple[_Talk, int]]:
    """Also yields the port at which host 1 listens for all but its peers."""
    ports = free_port(), free_port()
    listens = (it.address_for_peers(1), str(ports[0])), (it.address(1), str(ports[1]))
    echoes = [subprocess.Popen(it.inside(1, [sys.executable, "-c", _ECHO, *where]), stdout=-1) for where in listens]
    try:
        for echo in echoes:
            assert echo.stdout is not None
            assert echo.stdout.readline() == b"listening\n"
        command = [sys.executable, "-c", _TALK, it.peer(0, 1, ports[0])]
        with subprocess.Popen(it.inside(0, command), stdin=-1, stdout=-1, text=True) as process:
            yield _Talk(process), ports[1]
            process.kill()
    finally:
        for echo in echoes:
            echo.kill()
            echo.communicate()


def _reaches(address: str, port: int) -> bool:
    try:
        with closing(socket.create_connection((address, port), timeout=_PATIENCE_S)) as peer:
            peer.sendall(b"x")
            return peer.recv(1) == b"x"
    except OSError:
        return False


def test_a_cut_link_closes_nothing_and_continues_when_it_heals(kind: str) -> None:
    with hosts(3, weather=False) as it, _talk(it) as (talk, port):
        talk.answer("a")
        it.cut(1, 0)
        talk.say("b")
        for _ in range(20):  # all others still reach the host
            assert _reaches(it.address(1), port)
        assert [said for said, _ in talk.received] == ["a"]
        it.heal()
        wait_for(lambda: [said for said, _ in talk.received] == ["a", "b"], "the message sent while the link was cut")
        talk.answer("c")


def test_a_slow_link_delays_both_ways_until_it_is_healed(kind: str) -> None:
    with hosts(2, weather=False) as it:
        if it.why_no_weather is not None:
            with pytest.raises(Unavailable, match="netem"):
                it.worsen(delay_ms=200, loss_per_mille=0)
            pytest.skip(it.why_no_weather)
        with _talk(it) as (talk, _):
            talk.answer("a")
            it.worsen(delay_ms=200, loss_per_mille=0)
            assert talk.answer("b") >= 0.4
            it.heal()
            assert min(talk.answer("c") for _ in range(20)) < 0.4


@_in_namespaces
def test_namespaces_of_a_run_that_was_killed_are_removed_with_what_runs_in_them() -> None:
    """By the next run, since a killed one cannot."""
    run = """
import subprocess, sys, time
from tests.network.namespaces import Namespaces
with Namespaces(1) as it:
    left = subprocess.Popen(it.inside(0, [sys.executable, "-c", "import time; print(1, flush=True); time.sleep(3600)"]))
    print(left.pid, flush=True)
    time.sleep(3600)
"""
    with subprocess.Popen([sys.executable, "-c", run], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        printed = {process.stdout.readline().strip() for _ in range(2)}  # its own line, and that of its child
        (left,) = (Path("/proc", number) for number in printed - {"1"})
        process.kill()
    assert any(f"standing-{process.pid}-" in name for name in _names())
    with Namespaces(1):
        assert not any(f"standing-{process.pid}-" in name for name in _names())
        wait_for(
            lambda: not left.exists() or ") Z" in (left / "stat").read_text(), "the process in the namespace to end"
        )
        assert any(f"standing-{os.getpid()}-" in name for name in _names())
    assert not any(f"standing-{os.getpid()}-" in name for name in _names())


def _names() -> list[str]:
    return subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True).stdout.splitlines()


def test_without_root_hosts_are_pipes_and_the_reason_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STANDING_TEST_HOSTS", raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    chosen._lacks.cache_clear()
    try:
        assert hosts_in_use() == "hosts: TCP pipes on one host (network namespaces need root)"
        with hosts(2, weather=False) as it:
            assert isinstance(it, PipedHosts)
    finally:
        chosen._lacks.cache_clear()


def test_an_unknown_kind_of_host_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STANDING_TEST_HOSTS", "ships")
    with pytest.raises(ValueError, match="STANDING_TEST_HOSTS is 'ships'; pipes or namespaces are known"):
        hosts_in_use()


def test_validators_stall_and_recover_with_their_links_and_processes(kind: str, tmp_path: Path) -> None:
    """On both kinds of host: 3|1 stalls the one, 2|2 stalls all, and they catch up when healed. A stalled or killed
    validator delays nobody, and catches up."""
    with validators(tmp_path, weather=False) as network:
        *most, last = network.validators
        network.isolate(last)
        stalled_at = last.height()
        network.wait_for_blocks(5, most)
        assert last.height() <= stalled_at + 1
        network.heal()
        network.wait_until_level()
        assert last.height() > stalled_at + 1
        network.cut([*most[:2], network.observer], [most[2], last])
        stalled_at_most, ends_s = max(network.heights()), time.monotonic() + _SPAN_S
        while time.monotonic() < ends_s:
            assert max(network.heights()) <= stalled_at_most + 1  # one block may have been in progress
        network.heal()
        network.wait_for_blocks(3)
        network.pause(last)
        network.wait_for_blocks(3, [*most, network.observer])
        network.resume(last)
        network.wait_until_level()
        network.kill(last)
        network.wait_for_blocks(3, [*most, network.observer])
        network.launch(last)
        network.wait_until_level()
