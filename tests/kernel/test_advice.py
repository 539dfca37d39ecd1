"""What errors say in a notebook: the sdk's next steps, in words that one types in a cell."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import claude_magic
from claude_magic._kernel.advice import STEPS, in_a_notebook, in_notebook_words
from claude_magic.errors import APIError, ClaudeError, NotLoggedInError, SessionNotFoundError, TurnTimeoutError

PACKAGE = Path(claude_magic.__file__).parent


def test_every_row_has_its_sentence() -> None:
    """Each row of the table replaces a sentence that the sdk really says."""
    modules = [PACKAGE / "errors.py", *(PACKAGE / "sdk").rglob("*.py")]
    nodes = [node for path in modules for node in ast.walk(ast.parse(path.read_text()))]
    said = {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    said.add(NotLoggedInError.next_step)  # which names this very Python
    assert [sentence for sentence in STEPS if sentence not in said] == []


def test_words_of_a_notebook() -> None:
    """An error with a step for scripts takes that of the notebook; one with its own words keeps them."""
    assert "--timeout SECONDS" in str(in_notebook_words(TurnTimeoutError("Too long.")))
    own = APIError("Refused.", next_step="Wait.")
    assert in_notebook_words(own) is own
    assert own.next_step == "Wait."


def test_where_errors_leave() -> None:
    """Every error that leaves the block has the notebook's words; the class itself keeps its own."""
    with pytest.raises(ClaudeError) as caught, in_a_notebook():
        raise SessionNotFoundError("There is none.")
    assert caught.value.next_step.startswith("%claude_session list")
    assert "%" not in SessionNotFoundError("There is none.").next_step
