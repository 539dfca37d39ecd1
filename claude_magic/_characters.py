"""Characters that a reader cannot see or mistakes for others, and those that control a terminal.

Text that is only read loses controls (`strip_controls`, `in_reading_order`). In tool calls and in questions to a person, unseen
and misleading characters are spelled out (`reveal`, `spelled_out`): with them, a name or command is not what it seems.

What looks like ASCII is known from Unicode's compatibility forms (NFKC) and a selection of its list of confusables (UTS 39). No
such table is complete: fonts differ. A word in another alphabet is left as it is, in a command unless all of it looks Latin.
Two texts with one composed form (NFC) always look the same. So in a command only the composed one is left as it is.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import cache, lru_cache
from itertools import takewhile
from typing import Final

_CONTROL: Final = r"[\x00-\x08\x0b-\x1f\x7f-\x9f]"
# CSI, the string sequences (OSC, DCS, APC, PM, SOS) with their payload, short escapes, then what is left of C0 and C1.
_SEQUENCE: Final = (
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]"
)
_CONTROLS: Final = re.compile(f"{_SEQUENCE}|{_CONTROL}")
# Characters that reorder the text around them. With them a command can read as a different one.
_REORDERING: Final = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")

# Controls, formats, surrogates, private and unassigned ones, and separators: `Cc`, `Cf`, ..., `Zs`.
_UNSEEN_KINDS: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"})
# Fillers, variation selectors and blanks that Unicode counts among letters, marks and symbols.
_UNSEEN: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufffc"
    "\U00013441\U00013442\U00016fe4\U0001d159\U000e0000-\U000e0fff]"
)
UNREAD: Final = re.compile(
    rf"{_SEQUENCE}|(?!\r){_CONTROL}|{_UNSEEN.pattern}|[\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff]"
)
"""Terminal sequences, controls and invisible characters within a word; no blanks and no ends of lines."""
# Characters that look like ASCII signs with a meaning in a shell, a path or an address; NFKC does not map them to these.
_LIKE_SIGNS: Final = frozenset(
    "\u01c3\u2d51\u02ba\u02dd\u02ee\u2052\u02b9\u02bc\u02c8\u02ca\u02cb\u02f4\u0384\ua78c"  # !"%'`
    "\u2768\u2769\u276a\u276b\u2772\u2773\ufd3e\ufd3f\u204e\u2217\u201a\ua4f9\u2010\u2011\u2012\u2043\u2212\u02d7"  # ()*,-
    "\ua4f8\ua4fa\u2041\u2044\u2215\u2571\u27cb\u29f8\u02d0\u02f8\u05c3\u0589\u205a\u2236\ua789\ua4fd\u204f"  # ./:;
    "\u02c2\u276c\u276e\u1438\ua78a\u2e40\u02c3\u276d\u276f\u1433\u2216\u27cd\u29f5\u29f9\u02c4\u02c6"  # <=>\^
    "\u2774\u2775\u01c0\u2223\u23d0\u2758\u02dc\u1fc0\u2053\u223c\U0001d20f\U0001d23a\U0001d23b"  # {}|~
)
# Looks like a quote, `<`, `>`, `|`, `i` or the dash of an option: misleading in a command, usual in a text. So are parts of
# Korean and Thai letters, and the micro sign other than in a unit: they look like the letters that people type.
_LIKE_IN_COMMANDS: Final = re.compile(
    "[\u2018-\u201f\u02bb\u02bd-\u02bf\u2032-\u2036\u2039\u203a\u2502\u0131]"
    "|(?<!\\w)[\u2013-\u2015](?=\\S)|(?<=[\u2013-\u2015-])[\u2013-\u2015]"
    "|[\u1100-\u11ff\ua960-\ua97f\ud7b0-\ud7ff]|[\u0e4d\u0ecd](?=[\u0e48-\u0e4b\u0ec8-\u0ecb]?[\u0e32\u0eb2])"
    "|(?<!\\d)(?<!\\d )\u00b5"
)
# People type these, rather than their compatibility forms.
_TYPED_FORMS: Final = re.compile("[\u00b5\u0587\u0e33\u0eb3\u3131-\u318e]")
# Letters that look like ASCII characters, if they are in a word with ASCII letters: Latin ones, one kana, two Chinese strokes.
_LIKE_LATIN: Final = frozenset("\u0138\u0196\u0237\u0251\u0261\u0269\ua731\u30ce\u4e36\u4e3f")
# Letters of these scripts may be in one word with Latin ones. So may a Greek letter that looks like no Latin one: `Δt`, `μm`.
_CLOSE_TO_LATIN: Final = (
    *("LATIN ", "MODIFIER LETTER ", "CJK ", "IDEOGRAPHIC ", "HIRAGANA ", "KATAKANA", "HANGUL ", "THAI ", "LAO ", "KHMER "),
)
_GREEK: Final = frozenset("ΓΔΘΛΞΠΣΦΨΩβδεζηθκλμξπςστφχψωϑϕϵ\u00b5\u2126")
# Characters with these decompositions do not look like their compatibility forms; nor does an ellipsis.
_RAISED: Final = ("<super>", "<sub>", "<circle>", "<fraction>", "<square>")

# Letters that look like Latin ones or digits, from Unicode's confusables.txt (UTS 39). A command with a word of only these
# would be read as another command. Left out: what few fonts draw alike, and letters of which a script's marks make syllables.
_TWINS: Final = (
    "аесорухіјѕһӏԁԛԝѡѵүҽꙇАВЕКМНОРСТУХІЈЅӀԌԚԜЗӠѴҮꙄёїѐЁЇЀЌ"  # Cyrillic
    "ΑΒΕΖΗΙΚΜΝΟΡΤΥΧͿϜϹϺοϲϳιινρυόᴦ"  # Greek
    "ՄՍՏՕագզհյոռսցքօϨⲅⲎⲒⲔⲘⲚⲞⲟⲢ-ⲦⲨⲬⳊⳌⳐⳒ𐋵"  # Armenian, Coptic
    "Ꭰ-ᎢᎥᎩ-ᎬᎳᎷᎻᎽᏀᏂᏃᏎᏏᏒᏔᏕᏙᏚᏞᏟᏢᏦᏧᏮᏳᏴꭵꮁꮃꮓꮩꮪꮯꓐ-ꓔꓖꓗꓙꓚꓜꓝꓟ-ꓣꓦꓧꓪ-ꓬꓮꓰꓲ-ꓴ"  # Cherokee, Lisu
    "ᐯᑌᑭᑯᑲᒍᒪᒿᕁᕼᕽᖇᖯᖴᗅᗞᗪᗰᗷⴸⴹⵏⵔⵕⵝᚷᛁᛕᛖ"  # Canadian syllabics, Tifinagh, runes
    "ƄƖƧƷƽȷɑɡɩɯʋᶃᴀ-ᴢʀʙɢʜɪʟɴʏꜰꜱ"  # Latin: small capitals and others that have no accent
    "𐌁𐌂𐌉𐌑𐌕𐌗𐌚𐌠𐌢𐊠-𐊢𐊥𐊫𐊰-𐊲𐊴𐋏𐊂𐊆𐊇𐊊𐊐𐊒𐊕-𐊗𐐄𐐕𐐛𐐠𐐬𐐽𐑈𐔓𐔖𐔘𐔜𐔝𐔥-𐔧𐒴𐓂𐓎𐓒𐓪𐓶𑢠𑢢-𑢤𑢦𑢩𑢬𑢮𑢯𑢲𑢵𑢸𑢻𑢼𑣀-𑣄𑣆𑣈𑣊𑣌𑣕-𑣘𑣜𑣬𑣯𑣲"  # old scripts
)
_WIDE: Final = "\u3041-\u30ff\u3400-\u9fff\uac00-\ud7a3"
# Words in Thai, Lao, Chinese, Japanese and Korean may touch those of other scripts.
_BESIDE: Final = rf"[^\W\u0e01-\u0eff{_WIDE}]"
_TWIN_WORD: Final = re.compile(rf"(?<!{_BESIDE})[{_TWINS}\d_]+(?!{_BESIDE})")

_NOT_ASCII: Final = re.compile(r"[^\t\n -~]")
_TYPED_ESCAPE: Final = re.compile(r"\\(?:r|x[0-9a-f]{2}|u[0-9a-f]{4}|U[0-9a-f]{8})")
_TOKEN: Final = re.compile(r"[^\t\n ]+")
_WIDE_LETTER: Final = re.compile(f"[{_WIDE}]")
_MARKED: Final = re.compile(r"[\t\n -~\u00c0-\u024f\u1e00-\u1eff][^\w\s\x00-\x7f]+")
_MARKS: Final = 2
"""The most marks on a letter of ASCII that a language needs."""
_HEAP: Final = re.compile(r"[^\x00-\x7f][^\w\s\x00-\x7f]{2,}")
_MOST_MARKS: Final = 4
"""The most marks above and below any other letter; on a sign, one."""
_COMPOSED: Final = re.compile(r"[\x00-\x7f]?[^\x00-\x7f][^\w\s\x00-\x7f]*")
"""A character and its marks: what Unicode composes (NFC), but for Korean."""
_WORD: Final = re.compile(r"\w+")
_LATIN: Final = re.compile("[A-Za-z\u00c0-\u024f\u1e00-\u1eff]")


def strip_controls(text: str) -> str:
    r"""Remove terminal sequences and control characters; ``\n`` and ``\t`` stay, ``\r\n`` and ``\r`` become ``\n``."""
    return _CONTROLS.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def spelled_controls(text: str) -> str:
    r"""Spell out control characters, as ``\x1b``; ``\n`` and ``\t`` stay."""
    return re.sub(_CONTROL, _escaped, text)


def in_reading_order(text: str) -> str:
    r"""Remove controls and spell out characters that change the reading order, as ``\u202e``."""
    if text.isprintable():  # then it has none of them
        return text
    return _REORDERING.sub(_escaped, strip_controls(text))


def reveal(text: str, *, in_command: bool = False) -> str:
    """Remove controls and spell out characters that cannot be seen or mislead, as `spelled_out` does."""
    return spelled_out(strip_controls(text), in_command=in_command)


def spelled_out(text: str, *, in_command: bool = False) -> str:
    r"""Spell out, as ``\u200b``, each character that cannot be seen, is an unusual blank, or looks like an ASCII one.

    A letter of another alphabet is spelled out only in a word with Latin ones, in a command also in a word that looks Latin.
    In a command, so is what has another composed or compatible form that looks the same: a letter with its accent apart.

    :param in_command: whether the text is a command, a path or an address, so that typographic quotes and the like mislead.
    """
    if text.isascii() and text.isprintable():
        return text
    if in_command:
        text = _TWIN_WORD.sub(lambda word: _NOT_ASCII.sub(_escaped, word[0]), _LIKE_IN_COMMANDS.sub(_escaped, text))
    text = _HEAP.sub(lambda match: _without_heaps(match[0]), _MARKED.sub(lambda match: _with_known_marks(match[0]), text))
    text = _WORD.sub(_of_one_alphabet, text)
    text = _TOKEN.sub(lambda token: _without_likeness(token[0], in_command), text)
    return text if not in_command or _is_composed(text) else _COMPOSED.sub(_without_parts, text)


def spelled_name(name: str) -> str:
    """Do as `spelled_out` does in a command, for a text that must stay on one line."""
    return spelled_out(name, in_command=True).replace("\n", r"\n").replace("\t", r"\t")


def has_typed_escapes(texts: Iterable[str]) -> bool:
    r"""Whether these texts have a character that is spelled out, and an escape such as ``\u200b`` that was typed."""
    found = [*texts]
    return any(map(_TYPED_ESCAPE.search, found)) and any(spelled_out(text, in_command=True) != text for text in found)


def seen(text: str) -> str:
    r"""Return what a reader sees of a text: without characters that cannot be seen; each end of a line is ``\n``."""
    return _NOT_ASCII.sub(lambda match: "" if _is_unseen(match[0]) else match[0], re.sub(r"\r\n?", "\n", text))


def unseen_in(text: str) -> Counter[str]:
    """Count the ends of lines and the characters that cannot be seen, each by how it is spelled out."""
    found = Counter(piece for piece in re.findall(r"\r\n|[^\t -~]", text) if piece in ("\r\n", "\n") or _is_unseen(piece))
    return Counter({_spelled(piece): count for piece, count in found.items()})


def _is_composed(text: str) -> bool:
    return unicodedata.is_normalized("NFC", text)


def _without_parts(match: re.Match[str]) -> str:
    return match[0] if _is_composed(match[0]) else _NOT_ASCII.sub(_escaped, match[0])


def _of_one_alphabet(match: re.Match[str]) -> str:
    word = match[0]
    if word.isascii() or not _LATIN.search(word):
        return word
    return _NOT_ASCII.sub(lambda letter: _escaped(letter) if _is_like_latin(letter[0]) else letter[0], word)


@lru_cache(maxsize=4096)
def _with_known_marks(text: str) -> str:
    """Spell out the marks after an ASCII character that form no known letter with it; all, if they are more than `_MARKS`."""
    base, rest = unicodedata.normalize("NFD", text[0]), text[1:]
    marks = "".join(takewhile(lambda mark: unicodedata.category(mark).startswith("M"), rest))
    heaped = len(base) - 1 + len(marks) > _MARKS
    if not base[0].isascii() or not marks:
        return text
    spelled = (_spelled(mark) if heaped or len(unicodedata.normalize("NFC", base[0] + mark)) > 1 else mark for mark in marks)
    return text[0] + "".join(spelled) + rest[len(marks) :]


@lru_cache(maxsize=4096)
def _without_heaps(text: str) -> str:
    """Spell out the marks of a character that a page would draw over other lines."""
    shown, most, count = [], _MOST_MARKS, 0
    for character in text:
        kind = unicodedata.category(character)
        is_mark = kind in ("Mn", "Me")
        count = count + 1 if is_mark else 0
        most = most if is_mark else _MOST_MARKS if kind[0] in "LMN" else 1
        shown.append(_spelled(character) if count > most else character)
    return "".join(shown)


def _without_likeness(token: str, in_command: bool) -> str:
    if token.isascii() and token.isprintable():
        return token
    # In Chinese, Japanese and Korean text, fullwidth signs are usual.
    is_wide = bool(_WIDE_LETTER.search(token))
    return _NOT_ASCII.sub(lambda match: _escaped(match) if _misleads(match[0], in_command, is_wide) else match[0], token)


@cache
def _is_like_latin(letter: str) -> bool:
    if letter in _LIKE_LATIN or _ascii_form(letter):
        return True
    if letter in _GREEK or not (letter.isalpha() or letter.isdecimal()) or _is_raised(letter):
        return False
    name = unicodedata.name(letter, "")
    return "SMALL CAPITAL" in name or not name.startswith(_CLOSE_TO_LATIN)


@cache
def _misleads(character: str, in_command: bool, in_wide_text: bool) -> bool:
    if _is_unseen(character) or character in _LIKE_SIGNS:
        return True
    if in_wide_text and unicodedata.east_asian_width(character) == "F":
        return False
    form = _ascii_form(character)
    if form and not form.isalnum():
        return True
    compatible = unicodedata.normalize("NFKC", character)
    is_letter = character.isalnum() or (len(compatible) == 1 and compatible.isalpha())
    usual = compatible == character or _is_raised(character) or _TYPED_FORMS.match(character)
    return in_command and is_letter and not usual


def _ascii_form(character: str) -> str:
    """Return the ASCII text that a character looks like, by its compatibility form; empty if there is none."""
    form = unicodedata.normalize("NFKC", character)
    return form if form.isascii() and character != "…" and not _is_raised(character) else ""


def _is_raised(character: str) -> bool:
    return unicodedata.decomposition(character).startswith(_RAISED)


@cache
def _is_unseen(character: str) -> bool:
    return unicodedata.category(character) in _UNSEEN_KINDS or _UNSEEN.match(character) is not None


def _escaped(match: re.Match[str]) -> str:
    return _spelled(match[0])


def _spelled(text: str) -> str:
    return text.encode("unicode_escape").decode()
