"""The supported banks: their directory, and the client of their nodes."""

import asyncio
import json
import ssl
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
from standing.ledger.service.settings import read_api_key

_ATTEMPTS = 2
_MAX_ANSWER_BYTES = 64 * 1024
_MAX_SHOWN = 300
_ALREADY_BOUND = "urn:standing:problem:already-bound"
_TOO_MANY = "urn:standing:problem:too-many-attempts"
#: The pause if a node requests one without stating its length.
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
                node_key=read_api_key(bank.node_api_key_file, f"banks.{bank.bic}.node_api_key_file"),
            )
            for bank in settings
        }

    def adopt(self, other: "BankDirectory") -> list[str]:
        """Take over another directory's banks: new ones, names, nodes and keys.

        A bank that is missing there stays, and a bank keeps its old time zone, because usage is counted by its days and
        cached bindings contain it. Both changes need a restart. Returns: those changes, under the names of settings.
        """
        removed = [f"banks.{bic}" for bic in self._banks if bic not in other._banks]
        changed = [
            bic for bic, bank in other._banks.items() if bic in self._banks and bank.zone != self._banks[bic].zone
        ]
        kept = {bic: replace(bank, zone=self._banks[bic].zone) for bic, bank in other._banks.items() if bic in changed}
        self._banks = {**self._banks, **other._banks, **kept}  # one assignment, because other threads read it
        return removed + [f"banks.{bic}.time_zone" for bic in changed]

    def __iter__(self) -> Iterator[Bank]:
        return iter(self._banks.values())

    def find(self, bic: str) -> Bank:
        """The bank of a BIC as the caller wrote it. Raises: InvalidValue."""
        bank = self._banks.get(parse_bic(bic))
        if bank is None:
            raise InvalidValue("bank", "not one of this platform's banks", "one that GET /v1/banks lists")
        return bank

    def get(self, bic: str) -> Bank | None:
        """The bank of a stored binding; None where the settings no longer list it."""
        return self._banks.get(bic)

    def of_binding(self, bic: str) -> Bank:
        """As `get`. Raises: BankNotServed where the settings no longer list it."""
        bank = self.get(bic)
        if bank is None:
            raise BankNotServed(f"the binding's bank {bic} is no longer in this gateway's settings")
        return bank


@dataclass(slots=True)
class NodeCalls:
    """Counts of calls to a bank's node, and of calls without an answer, since this process started."""

    tries: int = 0
    errors: int = 0
    last_error_at_ms: int | None = None


class NodeClient:
    """The client of banks' nodes. Every call is safe to repeat, so it is retried after a lost connection.

    `timeout_s` bounds one attempt as a whole. Belongs to one event loop, from `open` to `close`.
    """

    def __init__(self, timeout_s: float, clock: Clock) -> None:
        self._clock = clock
        self._timeout_s = timeout_s
        # Each bank's own: in a pool of connections for all, calls to a bank that hangs would delay those to the others.
        self._clients: dict[str, httpx.AsyncClient] = {}
        self._tls: ssl.SSLContext | None = None  # from `open` to `close`
        self._calls: defaultdict[str, NodeCalls] = defaultdict(NodeCalls)

    def calls(self, bank: Bank) -> NodeCalls:
        """The call counts of a bank's node."""
        return self._calls[bank.bic]

    async def open(self) -> None:
        """Make calls possible; a bank's connections open with the first call to it."""
        self._tls = httpx.create_ssl_context()  # takes longer than a call

    async def close(self) -> None:
        self._tls = None
        for client in self._clients.values():
            await client.aclose()
        self._clients.clear()

    async def bind(self, bank: Bank, request: BindingRequest) -> BindingAnswer:
        """Request a binding. Repeating the request id and content repeats the answer.

        Raises: AlreadyBound, Conflict, InvalidValue (from the node), TooManyAttempts, BankNodeUnreachable,
        BankNodeRefused.
        """
        answer = await self._send(bank, "POST", "/v1/bindings", request.model_dump(mode="json", exclude_none=True))
        return _binding_answer(bank, answer)

    async def confirm(self, bank: Bank, deposit: bytes, amount_minor: int) -> BindingAnswer:
        """State the amount of a micro-deposit. Repeating the right amount repeats the answer.

        Raises: NotFound (the bank knows no such deposit), and the errors of `bind`.
        """
        confirmation = DepositConfirmation(amount_minor=amount_minor)
        path = f"/v1/micro-deposits/0x{deposit.hex()}/confirm"
        answer = await self._send(bank, "POST", path, confirmation.model_dump(mode="json"))
        if answer.status == httpx.codes.NOT_FOUND:
            raise NotFound(f"the node of {bank.bic} has no such micro-deposit; allowed: start again")
        return _binding_answer(bank, answer)

    async def resync(self, bank: Bank, binding: bytes) -> bool:
        """Ask the bank to publish a binding's terms again. Returns: False if they were already being published.

        Raises: NotFound (the bank does not know the binding), TooManyAttempts, BankNodeUnreachable, BankNodeRefused.
        """
        answer = await self._ask_about(bank, binding, "resync", None)
        try:
            return bool(json.loads(answer.body)["queued"])
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise BankNodeRefused(f"the node of {bank.bic} gives an answer that is not part of the protocol") from error

    async def certificate(self, bank: Bank, binding: bytes, challenge: bytes) -> Certificate:
        """Ask the bank to certify a binding's account. The node's answer is returned unverified.

        Raises: NotFound (the bank does not know the binding), Conflict (it does not certify the account),
        TooManyAttempts, BankNodeUnreachable, BankNodeRefused.
        """
        answer = await self._ask_about(bank, binding, "certificate", {"challenge": "0x" + challenge.hex()})
        try:
            return CertificateDocument.model_validate_json(answer.body).certificate()
        except ValidationError as error:
            raise BankNodeRefused(f"the node of {bank.bic} gives an answer that is not part of the protocol") from error

    async def unbind(self, bank: Bank, binding: bytes) -> bool:
        """Notify the bank that a binding has ended. Returns: False if the bank does not know the binding.

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
            raise BankNodeRefused(
                f"the node of {bank.bic} does not return its part of the trail (HTTP {answer.status})"
            ) from refusal
        return answer.body

    async def _ask_about(self, bank: Bank, binding: bytes, what: str, document: Any) -> "_Answer":
        """The answer to a request about a binding that the bank must know. Raises: NotFound, and as `_refusal`."""
        answer = await self._send(bank, "POST", f"/v1/bindings/0x{binding.hex()}/{what}", document)
        if answer.status == httpx.codes.NOT_FOUND:
            raise NotFound(f"the node of {bank.bic} does not know this binding; bind the account again")
        if answer.status != httpx.codes.OK:
            raise _refusal(bank, answer)
        return answer

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
                f"the node of {bank.bic} does not answer ({type(error).__name__}); try again later"
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
        assert self._tls is not None  # `open` comes first
        client = self._clients.get(bank.bic)
        if client is None:
            client = httpx.AsyncClient(verify=self._tls, timeout=self._timeout_s, follow_redirects=False)
            self._clients[bank.bic] = client
        # Not compressed, and not decompressed: a few bytes may stand for gigabytes.
        headers = {"Authorization": f"Bearer {bank.node_key}", "Accept-Encoding": "identity"}
        async with client.stream(method, bank.node_url + path, json=document, headers=headers) as response:
            received = bytearray()
            async for chunk in response.aiter_raw():
                received += chunk
                if len(received) > _MAX_ANSWER_BYTES:
                    raise BankNodeRefused(f"the node of {bank.bic} answers with more than {_MAX_ANSWER_BYTES} bytes")
            wait_s = retry_after_s(response.headers.get("Retry-After", ""), self._clock.now_ms())
            return _Answer(response.status_code, bytes(received), _USUAL_WAIT_S if wait_s is None else wait_s)


@dataclass(frozen=True, slots=True)
class _Answer:
    """A node's answer. Its body is never shown, because a grant contains a key."""

    status: int
    body: bytes
    retry_after_s: int

    def __repr__(self) -> str:
        return f"_Answer({self.status})"


def _binding_answer(bank: Bank, answer: _Answer) -> BindingAnswer:
    if answer.status != httpx.codes.OK:
        raise _refusal(bank, answer)
    try:
        parsed = BindingAnswer.model_validate_json(answer.body)
    except ValidationError as error:
        # The error's text would include the answer, which may contain a key.
        raise BankNodeRefused(f"the node of {bank.bic} gives an answer that is not part of the protocol") from error
    parts = {"granted": parsed.grant is not None, "micro_deposit": parsed.micro_deposit is not None}
    if any(present != (parsed.outcome == outcome) for outcome, present in parts.items()):
        raise BankNodeRefused(f"the node of {bank.bic} sent a contradictory answer")
    return parsed


def _refusal(bank: Bank, answer: _Answer) -> Exception:
    """The error for a node's problem document."""
    status = answer.status
    try:
        body = json.loads(answer.body)
    except (ValueError, RecursionError):
        body = None
    problem = body if isinstance(body, dict) else {}
    detail = str(problem.get("detail", "no detail"))[:_MAX_SHOWN]
    if status == httpx.codes.CONFLICT:
        kind = AlreadyBound if problem.get("type") == _ALREADY_BOUND else Conflict
        return kind(f"the node of {bank.bic} says: {detail}")
    if status == httpx.codes.TOO_MANY_REQUESTS and problem.get("type") == _TOO_MANY:
        return TooManyAttempts(f"the node of {bank.bic} says: {detail}", answer.retry_after_s)
    if status == httpx.codes.UNPROCESSABLE_ENTITY:
        return _invalid(problem, detail)
    if status in {httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN}:
        return BankNodeRefused(f"the node of {bank.bic} refuses this gateway's key; contact the gateway's operator")
    if status >= httpx.codes.INTERNAL_SERVER_ERROR or status == httpx.codes.TOO_MANY_REQUESTS:
        return BankNodeUnreachable(f"the node of {bank.bic} cannot answer for now (HTTP {status}); try again later")
    return BankNodeRefused(f"the node of {bank.bic} answers HTTP {status}, which is not part of the protocol")


def _invalid(problem: dict[str, Any], detail: str) -> InvalidValue:
    errors = problem.get("errors")
    first = errors[0] if isinstance(errors, list) and errors and isinstance(errors[0], dict) else {}
    return InvalidValue(
        str(first.get("field", "claim"))[:_MAX_SHOWN],
        str(first.get("problem", detail))[:_MAX_SHOWN],
        str(first.get("allowed", "what the bank accepts"))[:_MAX_SHOWN],
    )
