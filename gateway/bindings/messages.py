"""The user's messages about a claim, in English and in Chinese: the comparison of fields, and typing errors.

No message contains a value, neither the user's nor the bank's.
"""

from standing.gateway.access.schemas import LocalizedText
from standing.ledger.attestations.binding_protocol import ClaimHint, FieldMatch, MatchWord
from standing.ledger.attestations.hints import Hint

_FIELDS = {
    "number": ("card or account number", "卡号或账号"),
    "name": ("name", "户名"),
    "id_document": ("ID document", "证件"),
    "phone": ("phone number", "预留手机号"),
}

_MATCHES: dict[MatchWord, tuple[str, str]] = {
    "match": ("The {} matches what the bank has.", "{}与银行登记一致。"),
    "close": (
        "The {} is close to what the bank has, but not the same. Write it exactly as on the card or passbook.",
        "{}与银行登记相近但不一致。请按银行卡或存折上的写法填写。",
    ),
    "no_match": ("The {} does not match the bank's record.", "{}与银行登记不一致。"),
    "not_stated": ("The {} was not compared, because it is not stated.", "{}未提供，未核验。"),
}

_HINTS: dict[Hint, tuple[str, str]] = {
    "check_digit": (
        "A character of the {} may be mistyped: its check digit does not match. Please check it; if it is correct, "
        "send it as written.",
        "{}的校验位不符，可能有一位输错。请核对；如确认无误，可按原内容提交。",
    ),
    "length": (
        "The {} is shorter or longer than usual. Please check it; if it is correct, send it as written.",
        "{}的位数与常见位数不符。请核对；如确认无误，可按原内容提交。",
    ),
    "unknown_range": (
        "The {} is in an unknown range. Please check it; if it is correct, send it as written.",
        "{}的号段未收录。请核对；如确认无误，可按原内容提交。",
    ),
}


def of_match(found: FieldMatch) -> LocalizedText:
    """The user's message about how a field compares."""
    return _message(_MATCHES[found.match], found.field)


def of_hint(found: ClaimHint) -> LocalizedText:
    """The user's message about a field that looks mistyped."""
    return _message(_HINTS[found.hint], found.field)


def _message(texts: tuple[str, str], field: str) -> LocalizedText:
    english, chinese = _FIELDS[field]
    return LocalizedText(en=texts[0].format(english), zh=texts[1].format(chinese))
