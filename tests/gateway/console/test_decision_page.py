"""What the page of a decision says, so that a caller can be helped."""

import re

import pytest

from tests.console_browser import Browser
from tests.gateway.gateway_rig import Rig


@pytest.mark.parametrize(("amount_minor", "allowed"), [(600_000, "5,000.00 CNY"), (20_000, "100.00 CNY")])
def test_a_payment_over_a_limit_says_how_much_the_limit_allowed_then(
    a_rig: Rig, staff: Browser, amount_minor: int, allowed: str
) -> None:
    person = a_rig.bound(daily_limit_minor=300_000)
    person.decide(amount_minor=290_000)
    refused = person.decide(amount_minor=amount_minor)
    person.bank.change(person.number, transaction_limit_minor=900_000, daily_limit_minor=900_000)
    text = staff.open(f"/console/decisions/{refused['transaction_id']}")
    assert re.search(rf"<dt>Allowed by this limit then</dt><dd>{allowed}</dd>", text)


def test_who_approves_what_the_user_was_told_to_try_again_is_asked_to_look_for_a_second_payment(
    a_rig: Rig, staff: Browser
) -> None:
    person = a_rig.bound()
    a_rig.chain.down = True
    missed = person.decide()
    a_rig.chain.down = False
    assert (missed["outcome"], "try again" in missed["message"]["en"]) == ("review", True)
    path = f"/console/decisions/{missed['transaction_id']}"
    warning = "Before you approve, check on the account’s page that they have not done so since."
    assert warning in staff.open(path)
    assert warning not in staff.submit(path + "/review", outcome="decline", reason="Paid by t-2 meanwhile")
