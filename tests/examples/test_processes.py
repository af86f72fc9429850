"""The processes of a local network do not share ports."""

from processes import free_port


def test_a_port_is_handed_out_once_even_before_anything_listens_on_it() -> None:
    """A network needs thirty at once; one of two nodes with the same port would not start."""
    ports = [free_port() for _ in range(1_000)]
    assert len(set(ports)) == len(ports)
