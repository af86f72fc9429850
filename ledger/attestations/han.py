"""Han characters that old systems write in other code points: GBK's private-use characters, and radicals.

Two facts of published standards, as tables from code point to the character that it stands for:

- GBK encoded 80 characters of its rows FE50 to FEA0 that Unicode lacked, and systems mapped them to U+E815 to U+E864.
  Unicode has them all by now. GB 18030 gives each the same bytes, so Python's codec knows most of them. It still maps
  14 to the private-use area, as the standard's edition of 2000 did.
- Input methods and PDF readers write a CJK radical (U+2E80 to U+2EF3) in place of the ideograph that looks the same.
  Unicode's EquivalentUnifiedIdeograph.txt lists which. Kangxi radicals (U+2F00 on) need no entry: NFKC maps them.
"""

_GBK_PRIVATE_FIRST = 0xE815
_GBK_PRIVATE_COUNT = 80

#: Characters that GB 18030 (2000) left in the private-use area, by the editions of 2005 and 2022.
_LEFT_PRIVATE = {
    0xE7C7: 0x1E3F,
    0xE816: 0x20087,
    0xE817: 0x20089,
    0xE818: 0x200CC,
    0xE81E: 0x9FB4,
    0xE826: 0x9FB5,
    0xE82B: 0x9FB6,
    0xE82C: 0x9FB7,
    0xE831: 0x215D7,
    0xE832: 0x9FB8,
    0xE83B: 0x2298F,
    0xE843: 0x9FB9,
    0xE854: 0x9FBA,
    0xE855: 0x241FE,
    0xE864: 0x9FBB,
}

#: Radical and ideograph, in pairs.
_RADICALS = (
    "⺌小⺪疋⺮竹⺷𦍌⺸𦍋⻊足⺁厂⺂乛⺃乚⺄乙⺅亻⺆冂⺈刀⺉刂⺊卜⺋㔾⺍小⺎兀⺏尣⺐尢⺒巳⺓幺⺔彑⺕彐⺖忄⺗㣺⺘扌⺙攵⺛旡⺜日⺝月⺞歺⺟母⺠民⺡氵⺢氺"
    "⺣灬⺤爫⺥爫⺦丬⺧牛⺨犭⺩王⺫目⺬示⺭礻⺯糹⺰纟⺱罓⺲罒⺳㓁⺶羊⺹耂⺺肀⺻聿⺼肉⺽臼⺿艹⻀艹⻁虎⻂衤⻃覀⻄西⻅见⻆角⻈讠⻉贝⻋车⻌辶⻍辶⻎辶"
    "⻐钅⻑長⻓长⻔门⻖阝⻗雨⻘青⻙韦⻚页⻛风⻜飞⻝食⻟飠⻠饣⻢马⻣骨⻤鬼⻥鱼⻦鸟⻧卤⻨麦⻩黄⻪黾⻫斉⻬齐⻭歯⻮齿⻯竜⻰龙⻱龜⻲亀⻳龟"
)


def _gbk_private() -> dict[int, int]:
    """Private-use code points and the characters that they stand for, from the bytes that both had in GBK."""
    found = {}
    for index in range(_GBK_PRIVATE_COUNT):
        trail = 0x50 + index + (index >= 0x7F - 0x50)  # 0x7F is not a trail byte
        found[_GBK_PRIVATE_FIRST + index] = ord(bytes([0xFE, trail]).decode("gb18030"))
    return found | _LEFT_PRIVATE


def _radicals() -> dict[int, int]:
    pairs = iter(_RADICALS)
    return {ord(radical): ord(ideograph) for radical, ideograph in zip(pairs, pairs, strict=True)}


#: For `str.translate`. A character that GBK stood in for may itself be a radical, so radicals are looked up last.
HAN_EQUIVALENTS = {point: _radicals().get(target, target) for point, target in _gbk_private().items()} | _radicals()
