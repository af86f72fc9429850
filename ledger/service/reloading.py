"""Settings read again by a running service, without a restart and without a lost request.

What a service can take over while it runs (keys, banks, the policy) is taken over whole or not at all. What it cannot
is named, and stays as it was until the service is started again.
"""

import queue
import signal
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Generic, TypeVar

import structlog
from pydantic import BaseModel, Field

from standing.ledger.clock import Clock
from standing.ledger.errors import InvalidValue
from standing.ledger.service.settings import ServiceSettings, SettingsError

Settings = TypeVar("Settings", bound=ServiceSettings)

PATH = "/v1/settings:reload"


@dataclass(frozen=True, slots=True)
class Taken:
    """What a service did with settings that it read again: taken over now, and only at the next start."""

    changed: tuple[str, ...]
    needs_restart: tuple[str, ...]


class SettingsState(BaseModel):
    """The settings that a running service goes by."""

    read_at_ms: int
    changed: Annotated[list[str], Field(description="What the last reading changed")] = []
    needs_restart: Annotated[
        list[str], Field(description="Settings that stand otherwise in the file by now, and count from a restart on")
    ] = []
    trouble: Annotated[
        str | None, Field(description="Why the last reading was refused whole; what counted before counts on")
    ] = None


class Reloader(Generic[Settings]):
    """Reads a service's settings again, by SIGHUP or by a call. Thread-safe; one reading at a time.

    `read`: load the settings. `take`: take over what can be, whole or not at all; gets what stands now and the new
    ones. `live`: the settings that `take` looks at; any other that changes needs a restart.
    """

    def __init__(
        self,
        started_with: Settings,
        read: Callable[[], Settings],
        take: Callable[[Settings], Taken],
        live: frozenset[str],
        clock: Clock,
    ) -> None:
        self._started_with = started_with
        self._read = read
        self._take = take
        self._live = live
        self._clock = clock
        self._lock = threading.Lock()
        self._tell_others: Callable[[], None] | None = None
        self._state = SettingsState(read_at_ms=clock.now_ms())

    @property
    def state(self) -> SettingsState:
        """What counts now, and what came of the last reading."""
        return self._state

    def reload(self) -> SettingsState:
        """Read the settings again. Raises: InvalidValue where they are wrong; everything stays as it was then."""
        log = structlog.get_logger()
        with self._lock:
            try:
                new = self._read()
                taken = self._take(new)
            except SettingsError as error:
                self._state = self._state.model_copy(update={"trouble": str(error)})
                log.error("settings_refused", reason=str(error))
                raise InvalidValue(
                    "settings", f"{error}; everything stays as it was", "what `config check` finds right"
                ) from error
            else:
                others = _differing(self._started_with.model_dump(), new.model_dump(), self._live)
                self._state = SettingsState(
                    read_at_ms=self._clock.now_ms(),
                    changed=list(taken.changed),
                    needs_restart=sorted({*others, *taken.needs_restart}),
                )
                log.info("settings_read", changed=self._state.changed, needs_restart=self._state.needs_restart)
                return self._state

    def reload_everywhere(self) -> SettingsState:
        """Read the settings again here, and where they are right, let every other process of this service do so.

        Returns: what came of it here; the others log and show their own. Raises: InvalidValue, and no other process is
        told then.
        """
        state = self.reload()
        if self._tell_others is not None:
            self._tell_others()
        return state

    def share(self, tell_others: Callable[[], None]) -> None:
        """Name what lets the other processes of this service read their settings again."""
        self._tell_others = tell_others

    def on_hangup(self) -> None:
        """Let SIGHUP read the settings again. For the main thread, before the service is served."""
        if not hasattr(signal, "SIGHUP"):  # Windows has none; the call remains
            return
        # Reentrant, unlike a lock: a signal may come while another one is being handled.
        wanted: queue.SimpleQueue[None] = queue.SimpleQueue()
        threading.Thread(target=self._serve, args=(wanted,), name="reloader", daemon=True).start()
        signal.signal(signal.SIGHUP, lambda _number, _frame: wanted.put(None))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})  # `workers` holds it back until here

    def _serve(self, wanted: queue.SimpleQueue[None]) -> None:
        while True:
            wanted.get()
            try:
                self.reload()
            except InvalidValue:
                continue  # it is logged, and in the status


def _differing(old: Mapping[str, object], new: Mapping[str, object], passed_over: frozenset[str]) -> list[str]:
    return [name for name in new if name not in passed_over and new[name] != old[name]]
