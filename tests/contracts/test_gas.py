"""Gas stays within its bounds, and changes only together with the committed snapshot."""

from gas import Meter, problems


def test_gas_is_within_its_bounds_and_as_committed() -> None:
    assert problems(Meter().measure()) == []
