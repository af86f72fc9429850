"""Long numbers that a spreadsheet has rounded without a trace: it keeps 15 digits, and writes zeros for the rest.

One number may end in zeros by itself, so only all those of a file together tell.
"""

_KEPT_DIGITS = 15
#: How many zeros after the kept digits, in all numbers together, are no chance.
_MANY = 8


class LongNumbers:
    """The numbers of one column of a file, as far as they have more digits than a spreadsheet keeps."""

    def __init__(self) -> None:
        self._zeros = 0
        self._is_other_seen = False

    def add(self, number: str) -> None:
        """Take a number into account. One of zeros alone stands for none, and one with a letter is text."""
        if len(number) <= _KEPT_DIGITS or not number.isdecimal() or not number.strip("0"):
            return
        rest = number[_KEPT_DIGITS:]
        self._zeros += len(rest)
        self._is_other_seen = self._is_other_seen or rest.strip("0") != ""

    @property
    def look_rounded(self) -> bool:
        """Whether each of them ends in zeros from the 16th digit on, and they are too many for that to be chance."""
        return not self._is_other_seen and self._zeros >= _MANY
