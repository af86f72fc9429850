"""The banks whose accounts may be bound: their directory, and the client of their nodes."""

import asyncio
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any
from zoneinfo import ZoneInfo

import httpx
from pydantic import ValidationError
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from standing.gateway.access.localized import Localized
from standing.gateway.bindings.settings import BankSettings
from standing.gateway.errors import AlreadyBound, BankNodeRefused, BankNodeUnreachable, BankNotServed, TooManyAttempts
from standing.ledger.attestations.bic import bic_to_bytes11, parse_bic
from standing.ledger.attestations.binding_protocol import BindingAnswer, BindingRequest, DepositConfirmation
from standing.ledger.attestations.certificate import Certificate, CertificateDocument
from standing.ledger.clock import Clock
from standing.ledger.errors import Conflict, InvalidValue, NotFound
from standing.ledger.service.retry_after import retry_after_s
from standing.ledger.service.settings import read_text_secret

_ATTEMPTS = 2
_MAX_ANSWER_BYTES = 64 * 1024
_MAX_SHOWN = 300
_ALREADY_BOUND = "urn:standing:problem:already-bound"
_TOO_MANY = "urn:standing:problem:too-many-attempts"
#: The wait where a node asks to wait and does not say how long.
_USUAL_WAIT_S = 60


@dataclass(frozen=True, slots=True)
class Bank:
    """One bank, ready to use. `node_key` is this gateway's API key at the bank's node."""

    bic: str
    bic_bytes: bytes
    name: Localized
    zone: ZoneInfo
    node_url: str
    node_key: str

    def __repr__(self) -> str:  # the key must not reach a log by accident
        return f"Bank({self.bic!r})"


class BankDirectory:
    """All banks of the settings. Raises: SettingsError where a key file cannot be read."""

    def __init__(self, settings: Iterable[BankSettings]) -> None:
        self._banks = {
            bank.bic: Bank(
                bic=bank.bic,
                bic_bytes=bic_to_bytes11(bank.bic),
                name=Localized(bank.name, bank.name_zh or bank.name),
                zone=ZoneInfo(bank.time_zone),
                node_url=str(bank.node_url).rstrip("/"),
                node_key=read_text_secret(bank.node_api_key_file, f"banks.{bank.bic}.node_api_key_file"),
            )
            for bank in settings
        }

    def adopt(self, other: "BankDirectory") -> list[str]:
        """Take over another directory's banks: new ones, names, nodes and keys.

        A bank that is not in it any more stays, and one whose time zone is another keeps the old one: days are counted
        by it, and what is known of a binding holds it. Both need a restart. Returns: these, as settings are named.
        """
        gone = [f"banks.{bic}" for bic in self._banks if bic not in other._banks]
        moved = [bic for bic, bank in other._banks.items() if bic in self._banks and bank.zone != self._banks[bic].zone]
        kept = {bic: replace(bank, zone=self._banks[bic].zone) for bic, bank in other._banks.items() if bic in moved}
        self._banks = {**self._banks, **other._banks, **kept}  # one step: other threads read it
        return gone + [f"banks.{bic}.time_zone" for bic in moved]

    def __iter__(self) -> Iterator[Bank]:
        return iter(self._banks.values())

    def find(self, bic: str) -> Bank:
        """The bank of a BIC as a caller wrote it. Raises: InvalidValue."""
        bank = self._banks.get(parse_bic(bic))
        if bank is None:
            raise InvalidValue("bank", "not one of this platform's banks", "one that GET /v1/banks lists")
        return bank

    def serves(self, bic: str) -> bool:
        """Whether the bank of a stored binding is still in the settings."""
        return bic in self._banks

    def of_binding(self, bic: str) -> Bank:
        """The bank of a stored binding. Raises: BankNotServed where the settings no longer list it."""
        bank = self._banks.get(bic)
        if bank is None:
            raise BankNotServed(f"the binding's bank {bic} is not in this gateway's settings any more")
        return bank


@dataclass(slots=True)
class NodeCalls:
    """How often a bank's node was asked since this process started, and how often it did not answer."""

    tries: int = 0
    errors: int = 0
    last_error_at_ms: int | None = None


class NodeClient:
    """The client of banks' nodes. Every call is safe to repeat, so a lost connection is tried once more.

    `timeout_s` bounds one attempt as a whole. Belongs to one event loop, from `open` to `close`.
    """

    def __init__(self, timeout_s: float, clock: Clock) -> None:
        self._clock = clock
        self._timeout_s = timeout_s
        self._client: httpx.AsyncClient | None = None
        self._calls: defaultdict[str, NodeCalls] = defaultdict(NodeCalls)

    def calls(self, bank: Bank) -> NodeCalls:
        """What is counted of a bank's node."""
        return self._calls[bank.bic]

    async def open(self) -> None:
        self._client = httpx.AsyncClient(timeout=self._timeout_s, follow_redirects=False)

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()

    async def bind(self, bank: Bank, request: BindingRequest) -> BindingAnswer:
        """Ask for a binding. The same request id and content get the same answer again.

        Raises: AlreadyBound, Conflict, InvalidValue (as the node says), TooManyAttempts, BankNodeUnreachable,
        BankNodeRefused.
        """
        answer = await self._send(bank, "POST", "/v1/bindings", request.model_dump(mode="json", exclude_none=True))
        return _binding_answer(bank, answer)

    async def confirm(self, bank: Bank, deposit: bytes, amount_minor: int) -> BindingAnswer:
        """Name the amount of a micro-deposit. The right amount again gets the same answer again.

        Raises: NotFound (the bank knows no such deposit), and as `bind`.
        """
        confirmation = DepositConfirmation(amount_minor=amount_minor)
        path = f"/v1/micro-deposits/0x{deposit.hex()}/confirm"
        answer = await self._send(bank, "POST", path, confirmation.model_dump(mode="json"))
        if answer.status == httpx.codes.NOT_FOUND:
            raise NotFound(f"the node of {bank.bic} knows no such micro-deposit; allowed: to begin anew")
        return _binding_answer(bank, answer)

    async def resync(self, bank: Bank, binding: bytes) -> bool:
        """Ask the bank to publish a binding's terms once more. Returns: False where they were on their way already.

        Raises: NotFound (the bank does not know the binding), TooManyAttempts, BankNodeUnreachable, BankNodeRefused.
        """
        answer = await self._send(bank, "POST", f"/v1/bindings/0x{binding.hex()}/resync", None)
        if answer.status == httpx.codes.NOT_FOUND:
            raise NotFound(f"the node of {bank.bic} does not know this binding; allowed: to bind the account again")
        if answer.status != httpx.codes.OK:
            raise _refusal(bank, answer)
        try:
            return bool(json.loads(answer.body)["queued"])
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise BankNodeRefused(f"the node of {bank.bic} answers what the protocol does not know") from error

    async def certificate(self, bank: Bank, binding: bytes, challenge: bytes) -> Certificate:
        """Ask the bank to certify a binding's account. The answer is as the node gives it; nothing of it is verified.

        Raises: NotFound (the bank does not know the binding), Conflict (it does not certify the account),
        TooManyAttempts, BankNodeUnreachable, BankNodeRefused.
        """
        body = {"challenge": "0x" + challenge.hex()}
        answer = await self._send(bank, "POST", f"/v1/bindings/0x{binding.hex()}/certificate", body)
        if answer.status == httpx.codes.NOT_FOUND:
            raise NotFound(f"the node of {bank.bic} does not know this binding; allowed: to bind the account again")
        if answer.status != httpx.codes.OK:
            raise _refusal(bank, answer)
        try:
            return CertificateDocument.model_validate_json(answer.body).certificate()
        except ValidationError as error:
            raise BankNodeRefused(f"the node of {bank.bic} answers what the protocol does not know") from error

    async def unbind(self, bank: Bank, binding: bytes) -> bool:
        """Tell the bank that a binding has ended. Returns: False where the bank does not know the binding.

        Raises: BankNodeUnreachable, BankNodeRefused, Conflict.
        """
        answer = await self._send(bank, "DELETE", f"/v1/bindings/0x{binding.hex()}", None)
        if answer.status == httpx.codes.NOT_FOUND:
            return False
        if answer.status != httpx.codes.NO_CONTENT:
            raise _refusal(bank, answer)
        return True

    async def trail(self, bank: Bank, binding: bytes) -> bytes:
        """The node's part of a binding's sync trail, as JSON. Raises: BankNodeUnreachable, BankNodeRefused."""
        answer = await self._send(bank, "GET", f"/v1/bindings/0x{binding.hex()}/trail", None)
        if answer.status != httpx.codes.OK:
            refusal = _refusal(bank, answer)
            if isinstance(refusal, BankNodeUnreachable):
                raise refusal
            raise BankNodeRefused(f"the node of {bank.bic} does not tell the trail (HTTP {answer.status})") from refusal
        return answer.body

    async def _send(self, bank: Bank, method: str, path: str, document: Any) -> "_Answer":
        try:
            async for attempt in AsyncRetrying(
                retry=retry_if_exception_type((httpx.TransportError, TimeoutError)),
                stop=stop_after_attempt(_ATTEMPTS),
                wait=wait_random_exponential(multiplier=0.1, max=0.5),
                reraise=True,
            ):
                with attempt:
                    return await self._try(bank, method, path, document)
        except (httpx.TransportError, TimeoutError) as error:
            raise BankNodeUnreachable(
                f"the node of {bank.bic} does not answer ({type(error).__name__}); ask again later"
            ) from error
        raise AssertionError("tenacity returns or raises")

    async def _try(self, bank: Bank, method: str, path: str, document: Any) -> "_Answer":
        counted = self.calls(bank)
        counted.tries += 1
        try:
            async with asyncio.timeout(self._timeout_s):
                return await self._send_once(bank, method, path, document)
        except (httpx.TransportError, TimeoutError):
            counted.errors += 1
            counted.last_error_at_ms = self._clock.now_ms()
            raise

    async def _send_once(self, bank: Bank, method: str, path: str, document: Any) -> "_Answer":
        assert self._client is not None  # `open` comes first
        headers = {"Authorization": f"Bearer {bank.node_key}"}
        async with self._client.stream(method, bank.node_url + path, json=document, headers=headers) as response:
            received = bytearray()
            async for chunk in response.aiter_bytes():
                received += chunk
                if len(received) > _MAX_ANSWER_BYTES:
                    raise BankNodeRefused(f"the node of {bank.bic} answers with more than {_MAX_ANSWER_BYTES} bytes")
            wait_s = retry_after_s(response.headers.get("Retry-After", ""), self._clock.now_ms())
            return _Answer(response.status_code, bytes(received), _USUAL_WAIT_S if wait_s is None else wait_s)


@dataclass(frozen=True, slots=True)
class _Answer:
    """A node's answer. Never shown: a grant holds a key."""

    status: int
    body: bytes
    retry_after_s: int

    def __repr__(self) -> str:
        return f"_Answer({self.status})"


def _binding_answer(bank: Bank, answer: _Answer) -> BindingAnswer:
    if answer.status != httpx.codes.OK:
        raise _refusal(bank, answer)
    try:
        told = BindingAnswer.model_validate_json(answer.body)
    except ValidationError as error:
        # The error's own text would show the answer, which may hold a key.
        raise BankNodeRefused(f"the node of {bank.bic} answers what the protocol does not know") from error
    parts = {"granted": told.grant is not None, "micro_deposit": told.micro_deposit is not None}
    if any(there != (told.outcome == outcome) for outcome, there in parts.items()):
        raise BankNodeRefused(f"the node of {bank.bic} grants without a grant, or refuses with one")
    return told


def _refusal(bank: Bank, answer: _Answer) -> Exception:
    """The error that a node's problem document stands for."""
    status = answer.status
    try:
        problem = json.loads(answer.body)
    except (ValueError, RecursionError):
        problem = None
    told = problem if isinstance(problem, dict) else {}
    detail = str(told.get("detail", "no detail"))[:_MAX_SHOWN]
    if status == httpx.codes.CONFLICT:
        kind = AlreadyBound if told.get("type") == _ALREADY_BOUND else Conflict
        return kind(f"the node of {bank.bic} says: {detail}")
    if status == httpx.codes.TOO_MANY_REQUESTS and told.get("type") == _TOO_MANY:
        return TooManyAttempts(f"the node of {bank.bic} says: {detail}", answer.retry_after_s)
    if status == httpx.codes.UNPROCESSABLE_ENTITY:
        return _invalid(told, detail)
    if status in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
        return BankNodeRefused(f"the node of {bank.bic} refuses this gateway's key; tell the gateway's operator")
    if status >= httpx.codes.INTERNAL_SERVER_ERROR or status == httpx.codes.TOO_MANY_REQUESTS:
        return BankNodeUnreachable(f"the node of {bank.bic} cannot answer for now (HTTP {status}); ask again later")
    return BankNodeRefused(f"the node of {bank.bic} answers HTTP {status}, which the protocol does not know")


def _invalid(told: dict[str, Any], detail: str) -> InvalidValue:
    errors = told.get("errors")
    first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {}
    return InvalidValue(
        str(first.get("field", "claim"))[:_MAX_SHOWN],
        str(first.get("problem", detail))[:_MAX_SHOWN],
        str(first.get("allowed", "what the bank accepts"))[:_MAX_SHOWN],
    )
