"""docs/LEDGER-GUARANTEES.md names tests and proofs; they exist, and every promise names one."""

import ast
import re

from tests.contracts.abi import ROOT

PAGE = (ROOT / "docs" / "LEDGER-GUARANTEES.md").read_text(encoding="utf-8")
TESTS = ROOT / "tests" / "contracts"
PROOF = (TESTS / "solidity" / "proof" / "StatusLedgerProof.sol").read_text()


def _promises() -> dict[int, str]:
    page = PAGE.split("\n## ")[0]
    parts = re.split(r"^(\d+)\. ", page, flags=re.MULTILINE)[1:]
    return {int(number): text for number, text in zip(parts[::2], parts[1::2], strict=True)}


def _tests_in(file: str) -> set[str]:
    tree = ast.parse((TESTS / file).read_text())
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


def test_promises_are_numbered_without_gaps() -> None:
    assert list(_promises()) == list(range(1, len(_promises()) + 1))


def test_every_promise_names_a_test() -> None:
    without = [number for number, text in _promises().items() if not re.search(r"`test_\w+\.py::test_\w+`", text)]
    assert not without


def test_every_test_that_is_named_exists() -> None:
    named = set(re.findall(r"`(test_\w+\.py)::(test_\w+)`", PAGE))
    assert named
    missing = [f"{file}::{name}" for file, name in sorted(named) if name not in _tests_in(file)]
    assert not missing


def test_every_proof_that_is_named_exists_and_the_other_way_round() -> None:
    named = set(re.findall(r"proof: `(check_\w+)`", PAGE))
    assert named == set(re.findall(r"function (check_\w+)\(", PROOF))
