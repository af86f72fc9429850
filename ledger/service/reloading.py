"""Reloading settings in a running service, without a restart and without a lost request.

What can change at run time (keys, banks, the policy) is applied completely or not at all. Anything else is reported,
and stays unchanged until the service is restarted.
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
class ReloadResult:
    """The result of a reload: what was applied, and what takes effect only after a restart."""

    changed: tuple[str, ...]
    needs_restart: tuple[str, ...]


class SettingsState(BaseModel):
    """The settings in force."""

    read_at_ms: int
    changed: Annotated[list[str], Field(description="What the last reload changed")] = []
    needs_restart: Annotated[
        list[str], Field(description="Settings that changed in the file and take effect after a restart")
    ] = []
    trouble: Annotated[
        str | None, Field(description="Why the last reload was refused; the previous settings remain in force")
    ] = None


class Reloader(Generic[Settings]):
    """Reads a service's settings again, on SIGHUP or by a call. Thread-safe; one reload at a time.

    `read`: load the settings. `take`: apply what can be applied, completely or not at all; it gets the current
    settings and the new ones. `live`: the settings that `take` handles; a change of any other needs a restart.
    """

    def __init__(
        self,
        started_with: Settings,
        read: Callable[[], Settings],
        take: Callable[[Settings], ReloadResult],
        live: frozenset[str],
        clock: Clock,
    ) -> None:
        self._started_with = started_with
        self._read = read
        self._take = take
        self._live = live
        self._clock = clock
        self._lock = threading.Lock()
        self._notify_others: Callable[[], None] | None = None
        self._state = SettingsState(read_at_ms=clock.now_ms())

    @property
    def state(self) -> SettingsState:
        """The settings in force, and the result of the last reload."""
        return self._state

    def reload(self) -> SettingsState:
        """Reload the settings. Raises: InvalidValue where they are invalid; nothing changes then."""
        log = structlog.get_logger()
        with self._lock:
            try:
                new = self._read()
                taken = self._take(new)
            except SettingsError as error:
                self._state = self._state.model_copy(update={"trouble": str(error)})
                log.error("settings_refused", reason=str(error))
                raise InvalidValue(
                    "settings", f"{error}; nothing was changed", "settings that pass `config check`"
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
        """Reload the settings here and, where they are valid, in every other process of this service.

        Returns: the result here; the other processes log and show their own. Raises: InvalidValue; the other
        processes are not notified then.
        """
        state = self.reload()
        if self._notify_others is not None:
            self._notify_others()
        return state

    def share(self, notify_others: Callable[[], None]) -> None:
        """Set the function that makes the other processes of this service reload their settings."""
        self._notify_others = notify_others

    def on_hangup(self) -> None:
        """Make SIGHUP reload the settings. Call it from the main thread, before the service is served."""
        if not hasattr(signal, "SIGHUP"):  # not on Windows; the API call works there
            return
        # Reentrant, unlike a lock: a signal may arrive while another one is being handled.
        wanted: queue.SimpleQueue[None] = queue.SimpleQueue()
        threading.Thread(target=self._serve, args=(wanted,), name="reloader", daemon=True).start()
        signal.signal(signal.SIGHUP, lambda _number, _frame: wanted.put(None))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})  # `workers` blocks it until here

    def _serve(self, wanted: queue.SimpleQueue[None]) -> None:
        while True:
            wanted.get()
            try:
                self.reload()
            except InvalidValue:
                continue  # it is logged, and in the status


def _differing(old: Mapping[str, object], new: Mapping[str, object], passed_over: frozenset[str]) -> list[str]:
    return [name for name in new if name not in passed_over and new[name] != old[name]]
