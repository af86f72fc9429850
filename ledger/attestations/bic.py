"""A bank's name: its BIC (ISO 9362), as text everywhere and as `bytes11` on the ledger."""

from stdnum import bic as _bic
from stdnum.exceptions import ValidationError

from standing.ledger.errors import InvalidValue

_ALLOWED = "a BIC of 8 or 11 characters (ISO 9362), such as BKCHCNBJ"


def parse_bic(text: str, field: str = "bank") -> str:
    """The BIC in its compact form, upper case.

    Raises: InvalidValue where `text` is not a BIC.
    """
    if not text.isascii() or len(text) > 32:
        raise InvalidValue(field, "not a BIC", _ALLOWED)
    try:
        return str(_bic.validate(text))
    except ValidationError as error:
        raise InvalidValue(field, "not a BIC", _ALLOWED) from error


def bic_to_bytes11(bic: str) -> bytes:
    """The ledger's form of a BIC: 11 bytes of ASCII, zero-padded on the right."""
    return parse_bic(bic).encode("ascii").ljust(11, b"\0")


def bytes11_to_bic(raw: bytes) -> str:
    """The BIC of the ledger's form.

    Raises: InvalidValue where `raw` is not a zero-padded BIC, just as `bic_to_bytes11` writes it: to the ledger one in
    small letters, or with a space, is another bank.
    """
    if len(raw) != 11:
        raise InvalidValue("bank", f"{len(raw)} bytes", "11 bytes")
    try:
        bic = parse_bic(raw.rstrip(b"\0").decode("ascii"))
    except UnicodeDecodeError as error:
        raise InvalidValue("bank", "not ASCII", _ALLOWED) from error
    if bic_to_bytes11(bic) != raw:
        raise InvalidValue("bank", "not in the ledger's form", _ALLOWED)
    return bic
