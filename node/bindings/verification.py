"""Verification: a claim about an account compared with the bank's records, field by field."""

from dataclasses import dataclass
from typing import Literal

from pydantic import TypeAdapter

from standing.ledger.attestations.binding_protocol import Claim, ClaimHint, FieldMatch, MatchWord, Mismatch
from standing.ledger.attestations.identity import Identity
from standing.ledger.attestations.names import is_masked_name
from standing.ledger.attestations.terms import Status
from standing.node.accounts.store import Account
from standing.node.bindings.name_matching import match_name

# ISO 20022 ExternalVerificationReason1Code, where the meaning is truly the same; there is none for a phone.
_ISO_NUMBER = "AC01"  # account number invalid or missing
_ISO_NAME = "PN01"  # owner's name and account number do not match
_ISO_ID_DOCUMENT = "PI01"  # owner's identification and account number do not match
_ISO_ACCOUNT = "AG01"  # forbidden on this account: blocked, closed

_DIFFERS = "not what the bank has"
_LEFT_OUT = "not stated, and the bank has one"

#: States of accounts for which a new binding makes no sense.
UNBINDABLE = frozenset({Status.LOST, Status.CLOSED})

NO_SUCH_ACCOUNT = Mismatch(field="number", problem="no such account", iso_reason=_ISO_NUMBER)
NAME_DIFFERS = Mismatch(field="name", problem=_DIFFERS, iso_reason=_ISO_NAME)
NAME_CLOSE = Mismatch(field="name", problem="close to what the bank has, and not the same", iso_reason=_ISO_NAME)
DOCUMENT_DIFFERS = Mismatch(field="id_document", problem=_DIFFERS, iso_reason=_ISO_ID_DOCUMENT)
DOCUMENT_LEFT_OUT = Mismatch(field="id_document", problem=_LEFT_OUT, iso_reason=_ISO_ID_DOCUMENT)
PHONE_DIFFERS = Mismatch(field="phone", problem=_DIFFERS)
PHONE_LEFT_OUT = Mismatch(field="phone", problem=_LEFT_OUT)
KIND_DIFFERS = Mismatch(field="holder_kind", problem=_DIFFERS)
NAME_ALONE = Mismatch(
    field="account", problem="the bank has nothing but the name to compare, which is not enough alone"
)
NO_CREDIT = Mismatch(
    field="account", problem="no amount can be paid in, and the bank asks for that", iso_reason=_ISO_ACCOUNT
)
#: The core's statement on the account cannot be understood, so no claim can be compared. It reveals nothing.
UNSTATED = Mismatch(
    field="account", problem="the bank cannot state the account's status at the moment; try again later"
)
HOLDER_CHANGED = Mismatch(field="account", problem="what the bank has of its holder changed; ask with a new request id")

#: Fields of which the bank does not vouch for the claimed value after a micro-deposit.
_UNVOUCHED: tuple[Literal["name", "id_document", "phone"], ...] = ("name", "id_document", "phone")


@dataclass(frozen=True, slots=True)
class Verification:
    """The result of a comparison: every reason against a binding, and how each field compares."""

    mismatches: list[Mismatch]
    matches: list[FieldMatch]
    hints: list[ClaimHint]


def verify(account: Account | None, claim: Claim, identity: Identity) -> Verification:
    """Compare a claim with an account; `identity` is the claim's.

    The state of an account is revealed only to a caller who named its holder correctly, and that a name is close only
    to one who named the document or the phone: to anyone else a close name is a wrong one.

    The type of the number is not compared: a core may not distinguish cards from accounts, and the number alone says
    which one is meant.
    """
    if account is None:
        return Verification([NO_SUCH_ACCOUNT], [], [hint for hint in claim.hints() if hint.field == "number"])
    held = account.identity
    document = _compared(held.id_document, identity.id_document)
    phone = _compared(held.phone, identity.phone)
    of_person = account.holder_kind == "person"
    if "match" in {document, phone}:
        name = match_name(held.name, claim.holder_name, of_person=of_person, held_words=account.name_words)
    else:  # not even compared: the time that it takes would tell whether the name is close
        is_equal = held.name == identity.name and not is_masked_name(held.name, of_person=of_person)
        name = "match" if is_equal else "no_match"
    matches = [FieldMatch.of("name", name), FieldMatch.of("id_document", document), FieldMatch.of("phone", phone)]
    found = _mismatches(account, claim, name, document, phone)
    if not found and document == phone == "not_stated":
        found = [NAME_ALONE]
    hints = []
    if found:
        against = {mismatch.field for mismatch in found}
        hints = [hint for hint in claim.hints() if hint.field in against]
    return Verification(found or unbindable(account), matches, hints)


def _compared(held: str, claimed: str) -> MatchWord:
    if not held or not claimed:
        return "not_stated"
    return "match" if held == claimed else "no_match"


def _mismatches(
    account: Account, claim: Claim, name: MatchWord, document: MatchWord, phone: MatchWord
) -> list[Mismatch]:
    found = []
    if claim.holder_kind not in {None, account.holder_kind}:
        found.append(KIND_DIFFERS)
    if name != "match":
        found.append(NAME_CLOSE if name == "close" else NAME_DIFFERS)
    # What the bank has must be named: leaving a field out does not avoid the check.
    if document == "no_match":
        found.append(DOCUMENT_DIFFERS)
    elif document == "not_stated" and account.identity.id_document:
        found.append(DOCUMENT_LEFT_OUT)
    if phone == "no_match":
        found.append(PHONE_DIFFERS)
    elif phone == "not_stated" and account.identity.phone:
        found.append(PHONE_LEFT_OUT)
    return found


def unbindable(account: Account) -> list[Mismatch]:
    """The reason against a binding in the account's own state; empty where there is none."""
    if account.unstated:
        return [UNSTATED]
    if account.status not in UNBINDABLE:
        return []
    return [Mismatch(field="account", problem=f"the account is {account.status.word}", iso_reason=_ISO_ACCOUNT)]


#: The mismatches on which a micro-deposit can decide, by their labels in the store.
_BY_DOUBT: dict[str, Mismatch] = {
    "name_close": NAME_CLOSE,
    "phone": PHONE_DIFFERS,
    "phone_left_out": PHONE_LEFT_OUT,
    "name_alone": NAME_ALONE,
}


def doubts(mismatches: list[Mismatch]) -> frozenset[str] | None:
    """The labels of mismatches on which a micro-deposit can decide; None where there is one on which it cannot."""
    labels = {label for label, mismatch in _BY_DOUBT.items() if mismatch in mismatches}
    return frozenset(labels) if len(labels) == len(mismatches) else None


def note_of(found: Verification) -> str:
    """The note of a comparison in a deposit's row: the doubts on which it decides, and how each field compares."""
    labels = ",".join(sorted(doubts(found.mismatches) or ()))
    return f"{labels};{','.join(each.match for each in found.matches)}"


def unvouched(note: str) -> list[Mismatch]:
    """The fields for which the bank does not vouch after a deposit has decided on the doubts in a note."""
    settled = [_BY_DOUBT[word] for word in note.partition(";")[0].split(",") if word]
    return [mismatch for mismatch in settled if mismatch.field in _UNVOUCHED]


def noted_matches(note: str) -> list[FieldMatch]:
    """How each field compared when a note was made."""
    labels = TypeAdapter(list[MatchWord]).validate_python(note.partition(";")[2].split(","))
    return [FieldMatch.of(field, word) for field, word in zip(_UNVOUCHED, labels, strict=True)]
