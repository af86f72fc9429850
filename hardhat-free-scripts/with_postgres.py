"""A temporary PostgreSQL server for tests: its own folder, a loopback port, an unprivileged user; removed at the
end.

python hardhat-free-scripts/with_postgres.py -- pytest tests/node

runs a command with STANDING_TEST_DATABASE set to the server's URL. With `--if-there` before the `--`, the command
runs without a server where PostgreSQL is not installed. It needs PostgreSQL's own programs (initdb, postgres): the
Debian package `postgresql`, or whatever is on the PATH or under /usr/lib/postgresql.
"""

import os
import pwd
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import create_engine, text
from sqlalchemy.exc import OperationalError
from tenacity import Retrying, retry_if_exception_type, stop_after_delay, wait_fixed

from processes import free_port

VARIABLE = "STANDING_TEST_DATABASE"
_START_TIMEOUT_S = 30.0
_STOP_TIMEOUT_S = 15.0
_TIDY_TIMEOUT_S = 120.0
_TERMINATED = 128 + signal.SIGTERM
#: Test data is worthless after a power cut; waiting for the disk would only make the tests slow.
_OPTIONS = ("fsync=off", "synchronous_commit=off", "full_page_writes=off", "max_connections=200")


class PostgresMissing(Exception):
    """PostgreSQL's programs are not on this machine; the text says how to get them."""


def programs() -> Path:
    """The folder of initdb and postgres, the newest version where there are several. Raises: PostgresMissing."""
    found = shutil.which("initdb")
    if found is not None and shutil.which("postgres") is not None:
        return Path(found).resolve().parent
    folders = sorted(
        Path("/usr/lib/postgresql").glob("*/bin"), key=lambda folder: int(folder.parent.name.split(".")[0])
    )
    if not folders:
        raise PostgresMissing("PostgreSQL is missing: apt-get install postgresql")
    return folders[-1]


def _user() -> dict[str, Any]:
    """The user to run the server as, since it refuses to be root: `postgres` where there is one, otherwise `nobody`."""
    if os.geteuid() != 0:
        return {}
    names = {entry.pw_name: entry for entry in pwd.getpwall()}
    entry = names.get("postgres") or names["nobody"]
    return {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}


@dataclass
class Server:
    """A running server, and the URL of its database `postgres`."""

    url: str
    _begin: Callable[[], subprocess.Popen[Any]]
    _process: subprocess.Popen[Any]
    _log: Path

    def restart(self, *, after: Callable[[], None] = lambda: None) -> None:
        """Stop it at once, as an operator's restart does, call `after` while it is down, and start it again."""
        self.stop()
        after()
        self.start()

    def start(self) -> None:
        """Begin it again, and return once it answers. Raises: RuntimeError where it ends instead."""
        self._process = self._begin()
        _wait_for(self._process, self.url, self._log)

    def processor_s(self) -> float:
        """The processor seconds that it has used since it began, with all its processes, those that ended too."""
        own = _times(self._process.pid)
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        ticks = sum(own) + sum(sum(_times(int(child))[:2]) for child in children)
        return ticks / os.sysconf("SC_CLK_TCK")

    def stop(self) -> None:
        """Stop it by the "fast" shutdown, which does not wait for clients."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait(_STOP_TIMEOUT_S)


def _times(pid: int) -> list[int]:
    """Ticks of the processor that a process has used: its own, in user and system, and those of its ended children."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return [int(each) for each in fields[11:15]]


@contextmanager
def postgres() -> Iterator[str]:
    """A running server; yields the URL of its database `postgres`. Raises: PostgresMissing, RuntimeError."""
    with server() as running:
        yield running.url


@contextmanager
def server(settings: Sequence[str] = _OPTIONS) -> Iterator[Server]:
    """A running server, which can be restarted. `settings` are for its command line; by default nothing is waited for
    that only a power cut would ask for. Raises: PostgresMissing, RuntimeError."""
    folder = programs()
    user = _user()
    with tempfile.TemporaryDirectory(prefix="standing-postgres-") as name:
        home = Path(name)
        if user:
            os.chown(home, user["user"], user["group"])
        data, port = home / "data", free_port()
        options: dict[str, Any] = {"cwd": home, "env": {**os.environ, "LC_ALL": "C.UTF-8"}, **user}
        subprocess.run(
            [folder / "initdb", "--pgdata", data, "--username", "standing", "--auth", "trust", "--encoding", "UTF8"],
            check=True,
            stdout=subprocess.DEVNULL,
            **options,
        )
        command = [str(folder / "postgres"), "-D", str(data), "-h", "127.0.0.1", "-p", str(port), "-k", str(home)]
        for option in settings:
            command += ["-c", option]
        url = f"postgresql+psycopg://standing@127.0.0.1:{port}/postgres"
        with (home / "log").open("ab") as log:

            def begin() -> subprocess.Popen[Any]:
                return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, **options)

            running = Server(url, begin, begin(), home / "log")
            try:
                _wait_for(running._process, url, home / "log")
                yield running
            finally:
                running.stop()


def _wait_for(server: subprocess.Popen[Any], url: str, log: Path) -> None:
    engine = create_engine(url)
    try:
        for attempt in Retrying(
            retry=retry_if_exception_type(OperationalError),
            wait=wait_fixed(0.05),
            stop=stop_after_delay(_START_TIMEOUT_S),
            reraise=True,
        ):
            with attempt:
                if server.poll() is not None:
                    raise RuntimeError(f"PostgreSQL ended with {server.returncode}: {log.read_text()[-2000:]}")
                with engine.connect() as connection:
                    connection.execute(text("SELECT 1"))
    finally:
        engine.dispose()


def _run(command: list[str], more: dict[str, str]) -> int:
    """Run a command to its end. On a signal, let the command end its own children."""
    child = subprocess.Popen(command, env={**os.environ, **more})
    try:
        return child.wait()
    except KeyboardInterrupt:  # the terminal has sent it to the child as well
        return child.wait(_TIDY_TIMEOUT_S)
    except SystemExit:
        child.send_signal(signal.SIGINT)
        child.wait(_TIDY_TIMEOUT_S)
        raise


def main(command: list[str]) -> int:
    """Run `command` beside a server. Returns: its exit code."""
    optional = command[:1] == ["--if-there"]
    command = command[optional:]
    if command[:1] == ["--"]:
        command = command[1:]
    if not command:
        print(__doc__, file=sys.stderr)
        return 2
    if command[0] in {"-h", "--help"}:
        print(__doc__)
        return 0
    if shutil.which(command[0]) is None:
        print(f"{command[0]}: no such command", file=sys.stderr)
        return 127
    # On SIGTERM, stop the server first, as on Ctrl-C.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(_TERMINATED))
    try:
        with postgres() as url:
            return _run(command, {VARIABLE: url})
    except PostgresMissing as error:
        print(error, file=sys.stderr)
        if optional:
            return _run(command, {})
        return 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
