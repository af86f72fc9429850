"""How far the follower goes back, and when it gives blocks up: each bound, with the values just inside and outside."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import pytest
from sqlalchemy import Connection, create_engine, insert, select

from standing.gateway.following import followed
from standing.gateway.following.followed import Cursor, CursorMoved
from standing.gateway.following.follower import Follower
from standing.gateway.following.observing import KEPT_BLOCKS
from standing.gateway.storage import schema
from standing.ledger.chain.client import Head
from standing.ledger.clock import ManualClock
from standing.ledger.errors import LedgerUnreachable

_TABLES = (schema.follower, schema.followed_blocks, schema.binding_states, schema.observations)
_AT_9 = Cursor(9, b"9", 0, "777:0x")


@pytest.fixture
def connection() -> Iterator[Connection]:
    """A follower at block 9; at each of the blocks 0, 5, 6, 7 and 9 it has seen a publication of one binding."""
    engine = create_engine("sqlite://")
    with engine.begin() as made:
        schema.metadata.create_all(made, tables=list(_TABLES))
        followed.start(made, Head(9, b"9", 0), _AT_9.ledger)
        for number in (0, 5, 6, 7, 9):
            binding, block = bytes([number]), {"block_number": number}
            followed.remember(made, {number: str(number).encode()}, keep=100)
            state = {"publication": 1, "tag_and_head": b"", "tail": b"", "recheck": False}
            made.execute(insert(schema.binding_states).values(binding=binding, **state, **block))
            times = {"effective_at_ms": 1, "block_time_ms": 1, "observed_at_ms": 1}
            seen = insert(schema.observations).values(binding=binding, publication=1, restated=False, **times, **block)
            made.execute(seen)
        yield made
    engine.dispose()


def _kept(connection: Connection) -> tuple[list[int], list[int], list[int]]:
    """The blocks that are remembered, those of the observations, and those whose bindings need no new comparison."""
    states, seen = schema.binding_states.c, schema.observations.c.block_number
    sure = select(states.block_number).where(~states.recheck)
    remembered = sorted(number for number, _ in followed.remembered(connection))
    return remembered, sorted(connection.scalars(select(seen))), sorted(connection.scalars(sure))


def test_going_back_keeps_the_common_block_and_undoes_every_later_one(connection: Connection) -> None:
    """A block kept too many is a change that was undone and never reported so; one too few is reported twice."""
    assert followed.go_back(connection, _AT_9, Head(6, b"6", 0), common=True) == 2
    assert _kept(connection) == ([0, 5, 6], [0, 5, 6], [0, 5, 6])
    assert followed.load(connection) == Cursor(6, b"6", 0, _AT_9.ledger)


def test_going_back_without_a_common_block_undoes_all_the_first_block_included(connection: Connection) -> None:
    assert followed.go_back(connection, _AT_9, Head(8, b"other", 0), common=False) == 5
    assert _kept(connection) == ([8], [], [])
    assert followed.remembered(connection) == [(8, b"other")]
    assert followed.load(connection) == Cursor(8, b"other", 0, _AT_9.ledger)


@pytest.mark.parametrize("moved", [Cursor(8, b"9", 0, "777:0x"), Cursor(9, b"x", 0, "777:0x"), Cursor(9, b"9", 0, "-")])
def test_nothing_is_undone_where_another_process_has_followed_meanwhile(connection: Connection, moved: Cursor) -> None:
    before = _kept(connection)
    with pytest.raises(CursorMoved):
        followed.go_back(connection, moved, Head(6, b"6", 0), common=True)
    assert _kept(connection) == before


class _Refused:
    """The part of a follower that decides whether refused blocks are lost."""

    def __init__(self) -> None:
        self.clock, self.began_at, self.searched = ManualClock(1_000_000), list[int](), list[tuple[int, int]]()
        self.node_answers = True
        self._it: Any = SimpleNamespace(
            _clock=self.clock,
            _refused=None,
            _ledger=SimpleNamespace(published=self._search),
            _start_again=lambda _cursor, head, _ledger: self.began_at.append(head.number),
        )

    def _search(self, first: int, last: int) -> list[Any]:
        self.searched.append((first, last))
        if not self.node_answers:
            raise LedgerUnreachable("refused")
        return []

    def skips(self, after: int, head: int) -> bool:
        return Follower._skip_lost(cast(Follower, self._it), Cursor(after, b"", 0, None), Head(head, b"", 0))


def test_refused_blocks_are_given_up_after_a_minute_and_no_earlier() -> None:
    """A node that starts refuses for a while; what is given up is reported as one change."""
    it, head = _Refused(), 10 + KEPT_BLOCKS + 1
    assert not it.skips(10, head)
    it.clock.advance(59_999)
    assert not it.skips(10, head)
    it.clock.advance(1)
    assert it.skips(10, head)
    assert (it.searched, it.began_at) == ([(head, head)], [head])


def test_refused_blocks_whose_state_nodes_keep_are_never_given_up() -> None:
    it = _Refused()
    assert not it.skips(10, 10 + KEPT_BLOCKS)
    it.clock.advance(3_600_000)
    assert not it.skips(10, 10 + KEPT_BLOCKS)
    assert it.skips(10, 10 + KEPT_BLOCKS + 1)


def test_the_minute_begins_again_where_the_follower_got_on_in_between() -> None:
    it, head = _Refused(), 500
    assert not it.skips(10, head)
    it.clock.advance(60_000)
    assert not it.skips(11, head)
    it.clock.advance(60_000)
    assert it.skips(11, head)


def test_blocks_are_not_given_up_while_the_nodes_refuse_the_newest_one_too() -> None:
    it = _Refused()
    it.node_answers = False
    assert not it.skips(10, 500)
    it.clock.advance(60_000)
    with pytest.raises(LedgerUnreachable):
        it.skips(10, 500)
    assert it.began_at == []
