"""A deployed StatusLedger and the parties around it, as the contract's tests use them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

from eth_typing import ChecksumAddress
from eth_utils import keccak
from hexbytes import HexBytes

from standing.ledger.attestations.bic import bic_to_bytes11
from standing.ledger.attestations.publication import Attestation, Domain, LocalSigner, Publication
from tests.contracts.abi import Abi, Refusal, ledger_artifact
from tests.contracts.chain import Account, Chain, Outcome

ZERO_ADDRESS = "0x" + "00" * 20
ZERO_HASH = bytes(32)
MAX_ATTESTATIONS = 500
AHEAD_ALLOWANCE_MS = 10_000


class BankState(NamedTuple):
    """`getBank`, in the contract's own order. Addresses are lower case, as `eth_abi` gives them."""

    signer: str
    publication: int
    watermark_ms: int
    admin: str
    suspended: bool
    head: bytes


class RecordState(NamedTuple):
    """One record of `read`, in the contract's own order."""

    publication: int
    tag_and_head: bytes
    tail: bytes
    watermark_ms: int
    suspended: bool


NO_RECORD = RecordState(0, bytes(26), ZERO_HASH, 0, False)


class Answer(NamedTuple):
    """All of `read`."""

    block_number: int
    block_time_s: int
    records: list[RecordState]


@dataclass(slots=True)
class StatusLedger:
    """One deployment. `governor`, `registrar` and `guardian` hold the roles, `submitter` only gas money."""

    chain: Chain
    address: ChecksumAddress
    abi: Abi
    governor: Account
    registrar: Account
    guardian: Account
    submitter: Account

    @classmethod
    def deploy(cls, chain: Chain) -> "StatusLedger":
        artifact = ledger_artifact()
        abi = Abi(artifact["abi"])
        governor, registrar, guardian, submitter = chain.accounts[:4]
        code = bytes(HexBytes(artifact["bytecode"])) + abi.constructor(
            governor.address, registrar.address, guardian.address
        )
        return cls(chain, chain.deploy(submitter, code), abi, governor, registrar, guardian, submitter)

    @property
    def domain(self) -> Domain:
        return Domain(self.chain.chain_id, self.address)

    @property
    def latest_ms(self) -> int:
        """The latest time that the block to come accepts."""
        return self.chain.next_time_s * 1000 + AHEAD_ALLOWANCE_MS

    def transact(self, account: Account, function: str, *arguments: Any) -> Outcome:
        return self.chain.transact(account, self.address, self.abi.call(function, *arguments))

    def publish(self, publication: Publication, signature: bytes) -> Outcome:
        return self.chain.transact(self.submitter, self.address, self.publish_calldata(publication, signature))

    def publish_calldata(self, publication: Publication, signature: bytes) -> bytes:
        return self.abi.call(
            "publish",
            bic_to_bytes11(publication.bank),
            publication.number,
            publication.watermark_ms,
            [attestation.as_tuple() for attestation in publication.attestations],
            signature,
        )

    def refusal(self, outcome: Outcome) -> Refusal:
        """The ledger's refusal. Fails if it accepted."""
        assert not outcome.ok, "the ledger accepted"
        assert not outcome.logs
        return self.abi.refusal(outcome.output)

    def bank(self, bank: bytes) -> BankState:
        return BankState(*self._ask("getBank", bank)[0])

    def read(self, queries: Sequence[tuple[bytes, bytes]]) -> Answer:
        number, time_s, records = self._ask("read", list(queries))
        return Answer(number, time_s, [RecordState(*record) for record in records])

    def record(self, bank: bytes, binding: bytes) -> RecordState:
        return self.read([(bank, binding)]).records[0]

    def ask(self, function: str, *arguments: Any) -> Any:
        """The single value that a view function returns."""
        (value,) = self._ask(function, *arguments)
        return value

    def _ask(self, function: str, *arguments: Any) -> tuple[Any, ...]:
        outcome = self.chain.call(self.address, self.abi.call(function, *arguments))
        assert outcome.ok, self.abi.refusal(outcome.output)
        return self.abi.answer(function, outcome.output)


@dataclass(slots=True)
class Issuer:
    """A bank: its BIC, its signing key, and the account that may rotate it."""

    bic: str
    signer: LocalSigner
    admin: Account

    @property
    def bank(self) -> bytes:
        return bic_to_bytes11(self.bic)

    def admit(self, ledger: StatusLedger, number: int = 0, head: bytes = ZERO_HASH) -> Outcome:
        return ledger.transact(
            ledger.registrar, "admit", self.bank, self.signer.address, self.admin.address, number, head
        )

    def next(
        self, ledger: StatusLedger, *attestations: Attestation, watermark_ms: int | None = None, **changes: Any
    ) -> Publication:
        """The publication that the ledger expects next; `changes` replaces fields of it."""
        state = ledger.bank(self.bank)
        publication = Publication(
            domain=ledger.domain,
            bank=self.bic,
            number=state.publication + 1,
            previous=state.head,
            watermark_ms=state.watermark_ms if watermark_ms is None else watermark_ms,
            attestations=attestations,
        )
        return replace(publication, **changes)

    def publish(self, ledger: StatusLedger, *attestations: Attestation, **changes: Any) -> Outcome:
        """Sign and submit `next`."""
        publication = self.next(ledger, *attestations, **changes)
        return ledger.publish(publication, self.signer.sign(publication.digest))


def signer(name: str) -> LocalSigner:
    """A key of its own for every name."""
    return LocalSigner(keccak(text=f"key of {name}"))


def binding(number: int) -> bytes:
    """The id of a binding; looks random, as real ones are."""
    return keccak(text=f"binding {number}")


def attestation(number: int, version: int = 1) -> Attestation:
    """An attestation about binding `number`; each `version` has its own sealed content."""
    content = keccak(text=f"terms {number} {version}")
    return Attestation(binding(number), keccak(content)[:26], content)
