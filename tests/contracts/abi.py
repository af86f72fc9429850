"""The contract's ABI in the few forms that the tests need: calldata, revert data and logs, without a client."""

import json
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from eth_abi.abi import decode, encode
from eth_utils import keccak
from eth_utils.abi import collapse_if_tuple

ROOT = Path(__file__).resolve().parents[2]
#: An artifact to test instead of the committed one: the mutation check and the gas report name theirs here.
ARTIFACT_VARIABLE = "STANDING_TEST_ARTIFACT"

_PANIC = keccak(text="Panic(uint256)")[:4]


def load_artifact(path: Path) -> dict[str, Any]:
    """An artifact of `hardhat-free-scripts/compile.py`: `abi` and `bytecode`."""
    loaded: dict[str, Any] = json.loads(path.read_text())
    return loaded


def ledger_artifact() -> dict[str, Any]:
    """The StatusLedger under test."""
    committed = ROOT / "contracts" / "artifacts" / "StatusLedger.json"
    return load_artifact(Path(os.environ.get(ARTIFACT_VARIABLE, committed)))


@dataclass(frozen=True, slots=True)
class Refusal:
    """The error of a reverted call: the name of the custom error and its arguments, `Panic` and its code, or
    nothing."""

    name: str
    arguments: tuple[Any, ...] = ()


@dataclass(frozen=True, slots=True)
class Event:
    """A decoded log."""

    name: str
    arguments: dict[str, Any]


class Abi:
    """Encodes calls and decodes answers, errors and events of one contract."""

    def __init__(self, entries: list[dict[str, Any]]) -> None:
        self._functions = {e["name"]: e for e in entries if e["type"] == "function"}
        self._errors = {_selector(e): e for e in entries if e["type"] == "error"}
        self._events = {keccak(text=_signature(e)): e for e in entries if e["type"] == "event"}
        self._constructor: dict[str, Any] = next((e for e in entries if e["type"] == "constructor"), {"inputs": []})

    def call(self, function: str, *arguments: Any) -> bytes:
        """Calldata of a function."""
        entry = self._functions[function]
        return _selector(entry) + encode(_types(entry["inputs"]), arguments)

    def constructor(self, *arguments: Any) -> bytes:
        """The constructor's arguments, to be appended to the bytecode."""
        return encode(_types(self._constructor["inputs"]), arguments)

    def answer(self, function: str, output: bytes) -> tuple[Any, ...]:
        """The values that a function returned."""
        return decode(_types(self._functions[function]["outputs"]), output)

    def refusal(self, output: bytes) -> Refusal:
        """The meaning of a revert's return data."""
        entry = self._errors.get(output[:4])
        if entry is not None:
            return Refusal(entry["name"], decode(_types(entry["inputs"]), output[4:]))
        if output[:4] == _PANIC:
            return Refusal("Panic", decode(["uint256"], output[4:]))
        return Refusal("unknown", (output,)) if output else Refusal("")

    def event(self, topics: list[bytes], data: bytes) -> Event:
        """The event in a log."""
        entry = self._events[topics[0]]
        plain = [field for field in entry["inputs"] if not field["indexed"]]
        arguments = dict(zip([f["name"] for f in plain], decode(_types(plain), data), strict=True))
        indexed = [field for field in entry["inputs"] if field["indexed"]]
        for field, topic in zip(indexed, topics[1:], strict=True):
            (arguments[field["name"]],) = decode([field["type"]], topic)
        return Event(entry["name"], arguments)


def _types(fields: list[dict[str, Any]]) -> list[str]:
    return [collapse_if_tuple(field) for field in fields]


def _signature(entry: dict[str, Any]) -> str:
    return f"{entry['name']}({','.join(_types(entry['inputs']))})"


@cache
def _hash(signature: str) -> bytes:
    return keccak(text=signature)


def _selector(entry: dict[str, Any]) -> bytes:
    return _hash(_signature(entry))[:4]
