"""Text that every output takes: what becomes of halves of characters, and of control characters in names."""

from __future__ import annotations

import json

import pytest

from claude_magic._text import name_line, parse_json, terminal_rows, well_formed, well_formed_data

TEXTS = {
    "plain": "plain",
    "ünïcödé 漢字 🎈": "ünïcödé 漢字 🎈",
    "half \ud83d": "half \ufffd",
    "\ude00 half": "\ufffd half",
    "\ud83d\ude00": "😀",
    "\ud83d\ud83d\ude00\ude00": "\ufffd😀\ufffd",
    "\\ud83d": "\\ud83d",
    "\\\ud83d": "\\\ufffd",
    "\0\x1b": "\0\x1b",
}


@pytest.mark.parametrize("text", TEXTS, ids=ascii)
def test_halves(text: str) -> None:
    """Two halves become the character they mean and one alone a replacement character, in texts, in data and in JSON."""
    meant = TEXTS[text]
    assert well_formed(text) == meant
    assert well_formed_data({text: [text, 1, None]}) == {meant: [meant, 1, None]}
    assert parse_json(json.dumps({text: text})) == {meant: meant}
    assert parse_json(json.dumps({text: text}, ensure_ascii=False)) == {meant: meant}
    assert parse_json(json.dumps({text: text}).encode()) == {meant: meant}


def test_nested_deep() -> None:
    """Data that is nested deep is read all the same, as long as JSON itself can be."""
    deep = 800
    assert parse_json("[" * deep + r'"\ud83d"' + "]" * deep)
    with pytest.raises(RecursionError):
        parse_json("[" * 100_000)


def test_names() -> None:
    """A name is one line that moves no cursor."""
    assert name_line("a\0b\x1b[2J\n c\x9b31m\u2028 \ud83d") == "a b [2J c 31m \ufffd"


def test_rows_of_a_terminal() -> None:
    """Only the first row begins as the text does; a further row has a mark, and what is not counted is all there."""
    assert list(terminal_rows("", 80)) == [""]
    assert list(terminal_rows("a: \tb\n\nc\n", 80)) == ["a:      b", "      ", "      c"]
    assert list(terminal_rows("0123456789" * 5, 21)) == [
        "01234567890123456789",
        "    … 01234567890123",
        "    … 45678901234567",
        "    … 89",
    ]
    assert list(terminal_rows("жук" + "漢" * 10, 21)) == ["жук" + "漢" * 8, "    … 漢漢"]
    assert list(terminal_rows("a:" + " " * 61 + "b" + " " * 70 + "\n" + "\t" * 60 + "c\n" + " " * 60, 80)) == [
        "a: ",
        "    (60 blanks)",
        "    … b ",
        "    (69 blanks)",
        "    (60 blanks)",
        "    … c",
        "    (60 blanks)",
    ]
    assert list(terminal_rows("a\n" + "\n" * 10 + "b" + "\n" * 12, 80)) == [
        "a",
        *["      "] * 10,
        "      b",
        "    (11 blank lines)",
    ]
