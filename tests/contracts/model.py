"""The whole contract again in Python, written from its interface: the effect of each step, or its error.

Only the hashing and the recovery of keys are shared with the rest of the project. Steps use the time of their block.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from typing import Concatenate, ParamSpec

from eth_utils import keccak

from standing.ledger.attestations.publication import Domain, recover
from tests.contracts.abi import Event, Refusal
from tests.contracts.ledger import (
    AHEAD_ALLOWANCE_MS,
    MAX_ATTESTATIONS,
    NO_RECORD,
    ZERO_ADDRESS,
    ZERO_HASH,
    BankState,
    RecordState,
)

GOVERNOR_ROLE = bytes(32)
REGISTRAR_ROLE = keccak(text="REGISTRAR_ROLE")
GUARDIAN_ROLE = keccak(text="GUARDIAN_ROLE")
NO_BANK = BankState(ZERO_ADDRESS, 0, 0, ZERO_ADDRESS, False, ZERO_HASH)

_PUBLISH = keccak(text="publish(bytes11,uint48,uint48,(bytes32,bytes26,bytes32)[],bytes)")[:4]
_ATTESTATION_TYPE = "Attestation(bytes32 binding,bytes26 tagAndHead,bytes32 tail)"
_PUBLICATION_TYPE = (
    "Publication(bytes11 bank,uint48 number,bytes32 previous,uint48 watermarkMs,Attestation[] attestations)"
)
_HALF_ORDER = 0x7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF5D576E7357A4501DDFE92F46681B20A0
_U48 = 2**48 - 1
_U64 = 2**64 - 1


class Refused(Exception):
    """The model's contract reverts."""

    def __init__(self, name: str, *arguments: object) -> None:
        super().__init__(name, arguments)
        self.refusal = Refusal(name, arguments)


@dataclass(frozen=True, slots=True)
class Message:
    """Well-formed calldata of `publish`. The words of its attestations are unchanged, including padding."""

    bank: bytes
    number: int
    watermark_ms: int
    attestations: tuple[tuple[int, int, int], ...]
    signature: bytes


def parse_message(data: bytes) -> Message:
    """Decode raw calldata as the contract does. Raises: Refused, without a name, if it is malformed."""

    def word(at: int) -> int:
        return int.from_bytes(data[at : at + 32])

    def sequence(offset: int, size: int) -> tuple[int, int]:
        """Start and length of the dynamic argument at `offset`, whose items take `size` bytes."""
        if offset > _U64 or offset + 4 + 32 > len(data):
            raise Refused("")
        length = word(4 + offset)
        if length > _U64 or offset + 36 + length * size > len(data):
            raise Refused("")
        return 36 + offset, length

    if data[:4] != _PUBLISH or len(data) < 4 + 5 * 32:
        raise Refused("")
    bank, number, watermark_ms, batch, signature = (word(4 + 32 * n) for n in range(5))
    if bank % 2**168 or number > _U48 or watermark_ms > _U48:
        raise Refused("")
    start, count = sequence(batch, 96)
    at, length = sequence(signature, 1)
    words = [word(start + 32 * n) for n in range(3 * count)]
    items = tuple((words[n], words[n + 1], words[n + 2]) for n in range(0, len(words), 3))
    return Message((bank >> 168).to_bytes(11, "big"), number, watermark_ms, items, data[at : at + length])


def digest_of(domain: Domain, message: Message, previous: bytes) -> bytes:
    """EIP-712 over the words, unchanged."""
    batch = b"".join(
        keccak(keccak(text=_ATTESTATION_TYPE) + b"".join(word.to_bytes(32, "big") for word in item))
        for item in message.attestations
    )
    content = keccak(
        keccak(text=_PUBLICATION_TYPE + _ATTESTATION_TYPE)
        + message.bank.ljust(32, b"\0")
        + message.number.to_bytes(32, "big")
        + previous
        + message.watermark_ms.to_bytes(32, "big")
        + keccak(batch)
    )
    return keccak(b"\x19\x01" + domain.separator + content)


def signs(signer: str, digest: bytes, signature: bytes) -> bool:
    """Whether `signature` is a plain (65 bytes, low s, v 27 or 28) signature of the key behind `signer`."""
    if len(signature) != 65 or int.from_bytes(signature[32:64]) > _HALF_ORDER:
        return False
    recovered = recover(digest, signature)
    return recovered is not None and recovered.lower() == signer


_P = ParamSpec("_P")
_Step = Callable[Concatenate["Model", str, _P], Event | None]


def _with_role(role: bytes) -> Callable[[_Step[_P]], _Step[_P]]:
    def decorate(step: _Step[_P]) -> _Step[_P]:
        @wraps(step)
        def checked(model: "Model", caller: str, /, *arguments: _P.args, **named: _P.kwargs) -> Event | None:
            if (role, caller) not in model.roles:
                raise Refused("AccessControlUnauthorizedAccount", caller, role)
            return step(model, caller, *arguments, **named)

        return checked

    return decorate


@dataclass(slots=True)
class Model:
    """The state of one ledger. Addresses are lower case. Every step returns its event or raises Refused."""

    domain: Domain
    roles: set[tuple[bytes, str]]
    banks: dict[bytes, BankState] = field(default_factory=dict)
    records: dict[tuple[bytes, bytes], tuple[int, bytes, bytes]] = field(default_factory=dict)

    def bank(self, name: bytes) -> BankState:
        return self.banks.get(name, NO_BANK)

    def record(self, name: bytes, binding: bytes) -> RecordState:
        stored = self.records.get((name, binding), NO_RECORD[:3])
        bank = self.bank(name)
        return RecordState(*stored, bank.watermark_ms, bank.suspended)

    def _admitted(self, name: bytes) -> BankState:
        if name not in self.banks:
            raise Refused("BankNotAdmitted", name)
        return self.banks[name]

    def publish(self, data: bytes, time_s: int) -> Event:
        message = parse_message(data)
        bank = self._admitted(message.bank)
        latest_ms = time_s * 1000 + AHEAD_ALLOWANCE_MS
        if bank.suspended:
            raise Refused("BankIsSuspended", message.bank)
        if len(message.attestations) > MAX_ATTESTATIONS:
            raise Refused("TooManyAttestations", len(message.attestations), MAX_ATTESTATIONS)
        if message.number != bank.publication + 1:
            raise Refused("UnexpectedNumber", message.number, bank.publication + 1)
        if message.watermark_ms < bank.watermark_ms:
            raise Refused("WatermarkBackwards", message.watermark_ms, bank.watermark_ms)
        if message.watermark_ms > latest_ms:
            raise Refused("WatermarkAhead", message.watermark_ms, latest_ms)
        digest = digest_of(self.domain, message, bank.head)
        if not signs(bank.signer, digest, message.signature):
            raise Refused("WrongSignature", digest, bank.signer)
        bindings = self._store(message)
        self.banks[message.bank] = bank._replace(
            publication=message.number, watermark_ms=message.watermark_ms, head=digest
        )
        arguments = {
            "number": message.number,
            "watermarkMs": message.watermark_ms,
            "digest": digest,
            "bindings": bindings,
        }
        return Event("Published", {"bank": message.bank, **arguments})

    def _store(self, message: Message) -> tuple[bytes, ...]:
        """Write each attestation in turn, under the publication's number; all or nothing."""
        written = dict(self.records)
        bindings = []
        for name, tag_and_head, tail in message.attestations:
            binding = name.to_bytes(32, "big")
            if tag_and_head % 2**48:
                raise Refused("")
            content = (tag_and_head >> 48).to_bytes(26, "big"), tail.to_bytes(32, "big")
            written[message.bank, binding] = (message.number, *content)
            bindings.append(binding)
        self.records = written
        return tuple(bindings)

    @_with_role(REGISTRAR_ROLE)
    def admit(self, caller: str, name: bytes, signer: str, admin: str, number: int, head: bytes) -> Event:
        if name == bytes(11) or ZERO_ADDRESS in {signer, admin}:
            raise Refused("ZeroNotAllowed")
        if (number == 0) != (head == ZERO_HASH):
            raise Refused("IncompleteHistory", number, head)
        if name in self.banks:
            raise Refused("BankAlreadyAdmitted", name)
        self.banks[name] = BankState(signer, number, 0, admin, False, head)
        arguments = {"signer": signer, "admin": admin, "number": number, "head": head}
        return Event("BankAdmitted", {"bank": name, **arguments})

    @_with_role(GUARDIAN_ROLE)
    def suspend(self, caller: str, name: bytes) -> Event:
        bank = self._admitted(name)
        if bank.suspended:
            raise Refused("BankIsSuspended", name)
        self.banks[name] = bank._replace(suspended=True)
        return Event("BankSuspended", {"bank": name, "by": caller})

    @_with_role(REGISTRAR_ROLE)
    def reinstate(self, caller: str, name: bytes, signer: str, admin: str) -> Event:
        bank = self._admitted(name)
        if not bank.suspended:
            raise Refused("BankNotSuspended", name)
        if ZERO_ADDRESS in {signer, admin}:
            raise Refused("ZeroNotAllowed")
        self.banks[name] = bank._replace(signer=signer, admin=admin, suspended=False)
        return Event("BankReinstated", {"bank": name, "signer": signer, "admin": admin})

    def rotate(self, caller: str, name: bytes, signer: str) -> Event:
        bank = self._admitted(name)
        if caller != bank.admin:
            raise Refused("NotBankAdmin", name, caller)
        if signer == ZERO_ADDRESS:
            raise Refused("ZeroNotAllowed")
        self.banks[name] = bank._replace(signer=signer)
        return Event("SignerRotated", {"bank": name, "previousSigner": bank.signer, "signer": signer})

    @_with_role(GOVERNOR_ROLE)
    def grant(self, caller: str, role: bytes, account: str) -> Event | None:
        """The event is None where the account has the role already."""
        if (role, account) in self.roles:
            return None
        self.roles.add((role, account))
        return Event("RoleGranted", {"role": role, "account": account, "sender": caller})

    @_with_role(GOVERNOR_ROLE)
    def revoke(self, caller: str, role: bytes, account: str) -> Event | None:
        """The event is None where the account does not have the role."""
        if (role, account) not in self.roles:
            return None
        self.roles.remove((role, account))
        return Event("RoleRevoked", {"role": role, "account": account, "sender": caller})
