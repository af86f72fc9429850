"""The bound on concurrent work."""

import pytest

from standing.gateway.access.admission import Admission
from standing.ledger.errors import Overloaded


def test_admission_frees_its_places_after_overload_and_after_errors() -> None:
    admission = Admission(2, "things")
    for _ in range(3):
        with admission, admission, pytest.raises(Overloaded) as caught, admission:
            pass
        assert caught.value.retry_after_s == 1
        with pytest.raises(ZeroDivisionError), admission:
            raise ZeroDivisionError
