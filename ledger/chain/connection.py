"""Connections to ledger nodes by web3, addresses, and web3's errors as those of `ledger.errors`."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import requests
from eth_abi.exceptions import DecodingError
from eth_typing import ChecksumAddress
from eth_utils import is_address, is_checksum_address, is_checksum_formatted_address, to_checksum_address
from hexbytes import HexBytes
from web3 import Web3
from web3.exceptions import (
    BadFunctionCallOutput,
    BadResponseFormat,
    ContractLogicError,
    Web3Exception,
    Web3RPCError,
)
from web3.types import EventData

from standing.ledger.chain.contract import decode_rejection
from standing.ledger.chain.failover import Failover, NodeNotServing, is_too_long
from standing.ledger.errors import InvalidValue, LedgerMismatch, LedgerUnreachable, RequestTooLong

_WORD_MAX = 2**256 - 1
_DIGEST_SIZE = 32
#: The highest block number that is accepted: the limit of a database column.
MAX_BLOCK = 2**63 - 1

# What web3 raises for answers whose parts have unexpected types.
_ODD_ANSWER = (BadResponseFormat, DecodingError, ValueError, TypeError, LookupError, AttributeError, OverflowError)


def parse_address(text: str, field: str) -> ChecksumAddress:
    """A 20-byte address with its checksum. Raises: InvalidValue."""
    if not is_address(text):
        raise InvalidValue(field, "not an address", "0x and 40 hexadecimal digits")
    # `is_address` ignores the checksum, which would reveal a mistyped digit.
    if is_checksum_formatted_address(text) and not is_checksum_address(text):
        raise InvalidValue(field, "an address with a wrong checksum", "the address as it was given, capitals included")
    return to_checksum_address(text)


def parse_digest(text: str, field: str) -> bytes:
    """A digest of 32 bytes. Raises: InvalidValue."""
    try:
        raw = bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        raw = b""
    if len(raw) != _DIGEST_SIZE:
        raise InvalidValue(field, "not a digest", "0x and 64 hexadecimal digits")
    return raw


def connect(url: str | Sequence[str], *, timeout_s: float = 5.0) -> Web3:
    """A web3 connection over keep-alive HTTP, to one node or with fail-over to others (`ledger.chain.failover`).

    web3's own retries are off: the caller decides on retries. So is its validation, which asks for the chain's id
    before each `eth_call`, and refuses the longer extraData of BFT engines: `Failover` checks the chain of every node.
    """
    w3 = Web3(Failover([url] if isinstance(url, str) else url, timeout_s=timeout_s))
    w3.middleware_onion.remove("validation")
    return w3


@contextmanager
def ledger_errors() -> Iterator[None]:
    """Translate what web3 and requests raise into `ledger.errors`."""
    try:
        yield
    except ContractLogicError as error:
        raise decode_rejection(_revert_data(error.data)) from error
    except requests.HTTPError as error:
        host = urlsplit(error.response.url).netloc.rpartition("@")[2]  # the rest of a URL may be a secret
        unreachable = RequestTooLong if is_too_long(error) else LedgerUnreachable
        raise unreachable(f"the ledger's node {host} answers HTTP {error.response.status_code}") from error
    except NodeNotServing as error:
        raise LedgerUnreachable(str(error)) from error
    except requests.RequestException as error:
        raise LedgerUnreachable(f"the ledger does not answer ({type(error).__name__})") from error
    except Web3RPCError as error:
        rpc_error = (error.rpc_response or {}).get("error", {})
        data = rpc_error.get("data") if isinstance(rpc_error, dict) else None
        if isinstance(data, str) and data.startswith("0x") and len(data) >= 10:
            raise decode_rejection(_revert_data(data)) from error
        raise LedgerUnreachable(f"the ledger's node answers with an error: {_shorten(error)}") from error
    except BadFunctionCallOutput as error:
        raise LedgerMismatch("there is no StatusLedger contract at this address") from error
    except _ODD_ANSWER as error:
        raise LedgerUnreachable(f"the ledger node's answer is malformed: {_shorten(error)}") from error
    except Web3Exception as error:
        raise LedgerUnreachable(f"the ledger's node fails: {_shorten(error)}") from error


def quantity(answer: Any, of: str) -> int:
    """A number from a node's answer, which may be null despite web3's type. Raises: LedgerUnreachable."""
    if not isinstance(answer, int) or not 0 <= answer <= _WORD_MAX:
        raise LedgerUnreachable(f"the ledger's node returned no {of}")
    return answer


def checked_block(answer: Any, of: str, *, first: int = 0, last: int = MAX_BLOCK) -> int:
    """A block's number from a node's answer, within the range that was asked for. Raises: LedgerUnreachable."""
    number = quantity(answer, of)
    if not first <= number <= last:
        raise LedgerUnreachable(f"the ledger node's answer is malformed: its block is not within {first} to {last}")
    return number


def check_logs(logs: Iterable[EventData], first: int, last: int) -> None:
    """Check that logs are of the blocks that were asked for: a follower of the ledger continues after the last one.

    Raises: LedgerUnreachable.
    """
    for log in logs:
        checked_block(log["blockNumber"], "log's block number", first=first, last=last)


def narrower(window: int, refusal: LedgerUnreachable) -> int:
    """A smaller range of blocks for a node that refuses a large one: nodes bound what one query may search.

    Raises: the refusal, where the range is a single block already.
    """
    if window <= 1:
        raise refusal
    return max(1, window // 8)


def _shorten(error: Exception) -> str:
    return str(error)[:200]


def _revert_data(data: Any) -> bytes:
    """The return data of a revert; empty where the node does not give it in hexadecimal."""
    try:
        return bytes(HexBytes(data)) if isinstance(data, str | bytes) else b""
    except ValueError:
        return b""
