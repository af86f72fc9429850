"""Holders as the core states them: name, ID document and phone in canonical form."""

import re
import unicodedata

from standing.ledger.attestations.documents import GLOBAL_SCHEMES
from standing.ledger.attestations.identity import (
    IdDocument,
    Identity,
    canonical_id_document,
    canonical_name,
    canonical_phone,
)
from standing.ledger.attestations.names import words_of
from standing.ledger.attestations.numbers import compacted, is_masked, visible
from standing.ledger.attestations.phones import is_filler_phone, is_masked_phone
from standing.ledger.errors import InvalidValue
from standing.node.accounts.changes import AccountChange

#: The value that removes a phone or a document.
_NONE = "none"
#: Schemes whose numbers no authority gives.
_LETTERS_MAY_DO = frozenset({"CUST", "EMPL"})
#: One digit throughout, as of a document that nobody has. Chile, Colombia and Ecuador prescribe such numbers for buyers
#: who state none (66.666.666-6, 222222222222), and Mexico two others, for its own people and foreigners.
_OF_NOBODY = re.compile(r"([0-9])\1{5,}|X[AE]XX010101[0-9A-Z]+")
#: The values of a change that states no document.
_NO_DOCUMENT = (None, None, None)
#: The number of words of a name whose middle word a claim may leave out.
_WITH_MIDDLE_NAME = 3
#: Signs between the names of two people.
_SEVERAL_PEOPLE = frozenset("&/+;")


def apply_identity(identity: Identity, change: AccountChange) -> Identity:
    """The holder after a change, in canonical form; what the change does not state stays. Raises: InvalidValue."""
    name, phone, id_document = identity.name, identity.phone, identity.id_document
    if change.holder_name is not None:
        name = canonical_name(change.holder_name)
    if change.phone is not None:
        phone = _phone(change.phone)
    stated = (change.id_document_scheme, change.id_document_country, change.id_document_number)
    if stated != _NO_DOCUMENT:
        id_document = _id_document(id_document, *stated)
    return Identity(name, id_document, phone)


def words_of_name(held: tuple[str, ...], change: AccountChange) -> tuple[str, ...]:
    """The words of the holder's name after a change, if one may be a middle name. A claim is not compared with parts of
    the names of two people."""
    name = change.holder_name
    if name is None:
        return held
    if len(name.split()) < _WITH_MIDDLE_NAME or not _SEVERAL_PEOPLE.isdisjoint(name):
        return ()
    return tuple(words_of(name))


def _phone(stated: str) -> str:
    """A phone in canonical form; empty if it is "none", masked, or has one digit throughout, such as zeros, as some
    cores write it."""
    if stated == _NONE or not any(unicodedata.decimal(character, 0) for character in stated):
        return ""
    try:
        phone = canonical_phone(stated)
        return "" if is_filler_phone(phone) else phone
    except InvalidValue:
        if is_masked_phone(stated):
            return ""
        raise


def _id_document(held: str, scheme: str | None, country: str | None, number: str | None) -> str:
    """A document in canonical form, with unstated parts unchanged; empty where the scheme is "none"."""
    if scheme == _NONE:
        if country is not None or number is not None:
            raise InvalidValue(
                "id_document_scheme", "stated as none, although there is a document", "none and nothing else"
            )
        return ""
    if number is not None and _is_placeholder(scheme, number):
        return ""
    old = held.upper().split(":", 2) if held else ["", "", ""]
    if scheme in GLOBAL_SCHEMES and country is None:
        country = ""
    parts = [new if new is not None else was for new, was in zip((scheme, country, number), old, strict=True)]
    return canonical_id_document(IdDocument(*parts))


def _is_placeholder(scheme: str | None, number: str) -> bool:
    """Whether a text stands for no number, such as -, N/A, 无 or 000000: it has no digit of any script, only zeros, or
    another digit six times or more. Anyone could state such a number as their own.

    Employers and banks may use letters as numbers. A masked number is not a placeholder.
    """
    values = [unicodedata.numeric(character, None) for character in number if character.isalnum()]
    if not values:
        return True
    only_letters, only_zeros = all(each is None for each in values), all(each == 0 for each in values)
    if scheme in _LETTERS_MAY_DO:
        return False
    shown = visible(number)
    if not (only_letters or only_zeros):
        return _OF_NOBODY.fullmatch(compacted(shown)) is not None
    return not is_masked(shown, compacted(shown))
