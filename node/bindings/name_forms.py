"""What stands beside a holder's own name, and is written in full, short or not at all: titles, generations, and the
legal forms of companies."""

import re

#: Titles before a name; in Thai and Burmese without a space. Banks write them into the name, people leave them out.
TITLES = (
    "prof", "madam", "miss", "mdm", "mrs", "mr", "ms", "mx", "dr", "herr", "frau", "mevr", "dhr", "mme", "mlle", "srta",
    "sra", "shri", "smt", "श्रीमती", "श्री", "เด็กหญิง", "เด็กชาย", "ดญ", "ดช", "นางสาว", "นส", "นาง", "นาย", "ဒေါ်", "ဦး",
)  # fmt: skip
#: Titles after a name.
TITLES_BEHIND = ("miss", "mdm", "mrs", "mr", "ms", "dr", "先生", "女士")

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
    ("นางสาว", "นส"),
    ("เด็กชาย", "ดช"),
    ("เด็กหญิง", "ดญ"),
    ("junior", "jr"),
    ("senior", "sr"),
)
#: The form of a Japanese or Korean company, which stands before or behind its name.
FORM_BEFORE = re.compile("([株有주])(.+)")
