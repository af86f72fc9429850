"""Which headings and values tell an account's state beside its status: a hold, a closing date, what may not be paid.

`feed learn` guesses by them, and by them columns are refused that a profile does not name. A column that is passed over
leaves a frozen account active, one too many asks a question, so a part of a word is enough.
"""

import re
import unicodedata
from collections.abc import Collection
from functools import lru_cache

from standing.node.feed.headings import plain_text, simplified
from standing.node.feed.usual_words import WORDS

_LETTERS = re.compile(r"[^\W\d_]+")
#: How many words a value of few has that tells of a restriction.
_FEW_WORDS = 4
#: Words, also of other columns than the status, that tell of an account that is not active.
_STATES = frozenset(
    word for meaning, words in WORDS["status"].items() if meaning != "active" for word in words if len(word) > 1
)
#: How words begin that end with status and tell of the holder.
_OF_PEOPLE = ("famil", "marital", "zivil", "civil", "sivil", "tax", "kyc", "resid")

#: What headings contain that tell an account's state, and what those contain that only seem to tell it.
_OF_STATUS = (
    "状态", "冻结", "止付", "止收", "挂失", "销户", "注销", "撤销", "关户", "久悬", "睡眠", "休眠", "不动户", "控制",
    "管控", "锁定", "封锁", "封存", "查封", "限制", "受限", "暂停", "停用", "停止", "中止", "终止", "禁用", "禁止",
    "作废", "失效", "收付", "只收不付", "不收不付", "标志位", "标识位", "位图", "非柜面", "涉案", "协查", "警示",
    "管制", "扣押", "黑名单", "死亡", "身故", "删除", "权限", "异常", "可疑", "有效标志", "激活标志",
    "启用标志", "可用标志",
    # Japanese, as `simplified` leaves it.
    "制限", "事故", "差押", "纷失", "丧失", "盗难", "解约", "相続", "可否",
    "상태", "정지", "사고", "압류", "해지", "휴면", "동결", "분실", "제한", "폐쇄",
    "สถานะ", "อายัด", "ระงับ", "ปิดบัญชี", "สูญหาย",
    "حالة", "مجمد", "تجميد", "حجز", "محجوز", "موقوف", "إيقاف", "مغلق", "إغلاق", "خامل", "مسدود",
    "סטטוס", "חסום", "חסימה", "עיקול", "מוגבל", "מוקפא", "סגור",
)  # fmt: skip
_NOT_OF_STATUS = ("日期", "时间", "金额", "限额", "原因", "婚姻", "机构", "柜员", "编号", "文号")
_OF_STATUS_WORDS = frozenset({
    "status", "stat", "sts", "hold", "holds", "lien", "lost", "loss", "stolen", "dormant", "inactive", "inoperative",
    "closed", "closure", "cls", "lock", "locked", "lockout", "stop", "stopped", "disabled", "deactivated", "deceased",
    "court", "sleep", "pnd", "pnc", "blk", "frz", "susp", "flags", "bitmap", "warning", "warnings", "caution",
    "deleted", "active", "chargeoff", "probate", "bankrupt", "insolvent", "seized", "pledged", "cancelled", "canceled",
    "terminated", "expired", "loevm", "loekz", "stato", "statut", "estado", "état", "etat", "durum", "durumu",
})  # fmt: skip
#: Parts of such words, also of those that stand within a longer one (Kontosperre, ISBLOCKED, заблокирован).
_STEMS = (
    "freez", "frez", "froz", "block", "blok", "bloq", "bloc", "restrict", "restrain", "inactiv", "suspen", "garnish",
    "embarg", "sanction", "blacklist", "warnin", "deactiv",
    "sperr", "gepfänd", "pfändung", "nachlass", "gelöscht", "verstorb", "spärr", "spærr", "avslut", "ophør", "opphør",
    "beslag", "opgehev", "overled", "congel", "opposition", "saisie", "interdi", "clôtur", "clotur", "pignor",
    "sequestr", "estint", "inmoviliz", "retenci", "fallecid", "situaç", "situac", "encerr", "inativ", "zajęci",
    "zastrzeż", "zamkni", "haciz", "tedbir", "kapalı", "kapali", "kapanış", "kapanis", "beku", "pasif", "tutup",
    "блок", "арест", "закрыт", "приостан", "огранич", "заморож", "состояни", "статус",
)  # fmt: skip
#: Such words of several, without accents and spaces.
_PHRASES = ("phongtoa", "tamkhoa", "trangthai", "tinhtrang")
#: What values contain that tell of a restriction, whatever their heading.
_RESTRICTIONS = (
    "冻结", "止付", "止收", "挂失", "销户", "注销", "久悬", "睡眠户", "锁定", "查封", "扣押", "只收不付", "只付不收",
    "不收不付", "只进不出", "只出不进", "暂停", "停用", "停止", "涉案", "黑名单", "差押", "解约", "纷失",
)  # fmt: skip
_MOVEMENTS = frozenset({
    "debit", "debits", "dr", "dbt", "credit", "credits", "cr", "withdraw", "withdrawal", "withdrawals", "payment",
    "payments", "transfer", "transfers", "posting", "postings", "transaction", "transactions",
})  # fmt: skip
#: What says that a column is a flag, and what tells a state only as one: DEL_FLG, but not Nombre del titular.
_FLAGS = frozenset({"flag", "flg", "ind", "indicator", "yn"})
_WITH_FLAG = frozenset({"del", "ctrl", "control", "valid", "usable", "fraud"})
#: Beside a movement of money, these say whether it is allowed: Can Debit, WithdrawAllowedYN, DR_FLAG.
_WHETHER = frozenset({
    "not", "can", "may", "allow", "allows", "allowed", "permit", "permitted", "enable", "enabled", "disallowed",
    "forbidden", *_FLAGS,
})  # fmt: skip
_NOT_OF_STATUS_WORDS = frozenset({
    "date", "dt", "time", "at", "on", "since", "by", "amount", "amt", "balance", "bal", "limit", "reason", "ref",
    "marital", "civil",
})  # fmt: skip

#: What headings contain of a place, a product or a person, none of which says what may be paid.
_OF_PLACES_AND_PEOPLE = (
    "机构", "网点", "支行", "分行", "部门", "柜员", "客户经理", "产品", "科目", "性别", "国籍", "民族", "职业", "学历",
    "地址", "邮编", "邮箱", "行号", "支店", "店番", "住所",
)  # fmt: skip
_OF_PLACES_AND_PEOPLE_WORDS = frozenset({
    "branch", "sol", "filiale", "sucursal", "agence", "product", "scheme", "ledger", "gender", "sex", "email", "mail",
    "address", "city", "zip", "postcode", "nationality", "occupation", "manager", "officer", "teller", "language",
    "salutation", "title", "swift", "ifsc", "iban", "bic",
})  # fmt: skip

#: What headings contain of a date that tells a restriction: 销户日期, CLOSE_DATE, Saldierungsdatum.
_OF_DATED_STATE = (
    "销户", "注销", "撤销", "结清", "关户", "关闭", "冻结", "止付", "挂失", "久悬", "睡眠", "休眠", "锁定", "查封",
    "扣押", "停用", "停止", "失效", "暂停", "死亡", "身故", "解约", "终了", "해지", "정지", "사고", "압류", "휴면",
)  # fmt: skip
_OF_A_DATE = ("日期", "时间", "日", "期", "일", "일자", "일시")
_OF_DATED_STATE_WORDS = frozenset({
    "close", "closed", "closing", "closure", "cls", "cancel", "cancelled", "canceled", "cancellation", "terminated",
    "termination", "lost", "loss", "stolen", "dormant", "inactive", "hold", "stop", "stopped", "lock", "locked",
    "deceased", "death", "frz", "blk", "deleted", "chargeoff",
})  # fmt: skip
_OF_A_DATE_WORDS = frozenset({
    "date", "dt", "time", "at", "on", "since", "from", "until", "till", "to", "start", "end",
    "datum", "dato", "fecha", "data", "tarih", "tarihi", "tgl", "tanggal", "дата",
})  # fmt: skip
#: How such headings begin that need no word for the date.
_OF_DATED_STATE_STEMS = (
    "saldier", "schließ", "schliess", "auflös", "aufgelöst", "löschung", "clôtur", "clotur", "résili", "cierre",
    "cancelaci", "encerr", "estint", "chius", "opheff", "zamkn", "uzavř", "kapanış",
)  # fmt: skip
#: Words that stand without a sign between them in headings in capitals: CLOSEDATE, NODEBIT, LOSSFLAG.
_GLUED = (
    _OF_STATUS_WORDS
    | _NOT_OF_STATUS_WORDS
    | _OF_DATED_STATE_WORDS
    | _OF_A_DATE_WORDS
    | _MOVEMENTS
    | _WHETHER
    | _WITH_FLAG
    | {"is", "has", "no", "code", "cd", "mode", "type", "acct", "account", "card", "pay", "post", "total", "full"}
)
_MAX_GLUED = 32


def tells_status(heading: str) -> bool:
    """Whether a heading names a state, or what may restrict an account."""
    plain, listed = _plain_and_words(heading)
    words = set(listed)
    if words & _NOT_OF_STATUS_WORDS or any(part in plain for part in _NOT_OF_STATUS):
        return False
    if words & _OF_STATUS_WORDS or any(stem in word for word in words for stem in _STEMS):
        return True
    if any("status" in word and not word.startswith(_OF_PEOPLE) for word in words):  # Kontostatus
        return True
    if words & _WITH_FLAG and words & _FLAGS:
        return True
    return _tells_what_is_allowed(listed) or any(part in plain for part in _OF_STATUS) or _holds_phrase(plain)


def tells_state_by_date(heading: str) -> bool:
    """Whether a heading names the date of a restriction. The day itself is in 日 only at its end: 日限额 is another."""
    plain, listed = _plain_and_words(heading)
    words = set(listed)
    if any(part in plain for part in _NOT_OF_STATUS if part not in _OF_A_DATE) or "解冻" in plain:
        return False
    if any(part in plain for part in _OF_DATED_STATE) and plain.rstrip(")]} ").endswith(_OF_A_DATE):
        return True
    if words & (_NOT_OF_STATUS_WORDS - _OF_A_DATE_WORDS):
        return False
    if any(word.startswith(_OF_DATED_STATE_STEMS) for word in words):
        return True
    tells = words & _OF_DATED_STATE_WORDS or any(stem in word for word in words for stem in _STEMS)
    return bool(tells and words & _OF_A_DATE_WORDS)


def tells_of_places_or_people(heading: str) -> bool:
    """Whether a heading names a place, a product or a person, and nothing that may restrict an account."""
    plain, words = _plain_and_words(heading)
    return any(part in plain for part in _OF_PLACES_AND_PEOPLE) or not _OF_PLACES_AND_PEOPLE_WORDS.isdisjoint(words)


def holds_restrictions(heading: str, values: Collection[str]) -> bool:
    """Whether some values of a column tell what may restrict an account, as 只收不付 under 收付控制, whatever its
    heading says."""
    plain, listed = _plain_and_words(heading)
    if any(part in plain for part in _NOT_OF_STATUS) or set(listed) & _NOT_OF_STATUS_WORDS:
        return False
    return any(_restricts(value) for value in values)


def _restricts(value: str) -> bool:
    plain = plain_text(value)
    if any(part in plain for part in _RESTRICTIONS):
        return True
    words = _LETTERS.findall(plain)
    if len(words) > _FEW_WORDS or re.search(r"\d", plain):  # an address, such as Block 5
        return False
    if set(words) & _STATES or any(stem in word for word in words for stem in _STEMS):
        return True
    return _tells_what_is_allowed(words)


def _tells_what_is_allowed(words: list[str]) -> bool:
    """Whether words name a movement of money, and that it is allowed or not. `No` comes before it: Debit Card No is a
    number."""
    movements = [at for at, word in enumerate(words) if word in _MOVEMENTS]
    if not movements:
        return False
    return not _WHETHER.isdisjoint(words) or any(at > 0 and words[at - 1] == "no" for at in movements)


def _plain_and_words(heading: str) -> tuple[str, list[str]]:
    """A heading in simplified characters and small letters, and its words: accountStatus and ACCTSTATUS have two."""
    plain = simplified(unicodedata.normalize("NFKC", heading))
    words = _LETTERS.findall(re.sub("(?<=[a-z])(?=[A-Z])", " ", plain).casefold())
    return plain.casefold(), [part for word in words for part in _parts(word)]


def _parts(word: str) -> tuple[str, ...]:
    """The usual words that a word consists of; itself where it does not."""
    return (word,) if word in _GLUED or len(word) > _MAX_GLUED else _split(word) or (word,)


@lru_cache(maxsize=4_096)
def _split(word: str) -> tuple[str, ...]:
    if word in _GLUED:
        return (word,)
    for end in range(len(word) - 1, 1, -1):
        if word[:end] in _GLUED and (rest := _split(word[end:])):
            return (word[:end], *rest)
    return ()


def _holds_phrase(plain: str) -> bool:
    bare = "".join(each for each in unicodedata.normalize("NFD", plain) if each.isalpha())
    return any(phrase in bare for phrase in _PHRASES)
