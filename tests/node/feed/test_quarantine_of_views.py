"""An invalid row of a SQL view makes its account unstated and affects nothing else."""

import pytest

from standing.ledger.attestations.terms import Status
from standing.ledger.errors import InvalidValue
from standing.node.feed.profile import Profile
from standing.node.feed.settings import SqlViewSettings
from standing.node.feed.sql_view import SqlViewSource
from standing.node.feed.view_rows import RowReader
from tests.node.feed.view_passes import read_pass, unstated, view_source
from tests.node.node_tools import (
    SqlCore,
    account,
    core_as_of_ms,
    feed_of,
    grant_of,
    status_on_ledger,
    terms_on_ledger,
    writes,
)
from tests.world import Bank, wait_until


def test_a_bad_row_in_the_view_does_not_delay_anothers_freeze(bank: Bank, core: SqlCore) -> None:
    core.put(bank.clock.now_ms(), *(account(index) for index in range(5)))
    source = view_source(bank, core, page_size=2)
    read_pass(bank, core, source)
    grants = [grant_of(bank.bind(account(index))) for index in range(5)]
    core.put(bank.clock.advance(10), account(1, status="asleep"))
    core.put(bank.clock.advance(10), account(2, status="frozen"))
    read_pass(bank, core, source)
    expected = [Status.ACTIVE, Status.UNSTATED, Status.FROZEN, Status.ACTIVE, Status.ACTIVE]
    wait_until(lambda: [status_on_ledger(bank, grant) for grant in grants] == expected)
    for _ in range(3):
        read_pass(bank, core, source)
    assert writes(bank, grants[1]) == 2, "it is published once"
    core.put(bank.clock.advance(10), account(1))
    read_pass(bank, core, source)
    wait_until(lambda: status_on_ledger(bank, grants[1]) == Status.ACTIVE)


@pytest.mark.parametrize("damaged", ["6.22E+18", "730000000003.0", "7300****0003", "7300????0003"])
def test_a_row_that_names_no_account_unstates_accounts_without_a_row(bank: Bank, core: SqlCore, damaged: str) -> None:
    core.put(bank.clock.now_ms(), *(account(index) for index in range(5)))
    source = view_source(bank, core, page_size=2)
    read_pass(bank, core, source)
    grants = [grant_of(bank.bind(account(index))) for index in range(5)]
    core.run(
        f"UPDATE core_accounts SET number = '{damaged}', changed_ms = {bank.clock.advance(10)}"
        f" WHERE number = '{account(3)['number']}'"
    )
    read_pass(bank, core, source)
    wait_until(lambda: status_on_ledger(bank, grants[3]) == Status.UNSTATED)
    assert [each.number for each in unstated(bank)] == [account(3)["number"]]


@pytest.mark.parametrize(
    ("damaged", "problem"),
    [
        ("6.22E+18", "rounded by a spreadsheet"),
        ("730000000003.0", "with decimals"),
        ("7300****0003", "masked"),
        ("7300XXXX0003", "masked"),
    ],
)
def test_the_operator_sees_why_a_row_names_no_account_without_its_number(damaged: str, problem: str) -> None:
    page = RowReader(None).read([{**account(1), "effective_at_ms": 1, "number": damaged}], 5)
    assert (page.unnamed, page.states, page.bad) == (1, [], [])
    assert problem in page.first_problem
    assert damaged not in page.first_problem


def test_a_view_with_too_many_bad_rows_is_refused(bank: Bank, core: SqlCore) -> None:
    core.put(bank.clock.now_ms(), *(account(index, **({"status": "?"} if index < 11 else {})) for index in range(30)))
    with pytest.raises(InvalidValue, match="11 of 30 rows cannot be understood"):
        read_pass(bank, core, view_source(bank, core, page_size=7))
    assert (core_as_of_ms(bank), unstated(bank)) == (0, [])


def test_a_view_in_the_cores_own_format_is_read_by_its_profile(bank: Bank, core: SqlCore) -> None:
    core.put(bank.clock.now_ms() // 1_000, *(account(index, status="正常") for index in range(2)))
    core.run("DROP VIEW standing_accounts")
    core.run(
        "CREATE VIEW standing_accounts AS SELECT number AS acct_no, changed_ms AS changed_s, status AS state,"
        " holder_name, id_document_number, phone, 'branch 7' AS branch, '1,000.50' AS day_limit FROM core_accounts"
    )
    allowed = {"正常": True, "冻结": False}
    profile = Profile.model_validate(
        {
            "columns": {
                "number": "acct_no",
                "effective_at_ms": "changed_s",
                "status": "state",
                "debit_allowed": "state",
                "credit_allowed": "state",
                "holder_name": "holder_name",
                "id_document_number": "id_document_number",
                "phone": "phone",
                "daily_limit_minor": "day_limit",
            },
            "constants": {
                "number_type": "account",
                "currency": "CNY",
                "transaction_limit_minor": "none",
                "id_document_scheme": "NIDN",
                "id_document_country": "CN",
            },
            "words": {
                "status": {"正常": "active", "冻结": "frozen"},
                "debit_allowed": allowed,
                "credit_allowed": allowed,
            },
            "amounts": {"unit": "major", "thousands": ","},
            "times": {"form": "epoch_s"},
        }
    )
    source = SqlViewSource(
        SqlViewSettings(**core.settings()),
        feed_of(bank, lambda _: None),
        bank.node.database,
        bank.secrets.vault(),
        profile,
    )
    core.closing.append(source.close)
    read_pass(bank, core, source)
    grants = [grant_of(bank.bind(account(index))) for index in range(2)]
    wait_until(lambda: [status_on_ledger(bank, grant) for grant in grants] == [Status.ACTIVE] * 2)
    terms = terms_on_ledger(bank, grants[0])
    assert terms is not None
    assert terms.limits.daily_limit_minor == 100_050
    for index, word in enumerate(("冻结", "不明")):
        bank.clock.advance(2_000)
        core.put(bank.clock.now_ms() // 1_000, account(index, status=word))
    read_pass(bank, core, source)
    expected = [Status.FROZEN, Status.UNSTATED]
    wait_until(lambda: [status_on_ledger(bank, grant) for grant in grants] == expected)
