"""A guesser learns nothing from close matches without the holder's document or phone, and little with them."""

import itertools

import pytest

from standing.ledger.attestations.binding_protocol import Claim
from standing.ledger.attestations.identity import Identity
from standing.ledger.attestations.limits import NO_LIMITS
from standing.ledger.attestations.terms import Status
from standing.node.accounts.store import Account
from standing.node.bindings import name_matching, verification
from standing.node.bindings.settings import VelocitySettings
from standing.node.bindings.velocity import KNOWN_COST
from standing.node.bindings.verification import verify

_SURNAMES = "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗陳黃趙吳"
_GIVEN = "伟芳娜敏静丽强磊军洋勇艳杰娟涛明超秀霞平刚桂英华慧建文玲斌宇浩凯偉靜麗強傑華剛蘇"
_HELD = Account(
    id=1,
    number="6222000011112222",
    number_type="account",
    identity=Identity("陈小华", "nidn:cn:11010519491231002x", "+8613800138000"),
    status=Status.ACTIVE,
    debit_allowed=True,
    credit_allowed=True,
    currency=156,
    limits=NO_LIMITS,
    effective_at_ms=0,
)


def _claim(name: str, *, knows_document: bool) -> Claim:
    return Claim(
        number="6222000011112222",
        number_type="account",
        holder_name=name,
        id_document_scheme="NIDN",
        id_document_country="CN",
        id_document_number="11010519491231002X" if knows_document else "110105194912310046",
        phone="+8613900139000",
    )


def _answer(name: str, *, knows_document: bool) -> str:
    claim = _claim(name, knows_document=knows_document)
    found = verify(_HELD, claim, claim.identity())
    return str((found.mismatches, found.matches, found.hints))


def test_a_guesser_without_document_or_phone_cannot_distinguish_a_close_name_from_any_other() -> None:
    assert _answer("陳小華", knows_document=False) == _answer("王伟", knows_document=False)
    assert _answer("陳小華", knows_document=True) != _answer("王伟", knows_document=True)


def test_the_time_of_an_answer_does_not_tell_a_guesser_whether_a_name_is_close(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared: list[str] = []

    def noted(_held: str, claimed: str, *, of_person: bool, held_words: tuple[str, ...]) -> str:
        assert (of_person, held_words) == (True, ())
        compared.append(claimed)
        return "no_match"

    monkeypatch.setattr(verification, "match_name", noted)
    _answer("陳小華", knows_document=False)
    assert compared == []
    _answer("陳小華", knows_document=True)
    assert compared == ["陳小華"]


@pytest.mark.parametrize(
    "name", [" ".join(["\ufdfa"] * 70), " ".join(chr(0x4E00 + 97 * at) for at in range(70)), "& " + "\ufdfa" * 138]
)
def test_a_name_written_to_be_long_costs_no_more_than_a_long_name(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names are compared inside the node's one writing transaction: half a second for each held up the core's feed."""
    letters = 0
    plain = name_matching._plain

    def counted(canonical: str) -> str:
        nonlocal letters
        letters += len(canonical)
        return plain(canonical)

    monkeypatch.setattr(name_matching, "_plain", counted)
    assert name_matching.match_name("陈小华", name) == "no_match"
    assert letters < 10_000


@pytest.mark.parametrize(("name", "match"), [("A. B. Tanaka", "close"), ("A. B. A. Tanaka", "no_match")])
def test_more_than_two_initials_are_not_tried_for_names(name: str, match: str) -> None:
    """Each may stand for fourteen letters: with eight of them, one comparison with a name such as Abababab took more
    than a minute."""
    assert name_matching.match_name("annabellaanitatanaka", name) == match


@pytest.mark.long
def test_close_matches_do_not_lead_a_guesser_to_the_name() -> None:
    """Of all guessed names of a surname and two characters, only those that differ from the right one in nothing but
    traditional forms are reported as close: a name that shares two of three characters is answered like any other."""
    close, tried = set(), 0
    for surname, first, second in itertools.product(_SURNAMES, "小" + _GIVEN, _GIVEN):
        name = surname + first + second
        tried += 1
        if "'close'" in _answer(name, knows_document=True):
            close.add(name)
    assert close == {"陳小华", "陈小華", "陳小華"}
    # A user has a burst of 60 attempts and then 30 an hour: a year of them is a few per cent of the names tried here
    # with these few characters alone, and the gateway blocks the user after five.
    rules = VelocitySettings()
    a_year = rules.caller_capacity + rules.caller_refill_per_hour * 24 * 365
    assert KNOWN_COST >= 1
    assert a_year < 20 * tried


def test_hints_do_not_depend_on_what_the_bank_holds() -> None:
    claim = _claim("王伟", knows_document=False)
    absent = Claim(**(claim.model_dump() | {"number": "4111111111111112", "number_type": "card"}))
    assert [hint.field for hint in absent.hints()] == ["number"]
    assert verify(None, absent, absent.identity()).hints == absent.hints()
    # A hint about a number is not given for one that exists, and none about a field that matches.
    assert verify(_HELD, absent, absent.identity()).hints == []
