"""Recovery: makes the store level with the ledger after a disaster.

There are three disasters and one procedure. The store was restored from an old backup: the ledger is ahead of it. The
store was lost: the ledger is ahead of an empty store, into which the bank's own export may have been imported. The
ledger was lost: a new deployment continues from the store's last number and head, and holds no record. In each case:

1. The ledger's history of the bank is walked from where the store ends. Each missing publication is rebuilt from its
   event and its transaction's input, and proved by its digest.
2. Each binding that the missing publications wrote, or on a new deployment every binding, is to be stated again
   (`node.publishing.restating`). One that is unbound on the ledger ends here too; one that the store does not know is
   ended.
3. Where the store is old, the core is asked to feed again what it stated after the store's last entry. Until the
   operator confirms that it has, nothing is signed: a moving watermark would vouch for changes that this store never
   saw.

Two further cases come first where they apply. Another party published under the bank's key, so the ledger holds another
publication under a number that this store has signed. Or the store has signed a publication that no block can hold.
Either way what the store signed from there on can never enter a block. It is discarded on request, and its content
is stated again.

All of it is one transaction, so a recovery that is killed has changed nothing.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import dropwhile
from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select

from standing.ledger.attestations.publication import ATTESTATION_SIZE
from standing.ledger.attestations.sealing import unseal
from standing.ledger.attestations.terms import Status, Terms
from standing.ledger.chain.client import BankState, LedgerClient
from standing.ledger.chain.codec import Record
from standing.ledger.clock import Clock
from standing.ledger.errors import TermsUnreadable
from standing.ledger.service.database import take_time
from standing.node.bindings.unbinding import end_binding
from standing.node.fault_points import Faults, no_faults
from standing.node.publishing import deployments, outbox, publications, recoveries
from standing.node.publishing.deployments import Deployment
from standing.node.publishing.outbox import Issuer
from standing.node.recovery.history import CannotRecover, Findings, History
from standing.node.storage import schema
from standing.node.storage.database import NodeDatabase

_READ_AT_ONCE = 200


class _OnlyLooked(Exception):
    """Ends a transaction without effect."""


class Recovery:
    """Makes one store level with the ledger. No node may lead on it meanwhile.

    `platforms`: those for which a record of an unknown binding may be sealed. `account`: the sending account.
    `progress` is called with how many blocks are done and how many there are.
    """

    def __init__(
        self,
        database: NodeDatabase,
        client: LedgerClient,
        issuer: Issuer,
        clock: Clock,
        *,
        platforms: Iterable[str],
        account: str,
        max_attestations: Callable[[], int],
        progress: Callable[[int, int], None] = lambda _done, _all: None,
        faults: Faults = no_faults,
    ) -> None:
        self._database = database
        self._client = client
        self._issuer = issuer
        self._clock = clock
        self._platforms = sorted(set(platforms))
        self._account = account
        self._max_attestations = max_attestations
        self._history = History(client, issuer, progress)
        self._faults = faults

    def run(
        self,
        *,
        confirm: bool,
        restored: bool = False,
        take_ledger: bool = False,
        give_up_oversized: bool = False,
        from_block: int = 0,
        strangers: Iterable[str] = (),
    ) -> Findings:
        """Recover, or without `confirm` only report what there is to do.

        `restored`: the store is a backup even though the ledger is not ahead of it, so the core must feed again.
        `take_ledger`: where the ledger holds another party's publications, continue from them. `give_up_oversized`:
        discard signed publications that no block of this ledger can hold. `from_block`: where the ledger's history of
        this bank begins, to skip the blocks before. `strangers`: accounts whose transactions need not be waited for,
        although one of them submitted the newest publication.

        Raises: CannotRecover, LedgerError, DatabaseUnavailable.
        """
        self._check_in_flight(self._account)
        state = self._client.bank(self._issuer.bic)
        if not state.admitted:
            with self._database.read() as connection:
                self._check_admission(state, outbox.last_publication(connection))
        findings = Findings(0, state.publication)
        try:
            with self._database.write() as connection:
                take_time(connection)  # it reads the ledger in between, as far back as necessary
                touched = self._settle_fork(connection, state, findings, take_ledger=take_ledger, from_block=from_block)
                touched |= self._settle_oversized(connection, state, findings, give_up=give_up_oversized)
                self._make_level(connection, state, findings, touched, restored=restored, from_block=from_block)
                self._check_account_before(connection, state, strangers)
                self._note_refeed(connection, findings)
                if not confirm:
                    raise _OnlyLooked
        except _OnlyLooked:
            return findings
        self._faults("recovered")
        return findings

    def _check_in_flight(self, account: str) -> None:
        on_its_way = self._client.in_flight(account)
        if on_its_way:
            raise CannotRecover(
                f"{on_its_way} transactions of {account}, which sends for this bank, are still on their way: wait "
                "until they are in blocks, or the publications in them would be missed and their numbers signed again"
            )

    def _check_account_before(self, connection: Connection, state: BankState, strangers: Iterable[str]) -> None:
        """Check that the account which sent the ledger's newest publication, and may have been replaced since, has
        nothing on its way that this store does not know. Raises: CannotRecover, LedgerError."""
        sent = schema.transactions.c
        known = connection.execute(
            select(sent.sender).where(sent.publication == state.publication, sent.sender.is_not(None))
        )
        accounts = set(known.scalars())
        if not accounts:
            table = schema.publications.c
            newest = select(table.transaction_hash).where(table.number == state.publication)
            transaction_hash = connection.execute(newest).scalar_one_or_none()
            found = None if transaction_hash is None else self._client.account_of(transaction_hash)
            accounts = set() if found is None else {found}
        for account in sorted(accounts - {self._account, *strangers}):
            self._check_in_flight(account)

    def fed_again(self) -> None:
        """The operator's confirmation that the core has fed again. Raises: CannotRecover where it cannot have."""
        with self._database.write() as connection:
            unmet = recoveries.pending(connection)
            if unmet is None:
                raise CannotRecover("no recovery is waiting for the core to feed again")
            as_of_ms = outbox.last_as_of_ms(connection)
            if as_of_ms < unmet.core_until_ms:
                raise CannotRecover(
                    f"the core has fed up to {as_of_ms}; it must feed all that it said after {unmet.core_from_ms}, "
                    f"at least up to {unmet.core_until_ms}"
                )
            recoveries.confirm(connection, self._clock.now_ms())
        self._faults("fed_again")

    def _settle_fork(
        self, connection: Connection, state: BankState, findings: Findings, *, take_ledger: bool, from_block: int
    ) -> set[bytes]:
        """Discard the store's publications from the first number under which the ledger holds another publication.

        Returns: the bindings that the discarded publications stated.
        """
        deployment = deployments.current(connection)
        if deployment is None or deployment.domain != self._client.domain:
            return set()
        signed = publications.unfinished(connection, deployment.base_number)
        if not signed:
            return set()
        number = self._history.fork(signed, self._start_block(connection, deployment, findings, from_block))
        if number is None:
            return set()
        if not take_ledger:
            raise CannotRecover(
                f"publication {number} on the ledger is not the one that this store signed: two histories exist under "
                "one key; follow docs/runbook-signing-key.md, which ends with `recover --take-ledger`"
            )
        lost = [row for row in signed if row.number >= number]
        if state.signer in {row.signer for row in lost}:
            raise CannotRecover(
                f"the ledger still accepts {state.signer}, under which two histories exist from publication {number} "
                "on: first have the bank reinstated with a new signer, or rotate it, and start from its keystore"
            )
        findings.given_up = len(lost)
        return publications.give_up(connection, lost, self._issuer.bic)

    def _settle_oversized(
        self, connection: Connection, state: BankState, findings: Findings, *, give_up: bool
    ) -> set[bytes]:
        """Discard the store's publications from the first one that needs more gas than a transaction can have.

        Its content waits again, and is signed under the same numbers in parts that fit. Whoever has the old signature
        could still submit it if the block gas limit rose; the node would then find another history under its number and
        stop.

        Returns: the bindings that the discarded publications stated. Raises: CannotRecover.
        """
        deployment = deployments.current(connection)
        if deployment is None or deployment.domain != self._client.domain:
            return set()
        unmined = [
            row for row in publications.unfinished(connection, deployment.base_number) if row.number > state.publication
        ]
        fitting = self._max_attestations()
        lost = list(dropwhile(lambda row: len(row.attestations) // ATTESTATION_SIZE <= fitting, unmined))
        if not lost:
            return set()
        if not give_up:
            raise CannotRecover(
                f"publication {lost[0].number} has more attestations than a block of this ledger can hold ({fitting}): "
                "ask for a higher block gas limit, or abandon it with `recover --give-up-oversized`"
            )
        findings.given_up += len(lost)
        return publications.give_up(connection, lost, self._issuer.bic)

    def _make_level(
        self,
        connection: Connection,
        state: BankState,
        findings: Findings,
        touched: set[bytes],
        *,
        restored: bool,
        from_block: int,
    ) -> None:
        """Make the store level with the ledger. `touched`: bindings to be stated again in any case."""
        last = outbox.last_publication(connection)
        deployment = deployments.current(connection)
        findings.store_publication = last.number if last is not None else 0
        findings.new_deployment = last is not None and self._is_new(connection, deployment, state)
        behind = state.publication > findings.store_publication
        if not (behind or findings.new_deployment or restored or touched):
            return
        if findings.new_deployment and not behind:
            self._check_admission(state, last)
        if behind or findings.new_deployment:
            start = self._start_block(connection, deployment, findings, from_block)
            base_number, written = self._history.rebuild(connection, state, last, findings, start)
            touched = touched | written
            if deployment is None or findings.new_deployment:
                if base_number is None:
                    raise CannotRecover(
                        f"the bank's admission to this ledger is before block {start}: give an earlier --from-block"
                    )
                deployments.begin(connection, self._client.domain, base_number, self._clock.now_ms())
        self._plan_restatements(connection, touched, findings)
        if behind or restored:
            core_from_ms = outbox.last_as_of_ms(connection)
            wanted = recoveries.PendingRefeed(core_from_ms, max(state.watermark_ms, core_from_ms))
            recoveries.begin(connection, wanted, self._clock.now_ms())

    def _note_refeed(self, connection: Connection, findings: Findings) -> None:
        """What the core has to feed again, whether this recovery asks for it or an earlier one that is not confirmed:
        that one's report may be lost, as where its command was killed."""
        unmet = recoveries.pending(connection)
        if unmet is not None:
            findings.feed_again = True
            findings.core_from_ms, findings.core_until_ms = unmet.core_from_ms, unmet.core_until_ms

    def _is_new(self, connection: Connection, deployment: Deployment | None, state: BankState) -> bool:
        """Whether the ledger is another one than the store has published to, or has lost what it held."""
        if deployment is None or deployment.domain != self._client.domain:
            return True
        if state.publication < outbox.last_in_block(connection, deployment.base_number):
            return True
        here = connection.execute(
            select(schema.publications).where(schema.publications.c.number == state.publication)
        ).one_or_none()
        return here is not None and state.watermark_ms < outbox.watermark_floor_ms(here, deployment)

    def _check_admission(self, state: BankState, last: Row[Any] | None) -> None:
        """Check that the bank's history on this ledger goes on from the store's last publication. Raises:
        CannotRecover, with what the registrar has to do."""
        bic = self._issuer.bic
        if last is None:
            if not state.admitted:
                raise CannotRecover(
                    f"{bic} is not admitted to this ledger, and this store has signed nothing: ask the registrar to "
                    "admit it"
                )
            return
        if not state.admitted:
            raise CannotRecover(
                f"{bic} is not admitted to this ledger, where it must go on from this store's history: ask the "
                f"registrar for `admit --number {last.number} --head 0x{last.digest.hex()}`"
            )
        if (state.publication, state.head) != (last.number, last.digest):
            raise CannotRecover(
                f"{bic} is at publication {state.publication} of this ledger, head 0x{state.head.hex()}, from which "
                "this store's history does not go on. A bank is admitted once, so it cannot publish here: it needs a "
                f"new deployment, with `admit --number {last.number} --head 0x{last.digest.hex()}`"
            )

    def _start_block(
        self, connection: Connection, deployment: Deployment | None, findings: Findings, from_block: int
    ) -> int:
        """The first block from which the ledger's history is missing here."""
        if deployment is None or findings.new_deployment:
            return from_block
        table = schema.publications
        known = connection.execute(
            select(table.c.block_number)
            .where(table.c.block_number.is_not(None), table.c.number > deployment.base_number)
            .order_by(table.c.number.desc())
            .limit(1)
        ).scalar_one_or_none()
        return int(known) if known is not None else from_block

    def _plan_restatements(self, connection: Connection, touched: set[bytes], findings: Findings) -> None:
        """Note every binding that is to be stated again: those `touched`, and on a new deployment all."""
        table = schema.bindings
        known = {row.id: row for row in connection.execute(select(table.c.id, table.c.platform, table.c.ended_at_ms))}
        for binding, record in self._records(sorted(touched)):
            if binding in known:
                self._plan_known(connection, known[binding], record, findings)
            else:
                self._plan_unknown(connection, binding, record, findings)
        if findings.new_deployment:
            for binding in known.keys() - touched:
                self._restate(connection, binding, 0, known=True)
                findings.stated_again += 1

    def _records(self, bindings: Sequence[bytes]) -> Iterator[tuple[bytes, Record]]:
        for start in range(0, len(bindings), _READ_AT_ONCE):
            chunk = bindings[start : start + _READ_AT_ONCE]
            reading = self._client.read([(self._issuer.bic, binding) for binding in chunk])
            yield from zip(chunk, reading.records, strict=True)

    def _plan_known(self, connection: Connection, row: Any, record: Record, findings: Findings) -> None:
        terms = self._open(row.id, row.platform, record)
        if terms is not None and terms.status is Status.UNBOUND and row.ended_at_ms is None:
            end_binding(connection, row.id, terms.effective_at_ms)
            findings.ended_on_ledger += 1
        self._restate(connection, row.id, terms.effective_at_ms if terms is not None else 0, known=True)
        findings.stated_again += 1

    def _plan_unknown(self, connection: Connection, binding: bytes, record: Record, findings: Findings) -> None:
        for platform in self._platforms:
            terms = self._open(binding, platform, record)
            if terms is None:
                continue
            if terms.status is not Status.UNBOUND:
                self._restate(
                    connection, binding, terms.effective_at_ms, known=False, platform=platform, terms=terms.pack()
                )
                findings.unknown_ended += 1
            return
        self._restate(connection, binding, 0, known=False)
        findings.unknown_unreadable += 1

    def _open(self, binding: bytes, platform: str, record: Record) -> Terms | None:
        """The terms in the ledger's record, if it is sealed for this platform."""
        try:
            return unseal(
                record.tag_and_head,
                record.tail,
                key=self._issuer.secret.binding_key(binding, platform),
                bank=self._issuer.bic,
                binding=binding,
                publication=record.publication,
            )
        except TermsUnreadable:
            return None

    def _restate(
        self,
        connection: Connection,
        binding: bytes,
        floor_ms: int,
        *,
        known: bool,
        platform: str | None = None,
        terms: bytes | None = None,
    ) -> None:
        table = schema.restatements
        connection.execute(delete(table).where(table.c.binding_id == binding))
        connection.execute(
            insert(table).values(binding_id=binding, floor_ms=floor_ms, known=known, platform=platform, terms=terms)
        )
