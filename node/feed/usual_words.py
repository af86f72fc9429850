"""How cores usually name their columns and what they usually write in them: what `feed learn` guesses by.

No value of a file is read by it; only a profile's own content counts there.
"""

import re

#: How many different words of a field a draft lists. A column with more holds texts.
MAX_DRAFTED_WORDS = 40

#: Headings by field, as `folded` makes them.
HEADINGS: dict[str, tuple[str, ...]] = {
    "number": (
        "账号", "帐号", "账户号", "账户号码", "帐户号码", "账户", "客户账号", "卡号", "卡账号", "银行卡号", "结算账号",
        "number", "accountnumber", "accountno", "acctno", "acct", "account", "cardno", "cardnumber", "iban", "pan",
        "foracid", "custacno", "acno", "acnumext", "kontonr", "kontonummer", "rekeningnummer", "numerodecuenta",
        "nrocuenta", "númerodecuenta", "numerodecompte", "numérodecompte", "numerodaconta", "númerodaconta",
        "numerorachunku", "номерсчета", "номерсчёта", "口座番号", "계좌번호", "เลขที่บัญชี",
    ),
    "number_type": ("账号类型", "卡账标志", "介质类型", "numbertype", "accounttype", "mediatype"),
    "status": (
        "账户状态", "帐户状态", "账号状态", "卡状态", "状态", "status", "acctstatus", "accountstatus",
        "cardstatus", "accountstate", "state",
    ),
    "debit_allowed": ("允许借记", "可借记", "借记许可", "可支出", "可支付", "debitallowed", "maydebit", "debit"),
    "credit_allowed": ("允许贷记", "可贷记", "贷记许可", "可收入", "可入账", "creditallowed", "maycredit", "credit"),
    "currency": ("币种", "货币", "币别", "币种代码", "currency", "ccy", "cur", "currencycode", "acctcrncycode", "crncy",
        "waers", "währung", "waehrung", "moneda", "moeda", "divisa", "devise", "валюта", "通貨", "통화", "สกุลเงิน"),
    "transaction_limit_minor": (
        "单笔限额", "单笔上限", "单笔支付限额", "transactionlimit", "transactionlimitminor", "singlelimit", "limitonce",
        "pertransactionlimit", "pertxnlimit", "txnlimit",
    ),
    "daily_limit_minor": (
        "日限额", "单日限额", "日累计限额", "每日限额", "当日限额", "日支出限额", "日累计支出限额",
        "日累计支付限额", "日累计交易限额", "每日累计限额", "单日累计限额",
        "dailylimit", "dailylimitminor",
        "daylimit", "limitday", "dailytxnlimit", "dailytransactionlimit", "tageslimit", "tageslimite", "limitediario",
        "límitediario", "limitediário", "plafondjournalier",
    ),
    "monthly_limit_minor": (
        "月限额", "单月限额", "月累计限额", "每月限额", "当月限额", "月支付限额", "monthlylimit", "monthlylimitminor",
        "monthlimit", "limitmonth",
    ),
    "yearly_limit_minor": (
        "年限额", "年累计限额", "每年限额", "年度限额", "年支出限额", "年累计支出限额", "yearlylimit",
        "yearlylimitminor", "annuallimit", "yearlimit", "limityear",
    ),
    "daily_credit_limit_minor": (
        "日入账限额", "日累计入账限额", "日转入限额", "日收入限额", "日贷记限额", "dailycreditlimit",
        "dailycreditlimitminor", "daycreditlimit", "dailyinlimit",
    ),
    "yearly_credit_limit_minor": (
        "年入账限额", "年累计入账限额", "年转入限额", "年收入限额", "年贷记限额", "yearlycreditlimit",
        "yearlycreditlimitminor", "annualcreditlimit", "yearlyinlimit",
    ),
    "account_class": (
        "账户类别", "账户分类", "账户等级", "结算账户类别", "个人账户类别", "accountclass", "acctclass",
    ),
    "holder_kind": (
        "客户类型", "客户类别", "客户种类", "户主类型", "公私标志", "对公对私标志", "holderkind", "holdertype",
        "customertype", "custtype", "clienttype",
    ),
    "holder_name": (
        "户名", "账户名称", "账户名", "客户名称", "姓名", "客户姓名", "持卡人", "holdername", "name",
        "custname", "customername", "clientname", "accountname", "acctname", "customershortname", "accountholder",
        "kontoinhaber", "koinh", "titular", "intestatario", "titulaire", "владелец", "口座名義", "口座名義人", "예금주",
        "ชื่อบัญชี",
    ),
    "id_document_scheme": (
        "证件类型", "证件种类", "证件类别", "iddocumentscheme", "idtype", "documenttype", "certtype",
    ),
    "id_document_country": (
        "签发国", "发证国家", "证件国家", "国籍", "iddocumentcountry", "idcountry", "nationality", "issuingcountry",
    ),
    "id_document_number": (
        "证件号码", "证件号", "身份证号", "身分证字号", "身分证号码", "身份证号码", "统一社会信用代码",
        "iddocumentnumber", "idnumber", "idno", "certno",
        "documentnumber",
    ),
    "phone": (
        "手机号", "手机号码", "手机", "联系电话", "电话", "行动电话", "预留手机号", "phone", "mobile", "mobileno",
        "phonenumber", "tel", "mobilenumber", "mobilephone", "sms1", "telefon", "telefono", "teléfono", "telefone",
        "telephone", "téléphone", "телефон", "電話番号", "전화번호", "휴대폰번호", "โทรศัพท์",
    ),
    "effective_at_ms": (
        "更新时间", "修改时间", "最后更新时间", "最后变更时间", "变更时间", "变动时间", "生效时间", "effectiveatms",
        "effectiveat", "updatedat", "lastupdate",
        "changedat", "changedms",
    ),
    "unbind": ("解绑平台", "unbind"),
    "replaces": ("原卡号", "原账号", "旧卡号", "replaces", "oldcardno", "oldnumber"),
}  # fmt: skip

#: Words by field and meaning, as `folded` makes them.
WORDS: dict[str, dict[str, tuple[str, ...]]] = {
    "status": {
        "active": ("正常", "有效", "启用", "已激活", "激活", "active", "normal", "open", "a"),
        "frozen": ("冻结", "止付", "全额冻结", "司法冻结", "控制", "frozen", "blocked", "f", "freeze"),
        "lost": ("挂失", "口头挂失", "书面挂失", "正式挂失", "lost", "stolen", "l"),
        "dormant": ("睡眠", "睡眠户", "久悬", "不动户", "休眠", "dormant", "inactive", "d"),
        "closed": ("销户", "已销户", "注销", "结清", "关闭", "closed", "c"),
    },
    "number_type": {
        "card": ("卡", "借记卡", "银行卡", "贷记卡", "card"),
        "account": ("账户", "账号", "存折", "对公账户", "结算账户", "account", "acct"),
    },
    "account_class": {
        "1": ("1", "i", "i类", "i类户", "一类", "一类户", "1类", "1类户", "classi", "class1"),
        "2": ("2", "ii", "ii类", "ii类户", "二类", "二类户", "2类", "2类户", "classii", "class2"),
        "3": ("3", "iii", "iii类", "iii类户", "三类", "三类户", "3类", "3类户", "classiii", "class3"),
    },
    "holder_kind": {
        "person": ("个人", "对私", "自然人", "私人", "个人客户", "person", "individual", "personal", "retail", "p"),
        "organisation": (
            "单位", "对公", "企业", "公司", "法人", "机构", "对公客户", "企业客户", "organisation", "organization",
            "corporate", "company", "business", "legalentity",
        ),
    },
    "currency": {
        "CNY": ("人民币", "元", "rmb", "cny", "156", "01"),
        "USD": ("美元", "usd", "840"),
        "EUR": ("欧元", "eur", "978"),
        "HKD": ("港币", "港元", "hkd", "344"),
        "JPY": ("日元", "日圆", "jpy", "392"),
        "GBP": ("英镑", "gbp", "826"),
    },
    "id_document_scheme": {
        "NIDN": (
            "居民身份证", "身份证", "二代身份证", "临时身份证", "临时居民身份证", "公民身份号码", "户口簿", "户口本",
            "港澳台居民居住证", "港澳居民居住证", "台湾居民居住证", "外国人永久居留身份证", "外国人永久居留证",
            "nidn", "nationalid", "idcard",
        ),
        "CCPT": (
            "护照", "普通护照", "外国护照", "中国护照", "外国公民护照", "港澳居民来往内地通行证",
            "港澳居民往来内地通行证", "台湾居民来往大陆通行证", "台湾居民往来大陆通行证", "回乡证", "台胞证",
            "passport", "ccpt",
        ),
        "COID": (
            "统一社会信用代码", "营业执照", "社会信用代码", "工商注册号", "组织机构代码", "组织机构代码证",
            "事业单位法人证书", "社会团体法人登记证书", "uscc", "coid",
        ),
    },
    "id_document_country": {
        "CN": ("中国", "中华人民共和国", "chn", "156", "cn", "china"),
        "HK": ("香港", "中国香港", "hkg", "344", "hk"),
        "MO": ("澳门", "中国澳门", "mac", "446", "mo"),
        "TW": ("台湾", "中国台湾", "twn", "158", "tw"),
    },
}  # fmt: skip

#: Words for the yuan in China alone.
CHINESE_CURRENCIES = ("元", "01")

#: Headings of a part of a person's name: beside one of them, `Name` is the family name alone.
PARTS_OF_NAMES = frozenset(
    {
        "firstname",
        "givenname",
        "forename",
        "middlename",
        "lastname",
        "familyname",
        "surname",
        "vorname",
        "nachname",
        "prenom",
        "prénom",
        "nombre",
        "apellido",
        "apellidos",
    }
)

#: Of `debit_allowed` and `credit_allowed`, in columns of their own.
YES = ("是", "y", "yes", "true", "1", "允许", "可", "t")
NO = ("否", "n", "no", "false", "0", "禁止", "不可", "不允许", "f")

#: What headings of limits contain, and those of all amounts.
OF_LIMITS = re.compile("限额|上限|limit|한도")
OF_AMOUNTS = re.compile(f"{OF_LIMITS.pattern}|金额|余额|balance|amount|amt|saldo|betrag|잔액")
#: Words in a heading of amounts that name the unit.
MAJOR_UNIT = ("元", "yuan", "major")
MINOR_UNIT = ("分", "fen", "cent", "minor")
#: Units of many, which a profile states as a factor, as `units_of` folds them.
MULTIPLES = frozenset({
    "角", "百元", "千元", "万元", "萬元", "百万元", "亿元", "千", "万", "亿", "千円", "万円", "k", "m", "mn",
    "thousand", "thousands", "million", "millions", "lakh", "lakhs", "crore", "crores",
})  # fmt: skip
#: All that may be in brackets in a heading of amounts, besides codes of currencies.
UNITS = MULTIPLES | {
    "", "元", "人民币", "人民币元", "分", "人民币分", "円", "yuan", "rmb", "fen", "cent", "cents", "minor",
    "minorunits", "major", "majorunits", "r", "us", "hk", "nt",
}  # fmt: skip

#: Forms of times, the most specific first.
TIME_FORMS = (
    "%Y-%m-%d %H:%M:%S.%f", "%Y-%m-%d %H:%M:%S", "%Y/%m/%d %H:%M:%S", "%Y%m%d%H%M%S", "%Y%m%d %H%M%S",
    "%Y-%m-%d %H:%M", "%Y/%m/%d %H:%M", "%d.%m.%Y %H:%M:%S", "%Y年%m月%d日 %H:%M:%S", "%Y-%m-%d", "%Y/%m/%d", "%Y%m%d",
)  # fmt: skip
