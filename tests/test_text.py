"""Text that every output takes: what becomes of halves of characters, and of control characters in names."""

from __future__ import annotations

import json

import pytest

from claude_magic._text import name_line, parse_json, well_formed, well_formed_data

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
