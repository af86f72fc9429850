"""Reloading of settings: whole or not at all, and settings that need a restart are listed until it happens."""

import signal
from collections.abc import Iterator

import pytest
from pydantic_settings import SettingsConfigDict

from standing.ledger.clock import ManualClock
from standing.ledger.errors import InvalidValue
from standing.ledger.service.reloading import Reloader, ReloadResult
from standing.ledger.service.settings import ServiceSettings, SettingsError
from tests.world import wait_until


class _Settings(ServiceSettings):
    model_config = SettingsConfigDict(env_prefix="STANDING_TEST_RELOADING_")

    key: str = "k-1"
    port: int = 1


class _Service:
    """A service that can reload its key and nothing else."""

    def __init__(self) -> None:
        self.file: _Settings | None = _Settings()
        self.key = "k-1"
        self.clock = ManualClock(1_000)
        self.reloader = Reloader(_Settings(), self._read, self._take, frozenset({"key"}), self.clock)

    def _read(self) -> _Settings:
        if self.file is None:
            raise SettingsError("node.toml: port: Field required")
        return self.file

    def _take(self, new: _Settings) -> ReloadResult:
        changed = ("key",) if new.key != self.key else ()
        self.key = new.key
        return ReloadResult(changed, ())


def test_reloadable_settings_apply_at_once_and_others_are_listed_until_reverted() -> None:
    service = _Service()
    service.file = _Settings(key="k-2", port=2)
    service.clock.advance(500)
    state = service.reloader.reload()
    assert (service.key, state.changed, state.needs_restart, state.read_at_ms) == ("k-2", ["key"], ["port"], 1_500)
    again = service.reloader.reload()
    assert (again.changed, again.needs_restart) == ([], ["port"])
    service.file = _Settings(key="k-2", port=1)
    assert service.reloader.reload().needs_restart == []


def test_wrong_settings_are_refused_whole_and_the_status_says_why_until_fixed() -> None:
    service = _Service()
    service.file = None
    service.clock.advance(500)
    with pytest.raises(InvalidValue, match="port: Field required"):
        service.reloader.reload()
    state = service.reloader.state
    assert (service.key, state.read_at_ms) == ("k-1", 1_000)
    assert state.trouble is not None
    service.file = _Settings(key="k-2")
    assert service.reloader.reload().trouble is None
    assert service.key == "k-2"


@pytest.fixture
def hangups() -> Iterator[None]:
    before = signal.getsignal(signal.SIGHUP)
    yield
    signal.signal(signal.SIGHUP, before)


@pytest.mark.usefixtures("hangups")
def test_sighup_reloads_settings_and_keeps_working_after_wrong_ones() -> None:
    service = _Service()
    service.reloader.on_hangup()
    service.file = None
    signal.raise_signal(signal.SIGHUP)
    wait_until(lambda: service.reloader.state.trouble)
    service.file = _Settings(key="k-2")
    signal.raise_signal(signal.SIGHUP)
    wait_until(lambda: service.key == "k-2")
