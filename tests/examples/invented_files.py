"""The files under `examples/`, read as an outsider would read them."""

import csv
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
IDENTITY_FIELDS = {
    "name": ("holder_name",),
    "id_document": ("id_document_scheme", "id_document_country", "id_document_number"),
    "phone": ("phone",),
}
Row = dict[str, Any]


def lines(name: str) -> list[Row]:
    return [json.loads(line) for line in (EXAMPLES / name).read_text(encoding="utf-8").splitlines()]


def typed(row: dict[str, str]) -> Row:
    """A row of the CSV with the types that the trace's changes use."""
    typed: Row = dict(row)
    for name in ("debit_allowed", "credit_allowed"):
        typed[name] = {"true": True, "false": False}[row[name]]
    for name in (name for name in row if name.endswith("_limit_minor")):
        typed[name] = row[name] if row[name] == "none" else int(row[name])
    return typed


BANKS = json.loads((EXAMPLES / "banks.json").read_text(encoding="utf-8"))
BANK_TWO = BANKS[1]["bic"]
ACCOUNTS = {
    bank["bic"]: [
        typed(row)
        for row in csv.DictReader((EXAMPLES / f"accounts-{bank['bic']}.csv").read_text(encoding="utf-8").splitlines())
    ]
    for bank in BANKS
}
BY_NUMBER = {account["number"]: account for accounts in ACCOUNTS.values() for account in accounts}
USERS = lines("users.jsonl")
MATCHING = [user for user in USERS if "expect_mismatch" not in user]
BY_USER = {user["user_id"]: user for user in USERS}
TRACE = lines("trace.jsonl")
TRANSACTIONS = [event for event in TRACE if event["kind"] == "transaction"]


def bank_of(transaction: Row) -> str:
    return str(BY_USER[transaction["user_id"]]["bank"])


def number_of(transaction: Row) -> str:
    return str(BY_USER[transaction["user_id"]]["number"])


def transactions_with_state() -> Iterator[tuple[Row, Row, int, bool]]:
    """Each transaction with its account's fields, the day's usage and whether the bank is silent at that instant."""
    now = {number: dict(account) for number, account in BY_NUMBER.items()}
    used: Counter[tuple[str, str]] = Counter()
    silent: set[str] = set()
    for event in TRACE:
        if event["kind"] == "silence":
            (silent.add if event["state"] == "begin" else silent.remove)(event["bank"])
        elif event["kind"] == "change":
            for change in event["changes"]:
                now[change["number"]] |= change
        else:
            number = number_of(event)
            yield event, dict(now[number]), used[number, event["transaction"]], bank_of(event) in silent
            kept = event["expect"]["outcome"] == "approve" and event["then"] == "capture"
            if kept:
                used[number, event["transaction"]] += event["amount_minor"]
