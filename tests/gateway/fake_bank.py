"""A bank for the gateway's tests: a core controlled by the tests, and a node that speaks the real protocol.

It is simpler than the real node (nothing is durable), but equal to it for the gateway: grants are signed,
terms are sealed, publications are signed and go to a real chain.
"""

import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Literal

from fastapi import Depends, FastAPI, Request, Response
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from standing.ledger.attestations.binding_protocol import (
    BindingAnswer,
    BindingRequest,
    Claim,
    DepositConfirmation,
    GrantDocument,
    Hex32,
    MicroDepositDocument,
    Mismatch,
)
from standing.ledger.attestations.certificate import (
    Certificate,
    CertificateDocument,
    CertificateRequest,
    sign_certificate,
)
from standing.ledger.attestations.grant import make_grant
from standing.ledger.attestations.limits import LIMIT_FIELDS, Limits
from standing.ledger.attestations.money import NO_LIMIT, currency_number
from standing.ledger.attestations.publication import Attestation, LocalSigner, Publication
from standing.ledger.attestations.sealing import derive_binding_key, identity_tags, seal
from standing.ledger.attestations.terms import IdentityTags, Status, Terms
from standing.ledger.chain.client import LedgerClient
from standing.ledger.chain.sender import Sender, publication_gas
from standing.ledger.clock import Clock
from standing.ledger.errors import Conflict, NotFound
from standing.ledger.service import problems
from standing.ledger.service.api_keys import ApiKey, Caller, Keyring, new_key, require

PLATFORM = "jinqiao-pay"
DEPOSIT_LIFETIME_MS = 7 * 24 * 3_600_000


class AlreadyBound(Conflict):
    """In the real node's wording."""


@dataclass(frozen=True)
class Account:
    """An account in the bank's core."""

    holder: Claim
    status: Status = Status.ACTIVE
    debit_allowed: bool = True
    credit_allowed: bool = True
    currency: str = "CNY"
    transaction_limit_minor: int = 500_000
    daily_limit_minor: int = 2_000_000
    monthly_limit_minor: int = NO_LIMIT
    yearly_limit_minor: int = NO_LIMIT
    daily_credit_limit_minor: int = NO_LIMIT
    yearly_credit_limit_minor: int = NO_LIMIT

    def terms(self, binding: bytes, key: bytes, effective_at_ms: int) -> Terms:
        return Terms(
            status=self.status,
            debit_allowed=self.debit_allowed,
            credit_allowed=self.credit_allowed,
            currency=currency_number(self.currency),
            effective_at_ms=effective_at_ms,
            limits=Limits(*(getattr(self, name) for name in LIMIT_FIELDS)),
            tags=identity_tags(binding, key, self.holder.identity()),
        )


@dataclass
class FakeBank:
    """One bank. `trouble` makes the node misbehave; its values are in `serve`."""

    bic: str
    client: LedgerClient
    sender_key: bytes
    clock: Clock
    signer: LocalSigner = field(default_factory=lambda: LocalSigner(secrets.token_bytes(32)))
    secret: bytes = field(default_factory=lambda: secrets.token_bytes(32))
    accounts: dict[str, Account] = field(default_factory=dict)
    bindings: dict[bytes, str] = field(default_factory=dict)  # to the account's number, while active
    ended: set[bytes] = field(default_factory=set)
    asked: dict[str, tuple[BindingRequest, BindingAnswer]] = field(default_factory=dict)
    trouble: str | None = None
    #: The amount of the micro-deposit that the next binding needs first; None: it needs none.
    deposit_minor: int | None = None
    deposits: dict[str, tuple[BindingRequest, int]] = field(default_factory=dict)
    certified: list[Certificate] = field(default_factory=list)
    #: Of each deposit whose amount was stated wrongly.
    tries_left: dict[str, int] = field(default_factory=dict)
    #: The id that the next binding gets, in place of a random one.
    next_binding: bytes | None = None
    number: int = 0
    head: bytes = bytes(32)
    #: The price at the first publication: blocks that are nearly empty never raise it.
    gas_price_wei: int | None = None

    def __post_init__(self) -> None:
        self.node_key, key_hash = new_key()
        self.app = FastAPI()
        self.app.state.keyring = Keyring([ApiKey(name="gateway", role="platform", sha256=key_hash)])
        problems.install(self.app, {})
        self.app.add_api_route("/v1/bindings", self._post, methods=["POST"])
        self.app.add_api_route("/v1/bindings/{binding}", self._delete, methods=["DELETE"])
        self.app.add_api_route("/v1/bindings/{binding}/resync", self._resync, methods=["POST"])
        self.app.add_api_route("/v1/bindings/{binding}/certificate", self._certify, methods=["POST"])
        self.app.add_api_route("/v1/bindings/{binding}/trail", self._trail, methods=["GET"])
        self.app.add_api_route("/v1/micro-deposits/{deposit}/confirm", self._confirm, methods=["POST"])

    async def serve(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The node's ASGI app, with its troubles: a status to answer with, `garbage`, or `flood`."""
        if (
            scope["type"] != "http"
            or self.trouble is None
            or self.trouble in _GRANT_TROUBLES | CERTIFICATE_TROUBLES.keys()
        ):
            await self.app(scope, receive, send)
        elif self.trouble == "garbage":
            await Response('{"outcome": "perhaps"}', media_type="application/json")(scope, receive, send)
        elif self.trouble == "flood":
            await Response(b"x" * 1_000_000)(scope, receive, send)
        elif self.trouble == "too many":
            problem = {"type": "urn:standing:problem:too-many-attempts", "detail": "too many attempts of this user"}
            await JSONResponse(problem, 429, {"Retry-After": "77"})(scope, receive, send)
        else:
            await Response("{}", status_code=int(self.trouble))(scope, receive, send)

    def key(self, binding: bytes) -> bytes:
        return derive_binding_key(self.secret, binding, PLATFORM)

    def change(self, number: str, **changes: Any) -> None:
        """Let the core change an account, and publish that."""
        self.accounts[number] = replace(self.accounts[number], **changes)
        self.publish(*(binding for binding, bound in self.bindings.items() if bound == number))

    def publish(self, *bindings: bytes, watermark_ms: int | None = None, terms: bytes | None = None) -> None:
        """Publish terms of some bindings (`terms`: replacement bytes) or a heartbeat; return once it is in a block."""
        number, now_ms = self.number + 1, self.clock.now_ms()
        attestations = []
        for binding in bindings:
            account, key = self.accounts[self.bindings[binding]], self.key(binding)
            stated = account.terms(binding, key, now_ms)
            if binding in self.ended:
                stated = replace(stated, status=Status.UNBOUND)
            tag_and_head, tail = seal(stated, key=key, bank=self.bic, binding=binding, publication=number)
            attestations.append(Attestation(binding, tag_and_head, terms or tail))
        publication = Publication(
            self.client.domain,
            self.bic,
            number,
            self.head,
            now_ms if watermark_ms is None else watermark_ms,
            tuple(attestations),
        )
        sender = Sender(self.client, self.sender_key)
        data = self.client.publish_calldata(publication, self.signer.sign(publication.digest))
        self.gas_price_wei = sender.gas_price_wei() if self.gas_price_wei is None else self.gas_price_wei
        prepared = sender.prepare(data, gas=publication_gas(len(attestations)), gas_price_wei=self.gas_price_wei)
        sender.transmit(prepared)
        sender.wait(prepared, timeout_s=30)
        self.number, self.head = number, publication.digest

    def _post(self, body: BindingRequest, _caller: Annotated[Caller, Depends(require("platform"))]) -> BindingAnswer:
        if body.request_id in self.asked:
            before, answer = self.asked[body.request_id]
            if before != body:
                raise Conflict("request_id: used before for another claim")
            return answer
        answer = self._bind(body)
        if answer.outcome != "refused":
            self.asked[body.request_id] = (body, answer)
        return answer

    def _ask_deposit(self, body: BindingRequest, amount_minor: int) -> BindingAnswer:
        deposit = "0x" + secrets.token_hex(32)
        self.deposits[deposit] = (body, amount_minor)
        expires_at_ms = self.clock.now_ms() + DEPOSIT_LIFETIME_MS
        document = MicroDepositDocument(id=deposit, currency="CNY", expires_at_ms=expires_at_ms, tries_left=3)
        return BindingAnswer(outcome="micro_deposit", micro_deposit=document)

    def _confirm(
        self, deposit: Hex32, body: DepositConfirmation, _caller: Annotated[Caller, Depends(require("platform"))]
    ) -> BindingAnswer:
        if deposit not in self.deposits:
            raise NotFound("no such micro-deposit")
        asked, amount_minor = self.deposits[deposit]
        if body.amount_minor != amount_minor:
            mismatch = Mismatch(field="amount", problem="another")
            self.tries_left[deposit] = max(0, self.tries_left.get(deposit, 3) - 1)
            return BindingAnswer(outcome="refused", mismatches=[mismatch], tries_left=self.tries_left[deposit])
        granted = self.asked[asked.request_id][1]
        if granted.grant is None:
            number = asked.canonical_number()
            granted = self._grant(self.accounts[number], number, _raw(asked.replaces))
            granted = granted.model_copy(update={"mismatches": self._mismatches(asked)})
            self.asked[asked.request_id] = (asked, granted)
        return granted

    def _mismatches(self, body: BindingRequest) -> list[Mismatch]:
        held, stated = self.accounts[body.canonical_number()].holder.identity(), body.identity()
        fields: tuple[Literal["name", "id_document", "phone"], ...] = ("name", "id_document", "phone")
        return [Mismatch(field=f, problem="differs") for f in fields if getattr(held, f) != getattr(stated, f)]

    def _resync(self, binding: Hex32, _caller: Annotated[Caller, Depends(require("platform"))]) -> dict[str, Any]:
        raw = bytes.fromhex(binding[2:])
        if raw not in self.bindings:
            raise NotFound("no such binding")
        self.publish(raw)
        return {"binding": binding, "effective_at_ms": self.clock.now_ms(), "queued": True}

    def _certify(
        self, binding: Hex32, body: CertificateRequest, _caller: Annotated[Caller, Depends(require("platform"))]
    ) -> CertificateDocument:
        raw = bytes.fromhex(binding[2:])
        if raw not in self.bindings or raw in self.ended:
            raise NotFound("no such binding")
        if self.trouble == "replayed":
            return CertificateDocument.of(next(each for each in reversed(self.certified) if each.binding == raw))
        account = self.accounts[self.bindings[raw]]
        if account.status is not Status.ACTIVE:
            raise Conflict("the account is not in good standing")
        now_ms = self.clock.now_ms()
        unsigned = Certificate(
            bank=self.bic,
            binding=raw,
            platform=PLATFORM,
            challenge=bytes.fromhex(body.challenge[2:]),
            tags=account.terms(raw, self.key(raw), now_ms).tags,
            debit_allowed=account.debit_allowed,
            credit_allowed=account.credit_allowed,
            as_of_ms=now_ms,
            issued_at_ms=now_ms,
            expires_at_ms=now_ms + 120_000,
        )
        # A faulty node signs false statements; a thief alters signed ones, or signs with another key.
        if self.trouble in CERTIFICATE_TROUBLES:
            unsigned = replace(unsigned, **CERTIFICATE_TROUBLES[self.trouble](unsigned))
        signer = LocalSigner(secrets.token_bytes(32)) if self.trouble == "another bank's key" else self.signer
        if self.trouble == "of no bank":  # nothing can be signed for it
            certificate = replace(unsigned, signature=bytes(65))
        else:
            certificate = sign_certificate(signer, unsigned)
        if self.trouble == "changed after it was signed":
            certificate = replace(certificate, as_of_ms=certificate.as_of_ms - 1)
        self.certified.append(certificate)
        return CertificateDocument.of(certificate)

    def _trail(self, binding: Hex32, _caller: Annotated[Caller, Depends(require("platform"))]) -> None:
        raise NotFound(f"this bank keeps no trail of {binding}")

    def _bind(self, body: BindingRequest) -> BindingAnswer:
        number = body.canonical_number()
        account = self.accounts.get(number)
        if account is None:
            return BindingAnswer(
                outcome="refused", mismatches=[Mismatch(field="number", problem="no such account", iso_reason="AC01")]
            )
        mismatches = self._mismatches(body)
        if mismatches and (self.deposit_minor is None or [each.field for each in mismatches] != ["phone"]):
            return BindingAnswer(outcome="refused", mismatches=mismatches)
        replaced = _raw(body.replaces)
        if any(bound == number and each not in self.ended | {replaced} for each, bound in self.bindings.items()):
            raise AlreadyBound("the account is bound already")
        if self.deposit_minor is not None:
            return self._ask_deposit(body, self.deposit_minor)
        return self._grant(account, number, replaced)

    def _grant(self, account: Account, number: str, replaced: bytes | None) -> BindingAnswer:
        binding, self.next_binding = self.next_binding or secrets.token_bytes(32), None
        key = self.key(binding)
        grant = make_grant(
            LocalSigner(secrets.token_bytes(32)) if self.trouble == "wrong signer" else self.signer,
            bank="OTHRCNBJ" if self.trouble == "wrong bank" else self.bic,
            binding=binding,
            platform="other-pay" if self.trouble == "wrong platform" else PLATFORM,
            granted_at_ms=self.clock.now_ms(),
            binding_key=key,
        )
        if self.trouble == "wrong key":
            grant = replace(grant, binding_key=secrets.token_bytes(32))
        self.bindings[binding] = number
        ended = {each for each in self.bindings if each == replaced} - self.ended
        self.ended |= ended
        self.publish(*ended, binding)
        return BindingAnswer(outcome="granted", grant=GrantDocument.of(grant))

    def _delete(
        self, binding: Hex32, _request: Request, _caller: Annotated[Caller, Depends(require("platform"))]
    ) -> Response:
        raw = bytes.fromhex(binding[2:])
        if raw not in self.bindings:
            raise NotFound("no such binding")
        if raw not in self.ended:
            self.ended.add(raw)
            self.publish(raw)
        return Response(status_code=204)


def _raw(binding: str | None) -> bytes | None:
    return None if binding is None else bytes.fromhex(binding[2:])


#: The faults of a certificate, with the false statement each one makes.
CERTIFICATE_TROUBLES: dict[str, Callable[[Certificate], dict[str, Any]]] = {
    "replayed": lambda _: {},
    "another bank's key": lambda _: {},
    "changed after it was signed": lambda _: {},
    "of another bank": lambda _: {"bank": "OTHRCNBJ"},
    "of no bank": lambda _: {"bank": "NO BANK!"},
    "of another binding": lambda _: {"binding": secrets.token_bytes(32)},
    "for another platform": lambda _: {"platform": "other-pay"},
    "to another question": lambda _: {"challenge": secrets.token_bytes(32)},
    "expired": lambda fresh: {"issued_at_ms": fresh.issued_at_ms - 120_000, "expires_at_ms": fresh.issued_at_ms},
    "for ever": lambda fresh: {"expires_at_ms": fresh.issued_at_ms + 86_400_000},
    "from the future": lambda fresh: {"issued_at_ms": fresh.issued_at_ms + 60_000},
    "of a silent core": lambda fresh: {"as_of_ms": fresh.as_of_ms - 300_001},
    "of another holder": lambda _: {"tags": IdentityTags(*(secrets.token_bytes(3) for _ in range(3)))},
}
_GRANT_TROUBLES = frozenset({"wrong signer", "wrong bank", "wrong platform", "wrong key"})
