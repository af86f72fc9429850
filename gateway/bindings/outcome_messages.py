"""The user's messages about the outcome of binding, in English and Chinese: what is wrong, and what they can do.

A refusal names the field that differs from the bank's record, never the bank's value.
"""

from collections.abc import Iterable

from standing.gateway.access.localized import Localized
from standing.ledger.attestations.binding_protocol import Mismatch

GRANTED = Localized(
    "The account is bound. It can be used as soon as the bank has confirmed it, usually within a minute.",
    "账户绑定成功。银行确认后即可使用，通常不超过一分钟。",
)

DEPOSIT_ASKED = Localized(
    "The bank is paying a small amount into this account. Look it up in your statement and enter it here.",
    "银行将向该账户打入一笔小额款项。请查询账户明细，并在此填写到账金额。",
)

LOOKS_MISTYPED = Localized(
    "Something looks mistyped, so the bank was not asked yet. Please check it; if it is correct, send it as written.",
    "填写内容可能有误，尚未向银行核验。请核对；如确认无误，可按原内容提交。",
)

#: By the field that the bank names. Other banks may name others.
_REFUSALS: dict[str, Localized] = {
    "number": Localized(
        "The bank has no such account. Check the number, and whether it is a card or an account number.",
        "银行查无此账户。请核对号码，并确认是卡号还是账号。",
    ),
    "name": Localized(
        "The name is not the one that the bank has for this account. Enter it as registered with the bank.",
        "姓名与银行登记的户名不一致。请按银行登记的户名填写。",
    ),
    "id_document": Localized(
        "The ID document is not the one that the bank has for this account. Enter the document you registered there, "
        "or update it at the bank.",
        "证件信息与银行登记的不一致。请填写银行登记的证件，或到银行更新证件信息。",
    ),
    "phone": Localized(
        "The phone number is not the one that the bank has for this account. Enter that one, or change it at the bank.",
        "手机号与银行预留的不一致。请填写银行预留手机号，或到银行变更预留手机号。",
    ),
    "holder_kind": Localized(
        "The kind of holder, a person or an organisation, does not match the bank's record. Choose the other kind.",
        "账户类型与银行登记的不一致（个人账户或单位账户）。请选择正确的账户类型。",
    ),
    "account": Localized(
        "The bank does not allow this account to be bound now. Ask the bank, or bind another account.",
        "银行目前不允许绑定该账户。请联系银行，或绑定其他账户。",
    ),
    "amount": Localized(
        "The amount is not the one that the bank paid in, or it came too late, or no attempts are left. Check your "
        "statement; if no attempts are left, start again.",
        "金额与实际到账金额不一致，或已超过有效期或次数限制。请核对账户明细；如次数已用完，请重新发起绑定。",
    ),
}

_UNSPECIFIED = Localized(
    "The bank has refused to bind this account. Ask the bank, or bind another account.",
    "银行拒绝绑定该账户。请联系银行，或绑定其他账户。",
)


def refusal(mismatches: Iterable[Mismatch]) -> Localized:
    """The message to a refused user: a sentence for each field that differs from the bank's record."""
    fields = dict.fromkeys(mismatch.field for mismatch in mismatches)
    messages = [_REFUSALS.get(field, _UNSPECIFIED) for field in fields] or [_UNSPECIFIED]
    return Localized(" ".join(each.en for each in messages), "".join(each.zh for each in messages))
