"""A bank's node that a test steps by hand, on any given store and ledger."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import select

from standing.ledger.attestations.binding_protocol import BindingRequest, GrantDocument
from standing.ledger.attestations.publication import ATTESTATION_SIZE, LocalSigner
from standing.ledger.attestations.sealing import unseal
from standing.ledger.attestations.terms import Terms
from standing.ledger.chain import governance
from standing.ledger.chain.client import LedgerClient
from standing.ledger.chain.sender import Sender, attestations_within
from standing.ledger.service.database import level_sequences
from standing.node.accounts.changes import FeedEntry
from standing.node.composition import Node, build
from standing.node.publishing.outbox import Issuer
from standing.node.recovery import backup
from standing.node.recovery.history import Findings
from standing.node.recovery.service import Recovery
from standing.node.storage import schema
from tests.databases import new_database
from tests.node.node_tools import account
from tests.timeouts import patient_ledger
from tests.world import ACCOUNT, BANK_ADMIN, CLAIM_FIELDS, GUARDIAN, PLATFORM, REGISTRAR, Bank, World

CARD = ACCOUNT["number"]
OTHER_CARD = "9156026831789191"


class SteppedNode:
    """A bank's node, stepped by hand, on any given store and ledger."""

    def __init__(self, made: World, folder: Path, **settings_changed: Any) -> None:
        self.world = made
        self.folder = folder
        self.bank: Bank = made.make_bank(**settings_changed)
        self.client: LedgerClient = made.client
        self.node: Node = self._start()
        self.entries: list[FeedEntry] = []

    def _start(self) -> Node:
        node = build(self.bank.settings, self.bank.secrets, self.bank.clock)
        assert node.leadership.take()
        return node

    def stop(self) -> None:
        self.node.leadership.leave()
        self.node.database.close()

    def start(self, database_url: str | None = None, contract: str | None = None) -> None:
        """Start again, on another store or ledger if one is named."""
        changed: dict[str, Any] = {}
        if database_url is not None:
            changed["database_url"] = database_url
        if contract is not None:
            changed["ledger_contract"] = contract
            self.client = patient_ledger(self.world.chain.url, contract)
        self.bank.settings = self.bank.settings.model_copy(update=changed)
        self.node = self._start()

    def lose_store(self) -> None:
        """Start again on an empty store."""
        self.stop()
        self.start(new_database(self.folder, "fresh"))

    def export(self) -> Path:
        """Export what the store alone has. Returns: the file."""
        file = self.folder / "export"
        backup.export(self.node.database, self.bank.secrets.vault(), self.bank.bic, self.bank.clock, file)
        return file

    def import_(self, file: Path) -> int:
        """Load an export into the store. Returns: how many rows."""
        return backup.import_(self.node.database, self.bank.secrets.vault(), self.bank.bic, file)

    def feed(self, *changes: dict[str, Any]) -> FeedEntry:
        at = self.world.clock.advance(10)
        entry = FeedEntry.model_validate(
            {"as_of_ms": at, "changes": [{"effective_at_ms": at, **change} for change in changes]}
        )
        self.node.feed.accept(entry)
        self.entries.append(entry)
        return entry

    def bind(
        self, card: str = CARD, number_type: str = "card", platform: str = PLATFORM, **claimed: Any
    ) -> GrantDocument:
        claim = {name: ACCOUNT[name] for name in CLAIM_FIELDS} | claimed | {"number": card, "number_type": number_type}
        request = BindingRequest(request_id=f"request-{self.world.clock.advance(1)}", **claim)
        answer = self.node.bindings.bind(platform, request)
        assert answer.grant is not None
        return answer.grant

    def bind_and_publish(self) -> GrantDocument:
        """Feed the account, bind it, and publish. Returns: the grant of a binding whose record is on the ledger."""
        self.feed(dict(ACCOUNT))
        grant = self.bind()
        self.publish()
        return grant

    def bind_many(self, count: int) -> dict[str, GrantDocument]:
        """Feed, bind and publish accounts in parts. Returns: the grant of each number."""
        accounts = [account(index) for index in range(count)]
        grants = {}
        for start in range(0, count, 40):
            part = accounts[start : start + 40]
            self.feed(*part)
            for each in part:
                grants[each["number"]] = self.bind(each["number"], number_type="account")
            self.publish()
        return grants

    def sign_frozen(self, grants: Mapping[str, GrantDocument]) -> None:
        """Freeze all in one feed entry, and sign the publication without sending it."""
        self.feed(*({"number": number, "status": "frozen"} for number in grants))
        self.world.clock.advance(60)
        self.world.chain.holding = True
        assert self.node.publisher.step() == 1
        self.world.chain.lose()

    def status(self, grant: GrantDocument) -> str:
        """The status in a binding's record."""
        return self.terms(grant).status.word

    def limit_blocks(self, gas: int | None) -> None:
        """Set the gas limit of the ledger's blocks, and make the node read it again."""
        self.world.chain.block_gas_limit = gas
        self.world.clock.advance(10_001)

    def sizes_after(self, number: int) -> list[int]:
        """The number of attestations in each publication after `number`."""
        table = schema.publications
        with self.node.database.read() as connection:
            rows = connection.execute(select(table.c.attestations).where(table.c.number > number)).scalars()
            return [len(words) // ATTESTATION_SIZE for words in rows]

    def publish(self) -> None:
        """Step until everything due is mined."""
        for _ in range(50):
            self.world.clock.advance(60)
            if self.node.publisher.step() == 0 and not self._due():
                return
        raise AssertionError("the publisher does not come to rest")

    def _due(self) -> bool:
        with self.node.database.read() as connection:
            rows = connection.execute(select(schema.outbox.c.id).where(schema.outbox.c.publication.is_(None))).all()
            left = connection.execute(select(schema.restatements)).all()
            newest = connection.execute(
                select(schema.feed_entries.c.as_of_ms).order_by(schema.feed_entries.c.as_of_ms.desc()).limit(1)
            ).scalar_one_or_none()
        state = self.client.bank(self.bank.bic)
        return bool(rows or left) or (newest or 0) > state.watermark_ms

    def recovery(self) -> Recovery:
        secrets = self.bank.secrets
        sender = Sender(self.client, secrets.sender_key)
        return Recovery(
            self.node.database,
            self.client,
            Issuer(self.bank.bic, secrets.bank_secrets(), secrets.signer, self.bank.settings.publisher.herd_size),
            self.bank.clock,
            platforms=[PLATFORM, "another-pay"],
            account=sender.address,
            max_attestations=lambda: attestations_within(sender.gas_ceiling()),
        )

    def recover(self, **options: Any) -> Findings:
        return self.recovery().run(confirm=True, **options)

    def known_digests(self) -> list[tuple[int, bytes]]:
        """Number and digest of every publication in the store."""
        table = schema.publications
        with self.node.database.read() as connection:
            query = select(table.c.number, table.c.digest).order_by(table.c.number)
            return [(row.number, row.digest) for row in connection.execute(query)]

    def terms(self, grant: GrantDocument) -> Terms:
        """A binding's record on the ledger, opened with the platform's key."""
        binding = bytes.fromhex(grant.binding[2:])
        record = self.client.read([(self.bank.bic, binding)]).records[0]
        return unseal(
            record.tag_and_head,
            record.tail,
            key=bytes.fromhex(grant.binding_key[2:]),
            bank=self.bank.bic,
            binding=binding,
            publication=record.publication,
        )

    def backup(self) -> str:
        """Copy the current store. Returns: the copy's URL."""
        url = new_database(self.folder, f"backup{len(list(self.folder.iterdir()))}")
        copy = build(self.bank.settings.model_copy(update={"database_url": url}), self.bank.secrets, self.bank.clock)
        with self.node.database.read() as source, copy.database.write() as target:
            for table in schema.metadata.sorted_tables:
                rows = [dict(row._mapping) for row in source.execute(select(table))]
                if rows:
                    target.execute(table.insert(), rows)
            level_sequences(target, schema.metadata.sorted_tables)
        copy.database.close()
        return url

    def deploy_without_banks(self) -> str:
        """Another deployment of the ledger, to which nobody is admitted."""
        registrar = LocalSigner(REGISTRAR).address
        return governance.deploy(
            self.world.chain.url,
            REGISTRAR,
            governor=registrar,
            registrar=registrar,
            guardian=LocalSigner(GUARDIAN).address,
        )

    def deploy_again(self, number: int, head: bytes) -> str:
        """Another deployment of the ledger, to which the bank is admitted with a history."""
        contract = self.deploy_without_banks()
        step = governance.admit(
            self.bank.bic, self.bank.signer.address, LocalSigner(BANK_ADMIN).address, number=number, head=head
        )
        governance.execute(patient_ledger(self.world.chain.url, contract), step, REGISTRAR)
        return contract


def bound_after_a_backup(site: SteppedNode) -> tuple[str, GrantDocument, FeedEntry]:
    """A store's backup, a binding that it lacks and that is on the ledger, and the newest entry of the feed."""
    site.feed(dict(ACCOUNT))
    site.publish()
    old = site.backup()
    orphan = site.bind()
    last = site.feed()
    site.publish()
    return old, orphan, last
