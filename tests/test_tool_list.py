"""The list of what Claude may do and the README say the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from claude_magic.sdk._gate import git_words, tool_list
from claude_magic.sdk._gate.commands import EDITORS, READERS

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
SECTION = README.partition("## What Claude sees, and what it may do")[2].partition("\n## ")[0]

LISTS = {
    "**Unasked**": tool_list.READING | tool_list.UNASKED | tool_list.HELPERS,
    "**Asked**": tool_list.ASKED - tool_list.QUESTIONS,
    "A question of Claude": tool_list.QUESTIONS,
    "**Off**": tool_list.OFF,
}


def quoted(start: str) -> set[str]:
    """Return the words in code type of the paragraph that begins like this."""
    (paragraph,) = [text for text in SECTION.split("\n- ") if text.startswith(start)]
    return set(re.findall(r"`(\w+)`", paragraph))


@pytest.mark.parametrize("start", LISTS)
def test_readme_names_every_tool(start: str) -> None:
    """Each tool stands in the README where it stands in the list, and no other does."""
    assert {name for name in quoted(start) if name[0].isupper()} == LISTS[start]


def test_readme_names_every_command() -> None:
    """The commands that read, and those that the mode `acceptEdits` runs, are the ones that the README names."""
    assert {name for name in quoted("**Unasked**") if name.islower()} == set(READERS)
    assert quoted("With `--mode acceptEdits`") == set(EDITORS)
    assert set(EDITORS).isdisjoint(READERS)


def test_contributing_names_the_commands_of_git() -> None:
    """The commands that a rule for git answers for are the ones that CONTRIBUTING names, in a trusted folder and elsewhere."""
    text = (ROOT / "CONTRIBUTING.md").read_text().partition("### Rules for git\n")[2].partition("\n\nThe person is asked")[0]
    stored, trusted, changing = (set(re.findall(r"`([a-z-]+)`", part)) for part in text.split("\n- ")[1:])
    assert stored == git_words.STORED
    assert stored | trusted == git_words.SIMPLE
    assert stored | trusted | changing == git_words.KNOWN


def test_each_tool_is_in_one_list() -> None:
    """No tool is in two lists."""
    lists = [tool_list.READING, tool_list.UNASKED, tool_list.HELPERS, tool_list.ASKED, tool_list.OFF]
    names = [name for part in lists for name in part]
    assert len(names) == len(set(names))
