"""Characters that a reader cannot see or mistakes for others, and those that control a terminal.

Text that is only read loses controls (`strip_controls`, `in_reading_order`). In tool calls and in questions to a person such
characters are spelled out (`reveal`, `spelled_out`), as a name or a command with them is a different one.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache
from typing import Final

# CSI, the string sequences (OSC, DCS, APC, PM, SOS) with their payload, short escapes, then what is left of C0 and C1.
_CONTROLS: Final = re.compile(
    r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]"
    r"|(?:\x1b[]PX^_]|[\x9d\x90\x98\x9e\x9f])[^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?"
    r"|\x1b[ -/]*[0-~]"
    r"|[\x00-\x08\x0b-\x1f\x7f-\x9f]"
)
# Characters that reorder the text around them. With them a command can read as a different one.
_REORDERING: Final = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")

# Controls, formats, surrogates, private and unassigned ones, and separators: `Cc`, `Cf`, ..., `Zs`.
_UNSEEN_KINDS: Final = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Zs"})
# Fillers, variation selectors and blanks that Unicode counts among letters, marks and symbols.
_UNSEEN: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\ufff0-\ufffc\U000e0000-\U000e0fff]"
)
# They look like `!  '  ,  -  .  /  :  ;  |  ~` and a backquote, which have a meaning in a shell, a path or an address.
_LIKE_SIGNS: Final = frozenset(
    "\u01c3\u02b9\u02bc\u201a\u2010\u2011\u2012\u2212\u02d7\u2024\u2215\u2044\u29f8\u2571\u02d0\ua789\u2236\u05c3\u0589"
    "\u037e\u01c0\u2223\u223c\u02dc\u1fef\u02cb"
)
# Letters of these alphabets look like Latin ones.
_LIKE_LATIN: Final = ("CYRILLIC ", "ARMENIAN ", "CHEROKEE ", "COPTIC ", "LISU ", "FULLWIDTH ", "MATHEMATICAL ", "KELVIN ")
_GREEK_LIKE_LATIN: Final = frozenset("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧινορυ")

_NOT_ASCII: Final = re.compile(r"[^\t\n -~]")
_WORD: Final = re.compile(r"\w+")
_LATIN: Final = re.compile("[A-Za-z]")


def strip_controls(text: str) -> str:
    r"""Remove terminal sequences and control characters; ``\n`` and ``\t`` stay, ``\r\n`` and ``\r`` become ``\n``."""
    return _CONTROLS.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))


def in_reading_order(text: str) -> str:
    r"""Remove controls and spell out characters that change the reading order, as ``\u202e``."""
    if text.isprintable():  # then it has none of them
        return text
    return _REORDERING.sub(_escaped, strip_controls(text))


def reveal(text: str) -> str:
    """Remove controls and spell out characters that cannot be seen or mislead."""
    return spelled_out(strip_controls(text))


def spelled_out(text: str) -> str:
    r"""Spell out, as ``\u200b``, each character that cannot be seen, is an unusual blank, or looks like an ASCII one.

    A letter of another alphabet is spelled out only in a word with Latin ones: a whole word of them is a language.
    """
    if text.isascii() and text.isprintable():
        return text
    return _NOT_ASCII.sub(lambda match: _escaped(match) if _misleads(match[0]) else match[0], _WORD.sub(_of_one_alphabet, text))


def spelled_name(name: str) -> str:
    """Do as `spelled_out` does, for a text that must stay on one line."""
    return spelled_out(name).replace("\n", r"\n").replace("\t", r"\t")


def _of_one_alphabet(match: re.Match[str]) -> str:
    word = match[0]
    if word.isascii() or not _LATIN.search(word):
        return word
    return _NOT_ASCII.sub(lambda letter: _escaped(letter) if _is_like_latin(letter[0]) else letter[0], word)


@cache
def _is_like_latin(letter: str) -> bool:
    return letter in _GREEK_LIKE_LATIN or unicodedata.name(letter, "").startswith(_LIKE_LATIN)


@cache
def _misleads(character: str) -> bool:
    unseen = unicodedata.category(character) in _UNSEEN_KINDS or _UNSEEN.match(character)
    return bool(unseen) or character in _LIKE_SIGNS


def _escaped(match: re.Match[str]) -> str:
    return match[0].encode("unicode_escape").decode()
