"""One JSON-RPC connection over several ledger nodes: the first that answers is used until it fails.

A node that fails rests for a while, so that a dead node does not cost every call its timeout. No call is retried on the
same node, and each node is asked at most once per call; the caller decides on further retries. It is safe to send a
transaction to a second node after the first gave no answer: a transaction counts once, wherever it enters.

A node whose newest block is older than one reported before has stalled and is catching up. It rests, and the next one
is asked. If all nodes are behind, the newest of their answers counts.

An error in answer to a read may be that node's own trouble, such as a damaged database, a pruned state or a limit on
requests, so the next one is asked as well. It is the answer only where no node gives a better one. A contract's revert
is the ledger's word, and a refused transaction is judged by its sender (`ledger.chain.sender`).

A node answers a search for logs in blocks that it does not have yet with none, not with an error. So each search also
asks for its newest block, in the same request: behind a load balancer, two requests may reach two nodes.
"""

import threading
import time
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Any, cast
from urllib.parse import urlsplit

import requests
from web3.exceptions import BadResponseFormat
from web3.providers.base import JSONBaseProvider
from web3.types import RPCEndpoint, RPCResponse

from standing.ledger.chain.bounded_answers import BoundedProvider
from standing.ledger.errors import InvalidValue, LedgerMismatch

MAX_URLS = 8
_REST_S = 5.0

#: Nodes' answers while they cannot serve at all, whatever the call. They share no error code for it.
_NOT_SERVING = (
    "endpoint is closed",
    "catching up",
    "node is syncing",
    "initial sync is still in progress",  # Besu, as is the next
    "node not yet in sync",
    "not ready",
    "shutting down",
)


#: HTTP statuses by which a node, or a proxy in front of it, refuses a batch of calls.
_REFUSES_A_BATCH = frozenset({400, 403, 405, 413, 415, 422, 501})

#: The names that a call may use for the newest block of some kind.
_NEWEST = frozenset({"latest", "finalized", "safe"})


class NodeNotServing(requests.RequestException):
    """A ledger node answers that it cannot serve now."""


class _Node:
    """One ledger node. `checked`: it has proved to be on the right chain, with the contract."""

    def __init__(self, url: str, timeout_s: float) -> None:
        # The host and port only: a URL's path or user part may be a secret.
        self.name = urlsplit(url).netloc.rpartition("@")[2]
        self.provider = BoundedProvider(url, timeout_s)
        self.checked = False
        self.rests_until = 0.0

    def ask(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        """The node's answer. Raises: requests.RequestException, BadResponseFormat, ValueError."""
        try:
            if method == "eth_getLogs" and str(params[0].get("toBlock")).startswith("0x"):
                return self._ask_for_logs(method, params)
            return self._checked(self.provider.make_request(method, params))
        except RecursionError as endless:
            raise BadResponseFormat(f"{self.name} answers with JSON that is nested without end") from endless

    def _ask_for_logs(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        """The logs up to a block that the node has."""
        last = int(params[0]["toBlock"], 16)
        # In this order: a block that comes in between is in the logs.
        calls = [(RPCEndpoint("eth_blockNumber"), []), (method, params)]
        newest, logs = self._batch(calls) or [self._checked(self.provider.make_request(*call)) for call in calls]
        if newest.get("error") is not None:
            return newest
        if int(str(newest.get("result")), 16) < last:
            raise NodeNotServing(f"{self.name} has no block {last} yet")
        return logs

    def _batch(self, calls: list[tuple[RPCEndpoint, Any]]) -> list[RPCResponse] | None:
        """The answers to calls in one request, in their order; None where the node takes no batches."""
        try:
            answers = self.provider.make_batch_request(calls)
        except requests.HTTPError as error:
            if error.response.status_code in _REFUSES_A_BATCH:
                return None
            raise
        if not isinstance(answers, list) or len(answers) != len(calls):
            return None
        return [self._checked(answer) for answer in answers]

    def _checked(self, answer: Any) -> RPCResponse:
        """An answer of a node that serves."""
        if not isinstance(answer, dict):
            raise BadResponseFormat(f"{self.name} answers with no JSON object")
        error = answer.get("error")
        if error is not None and any(sign in str(error).lower() for sign in _NOT_SERVING):
            raise NodeNotServing(f"{self.name} does not serve now")
        return cast(RPCResponse, answer)


def is_too_long(error: Exception | None) -> bool:
    """Whether a node, or a proxy before it, refused a request for its length."""
    return isinstance(error, requests.HTTPError) and error.response.status_code == HTTPStatus.REQUEST_ENTITY_TOO_LARGE


def _may_be_its_own_trouble(method: RPCEndpoint, answer: RPCResponse) -> bool:
    """Whether an answer is an error that another node might not give."""
    error = answer.get("error")
    if error is None or method == "eth_sendRawTransaction":
        return False
    data = error.get("data") if isinstance(error, dict) else None
    return not (isinstance(data, str) and data.startswith("0x")) and "revert" not in str(error).lower()


def check_url(text: str) -> str:
    """The address of a ledger node. Raises: InvalidValue, which does not show it: it may hold a secret."""
    if not _is_url(text):
        raise InvalidValue("ledger_url", "not a URL", "such as http://127.0.0.1:8545")
    return text


def _is_url(text: str) -> bool:
    try:
        parts = urlsplit(text)
        return parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:  # an invalid port
        return False


class Failover(JSONBaseProvider):
    """A web3 provider over one or more nodes of one ledger.

    Before its first use, and again after each failure, a node is passed to `check`, which raises LedgerMismatch for a
    node of another chain. Such a node is never asked anything else. Raises: InvalidValue for no URL, or too many.
    """

    def __init__(self, urls: Sequence[str], *, timeout_s: float, monotonic_s: Callable[[], float] = time.monotonic):
        super().__init__()
        if not 1 <= len(urls) <= MAX_URLS:
            raise InvalidValue("ledger_urls", f"{len(urls)} URLs", f"1 to {MAX_URLS}")
        self._nodes = [_Node(check_url(url), timeout_s) for url in urls]
        self._current = 0
        self._monotonic_s = monotonic_s
        self._lock = threading.Lock()
        self._newest: dict[str, int] = {}  # the highest block number reported, by kind
        #: Checks whether a node belongs to the right ledger: takes its name, and a function that makes a call to it.
        self.check: Callable[[str, Callable[[RPCEndpoint, Any], RPCResponse]], None] | None = None
        #: How often a node failed, by its host and port.
        self.failures: dict[str, int] = {node.name: 0 for node in self._nodes}

    @property
    def current(self) -> str:
        """Host and port of the node in use."""
        return self._nodes[self._current].name

    def make_request(self, method: RPCEndpoint, params: Any) -> RPCResponse:
        """The answer of the first node that answers in time; an error only if no node does better.

        Raises: the last node's error where none answers, or that of one to which the request is too long;
        LedgerMismatch where all that answer belong to another ledger.
        """
        failure: Exception | None = None
        late: list[tuple[int, int, RPCResponse]] = []
        refused: list[tuple[_Node, RPCResponse]] = []
        for index in self._order():
            node = self._nodes[index]
            try:
                if self.check is not None and not node.checked:
                    self.check(node.name, node.ask)
                    node.checked = True
                answer = node.ask(method, params)
            except LedgerMismatch as error:
                # A node on another chain will not recover: report it instead of skipping it silently.
                failure = error
            except (requests.RequestException, BadResponseFormat, ValueError) as error:
                failure = failure if isinstance(failure, LedgerMismatch) or is_too_long(failure) else error
            else:
                if _may_be_its_own_trouble(method, answer):
                    refused.append((node, answer))
                    continue
                behind = self._behind(method, params, answer)
                if not behind:
                    for other, _ in refused:
                        self._rest(other)
                    with self._lock:
                        self._current = index
                    return answer
                late.append((behind, index, answer))
            self._rest(node)
        if late:
            _, self._current, answer = min(late, key=lambda each: each[0])
            return answer
        if refused:
            return refused[0][1]
        assert failure is not None  # there is at least one node
        raise failure

    def check_again(self) -> None:
        """Check the node in use now: behind its URL there may be another one. Raises: what `check` raises, as
        LedgerMismatch."""
        node = self._nodes[self._current]
        if self.check is not None:
            node.checked = False
            self.check(node.name, node.ask)
            node.checked = True

    def doubt(self) -> None:
        """Stop using the present node for a while, because its answers or its handling of transactions show that it
        lags. If no other node answers, it is asked again.
        """
        self._rest(self._nodes[self._current])

    def _behind(self, method: RPCEndpoint, params: Any, answer: RPCResponse) -> int:
        """By how many blocks an answer about the newest block is behind earlier answers; 0 for any other answer."""
        result = answer.get("result")
        if method == "eth_blockNumber":
            kind, reported = "latest", result
        elif method == "eth_getBlockByNumber" and params[0] in _NEWEST and isinstance(result, dict):
            kind, reported = params[0], result.get("number")
        else:
            return 0
        try:
            number = int(str(reported), 16)
        except ValueError:
            return 0  # the caller reports that this is malformed
        with self._lock:
            newest = self._newest[kind] = max(number, self._newest.get(kind, 0))
        return newest - number

    def check_all(self) -> list[str]:
        """Check every node now. Returns: those that do not answer. Raises: LedgerMismatch for one of another ledger."""
        silent = []
        for node in self._nodes:
            try:
                if self.check is not None:
                    self.check(node.name, node.ask)
                node.checked = True
            except (requests.RequestException, BadResponseFormat, ValueError):
                self._rest(node)
                silent.append(node.name)
        return silent

    def _order(self) -> list[int]:
        """The nodes to ask: the one in use first, then the others in turn, resting nodes last."""
        with self._lock:
            first = self._current
        turn = [(first + step) % len(self._nodes) for step in range(len(self._nodes))]
        now_s = self._monotonic_s()
        return sorted(turn, key=lambda index: self._nodes[index].rests_until > now_s)  # a stable sort keeps the order

    def _rest(self, node: _Node) -> None:
        with self._lock:
            node.rests_until = self._monotonic_s() + _REST_S
            node.checked = False
            self.failures[node.name] += 1
