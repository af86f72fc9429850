"""The meaning of each feature for the user, and the remedy, in both languages."""

from standing.gateway.access.localized import Localized
from standing.gateway.warning.signs import Sign

_LIMIT_TO_DO = Localized(
    "Ask the bank to raise the limit, pay smaller amounts, or use another account.",
    "请向银行申请提高限额、降低金额，或使用其他账户。",
)
_ASK = Localized(
    "Ask the bank about the account, or choose another account for payments that cannot wait.",
    "请向银行核实账户状态；如付款较急，请改用其他账户。",
)

_WORDS: dict[str, tuple[Localized, Localized]] = {
    "blocked": (
        Localized(
            "According to the bank, this account currently cannot be used for what it is mostly used for.",
            "根据银行的最新信息，该账户目前不能用于其常用的交易类型。",
        ),
        _ASK,
    ),
    "over_transaction": (
        Localized(
            "Payments like yours often exceed the bank's limit for one transaction.",
            "您的常见付款金额可能超过银行规定的单笔限额。",
        ),
        _LIMIT_TO_DO,
    ),
    "over_day": (
        Localized(
            "What you usually pay in a day often exceeds the bank's daily limit.",
            "您的日常单日付款金额可能超过银行规定的日限额。",
        ),
        _LIMIT_TO_DO,
    ),
    "month_left": (
        Localized(
            "Payments like yours exceed what is left of this month's limit.",
            "您的常见付款金额超过当月剩余额度。",
        ),
        _LIMIT_TO_DO,
    ),
    "month_pace": (
        Localized(
            "At the present pace, payments will reach this month's limit within days.",
            "按目前的付款节奏，几天内将达到当月限额。",
        ),
        _LIMIT_TO_DO,
    ),
    "year_pace": (
        Localized(
            "At the present pace, transactions will reach this year's limit within days.",
            "按目前的交易节奏，几天内将达到当年限额。",
        ),
        _LIMIT_TO_DO,
    ),
    "due_over_limit": (
        Localized(
            "A payment made a month ago may be due again and now exceeds a limit.",
            "上月的一笔付款可能即将再次发生，而其金额已超过目前的限额。",
        ),
        _LIMIT_TO_DO,
    ),
    "limits_changed": (
        Localized(
            "The bank has changed a limit of this account within the last week.", "最近一周内，银行调整了该账户的限额。"
        ),
        _LIMIT_TO_DO,
    ),
    "identity_changed": (
        Localized(
            "The name, ID document or phone number at the bank has changed within the last week.",
            "最近一周内，银行登记的姓名、证件或手机号有变更。",
        ),
        Localized(
            "Check that your details here match those at the bank, and update them if not.",
            "请核对您在本平台的信息与银行登记是否一致，如不一致请更新。",
        ),
    ),
    "status_changed": (
        Localized(
            "The account's state at the bank has changed within the last week.",
            "最近一周内，该账户的状态有变更。",
        ),
        _ASK,
    ),
    "status_flickers": (
        Localized(
            "The account's state at the bank has changed several times within the last two weeks.",
            "最近两周内，该账户的状态多次变更。",
        ),
        _ASK,
    ),
}


def sign_of(feature: str) -> Sign:
    """The sign of a feature. Raises: KeyError (no such feature)."""
    what, to_do = _WORDS[feature]
    return Sign(feature, what, to_do)
