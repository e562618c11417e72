# SPDX-License-Identifier: Apache-2.0
"""Texts that break tokenizers: the list behind the golden files and the parity run."""

import random
import unicodedata

HAND = [
    "", " ", "  ", "\t", "a", " a", "a ", "  a  b  ", "\u00a0x\u00a0", "\u3000full width",
    "don't can't we're I've I'm you'll he'd 's't're've'm'll'd DON'T Don'T",
    "hello\tworld  tab", "trailing   ", "a\u200bb\u200cc\u200dd\ufeffe", "soft\u00adhyphen",
    "naïve café Ångström Zürich", "nai\u0308ve cafe\u0301 A\u030angstro\u0308m",
    "\u0130stanbul \u0131\u015f\u0131k", "ΑΣ ΣΑΣ ὈΔΥΣΣΕΎΣ", "STRASSE straße ẞ", "Ǆ ǅ ǆ ﬁ ﬂ ﬃ",
    "日本語のテキスト 漢字", "中文字符没有空格", "한국어 문장입니다", "\u1112\u1161\u11ab",
    "العَرَبِيَّة نص", "עִבְרִית", "हिन्दी में पाठ", "ภาษาไทย", "မြန်မာ", "ქართული ᲥᲐᲠᲗᲣᲚᲘ", "Ꭰꭰ Ᏸᏸ",
    "😀 👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽 e\u20e3 1️⃣", "𝔘𝔫𝔦𝔠𝔬𝔡𝔢 𝟙𝟚𝟛 𝒳", "①②③ ⅷ ½ ¾ x² ₃ ੩ ٣",
    "!?.,;:()[]{}<>@#$%^&*-_=+|\\/~`\"'", "$100.00 50% a+b=c x^2 <b>bold</b>", "“quotes” ‘single’ – — …",
    "a\u0300\u0301\u0302\u0303\u0304\u0305b", "\u0301leading mark", "\U000e0001tag\U000e0020",
    "\u2028line\u2029para\u0085next", "\u180emongolian\u180e", "\u1680ogham\u205fmath\u202fnarrow",
    "null\u0000byte", "replacement \ufffd char", "private \ue000 \U000f0000", "control \u0001\u001f\u007f\u009f",
    "\ufdfa \ufb1d \u0958 \u2126 \u212b", "\uac00\u11a8", "zalgo h̷̢̧̛͓̗̗e̸̜̞͐l̶̢̛̮͝p̴̪̈́",
    "https://example.org/a_b?c=d&e=%20#f", "user@example.com", "C:\\path\\file.txt", "x" * 99, "x" * 100, "x" * 101,
    "ab" * 600, "é" * 100, "日" * 120, " " * 300, "a " * 200, "\n\n\na\n\nb\n", "\r\n", "tab\t\ttab", "1234567890" * 20,
    "<s>", "</s>", "<pad>", "<unk>", "<mask>", "a <mask> b", "a<mask>b", "  <mask>  ", "<s> </s>", "<mask><mask>",
    "[CLS]", "[SEP] x [MASK] y", "[ MASK ]", "[mask] [Mask]", "[UNK]", "<MASK>", "<<mask>>", "<mask", "mask>",
    "The quick brown fox jumps over the lazy dog .", "it 's a charming and often affecting journey . ",
    "unaffable UNAFFABLE Unaffable", "##ing ##s # #", "Ġ Ċ ĉ Ä Ã©", "\u2581lower block",
    "ſ ſtraße K Å ℌ", "ŉ ǰ ΐ ΰ և ẖ ẗ", "İ i̇ I ı", "ꙮ Ꙁ ꟃ ⱡ", "\u1fbe \u0345 \u1fbc", "Ⅷ Ⓐ ⓐ 🄰 🅰",
    "\u0e33 \u0eb3 \u0f77", "\u0344 \u0387 \u2000 \u2001", "\u09c7\u09be \u0b4b", "a\u0338=b \u2260",
]


def random_texts(count, seed):
    """Mixtures drawn from blocks with awkward properties; no surrogates."""
    rng = random.Random(seed)
    blocks = [(0x20, 0x7e), (0xa0, 0x24f), (0x300, 0x36f), (0x370, 0x3ff), (0x400, 0x4ff), (0x590, 0x6ff),
              (0x900, 0x97f), (0xe00, 0xe7f), (0x1100, 0x11ff), (0x1e00, 0x1fff), (0x2000, 0x206f),
              (0x2070, 0x218f), (0x2190, 0x2bff), (0x3000, 0x30ff), (0x4e00, 0x4fff), (0xac00, 0xadff),
              (0xf900, 0xfaff), (0xfb00, 0xfdff), (0xff00, 0xffef), (0x1d400, 0x1d4ff), (0x1f300, 0x1f6ff),
              (0x20000, 0x200ff), (0x0, 0x1f)]
    pieces = ["<mask>", "[MASK]", "</s>", " ", "  ", "\n", "'s", "'ll", "the", "ing", "\u0301", "\u00a0"]
    for _ in range(count):
        text = []
        for _ in range(rng.randrange(1, 40)):
            if rng.random() < 0.3:
                text.append(rng.choice(pieces))
            else:
                low, high = rng.choice(blocks)
                text.append(chr(rng.randrange(low, high + 1)))
        yield "".join(text)


def every_character():
    """One text per assigned character (as Python knows them), beside letters and an added token."""
    for point in range(1, 0x110000):
        if 0xd800 <= point < 0xe000:
            continue
        c = chr(point)
        if unicodedata.category(c) == "Cn" or (unicodedata.category(c) == "Co" and point % 0x1000 != 1):
            continue
        yield f"a{c}b {c}C a{c} yes{c}"


def pairs(texts):
    """Every text with the one before it."""
    before = ""
    for text in texts:
        yield text, before
        before = text
