"""Characters that cannot be seen, or read as others."""

from __future__ import annotations

import sys
import unicodedata

import pytest

from claude_magic._characters import spelled_out

# As Unicode 16 lists them as ignorable by default, the blanks, and what draws nothing by itself.
UNSEEN = [
    *(0xAD, 0x34F, 0x61C, 0x115F, 0x1160, 0x17B4, 0x17B5, *range(0x180B, 0x1810), *range(0x200B, 0x2010)),
    *(*range(0x2028, 0x2030), *range(0x205F, 0x2070), 0x2800, 0x3000, 0x3164, *range(0xFE00, 0xFE10), 0xFEFF, 0xFFA0),
    *(*range(0xFFF0, 0xFFFD), *range(0x1BCA0, 0x1BCA4), *range(0x1D173, 0x1D17B), *range(0xE0000, 0xE1000)),
    *(0xA0, 0x1680, *range(0x2000, 0x200B), 0x202F, 0xD800, 0xE000, 0x1B, 0x9B, 0x7F, 0x0D),
]

AS_THEY_ARE = [
    "git log --oneline | head -3\n\tdone",
    "résumé naïve Straße Ærø ½ m² 10 °C ™ …",
    "данные и графики",
    "Γειά σου Κόσμε",
    "資料夾を開く、데이터（表）",
    "शुक्रिया สวัสดี שלום مرحبا",
    "Δt = 3 μm, x ≤ y, ∑ → ∞",
    "🚀 👍🏽",
    "“quoted” ‘so’ — and – so",
]

LOOK_ALIKES = {
    "p\u0430ypal.com": r"p\u0430ypal.com",
    "https://x.org\u2215a.evil.org": r"https://x.org\u2215a.evil.org",
    "rm \u2212rf": r"rm \u2212rf",
    "ls\u037e rm": r"ls\u037e rm",
    "\uff43at": r"\uff43at",
    "\U0001d41bash": r"\U0001d41bash",
    "N\u039fT": r"N\u039fT",
    "\u212aelvin": r"\u212aelvin",
    "ls \U0001d159x": r"ls \U0001d159x",
    "con\ufb01g": r"con\ufb01g",
    "a\u0338b": r"a\u0338b",
    "a\u20dd": r"a\u20dd",
    "\xe9\u0335": r"\xe9\u0335".replace(r"\xe9", "\xe9"),
    "o\u0302\u0301\u0300k": r"o\u0302\u0301\u0300k",
    "x \u0338y": r"x \u0338y",
    "\u2192" + "\u0323" * 3: "\u2192\u0323" + r"\u0323" * 2,
    "\u044f" + "\u0323" * 6: "\u044f" + "\u0323" * 4 + r"\u0323" * 2,
    "\U0001f600" + "\u0489" * 2 + "\u2014\u0323": "\U0001f600\u0489" + r"\u0489" + "\u2014\u0323",
}

# Each between two letters: it reads as ASCII, or draws something over the letter before it.
LIKE_ASCII = (
    "\u217c\u2170\u03f2\u03f3\u1d04\u10ff\u0251\u0261\u2216\u02ba\uff1b\ufe54\uff0f\uff3c\u29f5\u2217\u204e\u02c2\u02c3"
    "\u2768\ua4f8\ua4fa\u0335\u0338\u20dd\u2025\u0d20\u0966"
)
# Of these, texts have some for themselves.
LIKE_ASCII_IN_COMMANDS = f"{LIKE_ASCII}\u0131\u2018\u2019\u201a\u201c\u201d\u201e\u2032\u2033\u2039\u203a\u2502"

COMMANDS_AS_THEY_ARE = [
    "cat naïve.txt 课程一.md Übung.py данные.csv café.tex 'CSV文件' データframe pandas는 数据（1）.csv ใช้pandas",
    "open Übung.md café łódź žluťoučký ệ น้ำ ㅋㅋ և 한",
    "cat مرحبا.txt مُحَمَّد שלום.md शुक्रिया.csv",
    'git commit -m "fix — a dash, 3–5 … 🚀 👍🏽 №5 10 µm"',
]


def test_unseen() -> None:
    """A character that shows nothing is spelled out, so that one sees it."""
    for code in UNSEEN:
        shown = spelled_out(f"a{chr(code)}b")
        assert shown.isascii(), hex(code)
        assert shown.isprintable(), hex(code)
        assert shown.encode().decode("unicode_escape") == f"a{chr(code)}b"


@pytest.mark.parametrize("text", AS_THEY_ARE)
def test_as_they_are(text: str) -> None:
    """Whatever somebody's language is written in stays as it is."""
    assert spelled_out(text) == text


@pytest.mark.parametrize(("text", "shown"), LOOK_ALIKES.items())
def test_look_alikes(text: str, shown: str) -> None:
    """A letter of another alphabet among Latin ones, and what reads as a sign of the shell, are spelled out."""
    assert spelled_out(text) == shown


def test_commands() -> None:
    """In a command each look-alike is spelled out, quotes and long dashes too, and a name in any language is readable."""
    for sign in LIKE_ASCII:
        assert spelled_out(f"a{sign}b") == f"a{sign.encode('unicode_escape').decode()}b"
    for sign in LIKE_ASCII_IN_COMMANDS:
        assert spelled_out(f"a{sign}b", in_command=True) == f"a{sign.encode('unicode_escape').decode()}b"
    for command in COMMANDS_AS_THEY_ARE:
        assert spelled_out(command, in_command=True) == command
    assert spelled_out("rm –rf —— ls", in_command=True) == r"rm \u2013rf \u2014\u2014 ls"
    assert spelled_out("bash а.sh; cat сор_1 рост", in_command=True) == r"bash \u0430.sh; cat \u0441\u043e\u0440_1 рост"
    assert spelled_out("น\u0e4d\u0e49า 10 µm \u00b5.sh", in_command=True) == r"น\u0e4d\u0e49า 10 µm \xb5.sh"
    assert spelled_out("а и с", in_command=False) == "а и с"
    assert spelled_out("\u217d\u217e", in_command=True) == r"\u217d\u217e"


PARTED = [
    *(
        "e\u0301",
        "\u1112\u1161\u11ab",
        "\uac00\u11a8",
        "\u2126",
        "\uf900",
        "a\u0302\u0323",
        "\u30ab\u3099",
        "\xe9\u0323",
    ),
    *("\ufe8d\ufe8f", "\u2f00", "\uff71", "\u00b5", "\u03d5"),
]


@pytest.mark.parametrize("name", PARTED)
def test_one_composed_form(name: str) -> None:
    """In a command, a name that looks like another, as both are one when composed, is spelled out; the other stays."""
    shown = spelled_out(f"bash {name}.sh", in_command=True)
    assert shown != f"bash {name}.sh"
    assert shown.encode("raw_unicode_escape").decode("unicode_escape") == f"bash {name}.sh"
    composed = f"bash {unicodedata.normalize('NFKC', name)}.sh"
    assert spelled_out(composed, in_command=True) == composed


TWINS = "ոօ հս ՕՍ ꓔꓰꓢꓔ З Ү ү Ϲ Ϝ Ϳ ρορ νι ⲟⲣ ᎪᎬ ᐯᒪᕼ ᴄᴏᴠ ᴡᴢꜱ ʟɪ ⵏⵝⴸ ɑɡ 𐊡𐐬 асё"
OTHER_WORDS = "год любой З1Ж για Ελλάδα և Բարեւ ᎣᏏᏲ ᐃᓄᒃᑎᑐᑦ ⲁⲩⲱ école ñandú ቤት ഒരു မြန်မာ"


def test_twins() -> None:
    """In a command, a word of letters that all look Latin or like digits is spelled out; so are such letters beside accents."""
    assert [word for word in TWINS.split() if not spelled_out(f"bash {word}.sh", in_command=True).isascii()] == []
    assert spelled_out(OTHER_WORDS, in_command=True) == OTHER_WORDS
    assert spelled_out("ас\xe9 한ас", in_command=True) == "\\u0430\\u0441\xe9 한\\u0430\\u0441"


def test_only_composed() -> None:
    """In a command, each character that Unicode composes to another one is spelled out."""
    parts = [chr(code) for code in range(sys.maxunicode + 1) if not unicodedata.is_normalized("NFC", chr(code))]
    assert [part for part in parts if not spelled_out(part, in_command=True).isascii()] == []


def test_no_kind_is_forgotten() -> None:
    """Of controls, formats, separators and what is unassigned only newline, tab and space are shown as they are."""
    kinds = ("C", "Z")
    unseen = [chr(code) for code in range(sys.maxunicode + 1) if unicodedata.category(chr(code)).startswith(kinds)]
    assert [code for code in unseen if spelled_out(code) == code] == ["\t", "\n", " "]
