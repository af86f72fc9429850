"""The user's message for each reason, in English and Chinese: what is wrong, and what they can do about it.

No message discloses more than the user may know: for example that an account is frozen, but not why.
"""

from standing.gateway.access.localized import Localized
from standing.gateway.decisions.rules import Outcome, Reason, Remaining

#: By reason; None is an approval.
MESSAGES: dict[Reason | None, Localized] = {
    None: Localized("Approved.", "已通过。"),
    Reason.LEDGER_UNREACHABLE: Localized(
        "The state of the account cannot be checked right now. Nothing is wrong on your side: try again in a few "
        "minutes.",
        "暂时无法查询账户状态，与您的操作无关。请几分钟后重试。",
    ),
    Reason.BANK_SUSPENDED: Localized(
        "This bank's accounts cannot be used here for now. Use an account at another bank.",
        "该银行的账户暂时不能在本平台使用。请改用其他银行的账户。",
    ),
    Reason.NO_ATTESTATION: Localized(
        "The bank has not confirmed this account yet. Right after binding, wait a minute and try again; "
        "otherwise bind the account again.",
        "银行尚未确认该账户。如刚刚绑定，请一分钟后重试；否则请重新绑定该账户。",
    ),
    Reason.LEDGER_ROLLED_BACK: Localized(
        "The bank's confirmation of this account is being checked by our staff. Use another account in the meantime.",
        "银行对该账户的确认信息正在由工作人员核对。在此期间请使用其他账户。",
    ),
    Reason.ATTESTATION_UNREADABLE: Localized(
        "The bank's confirmation of this account cannot be read. Unbind the account and bind it again.",
        "无法读取银行对该账户的确认信息。请解绑后重新绑定。",
    ),
    Reason.BANK_SILENT: Localized(
        "The bank has not reported for a while, so the account's present state is unknown. Try again later, "
        "or use an account at another bank.",
        "银行已较长时间未更新账户信息，无法确认账户的当前状态。请稍后重试，或改用其他银行的账户。",
    ),
    Reason.UNBOUND: Localized(
        "This account is no longer bound. Bind it again to use it.",
        "该账户已解绑。如需使用，请重新绑定。",
    ),
    Reason.ACCOUNT_UNSTATED: Localized(
        "The bank cannot state this account's status at the moment. Our staff are checking this transaction. Ask the "
        "bank to check the account's data, or use another account.",
        "银行暂时无法确认该账户的状态，本次交易正在由工作人员核对。请联系银行核实账户信息，或使用其他账户。",
    ),
    Reason.ACCOUNT_CLOSED: Localized(
        "The bank says that this account is closed. Bind another account.",
        "该账户已在银行销户。请绑定其他账户。",
    ),
    Reason.ACCOUNT_LOST: Localized(
        "This account or card is reported lost at the bank. If it is found, lift the report at the bank; "
        "if the card was replaced, bind the new one.",
        "该账户或银行卡已在银行挂失。如已找回，请到银行解除挂失；如已补卡，请绑定新卡。",
    ),
    Reason.ACCOUNT_FROZEN: Localized(
        "The bank has frozen this account. Ask the bank for the reason, or use another account.",
        "该账户已被银行冻结。请联系银行了解原因，或使用其他账户。",
    ),
    Reason.ACCOUNT_DORMANT: Localized(
        "The bank has marked this account as dormant after a long time without use. Reactivate it at the "
        "bank, or use another account.",
        "该账户因长期未使用已被银行转为休眠。请到银行激活，或使用其他账户。",
    ),
    Reason.DEBIT_NOT_ALLOWED: Localized(
        "The bank does not allow payments from this account. Ask the bank, or pay from another account.",
        "银行不允许从该账户付款。请联系银行，或使用其他账户付款。",
    ),
    Reason.CREDIT_NOT_ALLOWED: Localized(
        "The bank does not allow money to be paid into this account. Ask the bank, or withdraw to another account.",
        "银行不允许向该账户入账。请联系银行，或提现到其他账户。",
    ),
    Reason.NAME_CHANGED: Localized(
        "The holder's name at the bank is not the one you bound the account with. Update your name here; "
        "if it is already correct, bind the account again.",
        "银行登记的户名与绑定时不一致。请在本平台更新姓名；如已是最新，请重新绑定该账户。",
    ),
    Reason.ID_DOCUMENT_CHANGED: Localized(
        "The ID document at the bank is not the one you bound the account with. Update your document "
        "here; if it is already correct, bind the account again.",
        "银行登记的证件与绑定时不一致。请在本平台更新证件信息；如已是最新，请重新绑定该账户。",
    ),
    Reason.PHONE_CHANGED: Localized(
        "The phone number at the bank is not the one you bound the account with. Update your number here, or "
        "bind the account again with the new one.",
        "银行预留的手机号与绑定时不一致。请在本平台更新手机号，或用新手机号重新绑定该账户。",
    ),
    Reason.CURRENCY_NOT_ALLOWED: Localized(
        "The account is kept in another currency. Choose the account's currency, or another account.",
        "本次交易的币种与账户币种不符。请选择账户的币种，或使用其他账户。",
    ),
    Reason.OVER_TRANSACTION_LIMIT: Localized(
        "The amount exceeds the bank's limit for one transaction. Pay a smaller amount, or ask the bank to raise "
        "the limit.",
        "交易金额超过银行规定的单笔限额。请降低金额，或向银行申请提高限额。",
    ),
    Reason.OVER_DAILY_LIMIT: Localized(
        "The amount exceeds what is left of the bank's daily limit. Choose a smaller amount, wait until tomorrow, "
        "or use another account.",
        "交易金额超过银行日限额的剩余额度。请降低金额、次日再试，或使用其他账户。",
    ),
    Reason.OVER_MONTHLY_LIMIT: Localized(
        "The amount exceeds what is left of the bank's limit for this month. Choose a smaller amount, wait until next "
        "month, or use another account.",
        "交易金额超过银行月限额的剩余额度。请降低金额、次月再试，或使用其他账户。",
    ),
    Reason.OVER_YEARLY_LIMIT: Localized(
        "The amount exceeds what is left of the bank's limit for this year. Choose a smaller amount, ask the bank to "
        "raise the limit, or use another account.",
        "交易金额超过银行年限额的剩余额度。请降低金额、向银行申请提高限额，或使用其他账户。",
    ),
    Reason.RISK_HOLD: Localized(
        "This transaction is being checked by our staff. We will let you know the result; there is nothing to do now.",
        "本次交易正在由工作人员核对。核对结果将另行通知，您暂时无需操作。",
    ),
}

#: Reasons whose outcome the policy chooses; if it is a review, the message states that.
_BY_POLICY = frozenset({Reason.NAME_CHANGED, Reason.ID_DOCUMENT_CHANGED, Reason.PHONE_CHANGED})
_CHECKED = Localized(" This transaction is being checked by our staff.", "本次交易正在由工作人员核对。")

#: The result of a review, by outcome.
REVIEWED: dict[Outcome, Localized] = {
    Outcome.APPROVE: Localized(
        "Our staff have checked this transaction and approved it.", "本次交易经工作人员核对，已通过。"
    ),
    Outcome.DECLINE: Localized(
        "Our staff have checked this transaction and did not approve it. Use another account, or ask our support.",
        "本次交易经工作人员核对，未通过。请使用其他账户，或联系客服。",
    ),
}

#: For a bound account without a problem; otherwise the reason has a message of its own.
ACCOUNT_GOOD = Localized(
    "This account can be used for payments and withdrawals.",
    "该账户可正常付款和提现。",
)

#: For an account at a bank that is no longer in the settings: no decision has a reason for that.
NOT_SERVED = Localized(
    "Accounts at this bank can no longer be used here. Bind an account at another bank.",
    "本平台不再支持该银行的账户。请绑定其他银行的账户。",
)

#: MESSAGES are about one transaction; these are worded for an account on which none is possible. A limit of which
#: nothing is left may be zero itself, so that waiting does not help.
_OF_ACCOUNTS: dict[Reason, Localized] = {
    Reason.OVER_TRANSACTION_LIMIT: Localized(
        "The bank's limit for one payment from this account is zero. Ask the bank to raise it, or pay from another "
        "account.",
        "银行规定该账户的单笔付款限额为零。请向银行申请提高限额，或使用其他账户付款。",
    ),
    Reason.OVER_DAILY_LIMIT: Localized(
        "Nothing is left today of the bank's daily limit for this account. Wait until tomorrow, ask the bank to raise "
        "the limit, or use another account.",
        "该账户今日已无可用的日限额。请次日再试、向银行申请提高限额，或使用其他账户。",
    ),
    Reason.OVER_MONTHLY_LIMIT: Localized(
        "Nothing is left this month of the bank's monthly limit for this account. Wait until next month, ask the bank "
        "to raise the limit, or use another account.",
        "该账户本月已无可用的月限额。请次月再试、向银行申请提高限额，或使用其他账户。",
    ),
    Reason.OVER_YEARLY_LIMIT: Localized(
        "Nothing is left this year of the bank's yearly limit for this account. Ask the bank to raise it, or use "
        "another account.",
        "该账户本年已无可用的年限额。请向银行申请提高限额，或使用其他账户。",
    ),
    Reason.ACCOUNT_UNSTATED: Localized(
        "The bank cannot state this account's status at the moment. Ask the bank to check the account's data, or use "
        "another account.",
        "银行暂时无法确认该账户的状态。请联系银行核实账户信息，或使用其他账户。",
    ),
    Reason.RISK_HOLD: Localized(
        "Transactions with this account are being checked by our staff for now; there is nothing for you to do.",
        "该账户的交易目前需由工作人员核对，您暂时无需操作。",
    ),
}

#: What is left of the limit that a reason is about.
LIMIT_OF: dict[Reason | None, str] = {
    Reason.OVER_TRANSACTION_LIMIT: "transaction_limit_minor",
    Reason.OVER_DAILY_LIMIT: "daily_limit_minor",
    Reason.OVER_MONTHLY_LIMIT: "monthly_limit_minor",
    Reason.OVER_YEARLY_LIMIT: "yearly_limit_minor",
}


def of_decision(reason: Reason | None, outcome: Outcome, remaining: Remaining | None = None) -> Localized:
    """The user's message about a decision. `remaining`: what is left of the limits, if that is known: where nothing is,
    no smaller amount helps either."""
    limit = LIMIT_OF.get(reason)
    if remaining is not None and limit is not None and getattr(remaining, limit) == 0:
        return of_account(reason)
    message = MESSAGES[reason]
    if outcome is Outcome.REVIEW and reason in _BY_POLICY:
        return Localized(message.en + _CHECKED.en, message.zh + _CHECKED.zh)
    return message


def of_account(reason: Reason | None) -> Localized:
    """The user's message about a bound account; `reason`: why it is not usable, None if it is."""
    return ACCOUNT_GOOD if reason is None else _OF_ACCOUNTS.get(reason, MESSAGES[reason])
