"""Publishing: a bank's node from its feed to a block, one transaction per attestation, and the chain's own limit.

The node stores a change before it acknowledges it, and a publication before it sends it; the peer and the limit store
nothing. The peer is the obvious program: web3.py builds, signs and sends publications of one attestation in sequence,
with all settings given so that it asks the node nothing in between, and waits for the last receipt only. The limit is
the chain's own intake: publications of the largest batch, signed before the clock starts. All three write to bindings
that are already on the ledger, as a ledger of account status does all day.
"""

import itertools
import json
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from eth_account import Account
from tenacity import Retrying, retry_if_result, stop_after_delay, wait_fixed
from web3.types import Nonce

import anvil
from bench.bank import BIC as NODE_BIC
from bench.bank import account, bind_users, core, start_bank
from bench.figures import Figure, Ratio, interleave, rate_ratio, timed
from localnet import BANK_ADMIN, REGISTRAR, LocalBank, LocalNet
from standing.ledger.attestations.bic import bic_to_bytes11
from standing.ledger.attestations.publication import Attestation, LocalSigner, Publication
from standing.ledger.chain import governance
from standing.ledger.chain.client import LedgerClient
from standing.ledger.chain.contract import artifact
from standing.ledger.chain.sender import Sender, publication_gas
from standing.ledger.clock import SystemClock
from standing.ledger.devnet.chain import DEVNET_KEYS

#: The number that fits the largest publication.
_BINDINGS = 500
_CHANGES = 5_000
_ONE_BY_ONE = 200
_LIMIT_PUBLICATIONS = 10
_PATIENCE_S = 120
_AIM_PER_SECOND = 10_000


@dataclass
class _Issuer:
    """A bank whose publications a benchmark signs, with a sender account of its own."""

    client: LedgerClient
    bic: str
    paying_key: bytes
    signer: LocalSigner = field(default_factory=lambda: LocalSigner(secrets.token_bytes(32)))
    bindings: Sequence[bytes] = field(default_factory=lambda: [secrets.token_bytes(32) for _ in range(_BINDINGS)])

    def begin(self, url: str) -> "_Issuer":
        """Have the bank admitted, and its bindings on the ledger."""
        step = governance.admit(self.bic, self.signer.address, LocalSigner(BANK_ADMIN).address)
        governance.execute(self.client, step, REGISTRAR)
        _send_all(self, url, self.publications(1, _BINDINGS))
        return self

    def publications(self, count: int, attestations: int) -> list[Publication]:
        """The bank's next publications, each of `attestations` with random content."""
        state, now_ms = self.client.bank(self.bic), SystemClock().now_ms()
        head, made, bindings = state.head, [], itertools.cycle(self.bindings)
        for number in range(state.publication + 1, state.publication + 1 + count):
            batch = tuple(
                Attestation(next(bindings), secrets.token_bytes(26), secrets.token_bytes(32))
                for _ in range(attestations)
            )
            made.append(Publication(self.client.domain, self.bic, number, head, now_ms, batch))
            head = made[-1].digest
        return made


def _standing(client: LedgerClient, bank: LocalBank, status: str, figure: Figure) -> None:
    """All accounts change several times, in one entry of the feed; the watermark shows when all of it is in blocks."""
    now_ms = SystemClock().now_ms()
    changes = [
        {"number": account(index % _BINDINGS)["number"], "effective_at_ms": now_ms, "status": status}
        for index in range(_CHANGES)
    ]
    body = json.dumps({"as_of_ms": now_ms, "changes": changes})
    on_ledger = Retrying(
        retry=retry_if_result(lambda watermark_ms: watermark_ms < now_ms),
        wait=wait_fixed(0.005),
        stop=stop_after_delay(_PATIENCE_S),
    )
    with core(bank) as door:

        def publish() -> None:
            receipt = door.post("/v1/feed", content=body, headers={"Content-Type": "application/json"})
            if receipt.raise_for_status().json()["attestations"] != _CHANGES:
                raise RuntimeError(f"not every change is an attestation: {receipt.text}")
            on_ledger(lambda: client.bank(NODE_BIC).watermark_ms)

        timed(_CHANGES, publish, figure)


def _one_by_one(issuer: _Issuer, figure: Figure) -> None:
    """One transaction per attestation, as web3.py's documentation shows it."""
    w3, payer = issuer.client.w3, Account.from_key(issuer.paying_key)
    contract = w3.eth.contract(address=issuer.client.address, abi=artifact()["abi"])
    nonce, gas_price, chain_id = w3.eth.get_transaction_count(payer.address), w3.eth.gas_price, w3.eth.chain_id

    def publish() -> None:
        sent = None
        for index, each in enumerate(issuer.publications(_ONE_BY_ONE, 1)):
            call = contract.functions.publish(
                bic_to_bytes11(each.bank),
                each.number,
                each.watermark_ms,
                [attestation.as_tuple() for attestation in each.attestations],
                issuer.signer.sign(each.digest),
            )
            transaction = call.build_transaction(
                {
                    "from": payer.address,
                    "nonce": Nonce(nonce + index),
                    "gas": publication_gas(1),
                    "gasPrice": gas_price,
                    "chainId": chain_id,
                }
            )
            sent = w3.eth.send_raw_transaction(payer.sign_transaction(transaction).raw_transaction)
        assert sent is not None
        if w3.eth.wait_for_transaction_receipt(sent, timeout=_PATIENCE_S, poll_latency=0.005)["status"] != 1:
            raise RuntimeError("a publication of one attestation was refused")

    timed(_ONE_BY_ONE, publish, figure)


def _send_all(issuer: _Issuer, url: str, publications: Sequence[Publication], figure: Figure | None = None) -> None:
    """Sign publications and their transactions, then, timed, send all and wait for the last."""
    sender = Sender(issuer.client, issuer.paying_key)
    nonce = sender.next_nonce()
    prepared = [
        sender.prepare(
            issuer.client.publish_calldata(each, issuer.signer.sign(each.digest)),
            gas=publication_gas(len(each.attestations)),
            nonce=nonce + index,
        )
        for index, each in enumerate(publications)
    ]
    bodies = [
        json.dumps(
            {"jsonrpc": "2.0", "id": 1, "method": "eth_sendRawTransaction", "params": ["0x" + each.raw.hex()]}
        ).encode()
        for each in prepared
    ]
    with httpx.Client(headers={"Content-Type": "application/json"}, timeout=_PATIENCE_S) as door:

        def publish() -> None:
            for body in bodies:
                if "error" in (answer := door.post(url, content=body).json()):
                    raise RuntimeError(f"the chain refuses a publication: {answer['error']}")
            sender.wait(prepared[-1], timeout_s=_PATIENCE_S)

        if figure is None:
            publish()
        else:
            timed(sum(len(each.attestations) for each in publications), publish, figure)


def _cost(client: LedgerClient, bic: str, from_block: int, figure: Figure) -> None:
    """Record the cost of an attestation in a bank's publications since `from_block`: bytes of calldata, and gas."""
    attestations = calldata = gas = 0
    for each in client.published(from_block, client.block_number(), bic):
        transaction: Any = client.w3.eth.get_transaction(each.transaction_hash)  # type: ignore[arg-type]
        receipt = client.receipt(each.transaction_hash)
        assert receipt is not None
        attestations += len(each.bindings)
        calldata += len(transaction["input"])
        gas += receipt["gasUsed"]
    figure.extra |= {"calldata_bytes": calldata / attestations, "gas": gas / attestations}


def run(folder: Path, rounds: int) -> tuple[list[Figure], list[Ratio]]:
    """Measure publishing. Raises: anvil.AnvilMissing."""
    process, url = anvil.start(folder)
    net = LocalNet(folder, "jinqiao-pay", ledger_url=url)
    try:
        bank = start_bank(net, max_attestations=_BINDINGS, max_in_flight=16)
        bind_users(net, bank, _BINDINGS)
        client = LedgerClient(url, net.contract)
        peer = _Issuer(client, "BKCHCNBJ", DEVNET_KEYS[-1]).begin(url)
        limit = _Issuer(client, "ICBKCNBJ", DEVNET_KEYS[-2]).begin(url)
        load = f"{_CHANGES:,} changes of {_BINDINGS} bindings"
        standing = Figure("publish", load, "Standing, feed to block", ours=True)
        one_by_one = Figure("publish", f"{_ONE_BY_ONE} attestations", "web3.py, one transaction each")
        chain = Figure("publish", f"{_BINDINGS} in each", "the chain alone (limit)")
        from_block, status = client.block_number() + 1, iter(["frozen", "active"] * rounds)
        interleave(
            rounds,
            {
                "standing": lambda: _standing(client, bank, next(status), standing),
                "peer": lambda: _one_by_one(peer, one_by_one),
                "limit": lambda: _send_all(limit, url, limit.publications(_LIMIT_PUBLICATIONS, _BINDINGS), chain),
            },
        )
        for bic, figure in ((NODE_BIC, standing), (peer.bic, one_by_one), (limit.bic, chain)):
            _cost(client, bic, from_block, figure)
    finally:
        net.stop()
        process.stop()
    ratios = [rate_ratio("publish: Standing / one transaction each", standing, one_by_one, 20)]
    if chain.rate > _AIM_PER_SECOND:
        ratios.append(Ratio("publish: Standing, attestations per second", standing.rate, _AIM_PER_SECOND))
    ratios.append(rate_ratio("publish: Standing / the chain alone", standing, chain, 0.3))
    return [standing, one_by_one, chain], ratios
