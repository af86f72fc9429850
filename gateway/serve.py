"""`standing-gateway serve`."""

from pathlib import Path
from socket import socket
from tempfile import TemporaryDirectory
from typing import Annotated

import typer

from standing.gateway import metrics
from standing.gateway.app import create_app
from standing.gateway.settings import GatewaySettings
from standing.ledger.service import logs, open_files
from standing.ledger.service.commands import Config, one_line_errors
from standing.ledger.service.database import is_memory_sqlite
from standing.ledger.service.serve import listener
from standing.ledger.service.serve import serve as serve_app
from standing.ledger.service.settings import SettingsError, load
from standing.ledger.service.workers import hang_up_all, pin, run_workers

Workers = Annotated[int, typer.Option(min=1, max=64, help="Processes that share the port and the database.")]
Pin = Annotated[bool, typer.Option("--pin", help="Run each process on one core of its own (Linux).")]


def serve(config: Config = None, workers: Workers = 1, pinned: Pin = False) -> None:
    """Run the gateway until it is stopped. SIGHUP reloads API keys, banks and policy."""
    with one_line_errors():
        settings = load(GatewaySettings, config)
        logs.configure(settings.log_level)
        if workers > 1 and is_memory_sqlite(settings.database_url):
            raise SettingsError("database_url: in memory, where workers cannot share it; allowed: a file, PostgreSQL")
        with listener(settings.listen_host, settings.listen_port) as listening:
            if workers == 1:
                _serve(config, listening, core=0 if pinned else None)
                return
            open_files.raise_limit()
            listening.listen(open_files.backlog())  # once for all workers; connections wait until the first one runs
            with TemporaryDirectory(prefix="standing-gateway-") as figures:
                metrics.share(Path(figures))  # before any worker counts anything
                code = run_workers(
                    workers, lambda number: _serve(config, listening, core=number if pinned else None, shared=True)
                )
    if code:
        raise typer.Exit(code)


def _serve(config: Path | None, listening: socket, *, core: int | None, shared: bool = False) -> None:
    """One process, on core number `core` if given. It reads the settings itself, so a worker that starts later uses the
    newest. `shared`: it is one of several workers."""
    with one_line_errors():
        if core is not None:
            pin(core)
        if shared:
            metrics.reserve()
        app = create_app(load(GatewaySettings, config), read_again=lambda: load(GatewaySettings, config))
        app.state.reloader.on_hangup()
        if shared:
            app.state.reloader.share(hang_up_all)
        serve_app(app.state.load, listening, app.state.load)
