"""The holder of an account: name, ID document and phone, in the canonical form that both sides compare.

Two spellings of one value have the same canonical form. See `names`, `documents`, `numbers` and
`phones` beside this module for each form.
"""

from dataclasses import dataclass
from typing import Literal

from standing.ledger.attestations.documents import ORGANISATION_SCHEMES, IdDocument, canonical_id_document
from standing.ledger.attestations.names import canonical_name
from standing.ledger.attestations.numbers import canonical_number
from standing.ledger.attestations.phones import canonical_phone

__all__ = [
    "IDENTITY_FIELDS",
    "HolderKind",
    "IdDocument",
    "Identity",
    "canonical_id_document",
    "canonical_identity",
    "canonical_name",
    "canonical_number",
    "canonical_phone",
    "kind_of_scheme",
]

#: A holder is a person or an organisation.
HolderKind = Literal["person", "organisation"]

IDENTITY_FIELDS = ("name", "id_document", "phone")


@dataclass(frozen=True, slots=True)
class Identity:
    """The three identity fields of a holder, each in canonical form. ID document and phone are empty where none is
    stated. Personal data: never logged and never on the ledger."""

    name: str
    id_document: str
    phone: str

    def __repr__(self) -> str:  # no log line and no traceback may show it
        return "Identity(…)"


def canonical_identity(name: str, id_document: IdDocument | None, phone: str | None) -> Identity:
    """All fields in canonical form; None: not stated. Raises: InvalidValue naming the field."""
    return Identity(
        canonical_name(name),
        "" if id_document is None else canonical_id_document(id_document),
        "" if phone is None else canonical_phone(phone),
    )


def kind_of_scheme(scheme: str | None) -> HolderKind:
    """The kind of a holder where only the document's scheme shows it."""
    return "organisation" if scheme in ORGANISATION_SCHEMES else "person"
