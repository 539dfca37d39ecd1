"""Makes text safe for every output: without lone surrogates, which JSON can contain and UTF-8 cannot. Reads JSON; wraps lines.

A surrogate is half a character. The CLI cuts texts between two, models write the escape of one only, file names can have one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from textwrap import TextWrapper
from typing import Any
from unicodedata import east_asian_width

_HALVES = re.compile("[\ud800-\udfff]")
_ESCAPED_HALF = re.compile(r"\\u[dD][89a-fA-F]")
_ESCAPE = re.compile(
    r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|(u[dD][89a-fA-F][0-9a-fA-F]{2})|.)", re.DOTALL
)
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_MANY_BLANKS = re.compile(r"((?<=\n)(?:[ \t]*\n){11,}|(?<=\s)[ \t]{60,}\n?)")


def well_formed(text: str) -> str:
    """Join two halves of a character, and replace a half alone by a replacement character."""
    if text.isascii() or not _HALVES.search(text):
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def well_formed_data(data: Any) -> Any:
    """Apply `well_formed` to every text in lists and dictionaries."""
    return with_texts(data, lambda text, _: well_formed(text))


def word_wrapper(columns: int, indent: str = "") -> TextWrapper:
    """Return a wrapper that divides lines only between words; each line after the first begins with `indent`."""
    return TextWrapper(columns, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)


def terminal_rows(text: str, columns: int) -> Iterator[str]:
    """Divide a text into rows of a terminal. Only the first begins at the margin, so that no other looks like a row of ours.

    Each later line begins with six blanks, the rest of a line with `    … `. Many blanks or blank lines become their count.
    """
    start = ""
    for number, piece in enumerate(_MANY_BLANKS.split(text)):
        if number % 2:
            ends = piece.count("\n")
            yield f"    ({ends:,} blank lines)" if ends > 1 else f"    ({len(piece) - ends:,} blanks)"
            start = " " * 6 if ends else "    … "
            continue
        for line in piece.splitlines() or [""] * (not number):
            row, room = start, max(columns - 1, 20) - len(start)
            for character in line.expandtabs():
                # Terminals differ in the width of signs and marks: none draws one wider than two columns.
                size = 1 if character.isascii() or (character.isalpha() and east_asian_width(character) not in "FW") else 2
                if size > room:
                    yield row
                    row, room = "    … ", max(columns - 1, 20) - 6
                row, room = row + character, room - size
            yield row
            start = " " * 6


def with_blanks_counted(text: str) -> str:
    """Replace many blanks in a line by their count: a page would show what follows them as a line of its own."""
    return re.sub(r"[ \t]{60,}|(?<![ \t]) *\t[ \t]{7,}", lambda found: f"({len(found[0]):,} blanks)", text)


def with_texts(data: Any, change: Callable[[str, str], str], name: str = "") -> Any:
    """Return JSON data with each text in it changed, keys included.

    :param change: takes a text, and the key whose value it is; the key is empty for a text that has none.
    :param name: the key whose value the data is.
    """
    match data:
        case str():
            return change(data, name)
        case list() | tuple():
            return [with_texts(item, change, name) for item in data]
        case dict():
            return {with_texts(key, change): with_texts(value, change, str(key)) for key, value in data.items()}
    return data


def parse_json(line: str | bytes, **reading: Any) -> Any:
    """Return the data of a JSON text, with `well_formed` texts.

    :param reading: further arguments of `json.loads`.
    :raises ValueError: if it is not JSON.
    :raises RecursionError: if it is nested too deeply.
    """
    text = line.decode() if isinstance(line, bytes) else line
    # Done in the text, as deeply nested data could not be walked through.
    if has_half(text):
        text = _ESCAPE.sub(lambda escape: r"\ufffd" if escape[1] else escape[0], well_formed(text))
    return json.loads(text, **reading)


def json_object(text: str | bytes) -> dict[str, Any]:
    """Return the object of a JSON text; empty if the text is something else."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def has_half(text: str) -> bool:
    """Whether a JSON text may contain half a character."""
    return _ESCAPED_HALF.search(text) is not None or (not text.isascii() and _HALVES.search(text) is not None)


def name_line(text: str) -> str:
    """Return a name, such as a session's, on one line and without control characters."""
    return " ".join(_CONTROLS.sub(" ", well_formed(text)).split())
