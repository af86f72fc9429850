"""Publications whose blocks the ledger has undone: which are sent again by the node itself, and which are not."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import Connection, insert, select, update

from standing.ledger.attestations.publication import Attestation, Domain, Publication
from standing.ledger.chain.connection import parse_address
from standing.ledger.errors import LedgerUnreachable
from standing.ledger.service.database import Database, migrate
from standing.node.publishing.publications import MAX_UNDONE, publication_columns, undo
from standing.node.storage import schema
from tests.databases import new_database
from tests.node.publishing.stepping import Stepped

_BIC = "YUNXCNB0"
_TABLE = schema.publications


@pytest.fixture
def connection(tmp_path: Path) -> Iterator[Connection]:
    database = Database(new_database(tmp_path, "undone"))
    migrate(database, "standing.node.storage")
    with database.write() as made:
        yield made
    database.close()


def _store(connection: Connection, count: int) -> None:
    """So many publications, all of them in blocks."""
    domain, previous = Domain(1337, parse_address("0x" + "ab" * 20, "contract")), bytes(32)
    for number in range(1, count + 1):
        attestations = (Attestation(bytes([number]) * 32, bytes(26), bytes(32)),)
        publication = Publication(domain, _BIC, number, previous, number, attestations)
        previous = publication.digest
        values = {"signer": "0x", "signature": bytes(65), "signed_at_ms": 1, "in_block_at_ms": 2, "block_number": 3}
        connection.execute(insert(_TABLE).values(**publication_columns(publication), **values))


def _in_blocks(connection: Connection) -> list[int]:
    in_blocks = select(_TABLE.c.number).where(_TABLE.c.in_block_at_ms.is_not(None)).order_by(_TABLE.c.number)
    return list(connection.scalars(in_blocks))


def test_no_more_publications_are_undone_than_a_reorg_undoes(connection: Connection) -> None:
    _store(connection, MAX_UNDONE + 2)
    assert undo(connection, 1, _BIC) == 0
    assert len(_in_blocks(connection)) == MAX_UNDONE + 2
    assert undo(connection, 2, _BIC) == MAX_UNDONE
    assert _in_blocks(connection) == [1, 2]


def test_a_publication_whose_content_a_recovery_could_not_rebuild_is_not_sent_again(connection: Connection) -> None:
    """It would have another digest than the one that the bank signed under its number."""
    _store(connection, 3)
    connection.execute(update(_TABLE).where(_TABLE.c.number == 2).values(attestations=b""))
    assert undo(connection, 1, _BIC) == 0
    assert _in_blocks(connection) == [1, 2, 3]
    assert undo(connection, 2, _BIC) == 1


def test_publications_whose_blocks_were_undone_are_sent_again_unchanged(stepped: Stepped) -> None:
    """By a reorg, on a chain without finality, whose nodes have dropped the transactions."""
    stepped.world.chain.holding = False
    tester = stepped.world.chain.devnet.tester
    before, snapshot = stepped.on_ledger, tester.take_snapshot()
    stepped.change_and_step(1)
    stepped.settle()
    stepped.change_and_step(2)
    stepped.settle()
    signed, last = stepped.digests(), stepped.on_ledger
    assert last >= before + 2
    tester.revert_to_snapshot(snapshot)
    assert stepped.on_ledger == before
    stepped.feed()
    with pytest.raises(LedgerUnreachable, match="was seen in a block"):
        stepped.node.publisher.step()
    stepped.world.clock.advance(1_000)  # as long as a transaction may be missing
    with pytest.raises(LedgerUnreachable, match="they will be sent again"):
        stepped.node.publisher.step()
    stepped.settle()
    assert stepped.digests()[: len(signed)] == signed
    events = stepped.world.client.published(0, stepped.world.client.block_number(), stepped.bank.bic)
    assert [event.digest for event in events][:last] == signed
