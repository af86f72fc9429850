"""A bank's history: whose signature counted for a publication, what came before it, and in which order."""

from types import SimpleNamespace
from typing import Any, cast

import pytest
from eth_utils import to_checksum_address
from web3.exceptions import ContractLogicError

from standing.ledger.attestations.bic import bic_to_bytes11
from standing.ledger.attestations.publication import Domain, Publication
from standing.ledger.chain.client import LedgerClient, published_event
from standing.ledger.chain.history import History, Placed, Signed
from standing.ledger.chain.walked_history import WalkedHistory
from standing.ledger.errors import LedgerUnreachable

_BANK = "YUNXCNB0"
_FIRST, _SECOND, _THIRD = ("0x" + digit * 40 for digit in "123")
_HEAD = b"\x07" * 32


def _log(event: str, block: int, index: int, **args: Any) -> dict[str, Any]:
    place = {"blockNumber": block, "logIndex": index, "blockHash": bytes(32), "transactionHash": bytes(32)}
    return place | {"event": event, "args": {"bank": bic_to_bytes11(_BANK)} | args}


def _published(number: int, block: int, index: int) -> dict[str, Any]:
    return _log("Published", block, index, number=number, watermarkMs=0, digest=bytes([number] * 32), bindings=())


class _Told(History):
    """A history of the given logs, which the node answers in no particular order."""

    def __init__(self, *logs: dict[str, Any]) -> None:
        super().__init__(LedgerClient("http://127.0.0.1:1", _FIRST), _BANK)
        self._told = logs

    def _logs(self, event: str, low: int, high: int, **filters: Any) -> list[Any]:
        return [
            log
            for log in reversed(self._told)
            if log["event"] == event
            and low <= log["blockNumber"] <= high
            and all(log["args"][name] == value for name, value in filters.items())
        ]


class _Narrow(_Told):
    """As `_Told`, of a node that searches few blocks at once."""

    most = 16

    def _logs(self, event: str, low: int, high: int, **filters: Any) -> list[Any]:
        if high - low >= self.most:
            raise LedgerUnreachable("the range is too wide")
        return super()._logs(event, low, high, **filters)


def _placed(log: Any) -> Placed:
    return Placed(published_event(log), log["logIndex"])


@pytest.mark.parametrize(
    ("block", "index", "signer"),
    [
        *((4, 9, None), (5, 0, None), (5, 2, _FIRST), (8, 9, _FIRST), (9, 2, _FIRST)),
        *((9, 4, _SECOND), (10, 0, _SECOND), (11, 0, _THIRD)),
    ],
)
def test_a_signer_counts_from_its_place_in_the_block_on(block: int, index: int, signer: str | None) -> None:
    history = _Told(
        _log("BankAdmitted", 5, 1, number=0, head=bytes(32), signer=_FIRST),
        _log("SignerRotated", 9, 3, signer=_SECOND),
        _log("BankReinstated", 10, 1, signer=_THIRD),
    )
    named = history.signer_of(_placed(_published(1, block, index)))
    assert (named.address if named is not None else None) == signer


def test_a_publication_follows_the_one_before_or_the_head_that_the_bank_was_admitted_with() -> None:
    published = [_published(8, 6, 0), _published(9, 7, 0), _published(11, 8, 0)]
    history = _Told(_log("BankAdmitted", 5, 0, number=7, head=_HEAD, signer=_FIRST), *published)
    assert [history.previous_digest(_placed(log)) for log in published] == [_HEAD, b"\x08" * 32, None]


def test_a_publication_of_a_later_block_is_no_part_of_an_earlier_state() -> None:
    history = _Told(_published(1, 6, 0))
    for _ in range(2):  # asked again, it is known
        assert history.publication(1, 5) is None
        assert history.publication(1, 6) is not None


def test_publications_of_one_block_keep_their_order() -> None:
    history = _Told(_published(1, 6, 0), _published(2, 6, 1), _published(3, 6, 2), _published(4, 200, 0))
    assert [placed.event.number for placed in history.after(5, 200)] == [1, 2, 3, 4]
    assert [placed.event.number for placed in history.after(6, 199)] == []
    newest = history.newest(199)
    assert newest is not None
    assert newest.event.number == 3


@pytest.mark.parametrize("most", [16, 10, 5, 1])
def test_no_block_is_left_out_where_a_node_searches_few_at_once_or_is_asked_again(most: int) -> None:
    """As providers that allow ten or five, or bound the bytes of an answer."""
    blocks = range(5, 60)
    rotated = [_log("SignerRotated", block, 0, signer=f"0x{block:040x}") for block in blocks]
    history = _Narrow(*rotated, *(_published(block, block, 1) for block in blocks))
    history.most = most
    for to_block in (30, 31, 33, 80, 20):
        assert [named.block_number for named in history.signers(to_block)] == [*range(5, min(to_block, 59) + 1)]
    assert [placed.event.number for placed in history.after(4, 80)] == [*blocks]
    for to_block in range(75, 140):
        newest = history.newest(to_block)
        assert newest is not None
        assert newest.event.number == 59
    assert all(history.publication(number, 80) is not None for number in blocks)


class _Wallet:
    """A ledger's node, asked about a signer. `says`: what the contract there answers; None: it reverts."""

    def __init__(self, code: bytes, says: bytes | None) -> None:
        self._code, self._says = code, says
        self.w3 = SimpleNamespace(eth=self)

    def get_code(self, _signer: str) -> bytes:
        return self._code

    def call(self, transaction: dict[str, Any], block: int) -> bytes:
        assert self._code, "an address without a contract is not called: a node without that block's state would fail"
        assert block == 6
        if self._says is None or transaction["to"] != _FIRST:
            raise ContractLogicError("execution reverted", data="0x")
        return self._says


@pytest.mark.parametrize(
    ("code", "says", "accepted"),
    [
        (b"\x01", bytes.fromhex("1626ba7e").ljust(32, b"\0"), True),
        (b"\x01", b"\xff" * 32, False),
        (b"\x01", bytes(31) + b"\x01", False),
        (b"\x01", b"", False),
        (b"\x01", None, False),
        (b"", None, False),
    ],
    ids=["accepts", "refuses", "answers true", "answers nothing", "reverts", "no contract"],
)
def test_a_contracts_signature_counts_where_it_says_so_in_the_standards_words(
    code: bytes, says: bytes | None, accepted: bool
) -> None:
    history = _Told()
    history.client = cast(Any, _Wallet(code, says))
    publication = Publication(Domain(1, to_checksum_address(_SECOND)), _BANK, 1, bytes(32), 0, ())
    signed = Signed(_placed(_published(1, 6, 0)), publication, b"\x05" * 65)
    assert history.accepts(to_checksum_address(_FIRST), signed) is accepted
    assert not history.accepts(to_checksum_address(_SECOND), signed), "no other signer's"


def test_a_walked_history_answers_for_each_block_as_one_that_searches_the_logs() -> None:
    named = [
        _log("BankAdmitted", 2, 0, number=0, head=bytes(32), signer=_FIRST),
        _log("SignerRotated", 7, 1, signer=_SECOND),
    ]
    logs = [_published(1, 5, 0), _published(2, 7, 0), _published(3, 7, 2), _published(4, 9, 0)]
    searched = _Told(*named, *logs)
    walked = WalkedHistory(searched.client, _BANK)
    for log in named:
        walked.named(cast(Any, log))
    for log in logs:
        walked.took(_placed(log), None, time_ms=log["blockNumber"] * 1_000)
    walked.walked_to = 10
    for block in range(11):
        assert walked.newest(block) == searched.newest(block)
        assert walked.signers(block) == searched.signers(block)
        for number in range(6):
            assert walked.publication(number, block) == searched.publication(number, block)
        for before in range(11):
            assert list(walked.after(before, block)) == list(searched.after(before, block))
    for beyond in (walked.newest, walked.signers, lambda block: walked.publication(1, block)):
        with pytest.raises(LedgerUnreachable, match="up to block 10"):
            beyond(11)
    with pytest.raises(LedgerUnreachable):
        list(walked.after(0, 11))
