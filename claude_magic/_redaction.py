"""Keeps credentials out of everything that is stored: settled outputs, logs, cassettes, lists of sessions, error messages.

A credential is the value of an environment variable whose name says so, or a text that `claude_magic._secret_shapes` recognizes
by its shape or the words around it.
"""

from __future__ import annotations

import html
import json
import os
import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter
from typing import Final

from claude_magic._characters import UNREAD
from claude_magic._secret_shapes import is_ordinary, is_plain, is_secret, secrets_in, variable_tells

MIN_LENGTH: Final = 6
"""A shorter value is not masked, as it would be found in ordinary text."""

UNNAMED: Final = "credential"
"""The label of a credential that comes from no variable."""

# What a reader of the text does not see in it: terminal sequences and invisible characters, also written as escapes; the marks
# of Markdown and HTML; the backslashes of `repr` and of JSON in JSON.
_UNREAD: Final = re.compile(
    r"(?=[^\n\r -%'+-;=?-Z^a-}])(?:"  # most characters begin none of these
    rf"{UNREAD.pattern}"
    r"|(?P<line>\\{1,4}(?:[nrt]|x0[9aAdD]|u000[9aAdD]))"
    r"|\\{1,4}(?:u00|x)1[bB]\[[0-?]*+[ -/]*+[@-~]|\\{1,4}(?:xad|u(?:00ad|034f|200[b-f]|2060|feff))"
    r"|\\(?=[!-/:-@\[-`{-~])|(?<=[^\s*`])[*`]++(?=\S)|~~|(?<![^\s(\"'])_{1,3}(?=\w)|(?<=[^\W_])_{1,3}(?=[\s).,:;!?\"']|\Z)"
    r"|(?P<entity>&(?:\#[0-9]{1,7}|\#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{1,30});)"
    r"|</?[A-Za-z][^<>]{0,200}>|\[(?=[^\[\]\n]{1,200}\]\()|\]\([^()\s]{0,500}\))"
)


@dataclass(frozen=True, slots=True)
class Masked:
    """A text without its credentials. `names` has the label of each masked one, in order."""

    text: str
    names: tuple[str, ...] = ()


def redact(text: str, env: Mapping[str, str] | None = None, *, name: str = "", runs: bool = False) -> str:
    """Return the text with each credential replaced by `[NAME]` or `[credential]`.

    :param env: the environment whose values are masked; by default that of this process.
    :param name: the name of the data, if the text is its value.
    :param runs: whether it is code that will run again, in which a word after a name such as `password` is mostly a variable.
    """
    return masked(text, env, name=name, runs=runs).text


def masked(text: str, env: Mapping[str, str] | None = None, *, name: str = "", runs: bool = False) -> Masked:
    """Do as `redact` does, and also return what was masked."""
    known = _known(frozenset((os.environ if env is None else env).items()))
    found = _found(text, known, runs)
    read = _UNREAD.sub(_seen, text)
    if read != text and (more := _found(read, known, runs)):
        places = _places_of(text)
        found += [(*_place(places, start, end), label) for start, end, label in more]
    if name and not found and is_secret(name, text, sure=runs):
        found = [(0, len(text), "")]
    if not found:
        return Masked(text)
    pieces, names, behind = [], [], 0
    for start, end, label in _joined(found):
        pieces += [text[behind:start], f"[{label}]"]
        names.append(label)
        behind = end
    return Masked("".join([*pieces, text[behind:]]), tuple(names))


def _found(text: str, known: list[tuple[str, str]], runs: bool) -> list[tuple[int, int, str]]:
    found = [(start, end, variable) for form, variable in known for start, end in _places(form, text)]
    return found + [(start, end, "") for start, end in secrets_in(text, runs=runs)]


def _seen(found: re.Match[str]) -> str:
    return "\n" if found["line"] else UNREAD.sub("", html.unescape(found["entity"])) if found["entity"] else ""


def _places_of(text: str) -> list[tuple[int, int, int]]:
    """Return where each piece of a text begins as it is read, and where it begins and ends in the whole text."""
    places: list[tuple[int, int, int]] = []
    length = behind = 0
    for found in _UNREAD.finditer(text):
        start, end = found.span()
        length += start - behind
        places += [(length - start + behind, behind, start), (length, start, end)]
        length, behind = length + len(_seen(found)), end
    return [*places, (length, behind, len(text))]


def _place(places: list[tuple[int, int, int]], start: int, end: int) -> tuple[int, int]:
    """Return where a part of the text as it is read stands in the whole text."""
    read, begin, _ = places[bisect_right(places, start, key=itemgetter(0)) - 1]
    last = bisect_left(places, end, key=itemgetter(0)) - 1
    last_read, last_begin, last_end = places[last]
    # Every other place is that of something that is not seen, or of an entity.
    return begin + start - read, last_end if last % 2 else last_begin + end - last_read


def _joined(found: list[tuple[int, int, str]]) -> Iterator[tuple[int, int, str]]:
    """Join overlapping credentials, under the name of the first of them that comes from a variable."""
    found.sort(key=lambda place: (place[0], -place[1]))
    start, end, name = found[0]
    for next_start, next_end, next_name in found[1:]:
        if next_start < end:
            end, name = max(end, next_end), name or next_name
        else:
            yield start, end, name or UNNAMED
            start, end, name = next_start, next_end, next_name
    yield start, end, name or UNNAMED


def _places(form: str, text: str) -> Iterator[tuple[int, int]]:
    """Yield where a value occurs: anywhere, or only as whole words if it consists of plain words."""
    anywhere = not is_plain(form) or any(character.isdigit() for character in form)
    start = text.find(form)
    while start >= 0:
        end = start + len(form)
        if anywhere or _is_whole(text, start, end):
            yield start, end
        start = text.find(form, end)


def _is_whole(text: str, start: int, end: int) -> bool:
    escaped = text[max(0, start - 2) : start] in ("\\n", "\\r", "\\t")
    return (escaped or not text[start - 1 : start].isalnum()) and not text[end : end + 1].isalnum()


@lru_cache(maxsize=8)
def _known(env: frozenset[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return the credentials of an environment in each written form, with the name of their variable."""
    telling = [(name, value) for name, value in env if _is_telling(name, value)]
    return list({form: name for name, value in sorted(telling, reverse=True) for form in _forms(value)}.items())


def _is_telling(name: str, value: str) -> bool:
    return len(value) >= MIN_LENGTH and not value.isdecimal() and not is_ordinary(value) and variable_tells(name, value)


def _forms(value: str) -> tuple[str, ...]:
    """Return a value, and a password in it, as it is and as Python and JSON write it; `repr` writes several lines as one."""
    inside = (value[start:end] for start, end in secrets_in(value))
    return tuple(
        form
        for part in (value, *(part for part in inside if len(part) >= MIN_LENGTH and not is_ordinary(part)))
        for form in (part, repr(part)[1:-1], json.dumps(part)[1:-1], json.dumps(part, ensure_ascii=False)[1:-1])
    )
