"""Processes of a local network: start them, wait until they answer, and end exactly those that were started."""

import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import httpx
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

BIN = Path(sys.executable).parent
_START_TIMEOUT_S = 60.0
_STOP_TIMEOUT_S = 15.0
#: Below the range that systems use for outgoing connections (Linux: 32768 and up; IANA: 49152 and up).
_PORTS = range(20_000, 32_768)
_PORT_ATTEMPTS = 100
#: Ports that this process has handed out. A port whose process is not listening yet would look free.
_handed_out: set[int] = set()


class ProcessDied(Exception):
    """A process ended before it answered; the text ends with the last lines of its log."""


class NotYet(Exception):
    """The awaited condition does not hold yet."""


def free_port() -> int:
    """A loopback port that nothing listens on now, each handed out once. Raises: OSError where none is found.

    Not chosen by the system: it uses those for outgoing connections as well, possibly before the new process
    listens.
    """
    for port in secrets.SystemRandom().sample(_PORTS, _PORT_ATTEMPTS):
        if port in _handed_out:
            continue
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            _handed_out.add(port)
            return port
    raise OSError(f"no free port among {_PORT_ATTEMPTS} from {_PORTS.start} to {_PORTS.stop - 1}")


class Process:
    """One child process, its log in a file."""

    def __init__(
        self, name: str, command: Sequence[str], log: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.log = log
        self._began_with = (name, command, log, environment)
        with log.open("ab") as output:
            self._child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env={**os.environ, **(environment or {})},
                start_new_session=True,  # Ctrl-C goes to the parent, which ends its children itself
            )

    def again(self) -> "Process":
        """Run the same command again, after this one has ended; the log continues."""
        return Process(*self._began_with)

    @property
    def pid(self) -> int:
        """The operating system's number of the process."""
        return self._child.pid

    def memory_mib(self, line: str = "VmRSS") -> float:
        """A line of the process's status, in MiB: current memory (VmRSS) or its maximum (VmHWM)."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return next(int(entry.split()[1]) / 1024 for entry in status.splitlines() if entry.startswith(line))

    def processor_s(self) -> float:
        """The processor seconds that the process has used since it started, with all its threads."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def wait_for(self, url: str) -> None:
        """Wait until `url` answers 200. Raises: ProcessDied."""
        self.wait_until(lambda: httpx.get(url, timeout=2).status_code == httpx.codes.OK)

    def wait_until(self, answers: Callable[[], bool], timeout_s: float = _START_TIMEOUT_S) -> None:
        """Wait until `answers` is true; a refused connection counts as a no. Raises: ProcessDied, NotYet."""
        for attempt in Retrying(
            retry=retry_if_exception_type((httpx.TransportError, NotYet)),
            wait=wait_fixed(0.05),
            stop=stop_after_delay(timeout_s),
            reraise=True,
        ):
            with attempt:
                if self._child.poll() is not None:
                    raise ProcessDied(f"{self.name} ended with {self._child.returncode}: {self.last_lines()}")
                if not answers():
                    raise NotYet(f"{self.name} does not answer as it should")

    def wait_for_end(self, timeout_s: float) -> int:
        """The exit code, once the process has ended without being stopped. Raises: subprocess.TimeoutExpired."""
        return self._child.wait(timeout_s)

    def last_lines(self) -> str:
        """The end of the log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-10:])

    def kill(self) -> None:
        """Kill it at once (SIGKILL)."""
        self._child.kill()
        self._child.wait()

    def stop(self) -> None:
        """End it, first by SIGTERM."""
        if self._child.poll() is None:
            self._child.terminate()
            try:
                self._child.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.kill()
