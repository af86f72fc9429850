"""The banks whose accounts may be bound: their directory, and the client of their nodes."""

import asyncio
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

import httpx
from pydantic import ValidationError
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from gateway.errors import AlreadyBound, BankNodeRefused, BankNodeUnreachable, BankNotServed
from gateway.settings import BankSettings
from ledger.bic import bic_to_bytes11, parse_bic
from ledger.errors import Conflict, InvalidValue
from ledger.protocol import BindingAnswer, BindingRequest
from ledger.service.settings import read_text_secret

_ATTEMPTS = 2
_MAX_ANSWER_BYTES = 64 * 1024
_MAX_SHOWN = 300
_ALREADY_BOUND = "urn:standing:problem:already-bound"


@dataclass(frozen=True, slots=True)
class Bank:
    """One bank, ready to use. `node_key` is this gateway's API key at the bank's node."""

    bic: str
    bic_bytes: bytes
    name: str
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
                name=bank.name,
                zone=ZoneInfo(bank.time_zone),
                node_url=str(bank.node_url).rstrip("/"),
                node_key=read_text_secret(bank.node_api_key_file, f"banks.{bank.bic}.node_api_key_file"),
            )
            for bank in settings
        }

    def __iter__(self) -> Iterator[Bank]:
        return iter(self._banks.values())

    def find(self, bic: str) -> Bank:
        """The bank of a BIC as a caller wrote it. Raises: InvalidValue."""
        bank = self._banks.get(parse_bic(bic))
        if bank is None:
            raise InvalidValue("bank", "not one of this platform's banks", "one that GET /v1/banks lists")
        return bank

    def of_binding(self, bic: str) -> Bank:
        """The bank of a binding that is stored here. Raises: BankNotServed where the settings list it no longer."""
        bank = self._banks.get(bic)
        if bank is None:
            raise BankNotServed(f"the binding's bank {bic} is not in this gateway's settings any more")
        return bank


class NodeClient:
    """Asks banks' nodes. Everything it asks may be asked twice, so a lost connection is tried once more.

    `timeout_s` bounds one attempt as a whole. Belongs to one event loop, from `open` to `close`.
    """

    def __init__(self, timeout_s: float) -> None:
        self._timeout_s = timeout_s
        self._client: httpx.AsyncClient | None = None

    async def open(self) -> None:
        self._client = httpx.AsyncClient(timeout=self._timeout_s, follow_redirects=False)

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()

    async def bind(self, bank: Bank, request: BindingRequest) -> BindingAnswer:
        """Ask for a binding; asked again with the same request id and content, the node gives the same answer.

        Raises: AlreadyBound, Conflict, InvalidValue (as the node says), BankNodeUnreachable, BankNodeRefused.
        """
        status, body = await self._send(bank, "POST", "/v1/bindings", request.model_dump(mode="json"))
        if status == httpx.codes.OK:
            try:
                answer = BindingAnswer.model_validate_json(body)
            except ValidationError as error:
                raise BankNodeRefused(f"the node of {bank.bic} answers what the protocol does not know") from error
            if (answer.outcome == "granted") != (answer.grant is not None):
                raise BankNodeRefused(f"the node of {bank.bic} grants without a grant, or refuses with one")
            return answer
        raise _refusal(bank, status, body)

    async def unbind(self, bank: Bank, binding: bytes) -> bool:
        """Tell the bank that a binding has ended; False where the bank does not know the binding.

        Raises: BankNodeUnreachable, BankNodeRefused, Conflict.
        """
        status, body = await self._send(bank, "DELETE", f"/v1/bindings/0x{binding.hex()}", None)
        if status == httpx.codes.NOT_FOUND:
            return False
        if status != httpx.codes.NO_CONTENT:
            raise _refusal(bank, status, body)
        return True

    async def _send(self, bank: Bank, method: str, path: str, document: Any) -> tuple[int, bytes]:
        try:
            async for attempt in AsyncRetrying(
                retry=retry_if_exception_type((httpx.TransportError, TimeoutError)),
                stop=stop_after_attempt(_ATTEMPTS),
                wait=wait_random_exponential(multiplier=0.1, max=0.5),
                reraise=True,
            ):
                with attempt:
                    async with asyncio.timeout(self._timeout_s):
                        return await self._send_once(bank, method, path, document)
        except (httpx.TransportError, TimeoutError) as error:
            raise BankNodeUnreachable(
                f"the node of {bank.bic} does not answer ({type(error).__name__}); ask again later"
            ) from error
        raise AssertionError("tenacity returns or raises")

    async def _send_once(self, bank: Bank, method: str, path: str, document: Any) -> tuple[int, bytes]:
        assert self._client is not None  # `open` comes first
        headers = {"Authorization": f"Bearer {bank.node_key}"}
        async with self._client.stream(method, bank.node_url + path, json=document, headers=headers) as response:
            received = bytearray()
            async for chunk in response.aiter_bytes():
                received += chunk
                if len(received) > _MAX_ANSWER_BYTES:
                    raise BankNodeRefused(f"the node of {bank.bic} answers with more than {_MAX_ANSWER_BYTES} bytes")
            return response.status_code, bytes(received)


def _refusal(bank: Bank, status: int, body: bytes) -> Exception:
    """What a node's problem document means here."""
    try:
        problem = json.loads(body)
    except ValueError:
        problem = None
    told = problem if isinstance(problem, dict) else {}
    detail = str(told.get("detail", "no detail"))[:_MAX_SHOWN]
    if status == httpx.codes.CONFLICT:
        kind = AlreadyBound if told.get("type") == _ALREADY_BOUND else Conflict
        return kind(f"the node of {bank.bic} says: {detail}")
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
