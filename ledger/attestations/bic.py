"""A bank's identifier: its BIC (ISO 9362), as text in code and as `bytes11` on the ledger."""

from functools import lru_cache

from stdnum import bic as _bic
from stdnum.exceptions import ValidationError

from standing.ledger.errors import InvalidValue

_HEAD_OFFICE = "XXX"
_ALLOWED = "a BIC of 8 or 11 characters (ISO 9362), such as BKCHCNBJ"


def parse_bic(text: str, field: str = "bank") -> str:
    """The BIC in upper case, without spaces and without the branch XXX, which is the head office (ISO 9362).

    Raises: InvalidValue where `text` is not a BIC.
    """
    if not text.isascii() or len(text) > 32:
        raise InvalidValue(field, "not a BIC", _ALLOWED)
    try:
        return str(_bic.validate(text)).removesuffix(_HEAD_OFFICE)
    except ValidationError as error:
        raise InvalidValue(field, "not a BIC", _ALLOWED) from error


@lru_cache(maxsize=1_024)  # every record that is opened needs it
def bic_to_bytes11(bic: str) -> bytes:
    """The BIC as the ledger stores it: 11 bytes of ASCII, zero-padded on the right."""
    return parse_bic(bic).encode("ascii").ljust(11, b"\0")


def bytes11_to_bic(raw: bytes) -> str:
    """The BIC of the ledger's 11 bytes.

    Raises: InvalidValue where `raw` is not exactly what `bic_to_bytes11` writes. To the ledger, lower case or a space
    makes another bank.
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
