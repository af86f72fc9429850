"""Adds a storage proof to evidence, from a node that offers `eth_getProof` and still has the block's state."""

from typing import Any

import jwt
from pydantic import ValidationError

from standing.gateway.evidence.claims import EvidenceClaims
from standing.ledger.chain.proofs import storage_slots
from standing.ledger.errors import InvalidValue


def read_claims(jws: str) -> EvidenceClaims:
    """The claims of evidence, unverified: use them only to look up what to request.

    Raises: InvalidValue.
    """
    try:
        payload = jwt.PyJWS().decode_complete(jws, options={"verify_signature": False})["payload"]
        return EvidenceClaims.model_validate_json(payload)
    except (jwt.PyJWTError, ValidationError) as error:
        raise InvalidValue("evidence", "not evidence of this form", "what a gateway of this version signs") from error


def questions(claims: EvidenceClaims) -> dict[str, tuple[str, list[Any]]]:
    """The JSON-RPC calls whose answers make the proof, by their place in the evidence file.

    Raises: InvalidValue where the decision was based on no block.
    """
    if claims.block_number is None:
        raise InvalidValue("evidence", "based on no block: the ledger did not answer", "evidence of a read")
    block = hex(claims.block_number)
    slots = ["0x" + slot.hex() for slot in storage_slots(claims.bank, claims.binding_id)]
    return {
        "block": ("eth_getBlockByNumber", [block, False]),
        "proof": ("eth_getProof", [claims.contract, slots, block]),
    }
