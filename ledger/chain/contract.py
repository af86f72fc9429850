"""The committed artifact of the ledger contract, and the contract's own errors."""

import json
from contextlib import suppress
from functools import cache
from importlib.resources import files
from typing import Any

from eth_abi.abi import decode
from eth_abi.exceptions import DecodingError
from eth_utils import keccak

from standing.ledger.attestations.bic import bytes11_to_bic
from standing.ledger.errors import InvalidValue, LedgerRejected

#: The contract's roles by the hashes in its errors. OpenZeppelin's zero hash is the governor's role.
_ROLES = {bytes(32): "DEFAULT_ADMIN_ROLE"} | {keccak(text=name): name for name in ("REGISTRAR_ROLE", "GUARDIAN_ROLE")}


#: The type of a bank in the contract's errors.
_BANK = "bytes11"
#: Plain words for the errors whose names only programmers understand.
_MEANINGS = {
    "BankNotAdmitted": "the bank is not admitted to this ledger",
    "BankIsSuspended": "the bank is suspended",
    "BankAlreadyAdmitted": "the bank is admitted already",
    "BankNotSuspended": "the bank is not suspended",
    "ZeroNotAllowed": "an address is zero",
    "IncompleteHistory": "of the history to continue, either the number or the digest is missing",
    "NotBankAdmin": "the caller is not the bank's admin",
}


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
    """The contract's error, decoded from the return data of a revert. Accepts any data."""
    name, types = _errors().get(data[:4], ("", []))
    if not name:
        shown = ["0x" + data.hex()] if data else []
        return LedgerRejected("unknown error" if data else "without a reason", (data,) if data else (), shown=shown)
    try:
        arguments = decode(types, data[4:])
    except DecodingError:
        return LedgerRejected(name)
    missing = _ROLES.get(arguments[1]) if name == "AccessControlUnauthorizedAccount" else None
    meaning = f"the caller does not have the role {missing}" if missing else _MEANINGS.get(name, "")
    return LedgerRejected(name, arguments, meaning, [_shown(*each) for each in zip(types, arguments, strict=True)])


def _shown(kind: str, argument: Any) -> str:
    """An argument as people read it: a bank by its BIC."""
    if kind == _BANK:
        with suppress(InvalidValue):
            return bytes11_to_bic(argument)
    return "0x" + argument.hex() if isinstance(argument, bytes) else str(argument)
