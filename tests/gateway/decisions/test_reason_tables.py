"""Every table of the reasons names all of them, in the order of the checks, under the number of each check."""

import re
from pathlib import Path

import pytest

from standing.gateway.decisions import rules
from standing.gateway.decisions.rules import CHECKS, Reason

_ROOT = Path(__file__).parents[3]


def _rows(table: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split("|")[1:-1]] for line in table.splitlines()[2:]]


def _reasons(cell: str) -> list[str]:
    return re.findall(r"`([a-z_0-9]+)`", re.sub(r"\(.*?\)", "", cell))


def test_every_reason_has_a_check_and_the_checks_are_in_the_order_of_precedence() -> None:
    assert list(CHECKS) == list(Reason)
    assert sorted(CHECKS.values()) == list(CHECKS.values())
    assert set(CHECKS.values()) == set(range(1, 16))


@pytest.mark.parametrize("page", ["gateway/decisions/rules.py", "docs/ARCHITECTURE.md", "docs/GATEWAY.md"])
def test_a_table_of_checks_names_every_reason_under_its_number(page: str) -> None:
    text = (_ROOT / page).read_text(encoding="utf-8")
    table = text[text.index("| # | reason |") :].partition("\n\n")[0]
    rows = [row for row in _rows(table) if row[0]]
    assert [(reason, int(row[0])) for row in rows for reason in _reasons(row[1])] == list(CHECKS.items())
    codes = {reason: row[3] for row in rows for reason in _reasons(row[1]) if row[3]}
    assert codes == rules.ISO20022


def test_the_chinese_guide_for_support_names_every_reason_in_order() -> None:
    text = (_ROOT / "docs/zh-CN/SUPPORT.md").read_text(encoding="utf-8")
    table = text[text.index("| 原因 | 结果 |") :].partition("\n\n")[0]
    rows = _rows(table)
    assert [reason for row in rows for reason in _reasons(row[0])] == list(Reason)
    assert {reason: row[2] for row in rows for reason in _reasons(row[0]) if row[2]} == rules.ISO20022
