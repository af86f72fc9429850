"""The typed client against a real chain: publishing, batch reads, following, every way a ledger can fail."""

import secrets
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from standing.ledger.attestations.publication import Attestation, LocalSigner, Publication
from standing.ledger.chain import governance
from standing.ledger.chain.client import LedgerClient
from standing.ledger.chain.sender import Sender, publication_gas
from standing.ledger.devnet.chain import DEVNET_KEYS
from standing.ledger.errors import InvalidValue, LedgerMismatch, LedgerRejected, LedgerUnreachable
from tests.gateway.faulty_ledger_node import proxied
from tests.world import BANK_ADMIN, GUARDIAN, REGISTRAR, World

_BIC = "YUNXCNB0"
_SIGNER = LocalSigner(b"\x07" * 32)


@pytest.fixture
def client(a_world: World) -> LedgerClient:
    step = governance.admit(_BIC, _SIGNER.address, LocalSigner(BANK_ADMIN).address)
    governance.execute(a_world.client, step, REGISTRAR)
    return a_world.client


def _publication(world: World, attestations: tuple[Attestation, ...] = ()) -> Publication:
    state = world.client.bank(_BIC)
    return Publication(world.client.domain, _BIC, state.publication + 1, state.head, world.clock.now_ms(), attestations)


def _attestation() -> Attestation:
    random = secrets.token_bytes
    return Attestation(random(32), random(26), random(32))


def _submit(client: LedgerClient, publication: Publication, signer: LocalSigner = _SIGNER) -> None:
    sender = Sender(client, DEVNET_KEYS[9])
    data = client.publish_calldata(publication, signer.sign(publication.digest))
    prepared = sender.prepare(data, gas=publication_gas(len(publication.attestations)))
    sender.transmit(prepared)
    sender.wait(prepared, timeout_s=10)


def test_a_publication_can_be_read_back_and_followed(a_world: World, client: LedgerClient) -> None:
    published = []
    for size in (2, 0, 3):
        publication = _publication(a_world, tuple(_attestation() for _ in range(size)))
        _submit(client, publication)
        published.append(publication)
        a_world.clock.advance(1_000)
    state = client.bank(_BIC)
    assert (state.publication, state.head) == (3, published[-1].digest)
    assert state.watermark_ms == published[-1].watermark_ms
    attestations = [(one.number, item) for one in published for item in one.attestations]
    unknown = secrets.token_bytes(32)
    reading = client.read([(_BIC, item.binding) for _, item in attestations] + [(_BIC, unknown)])
    assert reading.block_number == client.block_number()
    for record, (number, item) in zip(reading.records, attestations, strict=False):
        assert record.publication == number
        assert (record.tag_and_head, record.tail) == (item.tag_and_head, item.tail)
        assert record.watermark_ms == state.watermark_ms
    assert reading.records[-1].publication == 0
    events = client.published(0, client.block_number(), _BIC)
    assert [event.digest for event in events] == [one.digest for one in published]
    assert [event.bindings for event in events] == [tuple(i.binding for i in one.attestations) for one in published]
    assert client.published(0, client.block_number(), "HAIYCNS0001") == []


def test_records_are_read_in_parts_of_one_block_where_a_proxy_takes_no_longer_requests(
    a_world: World, client: LedgerClient
) -> None:
    attestations = tuple(_attestation() for _ in range(9))
    _submit(client, _publication(a_world, attestations))
    queries = [(_BIC, each.binding) for each in attestations]
    with proxied(a_world.chain.url) as proxy:
        proxy.longest = 700  # of three queries
        through = LedgerClient([proxy.url, "http://127.0.0.1:1"], a_world.client.address)
        reading = through.read(queries)
        assert reading == client.read(queries)
        assert [record.tail for record in reading.records] == [each.tail for each in attestations]
        assert proxy.calls.count("eth_call") == 4
        proxy.longest = 100
        with pytest.raises(LedgerUnreachable, match="HTTP 413"):
            through.read(queries)


@pytest.mark.long
def test_the_largest_publication_fits_its_gas_limit(a_world: World, client: LedgerClient) -> None:
    publication = _publication(a_world, tuple(_attestation() for _ in range(client.max_attestations)))
    _submit(client, publication)
    assert client.bank(_BIC).publication == 1


def test_the_latest_accepted_time_is_measured_by_the_pending_block_or_else_the_last_block(
    a_world: World, client: LedgerClient
) -> None:
    last_ms = client.head().time_s * 1000
    a_world.clock.advance(60_000)
    assert client.latest_allowed_ms() == a_world.clock.now_ms() // 1000 * 1000 + 10_000

    def hide_pending_block(call: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        return answer | {"result": None} if "pending" in call["params"] else answer

    with proxied(a_world.chain.url, hide_pending_block) as node:
        assert LedgerClient(node.url, client.address).latest_allowed_ms() == last_ms + 10_000
    _submit(client, replace(_publication(a_world), watermark_ms=client.latest_allowed_ms()))
    too_late = replace(_publication(a_world), watermark_ms=client.latest_allowed_ms() + 1)
    with pytest.raises(LedgerRejected, match="WatermarkAhead"):
        _submit(client, too_late)


def test_a_refused_publication_carries_the_contracts_own_error(a_world: World, client: LedgerClient) -> None:
    with pytest.raises(LedgerRejected) as caught:
        _submit(client, _publication(a_world), LocalSigner(b"\x08" * 32))
    assert caught.value.error == "WrongSignature"
    first = _publication(a_world)
    _submit(client, first)
    with pytest.raises(LedgerRejected) as caught:
        _submit(client, first)
    assert (caught.value.error, caught.value.arguments) == ("UnexpectedNumber", (1, 2))


def test_a_dry_run_without_the_role_is_refused_and_changes_nothing(client: LedgerClient) -> None:
    for step, outsider in (
        (governance.suspend(_BIC), REGISTRAR),
        (governance.rotate_signer(_BIC, _SIGNER.address), GUARDIAN),
    ):
        with pytest.raises(LedgerRejected):
            governance.dry_run(client, step, LocalSigner(outsider).address)
        sent = Sender(client, outsider).next_nonce()
        with pytest.raises(LedgerRejected):
            governance.execute(client, step, outsider)
        assert Sender(client, outsider).next_nonce() == sent, "it is not sent, and costs nothing"
    with pytest.raises(LedgerRejected, match="the caller does not have the role GUARDIAN_ROLE"):
        governance.dry_run(client, governance.suspend(_BIC), LocalSigner(REGISTRAR).address)
    assert not client.bank(_BIC).suspended
    governance.dry_run(client, governance.suspend(_BIC), LocalSigner(GUARDIAN).address)
    assert not client.bank(_BIC).suspended, "a dry run changes nothing"
    governance.execute(client, governance.suspend(_BIC), GUARDIAN)
    assert client.bank(_BIC).suspended


def test_a_governance_step_names_the_bank_and_an_impossible_history_is_refused() -> None:
    assert str(governance.suspend(_BIC)) == f"suspend({_BIC})"
    shown = str(governance.admit(_BIC, _SIGNER.address, _SIGNER.address, number=7, head=b"\x11" * 32))
    assert shown == f"admit({_BIC}, {_SIGNER.address}, {_SIGNER.address}, 7, 0x{'11' * 32})"
    for number in (-1, 2**48):
        with pytest.raises(InvalidValue, match="number"):
            governance.admit(_BIC, _SIGNER.address, _SIGNER.address, number=number)


@pytest.mark.parametrize(
    "url", ["", "ledger", "ledger.example:8545", "http://", "http://h:port", "http://h:99999", "ftp://h"]
)
def test_a_malformed_ledger_url_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        LedgerClient(url, "0x" + "11" * 20)
    assert str(caught.value) == "ledger_url: not a URL; allowed: such as http://127.0.0.1:8545"


def test_a_silent_ledger_is_unreachable_and_is_used_again_once_it_answers(a_world: World, client: LedgerClient) -> None:
    a_world.chain.down = True
    with pytest.raises(LedgerUnreachable):
        client.bank(_BIC)
    a_world.chain.down = False
    assert client.bank(_BIC).admitted
    with pytest.raises(LedgerUnreachable):
        LedgerClient("http://127.0.0.1:9", client.address).check()


def test_another_chain_or_an_address_without_the_contract_is_a_mismatch(a_world: World, client: LedgerClient) -> None:
    client.check(client.domain.chain_id)
    with pytest.raises(LedgerMismatch, match="chain id"):
        client.check(1)
    elsewhere = LedgerClient(a_world.chain.url, "0x" + "11" * 20)
    with pytest.raises(LedgerMismatch, match="no contract"):
        elsewhere.check()
    with pytest.raises(LedgerMismatch):
        elsewhere.read([(_BIC, bytes(32))])


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda data: data[:-1] + b"\1", id="bits behind the signature"),
        pytest.param(lambda data: data + b"\xff" * 100, id="bytes behind everything"),
        pytest.param(lambda data: data[:-31], id="the signature's padding left out"),
        pytest.param(
            lambda data: (
                data[: 4 + 4 * 32]
                + (int.from_bytes(data[4 + 4 * 32 : 4 + 5 * 32]) + 32).to_bytes(32, "big")
                + data[4 + 5 * 32 : -128]
                + b"\7" * 32
                + data[-128:]
            ),
            id="a gap before the signature",
        ),
    ],
)
def test_a_strangers_odd_encoding_does_not_hide_what_the_bank_published(
    a_world: World, client: LedgerClient, spoil: Callable[[bytes], bytes]
) -> None:
    """Whoever is faster may submit what the bank signed, in any encoding that the contract reads alike."""
    publication = _publication(a_world, (_attestation(),))
    signature = _SIGNER.sign(publication.digest)
    sender = Sender(client, DEVNET_KEYS[9])
    prepared = sender.prepare(spoil(client.publish_calldata(publication, signature)), gas=publication_gas(2))
    sender.transmit(prepared)
    sender.wait(prepared, timeout_s=10)
    assert client.bank(_BIC).head == publication.digest
    (event,) = client.published(0, client.block_number(), _BIC)
    assert client.publication_of(event, publication.previous) == (publication, signature)
