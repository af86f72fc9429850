"""What stands beside a holder's own name, and is written in full, short or not at all: titles, generations, and the
legal forms of companies."""

import re

#: Titles before a name; in Thai and Burmese without a space. Banks write them into the name, people leave them out. FNU
#: and LNU, first or last name unknown, stand beside the only name of a person.
TITLES = (
    "prof", "dr med", "dr", "madam", "miss", "mdm", "mrs", "mr", "ms", "mx", "dato", "datuk", "datin", "encik", "daw",
    "fnu", "lnu", "herr", "frau", "mevr", "dhr", "mme", "mlle", "srta", "sra", "shri", "smt", "श्रीमती", "श्री",
    "เด็กหญิง", "เด็กชาย", "ดญ", "ดช", "นางสาว", "นส", "นาง", "นาย", "ဒေါ်", "ဦး",
)  # fmt: skip
#: Titles after a name.
TITLES_BEHIND = ("fnu", "lnu", "miss", "mdm", "mrs", "mr", "ms", "dr", "先生", "女士")

#: Words that tell a son from his father. They stay behind the name when its words are turned.
GENERATIONS = frozenset({"jr", "sr", "junior", "senior", "ii", "iii", "iv", "filho", "neto", "sobrinho", "hijo"})

#: Legal forms of companies, and what else has a usual short form, in this order: what is made by one may be made
#: shorter by a later one.
IN_FULL_AND_SHORT: tuple[tuple[str, str], ...] = (
    ("有限责任公司", "有限公司"),
    ("public limited company", "plc"),
    ("limited liability company", "llc"),
    ("limited liability partnership", "llp"),
    ("limited", "ltd"),
    ("private ltd", "pvt ltd"),
    ("pte ltd", "pvt ltd"),
    ("proprietary ltd", "pty ltd"),
    ("sendirian berhad", "sdn bhd"),
    ("perseroan terbatas", "pt"),
    ("incorporated", "inc"),
    ("corporation", "corp"),
    ("company", "co"),
    ("gesellschaft mit beschränkter haftung", "gmbh"),
    ("gesellschaft mit beschraenkter haftung", "gmbh"),
    ("unternehmergesellschaft", "ug"),
    ("ug haftungsbeschränkt", "ug"),
    ("kommanditgesellschaft", "kg"),
    ("aktiengesellschaft", "ag"),
    ("société à responsabilité limitée", "sarl"),
    ("société par actions simplifiée", "sas"),
    ("société anonyme", "sa"),
    ("sociedad de responsabilidad limitada", "srl"),
    ("sociedad anónima", "sa"),
    ("sociedade anônima", "sa"),
    ("sociedad limitada", "sl"),
    ("de capital variable", "de cv"),
    ("limitada", "ltda"),
    ("società a responsabilità limitata", "srl"),
    ("società per azioni", "spa"),
    ("besloten vennootschap", "bv"),
    ("naamloze vennootschap", "nv"),
    ("spółka z ograniczoną odpowiedzialnością", "sp z oo"),
    ("spółka akcyjna", "sa"),
    ("společnost s ručením omezeným", "sro"),
    ("spol sro", "sro"),
    ("korlátolt felelősségű társaság", "kft"),
    ("aktiebolag", "ab"),
    ("aktieselskab", "as"),
    ("aksjeselskap", "as"),
    ("anpartsselskab", "aps"),
    ("osakeyhtiö", "oy"),
    ("anonim şirketi", "aş"),
    ("ltd şirketi", "ltd şti"),
    ("общество с ограниченной ответственностью", "ооо"),
    ("публичное акционерное общество", "пао"),
    ("акционерное общество", "ао"),
    ("индивидуальный предприниматель", "ип"),
    ("công ty trách nhiệm hữu hạn", "cty tnhh"),
    ("công ty cổ phần", "ctcp"),
    ("công ty", "cty"),
    ("ห้างหุ้นส่วนจำกัด", "หจก"),
    ("จำกัด มหาชน", "จำกัด"),
    ("นางสาว", "นส"),
    ("เด็กชาย", "ดช"),
    ("เด็กหญิง", "ดญ"),
    ("junior", "jr"),
    ("senior", "sr"),
)
#: Names and words of names that forms and books shorten, or that are spelt in many ways in Latin letters. As above.
SHORT_NAMES: tuple[tuple[str, str], ...] = (
    *((each, "md") for each in ("mohammad", "mohammed", "mohamed", "mohamad", "muhammad", "muhammed", "muhamad")),
    *((each, "md") for each in ("mohd", "muhd")),
    *((each, "bt") for each in ("binti", "binte", "bte")),
    ("abdul", "abd"),
    ("saint", "st"),
    ("francisco", "fco"),
    ("fernández", "fdez"),
    ("gonzález", "glez"),
    ("hernández", "hdez"),
    ("martínez", "mtz"),
    ("rodríguez", "rguez"),
)
#: The form of a Japanese or Korean company, which stands before or behind its name.
FORM_BEFORE = re.compile("([株有주])(.+)")
#: How bank transfers of Japan write the forms of companies and other bodies, in brackets before or behind the name.
FORMS_IN_TRANSFERS = {
    "カ": ("株式会社", "株"),
    "ユ": ("有限会社", "有"),
    "ド": ("合同会社",),
    "シ": ("合資会社",),
    "メ": ("合名会社",),
    "シヤ": ("一般社団法人", "公益社団法人", "社団法人"),
    "ザイ": ("一般財団法人", "公益財団法人", "財団法人"),
    "イ": ("医療法人社団", "医療法人財団", "医療法人"),
    "ガク": ("学校法人",),
    "フク": ("社会福祉法人",),
    "シユウ": ("宗教法人",),
    "トクヒ": ("特定非営利活動法人",),
    "ベン": ("弁護士法人",),
}
#: A Thai company: before and behind its name, or by one short word before it; `(มหาชน)` is left out before.
THAI_FORM = ("บริษัท", "จำกัด")
THAI_SHORT = ("บมจ", "บจก")

#: Words between the names of a person that one side may leave out.
PARTICLES = (
    "de", "da", "do", "das", "dos", "del", "dela", "e", "y", "la", "las", "los", "von", "zu", "van", "der", "den",
    "bin", "binti", "binte", "bte", "bt", "bint", "ibn", "al", "el", "بن", "ابن", "بنت",
)  # fmt: skip
#: How patronymics end.
PATRONYMICS = ("ович", "евич", "ьич", "овна", "евна", "ична", "оглы", "кызы", "ovich", "evich", "ovna", "evna")
#: Small letters of Cyrillic whose small or capital letter looks like a Latin one; and those that Russian writes for the
#: і and the є of Ukrainian and Kazakh.
LOOKS_LATIN = str.maketrans("авеіјкмнорстухѕиє", "abeijkmhopctyxsie")
