"""The protocol between platform and bank accepts only values in exactly the form that it specifies."""

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from standing.ledger.attestations.binding_protocol import GrantDocument, Hex16, Hex32, Hex65

_GRANT = {
    "bank": "YUNXCNB0",
    "binding": "0x" + "ab" * 32,
    "platform": "example-pay",
    "granted_at_ms": 1,
    "binding_key": "0x" + "cd" * 32,
    "signature": "0x" + "ef" * 65,
}


@pytest.mark.parametrize(("form", "size"), [(Hex16, 16), (Hex32, 32), (Hex65, 65)])
def test_hexadecimal_values_of_the_right_size_are_accepted_and_normalised(form: Any, size: int) -> None:
    adapter: TypeAdapter[str] = TypeAdapter(form)
    assert adapter.validate_python("0x" + "Ab" * size) == "0x" + "ab" * size
    for text in (
        "ab" * size,
        "0x" + "ab" * (size - 1),
        "0x" + "ab" * (size + 1),
        "0x" + "zz" * size,
        "0X" + "ab" * size,
    ):
        with pytest.raises(ValidationError, match=f"0x and {2 * size} hexadecimal digits"):
            adapter.validate_python(text)


@pytest.mark.parametrize("blank", ["  ", "\n\n", "\t ", "\x0b\x0c"])
@pytest.mark.parametrize("place", [2, 34, 64])
def test_white_space_cannot_stand_in_for_hexadecimal_digits(blank: str, place: int) -> None:
    digits = "0x" + "ab" * 31
    with pytest.raises(ValidationError, match="0x and 64 hexadecimal digits"):
        GrantDocument.model_validate(_GRANT | {"binding": digits[:place] + blank + digits[place:]})
