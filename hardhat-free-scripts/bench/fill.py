"""Fills a ledger and a gateway's database with bindings, real except for their holders: for benchmarks of scale.

One process fills one bank's share, because a bank's publications form a chain. The ledger node mines on request only:
it recomputes its whole state with each block, and a million bindings are 2,000 publications.
"""

import secrets
from dataclasses import dataclass
from typing import Any

from sqlalchemy import insert

import anvil
from standing.gateway.storage import schema
from standing.ledger.attestations.limits import NO_LIMITS
from standing.ledger.attestations.publication import Attestation, LocalSigner, Publication
from standing.ledger.attestations.sealing import derive_binding_key, seal
from standing.ledger.attestations.terms import IdentityTags, Status, Terms
from standing.ledger.chain.client import LedgerClient
from standing.ledger.chain.sender import Prepared, Sender, publication_gas
from standing.ledger.clock import SystemClock
from standing.ledger.service.database import Database
from standing.ledger.service.vault import Vault

#: Enough blocks for the publications of both banks between two progress reports.
_MOST_BLOCKS = 5


@dataclass(frozen=True)
class Share:
    """The input of a filling process: the bank, its keys, and the destination of its bindings."""

    url: str
    contract: str
    database_url: str
    vault_secret: bytes
    platform: str
    bic: str
    signing_key: bytes
    paying_key: bytes
    bank_secret: bytes


def fill(share: Share, count: int) -> list[bytes]:
    """Publish `count` new bindings of a bank, in a few blocks, and store them as the gateway does.

    Returns: the bindings.
    """
    client = LedgerClient(share.url, share.contract, timeout_s=60)
    signer, sender = LocalSigner(share.signing_key), Sender(client, share.paying_key)
    database, vault = Database(share.database_url), Vault([share.vault_secret], "gateway")
    state, now_ms = client.bank(share.bic), SystemClock().now_ms()
    number, head, nonce, gas_price = state.publication, state.head, sender.next_nonce(), sender.gas_price_wei()
    made: list[bytes] = []
    last: Prepared | None = None
    while len(made) < count:
        number += 1
        batch = [_bound(share, number, now_ms) for _ in range(min(client.max_attestations, count - len(made)))]
        attestations = tuple(attestation for attestation, _ in batch)
        publication = Publication(client.domain, share.bic, number, head, now_ms, attestations)
        data = client.publish_calldata(publication, signer.sign(publication.digest))
        last = sender.prepare(data, gas=publication_gas(len(batch)), nonce=nonce, gas_price_wei=gas_price)
        sender.transmit(last)
        with database.write() as connection:
            rows = [_row(share, vault, attestation, key, now_ms) for attestation, key in batch]
            connection.execute(insert(schema.bindings), rows)
            connection.execute(insert(schema.binding_states), [_state(each, number) for each in attestations])
        head, nonce = publication.digest, nonce + 1
        made += [each.binding for each in attestations]
    if last is not None:
        for _ in range(_MOST_BLOCKS):
            anvil.mine(share.url)
            if client.receipt(last.hash) is not None:
                break
        sender.wait(last, timeout_s=1)  # each publication builds on the one before: the last one proves all
    database.close()
    return made


def _bound(share: Share, number: int, now_ms: int) -> tuple[Attestation, bytes]:
    """A new binding's first attestation, and its key."""
    binding = secrets.token_bytes(32)
    key = derive_binding_key(share.bank_secret, binding, share.platform)
    tags = IdentityTags.unpack(binding[:9])
    terms = Terms(
        status=Status.ACTIVE,
        debit_allowed=True,
        credit_allowed=True,
        currency=156,
        effective_at_ms=now_ms,
        limits=NO_LIMITS,
        tags=tags,
    )
    tag_and_head, tail = seal(terms, key=key, bank=share.bic, binding=binding, publication=number)
    return Attestation(binding, tag_and_head, tail), key


def _row(share: Share, vault: Vault, attestation: Attestation, key: bytes, now_ms: int) -> dict[str, Any]:
    binding = attestation.binding
    return {
        "binding": binding,
        "bank": share.bic,
        "user_id": f"u-{binding.hex()[:16]}",
        "number_masked": "915600******0000",
        "number_type": "card",
        "account": binding[::-1],
        "key_sealed": vault.seal(key),
        "tags": binding[:9],
        "granted_at_ms": now_ms,
        "grant_signature": bytes(65),
        "created_at_ms": now_ms,
        "floor": 0,
    }


def _state(attestation: Attestation, number: int) -> dict[str, Any]:
    return {
        "binding": attestation.binding,
        "publication": number,
        "tag_and_head": attestation.tag_and_head,
        "tail": attestation.tail,
        "block_number": 1,
        "recheck": False,
    }
