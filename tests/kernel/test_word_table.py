"""The table of the words of `%claude_session`: what is made from it."""

from __future__ import annotations

from claude_magic._kernel.session_words.word_table import WORDS, words_usage


def test_words() -> None:
    """The words are a contract, and so is which of them must be followed by something."""
    assert [word.name for word in WORDS] == [
        *("show", "list", "code", "turns", "new", "resume", "restore", "fork", "pick", "diff", "name", "export", "delete"),
        *("trust", "doctor"),
    ]
    assert [word.name for word in WORDS if word.needs] == ["pick", "name", "export", "delete"]
    assert [word.name for word in WORDS if word.offers] == ["show", "code", "resume", "delete"]


def test_help_of_each_word() -> None:
    """Each way to type a word has a line of help; where a word needs something, the line says what."""
    lines = words_usage().splitlines()
    assert len(lines) == sum(len(word.forms) for word in WORDS)
    for word in WORDS:
        for form, meaning in word.forms.items():
            assert form.split()[:1] in ([word.name], [])
            assert any(line.startswith(f"    %claude_session {form}".rstrip()) and line.endswith(meaning) for line in lines)
            assert not word.needs or " " in form
    assert max(map(len, lines)) <= 128


def test_narrow_help() -> None:
    """On a narrow screen what a word means stands below it."""
    lines = words_usage("doctor", 60).splitlines()
    assert lines[:2] == ["    %claude_session doctor", "        check versions, CLI, login, frontend and files, and"]
    assert max(map(len, words_usage(columns=60).splitlines())) <= 60
