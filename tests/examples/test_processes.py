"""The scripts that start processes: ports are not shared, and a command that cannot run is named."""

import pytest

import with_postgres
from processes import free_port


def test_a_port_is_handed_out_once_even_before_anything_listens_on_it() -> None:
    """A network needs thirty at once; one of two nodes with the same port would not start."""
    ports = [free_port() for _ in range(1_000)]
    assert len(set(ports)) == len(ports)


def test_help_and_an_unknown_command_beside_postgresql_are_answered_without_a_server(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Both ended in a traceback, after a server had been started for them."""
    assert with_postgres.main(["--help"]) == 0
    assert "STANDING_TEST_DATABASE" in capsys.readouterr().out
    assert with_postgres.main(["--", "no-such-command"]) == 127
    assert capsys.readouterr().err == "no-such-command: no such command\n"
