"""A node stepped by hand on a chain that holds transactions back."""

from typing import Any

from sqlalchemy import delete, insert, select

from standing.ledger.attestations.binding_protocol import BindingRequest
from standing.ledger.chain.codec import encode_read
from standing.ledger.chain.sender import Sender
from standing.ledger.service.database import level_sequences, migrate
from standing.node.accounts.changes import FeedEntry
from standing.node.composition import Node, build
from standing.node.publishing import outbox
from standing.node.storage import schema
from standing.node.storage.database import NodeDatabase
from tests.databases import new_database
from tests.world import ACCOUNT, CLAIM_FIELDS, PLATFORM, REGISTRAR, Bank, World

NUMBER = ACCOUNT["number"]


class Stepped:
    """A node stepped by hand on a chain that holds transactions back."""

    def __init__(self, made: World, urls: list[str] | None = None, **publisher: Any) -> None:
        self.world = made
        changed: dict[str, Any] = {} if urls is None else {"ledger_urls": urls}
        self.bank: Bank = made.make_bank(**changed)
        options = self.bank.settings.publisher.model_copy(update={"resend_after_ms": 1_000, **publisher})
        self.bank.settings = self.bank.settings.model_copy(update={"publisher": options})
        self.node: Node = build(self.bank.settings, self.bank.secrets, self.bank.clock)
        assert self.node.leadership.take()
        self.feed(dict(ACCOUNT))
        self.settle()
        claim = {name: ACCOUNT[name] for name in CLAIM_FIELDS}
        self.node.bindings.bind(PLATFORM, BindingRequest(request_id="request-1", **claim))
        self.settle()
        made.chain.holding = True

    def feed(self, *changes: dict[str, Any]) -> int:
        at = self.world.clock.advance(10)
        stated = [{"effective_at_ms": at, **change} for change in changes]
        self.node.feed.accept(FeedEntry.model_validate({"as_of_ms": at, "changes": stated}))
        return at

    def change_and_step(self, limit: int) -> int:
        self.feed({"number": NUMBER, "daily_limit_minor": limit})
        return self.node.publisher.step()

    def settle(self) -> None:
        for _ in range(60):
            self.world.clock.advance(100)
            with self.node.database.read() as connection:
                waiting = outbox.waiting(connection)
            if self.node.publisher.step() == 0 and not waiting:
                return
        raise AssertionError("the publisher does not come to rest")

    def make_block(self) -> None:
        """A block with a stranger's transaction alone, while the bank's are held."""
        stranger = Sender(self.world.client, REGISTRAR)
        raw = stranger.prepare(encode_read([]), gas=100_000).raw
        self.world.chain.devnet.call({"id": 0, "method": "eth_sendRawTransaction", "params": ["0x" + raw.hex()]})

    def copy(self) -> Node:
        """A node on a copy of the current store."""
        url = new_database(self.bank.folder, "copy")
        target = NodeDatabase(url)
        migrate(target, "standing.node.storage")
        with self.node.database.read() as source, target.write() as connection:
            for table in schema.metadata.sorted_tables:
                rows = [dict(row) for row in source.execute(select(table)).mappings()]
                connection.execute(delete(table))
                if rows:
                    connection.execute(insert(table), rows)
            level_sequences(connection, schema.metadata.sorted_tables)
        target.close()
        settings = self.bank.settings.model_copy(update={"database_url": url})
        return build(settings, self.bank.secrets, self.bank.clock)

    def digests(self) -> list[bytes]:
        """Of every publication that was signed, in order."""
        table = schema.publications
        with self.node.database.read() as connection:
            return list(connection.execute(select(table.c.digest).order_by(table.c.number)).scalars())

    def close(self) -> None:
        self.node.leadership.leave()
        self.node.database.close()

    @property
    def on_ledger(self) -> int:
        return self.world.client.bank(self.bank.bic).publication
