"""Search and links of the console over HTTP: every id that the API accepts, and what people paste."""

from urllib.parse import urljoin

import pytest
from sqlalchemy import select, update

from standing.gateway.bindings.attempts import KEPT_FAILURES_MS, Failure, note_failure
from standing.gateway.console import lookups
from standing.gateway.storage import schema
from tests.console_browser import Browser
from tests.gateway.gateway_rig import Rig


@pytest.mark.parametrize("transaction_id", [".", "..", "...", "a:b", "-", "t.1_x"])
def test_every_transaction_id_that_the_api_accepts_can_be_opened_and_its_links_stay_on_it(
    a_rig: Rig, staff: Browser, transaction_id: str
) -> None:
    person = a_rig.bound()
    decided = person.decide(transaction_id=transaction_id)
    staff.open("/console")
    text = staff.submit("/console/find", q=transaction_id)
    assert f"<h1>{transaction_id} " in text, text
    page = staff.page.url.path
    # As a browser resolves a link: a segment of one or two dots would be gone.
    assert urljoin(a_rig.url, page).endswith(page)
    assert f'href="{page}"' in staff.open(f"/console/accounts/{person.binding}")
    staff.open(f"{page}/evidence.json")
    assert staff.page.json()["evidence"] == decided["evidence"]


@pytest.mark.parametrize(
    "shown",
    [
        "{last}",
        "{full_width}",
        " {masked} ",
        "{spaced}",
        "•••• {last}",
        "…{last}",
        "**** {full_width}",
        "尾号 {last}",
        "XXXX-XXXX-XXXX-{last}",
        "xxxx xxxx xxxx {last}",
        "card ending in {last}",
        "Visa **** {last}, declined",
        "{masked_x}",
        "{masked_hashes}",
        "{masked_dashes}",
    ],
)
def test_an_account_is_found_by_its_last_digits_as_people_paste_them(a_rig: Rig, staff: Browser, shown: str) -> None:
    person, other = a_rig.bound(), a_rig.bound()
    with a_rig.app.state.gateway.storage.write() as connection:
        table = schema.bindings
        for each, masked in ((person, "915600******7391"), (other, "622848******7391")):
            key = bytes.fromhex(each.binding[2:])
            connection.execute(update(table).where(table.c.binding == key).values(number_masked=masked))
    forms = {
        "last": "7391",
        "full_width": "７３９１",
        "masked": "915600******7391",
        "spaced": "9156 00** **** 7391",
        "masked_x": "915600xxxxxx7391",
        "masked_hashes": "915600######7391",
        "masked_dashes": "9156-00××-××××-7391",
    }
    staff.open("/console")
    text = staff.submit("/console/find", q=shown.format(**forms))
    assert person.binding in text
    # The digits before the mask are of one bank's cards.
    assert (other.binding in text) is ("masked" not in shown and "spaced" not in shown)


@pytest.mark.parametrize(
    "pasted",
    [
        "“{id}”",
        "'{id}",
        '="{id}"',
        "（{id}）",
        "#{id}",
        "交易号：{id}。",
        "{id}.",
        "{dashed}",
        "{spaced}",
        "\u200b{id},\r\n",
        "Transaction: {id} (declined)",
        "payment\t{id}\tdeclined",
    ],
)
def test_a_transaction_is_found_with_what_a_message_or_a_spreadsheet_puts_around_its_id(
    a_rig: Rig, staff: Browser, pasted: str
) -> None:
    person = a_rig.bound()
    own = person.binding[-8:]
    person.decide(transaction_id=f"order-2026_{own}")
    forms = {"id": f"order-2026_{own}", "dashed": f"order\u20132026_{own}", "spaced": f"order- 2026_{own}"}
    staff.open("/console")
    assert f"<h1>order-2026_{own} " in staff.submit("/console/find", q=pasted.format(**forms))


def test_an_id_that_ends_in_a_dot_is_not_taken_for_the_one_without_it(a_rig: Rig, staff: Browser) -> None:
    person = a_rig.bound()
    for each in ("order-1", "order-1."):
        person.decide(transaction_id=each)
    staff.open("/console")
    assert "<h1>order-1. " in staff.submit("/console/find", q="order-1.")


def test_of_two_ids_in_one_text_neither_is_guessed(a_rig: Rig, staff: Browser) -> None:
    person = a_rig.bound()
    decided = person.decide()["transaction_id"]
    staff.open("/console")
    assert "Nothing found" in staff.submit("/console/find", q=f"{decided} of {person.user_id}")


@pytest.mark.parametrize("pasted", ["{hex}", "0X{hex}", "绑定号 0x{hex}", "0x{half} {other_half}"])
def test_a_binding_is_found_without_its_prefix_and_across_a_line_break(a_rig: Rig, staff: Browser, pasted: str) -> None:
    binding = a_rig.bound().binding
    forms = {"hex": binding[2:], "half": binding[2:34], "other_half": binding[34:]}
    staff.open("/console")
    staff.submit("/console/find", q=pasted.format(**forms))
    assert staff.page.url.path == f"/console/accounts/{binding}"


@pytest.mark.parametrize("pasted", ["{number}", "{first} {rest}", "账号：{first}-{rest}。"])
def test_a_whole_account_number_leads_to_its_account_and_is_kept_in_no_address(
    a_rig: Rig, staff: Browser, pasted: str
) -> None:
    person = a_rig.bound()
    staff.open("/console")
    text = staff.submit(
        "/console/find", q=pasted.format(number=person.number, first=person.number[:6], rest=person.number[6:])
    )
    assert staff.page.url.path == f"/console/accounts/{person.binding}"
    assert person.number not in text


def test_a_whole_account_number_that_was_bound_twice_is_shown_masked(a_rig: Rig, staff: Browser) -> None:
    person = a_rig.bound()
    first = person.binding
    a_rig.platform("DELETE", f"/v1/bindings/{first}")
    person.binding = person.bind(request_id="bind-again").json()["binding"]
    staff.open("/console")
    text = staff.submit("/console/find", q=person.number)
    assert first in text
    assert person.binding in text
    assert person.number not in text
    assert f'value="{person.number[:6]}******{person.number[-4:]}"' in text


def test_a_user_whom_banks_refuse_is_found_with_their_refusals_and_then_their_hold(a_rig: Rig, staff: Browser) -> None:
    person = a_rig.person()
    staff.open("/console")
    for tries in range(1, 6):
        assert person.bind(request_id=f"bind-no-{tries}", phone="+8613911111111").json()["outcome"] == "refused"
        text = staff.submit("/console/find", q=person.user_id)
        assert f"User {person.user_id}" in text
        assert (f"Banks have refused {tries} of this user’s attempts" in text) is (tries < 5)
    found = text[text.index(f"User {person.user_id}") : text.index("Open holds")]
    assert "Too many attempts to bind" in found
    assert "/lift" in found
    assert "BINDING_ATTEMPTS" not in text


def test_a_full_account_number_that_is_found_nowhere_gets_the_hint_to_type_its_last_four_digits(staff: Browser) -> None:
    staff.open("/console")
    assert "type only the last four digits" in staff.submit("/console/find", q="9156 0000 0000 0017")


@pytest.mark.parametrize("typed", ["{id}", "{lower}", "{upper}", "“{lower}”", " {upper}。"])
def test_an_id_in_other_capitals_leads_to_its_transaction_or_user(a_rig: Rig, staff: Browser, typed: str) -> None:
    person = a_rig.bound()
    own = f"Tx-{person.binding[-8:]}-aBc"
    person.decide(transaction_id=own)
    staff.open("/console")
    forms = {"id": own, "lower": own.lower(), "upper": own.upper()}
    assert f"<h1>{own} " in staff.submit("/console/find", q=typed.format(**forms))
    staff.open("/console")
    assert f"User {person.user_id}" in staff.submit("/console/find", q=person.user_id.upper())


def test_the_beginning_of_an_id_lists_what_begins_so_and_each_line_leads_there(a_rig: Rig, staff: Browser) -> None:
    person = a_rig.bound()
    own = person.binding[-8:]
    for number in (1, 2):
        person.decide(transaction_id=f"Pay-{own}-{number}")
    staff.open("/console")
    text = staff.submit("/console/find", q=f"pay-{own[:6]}")
    assert "Ids that begin like this" in text
    for number in (1, 2):
        assert f'href="/console/decisions/Pay-{own}-{number}"' in text
    assert f"Pay-{own}-1" not in staff.submit("/console/find", q=f"ay-{own}")
    staff.open("/console")
    assert "at least the first four characters" in staff.submit("/console/find", q="pay")


def test_an_old_transaction_is_found_by_its_whole_id_alone_whose_capitals_may_be_lost(
    a_rig: Rig, staff: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lookups, "PARTIAL_DECISIONS", 1)
    person = a_rig.bound()
    old, newer = f"OLD-{person.binding[-8:].upper()}", f"new-{person.binding[-8:]}"
    person.decide(transaction_id=old)
    a_rig.clock.advance(1)
    person.decide(transaction_id=newer)
    staff.open("/console")
    assert f"<h1>{old} " in staff.submit("/console/find", q=old.lower())
    staff.open("/console")
    assert "Nothing found" in staff.submit("/console/find", q=old[:-1])
    assert f"/console/decisions/{newer}" in staff.submit("/console/find", q=newer[:-1])


def test_a_wildcard_is_no_wildcard_and_many_ids_are_cut(a_rig: Rig, staff: Browser) -> None:
    person = a_rig.bound()
    own = f"many-{person.binding[-6:]}"
    for number in range(21):
        person.decide(transaction_id=f"{own}_{number:02}")
    staff.open("/console")
    text = staff.submit("/console/find", q=own)
    assert "There are more. Type more of the id." in text
    assert text.count(f'href="/console/decisions/{own}_') == 20
    # An underscore stands for itself alone.
    assert "Nothing found" in staff.submit("/console/find", q=own.replace("-", "_"))


def test_the_beginning_of_a_users_id_leads_to_the_user_even_if_nothing_was_ever_bound(
    a_rig: Rig, staff: Browser
) -> None:
    a_rig.person().bind(user_id="Anna-2026-0017", phone="+8613911111111")
    staff.open("/console")
    text = staff.submit("/console/find", q="anna-2026")
    link = next(each for each in text.split('href="')[1:] if "User Anna-2026-0017<" in each).split('"')[0]
    assert "phone number is not as the bank has it" in staff.open(link)


def test_an_account_that_is_bound_already_leaves_a_trace_at_the_user_who_tried(a_rig: Rig, staff: Browser) -> None:
    holder = a_rig.bound()
    assert holder.bind(user_id="u-second", request_id="bind-second").status_code == 409
    staff.open("/console")
    text = staff.submit("/console/find", q="u-second")
    assert "bound at this platform already" in text
    assert holder.number not in text
    link = next(each for each in text.split('href="')[1:] if "bound at this platform already" in each).split('"')[0]
    staff.open(link)
    assert staff.page.url.path == f"/console/accounts/{holder.binding}"


def test_of_each_user_the_newest_ten_failed_attempts_of_the_last_30_days_are_kept(a_rig: Rig, staff: Browser) -> None:
    storage, now_ms = a_rig.app.state.gateway.storage, a_rig.clock.now_ms()
    with storage.write() as connection:
        for number in range(13):
            note_failure(connection, Failure("u-often", "YUNXCNB0", f"{number:04}", ("name", "name")), now_ms + number)
        note_failure(connection, Failure("u-late", "YUNXCNB0", "0000", ()), now_ms - 1)
        rows = connection.execute(select(schema.binding_failures).order_by(schema.binding_failures.c.at_ms)).all()
        assert [row.number_masked for row in rows if row.user_id == "u-often"] == [
            f"{each:04}" for each in range(3, 13)
        ]
        assert {row.why for row in rows if row.user_id == "u-often"} == {"name"}
        note_failure(connection, Failure("u-new", "YUNXCNB0", "0000", ()), now_ms - 1 + KEPT_FAILURES_MS)
        left = connection.scalars(select(schema.binding_failures.c.user_id)).all()
        assert "u-late" not in left
        assert "u-often" in left
