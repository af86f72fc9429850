"""Herds: bindings published together, so that the ledger does not reveal which of them changed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import insert, select, update

from standing.ledger.attestations.binding_protocol import GrantDocument
from standing.ledger.attestations.limits import NO_LIMITS
from standing.ledger.attestations.sealing import unseal
from standing.ledger.attestations.terms import IdentityTags, Status, Terms
from standing.ledger.chain.client import Published
from standing.node.accounts.erasure import erase
from standing.node.bindings.granting import MAX_BINDINGS_PER_ACCOUNT
from standing.node.bindings.regranting import RegrantRequest
from standing.node.publishing import herds
from standing.node.publishing.herds import Cover
from standing.node.storage import schema
from tests.databases import on_postgresql
from tests.node.stepped_node import SteppedNode
from tests.world import ACCOUNT, PLATFORM, World, world

_OTHER_PLATFORM = "yinhe-pay"
_TERMS = Terms(
    status=Status.ACTIVE,
    debit_allowed=True,
    credit_allowed=True,
    currency=156,
    effective_at_ms=1,
    limits=NO_LIMITS,
    tags=IdentityTags(*[b"\x01" * 3] * 3),
)


def _covers(*names: str) -> list[Cover]:
    return [Cover(name.encode(), PLATFORM, _TERMS) for name in names]


@pytest.mark.parametrize(
    ("changed", "covers", "limit", "count", "cover"),
    [
        pytest.param("abc", {}, 3, 3, "", id="without herds: as many as fit"),
        pytest.param("abcd", {}, 3, 3, "", id="without herds: nothing else"),
        pytest.param("aab", {}, 2, 3, "", id="one binding twice is one record"),
        pytest.param("a", {"a": "bc"}, 3, 1, "bc", id="a herd that just fits"),
        pytest.param("ad", {"a": "bc", "d": "ef"}, 6, 2, "bcef", id="two herds that just fit"),
        pytest.param("ad", {"a": "bc", "d": "ef"}, 5, 1, "bc", id="the second does not fit: it waits, whole"),
        pytest.param("ab", {"a": "bc", "b": "ac"}, 3, 2, "c", id="two of one herd"),
        pytest.param("a", {"a": "bcdef"}, 3, 1, "bc", id="a herd larger than any publication: as many as fit"),
    ],
)
def test_a_herd_is_published_whole_or_left_to_the_next_publication(
    changed: str, covers: dict[str, str], limit: int, count: int, cover: str
) -> None:
    given_cover = {name.encode(): _covers(*others) for name, others in covers.items()}
    found, needed = herds.fitting([name.encode() for name in changed], given_cover, limit)
    assert (found, sorted(each.binding for each in needed)) == (count, [name.encode() for name in cover])


def _document(index: int) -> dict[str, str]:
    """A holder's document."""
    return {"id_document_scheme": "CCPT", "id_document_country": "CN", "id_document_number": f"E{index:08d}"}


def _number(index: int) -> str:
    return f"73{index:010d}"


class Bank:
    """A bank with herds of three, driven by hand."""

    def __init__(self, made: World, folder: Path, herd_size: int = 3) -> None:
        self.site = SteppedNode(made, folder, publisher={"herd_size": herd_size})
        self.first_block = self.site.client.block_number()

    def open(self, index: int, holder: int) -> None:
        self.site.feed({**ACCOUNT, "number": _number(index), "number_type": "account", **_document(holder)})

    def grant(self, index: int, holder: int | None = None, platform: str = PLATFORM) -> GrantDocument:
        document = _document(index if holder is None else holder)
        return self.site.bind(_number(index), number_type="account", platform=platform, **document)

    def bind(self, index: int, holder: int | None = None) -> GrantDocument:
        """Open and bind an account, with its own holder unless one is given, and publish its first attestation."""
        self.open(index, index if holder is None else holder)
        grant = self.grant(index, holder)
        self.site.publish()
        return grant

    def change(self, *indexes: int, **changed: Any) -> None:
        self.site.feed(*({"number": _number(index), **changed} for index in indexes))
        self.site.publish()

    def herd(self, grant: GrantDocument) -> int:
        with self.site.node.database.read() as connection:
            table = schema.bindings.c
            herd = connection.execute(select(table.herd).where(table.id == _id(grant))).scalar_one()
            assert herd is not None
            return int(herd)

    def published(self) -> list[Published]:
        events = self.site.client.published(self.first_block, self.site.client.block_number(), self.site.bank.bic)
        return [event for event in events if event.bindings]

    def last(self) -> list[bytes]:
        return list(self.published()[-1].bindings)

    def terms(self, grant: GrantDocument) -> Terms:
        """The platform's current view of a binding."""
        [record] = self.site.client.read([(self.site.bank.bic, _id(grant))]).records
        return unseal(
            record.tag_and_head,
            record.tail,
            key=bytes.fromhex(grant.binding_key[2:]),
            bank=self.site.bank.bic,
            binding=_id(grant),
            publication=record.publication,
        )


def _id(grant: GrantDocument) -> bytes:
    return bytes.fromhex(grant.binding[2:])


@pytest.fixture
def bank(a_world: World, tmp_path: Path) -> Iterator[Bank]:
    made = Bank(a_world, tmp_path)
    yield made
    made.site.stop()


def test_a_change_republishes_its_whole_herd_with_the_others_unchanged(bank: Bank) -> None:
    grants = [bank.bind(index) for index in range(4)]
    assert [bank.herd(grant) for grant in grants] == [1, 1, 1, 2], "herds fill in the order of the grants"
    before = [bank.terms(grant) for grant in grants]
    bank.change(1, status="frozen")
    assert bank.last() == sorted(_id(grant) for grant in grants[:3])
    after = [bank.terms(grant) for grant in grants]
    assert after[1].status is Status.FROZEN
    assert [after[index] for index in (0, 2, 3)] == [before[index] for index in (0, 2, 3)], "to the millisecond"
    # Records of unchanged bindings are indistinguishable from changes: every record is new.
    records = [bank.site.client.read([(bank.site.bank.bic, _id(grant))]).records[0] for grant in grants]
    assert len({record.publication for record in records[:3]}) == 1 != len({record.publication for record in records})


def test_changes_of_one_binding_and_of_several_look_the_same_on_the_ledger(bank: Bank) -> None:
    grants = [bank.bind(index) for index in range(3)]
    seen: list[list[bytes]] = []
    for changed in ((0,), (1, 2), (0, 1, 2)):
        bank.change(*changed, daily_limit_minor=1_000 + len(seen))
        seen.append(bank.last())
    assert seen == [sorted(_id(grant) for grant in grants)] * 3


def test_all_bindings_of_an_account_and_its_holder_share_a_herd(bank: Bank) -> None:
    first = bank.bind(0)
    for index in (1, 2, 3):
        bank.bind(index)  # the first herd is full, and a second one is open
    elsewhere = bank.grant(0, platform=_OTHER_PLATFORM)
    assert bank.herd(elsewhere) == bank.herd(first) == 1
    second = bank.bind(4, holder=0)
    assert bank.herd(second) == 1, "another account of the same holder"
    bank.change(3, status="frozen")
    bank.change(0, status="frozen")
    assert {_id(first), _id(elsewhere), _id(second)} <= set(bank.last())
    assert (bank.terms(first).status, bank.terms(second).status) == (Status.FROZEN, Status.ACTIVE)


def test_a_herd_filled_by_one_holder_stops_growing(bank: Bank) -> None:
    first = bank.bind(0)
    with bank.site.node.database.write() as connection:
        table = schema.bindings
        row = dict(connection.execute(select(table).where(table.c.id == _id(first))).one()._mapping)
        for index in range(herds.MAX_MEMBERS - 1):
            more = {"id": index.to_bytes(32, "big"), "platform": f"p-{index}", "request_id": f"r-{index}"}
            connection.execute(table.insert().values(**(row | more)))
    with bank.site.node.database.write() as connection:
        assert herds.join(connection, row["account_id"], 3) == 2
    assert herds.MAX_MEMBERS >= MAX_BINDINGS_PER_ACCOUNT


def test_an_ended_binding_still_gives_cover_until_it_is_erased(bank: Bank) -> None:
    grants = [bank.bind(index) for index in range(3)]
    bank.site.node.bindings.unbind(PLATFORM, _id(grants[2]))
    bank.site.publish()
    ended = bank.terms(grants[2])
    assert ended.status is Status.UNBOUND
    bank.change(0, status="frozen")
    assert _id(grants[2]) in bank.last()
    assert bank.terms(grants[2]) == ended
    erase(bank.site.node.database, bank.site.bank.secrets.vault(), _number(2))
    bank.change(0, status="active")
    assert bank.last() == sorted(_id(grant) for grant in grants[:2])


def test_ended_bindings_leave_a_herd_that_is_full_of_live_ones(bank: Bank) -> None:
    first = bank.bind(0)
    bank.bind(1), bank.bind(2)
    for _ in range(4):
        bank.site.node.bindings.unbind(PLATFORM, _id(first))
        first = bank.grant(0)
        bank.site.publish()
    bank.change(1, status="frozen")
    assert len(bank.last()) == 3, "three live bindings, without the ended one"


def test_a_binding_that_is_replaced_does_not_vanish_as_its_successor_appears(bank: Bank) -> None:
    """An observer would know the two for one account. What leaves a herd later is not replaced at that moment."""
    replaced = bank.bind(0)
    bank.bind(1), bank.bind(2)
    bank.grant(0, platform="yinhe-pay")  # keeps the account in its herd
    bank.site.publish()
    for at in range(8):
        bank.site.world.clock.advance(1)
        again = RegrantRequest(request_id=f"regrant-{at:04}")
        successor = bank.site.node.regranting.regrant(PLATFORM, _id(replaced), again).grant
        assert successor is not None
        bank.site.publish()
        assert {_id(replaced), _id(successor)} <= set(bank.last())
        bank.change(1, daily_limit_minor=at)
        assert {_id(replaced), _id(successor)} <= set(bank.last())
        assert len(bank.last()) <= 4 + 3, "four live ones, and as many ended ones as the herd's size"
        replaced = successor


def test_bindings_that_end_together_do_not_vanish_together(bank: Bank) -> None:
    """As those of one account at two platforms."""
    here = bank.bind(0)
    bank.bind(1), bank.bind(2)
    there = bank.grant(0, platform="yinhe-pay")
    bank.site.publish()
    for platform, grant in ((PLATFORM, here), ("yinhe-pay", there)):
        bank.site.node.bindings.unbind(platform, _id(grant))
    bank.site.publish()
    bank.change(1, status="frozen")
    assert {_id(here), _id(there)} <= set(bank.last())


@pytest.mark.skipif(on_postgresql(), reason="counts the steps of SQLite")
def test_a_binding_that_was_published_often_makes_its_herd_no_slower(bank: Bank) -> None:
    """A platform may have it published again for years, and each publication for the herd asks what it stated last."""
    grant = bank.bind(0)
    table = schema.outbox
    steps = []
    with bank.site.node.database.write() as connection:
        stated = connection.execute(select(table).where(table.c.binding_id == _id(grant))).mappings().one()
        sqlite = connection.connection.driver_connection
        assert sqlite is not None
        for more in (0, 1_000):
            again = [{name: value for name, value in stated.items() if name != "id"}] * more
            if again:
                connection.execute(insert(table), again)
            done: list[None] = []
            sqlite.set_progress_handler(lambda done=done: done.append(None), 10)
            assert herds._last_stated(connection, [_id(grant)]).keys() == {_id(grant)}
            sqlite.set_progress_handler(None, 10)
            steps.append(len(done))
    assert steps[1] <= steps[0] + 5


def test_bindings_older_than_herds_join_their_accounts_herd(a_world: World, tmp_path: Path) -> None:
    bank = Bank(a_world, tmp_path)
    first = bank.bind(0)
    with bank.site.node.database.write() as connection:
        connection.execute(update(schema.bindings).values(herd=None))
    bank.change(0, status="frozen")
    assert bank.last() == [_id(first)], "it changes alone"
    elsewhere = bank.grant(0, platform=_OTHER_PLATFORM)
    assert bank.herd(first) == bank.herd(elsewhere)
    bank.site.stop()


def test_changes_that_do_not_fit_are_split_into_publications_without_splitting_a_herd(
    a_world: World, tmp_path: Path
) -> None:
    bank = Bank(a_world, tmp_path)
    grants = [bank.bind(index) for index in range(6)]
    bank.site.stop()
    publisher = bank.site.bank.settings.publisher.model_copy(update={"max_attestations": 4})
    bank.site.bank.settings = bank.site.bank.settings.model_copy(update={"publisher": publisher})
    bank.site.start()
    known = len(bank.published())
    bank.change(0, 3, 1, 4, status="frozen")
    parts = [set(event.bindings) for event in bank.published()[known:]]
    own = [{_id(grant) for grant in grants[start : start + 3]} for start in (0, 3)]
    assert all(part in own for part in parts)
    frozen = [bank.terms(grant).status is Status.FROZEN for grant in grants]
    assert frozen == [True, True, False, True, True, False]
    bank.site.stop()


_STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("bind"), st.integers(0, 4)),
        st.tuples(st.just("freeze"), st.integers(0, 4)),
        st.tuples(st.just("thaw"), st.integers(0, 4)),
        st.tuples(st.just("unbind"), st.integers(0, 4)),
        st.tuples(st.just("publish"), st.just(0)),
    ),
    max_size=25,
)


@pytest.mark.long
@settings(max_examples=25)
@given(steps=_STEPS, size=st.integers(2, 4))
def test_every_binding_reads_as_the_book_says_after_any_sequence_of_events(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]], size: int
) -> None:
    folder = tmp_path_factory.mktemp("herds")
    with world(folder) as made:
        bank = Bank(made, folder, size)
        try:
            _play(bank, steps)
        finally:
            bank.site.stop()


def _play(bank: Bank, steps: list[tuple[str, int]]) -> None:
    site = bank.site
    book = dict.fromkeys(range(5), Status.ACTIVE)
    for index in book:
        bank.open(index, index // 2)
    bound: dict[int, GrantDocument] = {}
    truth: dict[str, tuple[GrantDocument, Status]] = {}
    for step, index in steps:
        if step == "bind" and index not in bound:
            bound[index] = bank.grant(index, index // 2)
        elif step == "unbind" and index in bound:
            ended = bound.pop(index)
            site.node.bindings.unbind(PLATFORM, _id(ended))
            truth[ended.binding] = (ended, Status.UNBOUND)
        elif step in {"freeze", "thaw"}:
            book[index] = Status.FROZEN if step == "freeze" else Status.ACTIVE
            site.feed({"number": _number(index), "status": book[index].word})
        elif step == "publish":
            site.publish()
    site.feed()
    site.publish()
    truth |= {grant.binding: (grant, book[index]) for index, grant in bound.items()}
    read = {name: bank.terms(grant).status for name, (grant, _) in truth.items()}
    assert read == {name: status for name, (_, status) in truth.items()}
    for event in bank.published():
        assert list(event.bindings) == sorted(set(event.bindings))
