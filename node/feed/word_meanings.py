"""What a word of a core is likely to mean, by the usual ones."""

from contextlib import suppress

from standing.ledger.attestations.money import currency_number
from standing.ledger.errors import InvalidValue
from standing.node.feed.headings import folded_word
from standing.node.feed.records import BOOLEANS
from standing.node.feed.usual_words import NO, WORDS, YES


def meaning_of(name: str, word: str, *, derived: bool = False) -> str | bool | None:
    """The likely meaning of a field's word; None where it is left open. `derived`: it is one of the status, and says
    what is allowed."""
    plain = folded_word(word)
    if derived:
        status = meaning_of("status", word, derived=False)
        return None if status is None else status == "active"
    if name in BOOLEANS:
        return True if plain in YES else False if plain in NO else None
    known = next((meaning for meaning, usual in WORDS[name].items() if plain in usual), None)
    if known is None and name == "currency":
        with suppress(InvalidValue):
            currency_number(plain.upper())
            return plain.upper()
    return known


def is_feed_value(name: str, word: str) -> bool:
    """Whether a value is what the feed itself writes."""
    return meaning_of(name, word) == word
