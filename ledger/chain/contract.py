"""The committed artifact of the ledger contract, and the contract's own errors."""

import json
from functools import cache
from importlib.resources import files
from typing import Any

from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError
from eth_utils import keccak

from standing.ledger.errors import LedgerRejected

#: The contract's roles by the hashes in its errors. OpenZeppelin's zero hash is the governor's role.
_ROLES = {bytes(32): "DEFAULT_ADMIN_ROLE"} | {keccak(text=name): name for name in ("REGISTRAR_ROLE", "GUARDIAN_ROLE")}


@cache
def artifact() -> dict[str, Any]:
    """The artifact: `abi`, `bytecode`, and the compiler settings it was made with."""
    loaded: dict[str, Any] = json.loads((files("standing.ledger.chain") / "StatusLedger.json").read_text())
    return loaded


@cache
def _errors() -> dict[bytes, tuple[str, list[str]]]:
    """Selector to name and argument types, for every error in the ABI."""
    found = {}
    for entry in artifact()["abi"]:
        if entry["type"] == "error":
            types = [argument["type"] for argument in entry["inputs"]]
            found[keccak(text=f"{entry['name']}({','.join(types)})")[:4]] = (entry["name"], types)
    return found


def decode_rejection(data: bytes) -> LedgerRejected:
    """The contract's own error decoded from a revert's return data, whatever that data is."""
    name, types = _errors().get(data[:4], ("", []))
    if not name:
        return LedgerRejected("without a reason" if not data else "unknown error", (data,) if data else ())
    try:
        arguments = decode(types, data[4:])
    except DecodingError:
        return LedgerRejected(name)
    missing = _ROLES.get(arguments[1]) if name == "AccessControlUnauthorizedAccount" else None
    return LedgerRejected(name, arguments, f"the caller does not have the role {missing}" if missing else "")
