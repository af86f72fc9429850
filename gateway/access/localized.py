"""Text in both languages of the API, English and Chinese."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Localized:
    """One text in English and in Chinese."""

    en: str
    zh: str

    @classmethod
    def same(cls, text: str) -> "Localized":
        """Text that is the same in both languages, such as a BIC."""
        return cls(text, text)
