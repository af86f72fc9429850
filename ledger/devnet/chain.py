"""The development chain: eth-tester (py-evm) served as JSON-RPC over HTTP on loopback.

Node, gateway, scripts and any web3 client reach it exactly as they would a production node, by a URL. Each
transaction is mined at once into a block of its own; the block's time follows the machine's clock, or runs ahead of it
by a second a block where blocks come faster than that (py-evm wants each block strictly later than its parent). State
is in memory.
"""

import ast
import threading
import time
from collections.abc import Callable
from typing import Any

from eth.exceptions import PyEVMError
from eth_tester import EthereumTester, PyEVMBackend
from eth_tester.exceptions import BlockNotFound, TransactionFailed, ValidationError
from eth_utils import to_dict
from eth_utils.exceptions import ValidationError as EthValidationError
from hexbytes import HexBytes
from rlp.exceptions import RLPException
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from web3 import EthereumTesterProvider, Web3
from web3.types import RPCEndpoint

from standing.ledger.devnet.logs import LogIndex

#: The well-known private keys of eth-tester's funded accounts: 1, 2, 3 … as 32 bytes. Worth nothing anywhere else.
DEVNET_KEYS = tuple(number.to_bytes(32, "big") for number in range(1, 11))

_BAD_CALLS = (
    BlockNotFound,
    ValidationError,
    EthValidationError,
    PyEVMError,
    RLPException,
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    AttributeError,
)
_REVERTED = 3  # the JSON-RPC error code that nodes use for a revert, with its return data
_INVALID = -32602
_UNKNOWN_METHOD = -32601
_MAX_BODY_BYTES = 4 * 1024 * 1024
_MAX_BATCH = 1000


class Devnet:
    """One in-memory chain and the ASGI app that serves it.

    `now_s` tells the time of new blocks, in seconds; tests pass their own clock.
    """

    def __init__(self, now_s: Callable[[], int] = lambda: int(time.time())) -> None:
        self._now_s = now_s
        self._lock = threading.Lock()
        self.tester = EthereumTester(PyEVMBackend())
        self._provider = EthereumTesterProvider(self.tester)
        w3 = Web3(self._provider, middleware=[])
        self._logs = LogIndex(self.tester)
        self._request = self._provider.request_func(w3, w3.middleware_onion)
        self.app = Starlette(
            routes=[Route("/", self._serve, methods=["POST"]), Route("/healthz", self._health, methods=["GET"])]
        )

    async def _serve(self, request: Request) -> Response:
        body = await request.body()
        if len(body) > _MAX_BODY_BYTES:
            return JSONResponse(_error(None, _INVALID, f"more than {_MAX_BODY_BYTES} bytes"), status_code=413)
        try:
            call = await request.json()
        except ValueError:
            return JSONResponse(_error(None, -32700, "not JSON"))
        if isinstance(call, list):
            if len(call) > _MAX_BATCH:
                return JSONResponse(_error(None, _INVALID, f"more than {_MAX_BATCH} calls in one batch"))
            return JSONResponse([self.call(item) for item in call])
        return JSONResponse(self.call(call))

    async def _health(self, _request: Request) -> Response:
        return JSONResponse({"ok": True})

    def call(self, call: Any) -> dict[str, Any]:
        """Answer one JSON-RPC 2.0 call, one at a time: the chain is a single state."""
        if not isinstance(call, dict) or not isinstance(call.get("method"), str):
            return _error(None, -32600, "not a JSON-RPC 2.0 request")
        identity, method, params = call.get("id"), call["method"], call.get("params", [])
        with self._lock:
            try:
                if method.startswith("eth_send") or (method == "eth_getBlockByNumber" and "pending" in params):
                    self._set_block_time()
                if method == "eth_getLogs":
                    return {"jsonrpc": "2.0", "id": identity, "result": self._logs.find(params[0])}
                answer = self._request(RPCEndpoint(method), params)
            except TransactionFailed as error:
                return _revert(identity, error)
            except _BAD_CALLS as error:
                return _error(identity, _INVALID, str(error))
        if "error" in answer:
            return _error(identity, _UNKNOWN_METHOD, str(answer["error"]))
        return {"jsonrpc": "2.0", "id": identity, "result": _to_json(answer["result"])}

    def _set_block_time(self) -> None:
        """Give the next block the machine's time. py-evm would add one second to the parent's."""
        chain = self.tester.backend.chain
        chain.set_header_timestamp(max(self._now_s(), chain.get_canonical_head().timestamp + 1))


def _error(identity: Any, code: int, message: str, data: str | None = None) -> dict[str, Any]:
    error: dict[str, Any] = {"code": code, "message": message}
    if data is not None:
        error["data"] = data
    return {"jsonrpc": "2.0", "id": identity, "error": error}


def _revert(identity: Any, failure: TransactionFailed) -> dict[str, Any]:
    """eth-tester gives a revert's return data as the text of a Python bytes literal; nodes give it as hex."""
    text = str(failure.args[0]).removeprefix("execution reverted: ")
    try:
        data = ast.literal_eval(text)
    except (ValueError, SyntaxError):
        data = None
    if isinstance(data, bytes):
        return _error(identity, _REVERTED, "execution reverted", "0x" + data.hex())
    return _error(identity, _REVERTED, f"execution reverted: {text}")


@to_dict
def _to_json_dict(value: dict[str, Any]) -> Any:
    for key, item in value.items():
        # A receipt of eth-tester's says "" where the transaction made a contract; nodes say null.
        yield key, None if key == "to" and item == "" else _to_json(item)


def _to_json(value: Any) -> Any:
    """Python values of eth-tester as JSON-RPC writes them: quantities and bytes in hex."""
    if isinstance(value, bool) or value is None or isinstance(value, str | float):
        return value
    if isinstance(value, int):
        return hex(value)
    if isinstance(value, bytes | HexBytes):
        return "0x" + bytes(value).hex()
    if hasattr(value, "items"):
        return _to_json_dict(value)
    return [_to_json(item) for item in value]
