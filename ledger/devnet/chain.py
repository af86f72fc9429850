"""The development chain: eth-tester (py-evm) served as JSON-RPC over HTTP on loopback.

Node, gateway, scripts and any web3 client reach it exactly as they would a production node, by a URL. Each
transaction is mined at once into a block of its own. A block's time is the machine's clock in whole seconds, never
ahead of it, however many blocks a second has (`evm.SecondsVM`). State is in memory, that of old blocks included.
"""

import ast
import threading
import time
from collections.abc import Callable
from typing import Any

from eth.exceptions import PyEVMError
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

from standing.ledger.devnet.evm import new_tester, set_block_time, true_header
from standing.ledger.devnet.logs import LogIndex
from standing.ledger.devnet.proofs import get_proof

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
_BLOCKS = {"eth_getBlockByNumber", "eth_getBlockByHash"}


class Devnet:
    """One in-memory chain and the ASGI app that serves it.

    `now_s` gives the time of new blocks, in seconds; tests pass their own clock.
    """

    def __init__(self, now_s: Callable[[], int] = lambda: int(time.time())) -> None:
        self._now_s = now_s
        self._lock = threading.Lock()
        self.tester = new_tester(now_s())
        self._provider = EthereumTesterProvider(self.tester)
        w3 = Web3(self._provider, middleware=[])
        logs = LogIndex(self.tester)
        #: The methods answered from py-evm, because eth-tester answers it slowly or not at all.
        self._own: dict[str, Callable[[Any], Any]] = {
            "eth_getLogs": lambda params: logs.find(params[0]),
            "eth_getProof": lambda params: get_proof(self.tester, params),
        }
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
                    set_block_time(self.tester, self._now_s())
                own = self._own.get(method)
                if own is not None:
                    return {"jsonrpc": "2.0", "id": identity, "result": own(params)}
                answer = self._request(RPCEndpoint(method), params)
                result = _to_json(answer.get("result"))
                if method in _BLOCKS and result is not None:
                    result = true_header(self.tester, result)
            except TransactionFailed as error:
                return _revert(identity, error)
            except _BAD_CALLS as error:
                return _error(identity, _INVALID, str(error))
        if "error" in answer:
            return _error(identity, _UNKNOWN_METHOD, str(answer["error"]))
        return {"jsonrpc": "2.0", "id": identity, "result": result}


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
        # A receipt of eth-tester's has "" where the transaction made a contract; nodes have null.
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
