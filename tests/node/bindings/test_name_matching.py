"""Names as banks write them against names as people type them, in both directions."""

import pytest

from standing.ledger.attestations.names import canonical_name, words_of
from standing.ledger.errors import InvalidValue
from standing.node.bindings.name_matching import match_name

_CASES: list[tuple[str, str, str]] = [
    # A masked name is nobody's name: 李*明 may be 李小明 as well as 李建明.
    ("李*明", "李明", "no_match"),
    ("李*明", "李*明", "no_match"),
    ("*娜", "*娜", "no_match"),
    ("J*** S****", "J*** S****", "no_match"),
    ("李＊明", "李明", "no_match"),
    ("李×明", "李明", "no_match"),
    ("李#明", "李明", "no_match"),
    ("李＃明", "李明", "no_match"),
    ("李■明", "李明", "no_match"),
    ("李※明", "李明", "no_match"),
    ("JOHN S###", "John S", "no_match"),
    ("李*", "李", "no_match"),
    ("*娜", "娜", "no_match"),
    ("欧阳*国", "欧阳国", "no_match"),
    ("李**", "李", "no_match"),
    ("JOHN S****", "John S", "no_match"),
    ("J*** S****", "J S", "no_match"),
    ("杭州****有限公司", "杭州有限公司", "no_match"),
    ("买买提·吐尔逊", "买买提 * 吐尔逊", "match"),
    ("买买提·吐尔逊", "买买提×吐尔逊", "match"),
    ("E*TRADE", "Etrade", "match"),
    # Father and son.
    ("Robert Downey Jr.", "Robert Downey Sr.", "no_match"),
    ("Downey Sr, Robert", "Downey Jr, Robert", "no_match"),
    ("Robert Downey Junior", "Robert Downey Senior", "no_match"),
    ("Robert Downey Jr.", "Robert Downey", "no_match"),
    ("João Silva Filho", "João Silva Neto", "no_match"),
    ("Henry Ford III", "Ford, Henry II", "no_match"),
    ("Robert Downey Jr.", "Downey, Robert Jr.", "close"),
    ("Robert Downey Jr.", "Downey Jr., Robert", "close"),
    ("Robert Downey Jr.", "Robert Downey Junior", "close"),
    ("Henry Ford III", "Ford, Henry III", "close"),
    # Titles, of which one side may leave out several.
    ("นายสมชาย ใจดี", "สมชาย ใจดี", "close"),
    ("น.ส. สมหญิง ใจดี", "สมหญิง ใจดี", "close"),
    ("น.ส.สมหญิง ใจดี", "นางสาวสมหญิง ใจดี", "close"),
    ("นายสมชาย ใจดี", "นางสมชาย ใจดี", "no_match"),
    ("MR. SOMCHAI JAIDEE", "Somchai Jaidee", "close"),
    ("MR JAIDEE SOMCHAI", "Somchai Jaidee", "close"),
    ("JAIDEE SOMCHAI MR", "Somchai Jaidee", "close"),
    ("Dr. Anna Weber", "Anna Weber", "close"),
    ("ဒေါ်အောင်ဆန်းစုကြည်", "အောင်ဆန်းစုကြည်", "close"),
    ("Prof. Dr. Hans Müller", "Hans Müller", "close"),
    ("Herr Prof. Dr. Hans Müller", "Müller Hans", "close"),
    ("Dr. med. Hans Müller", "Hans Müller", "close"),
    ("Daw Aung San Suu Kyi", "Aung San Suu Kyi", "close"),
    ("Mr John Smith", "Mrs John Smith", "no_match"),
    ("Mr Dr John Smith", "Mrs Dr John Smith", "no_match"),
    # Words that forms and books shorten.
    ("MOHD FAIZAL BIN ABDULLAH", "Muhammad Faizal bin Abdullah", "close"),
    ("MD. RAHIM UDDIN", "Mohammed Rahim Uddin", "close"),
    ("MD RAHIM", "Mohammad Karim", "no_match"),
    ("SITI NUR BT ALI", "Siti Nur binti Ali", "close"),
    ("SITI NUR BTE ALI", "Siti Nur Ali", "close"),
    ("MOHD FAIZAL BIN ABDULLAH", "Mohamed Faizal Abdullah", "close"),
    ("SITI NUR BT ALI", "Siti Nur bin Ali", "no_match"),
    ("FCO. JAVIER HDEZ. RUIZ", "Francisco Javier Hernández Ruiz", "close"),
    ("ABDUL AZIZ", "Abdullah Aziz", "no_match"),
    ("Ms Ann Lee", "Mr Ann Lee", "no_match"),
    # People with one name, for whom forms want two.
    ("FNU SUHARTO", "Suharto", "close"),
    ("SUHARTO LNU", "Suharto", "close"),
    ("FNU SUHARTO", "FNU Sukarno", "no_match"),
    # Companies.
    ("杭州云栖科技有限公司", "杭州云栖科技有限责任公司", "close"),
    ("杭州云栖科技有限公司", "杭州云栖科技股份有限公司", "no_match"),
    ("ABC Ltd", "ABC Limited", "close"),
    ("ABC Co., Ltd.", "ABC Company Limited", "close"),
    ("ABC Pte Ltd", "ABC Private Limited", "close"),
    ("ABC Inc.", "ABC Incorporated", "close"),
    ("ABC GmbH", "ABC Gesellschaft mit beschränkter Haftung", "close"),
    ("ABC UG (haftungsbeschränkt)", "ABC UG", "close"),
    ("ABC UG (haftungsbeschränkt)", "ABC Unternehmergesellschaft (haftungsbeschränkt)", "close"),
    ("ABC UG (haftungsbeschränkt)", "ABC GmbH", "no_match"),
    ("ABC Sp. z o.o.", "ABC Spółka z ograniczoną odpowiedzialnością", "close"),
    ("ABC S.A. de C.V.", "ABC Sociedad Anónima de Capital Variable", "close"),
    ("ООО Ромашка", "Общество с ограниченной ответственностью «Ромашка»", "close"),
    ("Công ty TNHH ABC", "Công ty Trách nhiệm hữu hạn ABC", "close"),
    ("株式会社エービーシー", "エービーシー株式会社", "close"),
    ("株式会社エービーシー", "エービーシー(株)", "close"),
    ("(주)에이비씨", "에이비씨 주식회사", "close"),
    ("ABC Ltd", "ABC Inc", "no_match"),
    ("ABC Ltd", "ABC", "no_match"),
    ("上海分公司", "上海分行", "no_match"),
    # Scripts.
    ("हिन्दी", "हिंदी", "close"),
    ("संजय", "सञ्जय", "close"),
    ("चाँद", "चांद", "close"),
    ("ਸਿੰਘ", "ਸਿਂਘ", "close"),
    ("सन्मान", "संमान", "no_match"),
    ("ئەحمەد", "ئه\u200cحمه\u200cد", "close"),
    ("אברהם כהן", "אברהמ כהנ", "close"),
    ("ײדיש", "יידיש", "close"),
    ("俞飞鸿", "兪飛鴻", "close"),
    ("吴清源", "呉淸源", "close"),
    ("慎镛夏", "愼鏞夏", "close"),
    ("中嶋", "中島", "no_match"),
    ("អ៊ុំ សុខា", "អ៊ំុ សុខា", "match"),
    ("ស៊ីសុវត្ថិ", "សី៊សុវត្ថិ", "match"),
    ("ស្ត្រី", "ស្រ្តី", "match"),
    ("ស្ត្រី", "ស្ដ្រី", "match"),
    ("កើត", "ក\u17c1\u17b8ត", "match"),
    ("កុ", "កូ", "no_match"),
    ("Mª del Carmen Fernández", "María del Carmen Fernández", "close"),
    # Particles, of which one is never another, nor a syllable of a name.
    ("Maria da Silva", "Maria Silva", "close"),
    ("JOAO SANTOS", "João dos Santos", "close"),
    ("José Carlos de Oliveira e Souza", "Jose Carlos Oliveira Souza", "close"),
    ("Juan de la Cruz", "Juan Cruz", "close"),
    ("Jan van der Berg", "Jan Berg", "close"),
    ("Ludwig von Siemens", "Ludwig Siemens", "close"),
    ("Mohammed bin Salman", "Mohammed Salman", "close"),
    ("محمد بن سلمان", "محمد سلمان", "close"),
    ("Ahmed Al-Rashid", "Ahmed Rashid", "close"),
    ("Maria da Silva", "Maria dos Silva", "no_match"),
    ("Ahmad bin Ali", "Ahmad binti Ali", "no_match"),
    ("Piet van der Linden", "Piet van Linden", "no_match"),
    ("Piet van der Linden", "Piet der Linden", "no_match"),
    ("Li De Hua", "Li Hua", "no_match"),
    ("Kim Do Hyun", "Kim Hyun", "no_match"),
    ("Nguyen Van An", "Nguyen An", "no_match"),
    # Initials and patronymics.
    ("J. Smith", "John Smith", "close"),
    ("SMITH J R", "John Robert Smith", "close"),
    ("M.-C. Dupont", "Marie-Claire Dupont", "close"),
    ("A. Diaz", "Amanda Diaz", "close"),
    ("Иванов И.И.", "Иванов Иван Иванович", "close"),
    ("Иван Иванов", "Иван Петрович Иванов", "close"),
    ("Иванов Иван", "Иванов Иван Иванович", "close"),
    ("Иванов Иван Петрович", "Иванов Иван Иванович", "no_match"),
    ("Abramovich Roman", "Abramovich Roman Arkadyevich", "close"),
    ("Roman", "Roman Abramovich", "no_match"),
    ("Ivan Petrovich", "Ivan", "no_match"),
    # Initials alone, and those of companies, stand for too many names.
    ("John Doe", "J D", "no_match"),
    ("Jonah Adam", "Jo D", "no_match"),
    ("Li De", "Li D", "no_match"),
    ("Alpha Ltd", "A Ltd", "no_match"),
    ("J. Lee", "John Lee", "close"),
    ("J. Smith", "Peter Smith", "no_match"),
    ("John A. Smith", "John B. Smith", "no_match"),
    ("John A. Smithson", "John A. Smithsan", "close"),
    ("Maria Gonzalez", "Naria Gonzalez", "close"),
    ("John Jr", "John Anderson Jr", "no_match"),
    ("Muthu s/o Raman", "Muthu d/o Raman", "no_match"),
    ("Raju a/l Muthu", "Raju a/p Muthu", "no_match"),
    ("John Smith", "James Smith", "no_match"),
    # Numbers within names.
    ("3.5 GmbH", "3,5 GmbH", "match"),
    ("1.000 Freunde e.V.", "1000 Freunde eV", "match"),
    ("24/7 Ltd", "24-7 Limited", "close"),
    ("3.5 GmbH", "35 GmbH", "no_match"),
    ("Alpha 3.5 Handels GmbH", "Alpha 35 Handels GmbH", "no_match"),
    ("3．5餐饮有限公司", "35餐饮有限公司", "no_match"),
    ("Kita 1-3", "Kita 13", "no_match"),
    ("½ Café Ltd", "12 Café Ltd", "no_match"),
    ("½ Café Ltd", "1/2 Café Ltd", "match"),
    # Companies in bank transfers of Japan, and in Thailand.
    ("ｶ)ﾄﾖﾀｼﾖｳｼﾞ", "株式会社トヨタショウジ", "close"),
    ("ﾄﾖﾀ(ｶ", "トヨタ株式会社", "close"),
    ("ﾕ)ｽｽﾞｷ", "有限会社スズキ", "close"),
    ("ｽｽﾞｷ(ﾄﾞ", "合同会社スズキ", "close"),
    ("ｼﾔ)ｽｽﾞｷ", "一般社団法人スズキ", "close"),
    ("ｲ)ｽｽﾞｷ", "医療法人社団スズキ", "close"),
    ("ﾕ)ｽｽﾞｷ", "ｶ)ｽｽﾞｷ", "no_match"),
    ("ｶ)ﾄﾖﾀ", "トヨタ", "no_match"),
    ("บริษัท ปตท จำกัด (มหาชน)", "ปตท จำกัด (มหาชน)", "close"),
    ("บริษัท ปตท จำกัด (มหาชน)", "บมจ. ปตท", "close"),
    ("บริษัท ไทยรุ่งเรือง จำกัด", "บจก.ไทยรุ่งเรือง", "close"),
    ("ห้างหุ้นส่วนจำกัด ไทยรุ่งเรือง", "หจก. ไทยรุ่งเรือง", "close"),
    ("ห้างหุ้นส่วนจำกัด ไทยรุ่งเรือง", "บริษัท ไทยรุ่งเรือง จำกัด", "no_match"),
    ("บริษัท ปตท จำกัด", "บริษัท ปตค จำกัด", "no_match"),
]


@pytest.mark.parametrize(("book", "claimed", "closeness"), _CASES)
def test_names_match_are_close_or_do_not_match_as_a_careful_clerk_says(book: str, claimed: str, closeness: str) -> None:
    assert match_name(canonical_name(book), claimed) == closeness
    assert match_name(canonical_name(claimed), book) == closeness


@pytest.mark.parametrize(
    ("book", "claimed"),
    [
        ("John Smith", "John Robert Smith"),
        ("Jo Lee", "Jo A. Lee"),
        ("Robert Downey Jr", "Robert James Downey Jr"),
        ("John Smith", "John Paul Smith"),
    ],
)
def test_a_middle_name_that_the_book_leaves_out_is_close(book: str, claimed: str) -> None:
    assert match_name(canonical_name(book), claimed) == "close"


@pytest.mark.parametrize(
    ("book", "claimed"),
    [
        ("Robert Smith", "Robert Smith Jr"),
        ("Li Hua", "Li Xiao Hua"),
        ("Alpha Holding Ltd", "Alpha Property Holding Ltd"),
        ("Maria Silva", "Ana Maria Silva"),
    ],
)
def test_what_is_no_middle_name_makes_another_holder(book: str, claimed: str) -> None:
    assert match_name(canonical_name(book), claimed) == "no_match"


_LONGER_BOOKS = [
    ("JOHN ROBERT SMITH", "John Smith", "close"),
    ("SMITH JOHN ROBERT", "John Smith", "close"),
    ("MR JOHN ROBERT SMITH", "John Smith", "close"),
    ("MR JOHN ROBERT SMITH", "Mr John Smith", "close"),
    ("Robert James Downey Jr", "Robert Downey Jr", "close"),
    ("JOHN PAUL SMITH", "John Smith", "close"),
    ("MARY ANN LEE", "Mary Lee", "close"),
    ("Robert Lee Downey Jr", "Robert Downey Jr", "close"),
    ("Maria Fernanda da Silva", "Maria Silva", "close"),
    ("JOHN ROBERT SMITH", "Mary Smith", "no_match"),
    ("JOHN ROBERT SMITH", "Robert Smith", "no_match"),
    ("JOHN ROBERT SMITH", "John Robert", "no_match"),
    ("MRS JOHN ROBERT SMITH", "Mr John Smith", "no_match"),
    ("Robert James Downey Jr", "Robert Downey", "no_match"),
    ("Li Xiao Hua", "Li Hua", "no_match"),
    ("Nguyen Van An", "Nguyen An", "no_match"),
    ("Zhuge Kong Ming", "Zhuge Ming", "no_match"),
    ("Park Geun Hye", "Park Hye", "no_match"),
    ("Ng Ka Ming", "Ng Ming", "no_match"),
    ("Aung Myint Oo", "Aung Oo", "no_match"),
    ("Grace Tan Mei Ling", "Grace Tan Ling", "no_match"),
    ("Ли Де Хуа", "Ли Хуа", "no_match"),
    ("JOHNATHAN SMITH", "John Smith", "no_match"),
    ("LENA ROSENBERG", "Lena Berg", "no_match"),
]


@pytest.mark.parametrize(("book", "claimed", "closeness"), _LONGER_BOOKS)
def test_a_middle_name_that_the_claim_leaves_out_is_close(book: str, claimed: str, closeness: str) -> None:
    assert match_name(canonical_name(book), claimed, held_words=words_of(book)) == closeness


def test_without_the_words_of_the_book_a_middle_name_cannot_be_told_from_a_longer_name() -> None:
    assert match_name("johnrobertsmith", "John Smith") == match_name("johnathansmith", "John Smith") == "no_match"


def test_a_masked_company_is_nobodys_and_one_sign_may_belong_to_its_name() -> None:
    masked, with_sign = canonical_name("杭州****有限公司"), canonical_name("C#学院有限公司")
    assert match_name(masked, "杭州****有限公司", of_person=False) == "no_match"
    assert match_name(with_sign, "C#学院有限公司", of_person=False) == "match"


def test_the_name_of_a_company_is_not_compared_in_parts() -> None:
    assert match_name(canonical_name("Green Restaurant"), "Green Garden Restaurant", of_person=False) == "no_match"
    book = words_of("Green Garden Restaurant")
    assert match_name("".join(book), "Green Restaurant", of_person=False, held_words=book) == "no_match"


@pytest.mark.parametrize("name", ["***", "**", "×××", "*×?", "##"])
def test_a_name_of_masks_alone_is_none(name: str) -> None:
    with pytest.raises(InvalidValue, match="no letters"):
        canonical_name(name)


@pytest.mark.parametrize(("name", "_claimed", "_closeness"), _CASES)
def test_a_canonical_name_is_its_own_canonical_form(name: str, _claimed: str, _closeness: str) -> None:
    assert canonical_name(canonical_name(name)) == canonical_name(name)
