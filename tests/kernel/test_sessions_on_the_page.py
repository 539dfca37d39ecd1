"""Sessions as a person meets them: told apart in the list, deleted on purpose, taken up again after a restart."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cells import about, answered, failure, session_of
from rig import CellResult
from rig.kernel import Kernel


def save(kernel: Kernel, result: CellResult, name: str = "notebook.ipynb") -> Path:
    """Save a notebook of one cell, as a frontend would."""
    outputs = [{**output, "output_type": "display_data"} for output in result.displays]
    cell = {"cell_type": "code", "id": "a", "source": result.code, "metadata": {}, "execution_count": 1, "outputs": outputs}
    notebook = {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    path = kernel.notebook_dir / name
    path.write_text(json.dumps(notebook, default=str))
    return path


@pytest.fixture
def two(loaded_kernel: Kernel) -> tuple[str, str]:
    """Two sessions, `one` and one that goes on elsewhere."""
    one = session_of(answered(loaded_kernel, "first of one"))
    loaded_kernel.run("%claude_session name one")
    answered(loaded_kernel, "last of one")
    return one, session_of(answered(loaded_kernel, "of the other", "--fork"))


def test_list_tells_sessions_apart(loaded_kernel: Kernel, two: tuple[str, str]) -> None:
    """The list shows the last prompt, what a branch left, in which notebook, and when, in words that stay true."""
    text = loaded_kernel.run("%claude_session list").bundle["text/markdown"]
    rows = {line.split("|")[2].strip(): line for line in text.splitlines() if line.startswith("|")}
    one, other = two
    assert "last of one" in rows[one[:8]]
    assert "first of one" not in rows[one[:8]]
    assert "branch of" not in rows[one[:8]]
    assert f"branch of {one[:8]}" in rows[other[:8]]
    assert "notebook.ipynb" in rows[one[:8]].replace("\\", "")
    assert "now" not in text


def test_delete_a_row(loaded_kernel: Kernel, two: tuple[str, str]) -> None:
    """`delete N` deletes the row of the list that was shown, after a yes; anything else leaves it."""
    rows = loaded_kernel.run("%claude_session list").bundle["text/plain"].splitlines()
    row = next(line.split()[0] for line in rows if line.split()[1] == two[1][:8])
    for answer, is_gone in (("", False), ("n", False), ("y", True)):
        result = loaded_kernel.run(f"%claude_session delete {row}", answer=answer)
        assert result.ok, result.outputs
        assert two[1][:8] in result.stdout.splitlines()[0]
        assert "of the other" in result.stdout.splitlines()[0]
        assert (f"Deleted {two[1][:8]}" in result.stdout) is is_gone
    listed = loaded_kernel.run("%claude_session list").text
    assert two[0][:8] in listed
    failure(loaded_kernel.run(f"%claude_session resume {two[1]}"), "SessionNotFoundError")


@pytest.mark.parametrize("wanted", ["PREFIX", "999", "0"])
def test_what_is_not_deleted(loaded_kernel: Kernel, two: tuple[str, str], wanted: str) -> None:
    """Neither the beginning of an ID nor a row that nobody saw deletes anything, and nobody is asked."""
    loaded_kernel.run("%claude_session list")
    failure(loaded_kernel.run(f"%claude_session delete {two[0][:3] if wanted == 'PREFIX' else wanted}"), "SessionNotFoundError")
    assert two[0][:8] in loaded_kernel.run("%claude_session list").text


def test_delete_where_nobody_is(loaded_kernel: Kernel, two: tuple[str, str]) -> None:
    """Where nobody can be asked, what is named is deleted, and the output says what that was."""
    result = loaded_kernel.run(f"%claude_session delete {two[0][:8]}", allow_stdin=False)
    assert "last of one" in result.stdout
    assert f"Deleted {two[0][:8]} (one)." in result.stdout


def test_a_number_that_is_a_name(loaded_kernel: Kernel, two: tuple[str, str]) -> None:
    """A number that names one session and is the row of another is neither."""
    assert loaded_kernel.run(f"%claude_session resume {two[0]}").ok
    for taken in ("1", "2"):  # a new name can move the session's row
        loaded_kernel.run(f"%claude_session name {taken}")
        rows = loaded_kernel.run("%claude_session list").bundle["text/plain"].splitlines()
        if two[0][:8] not in rows[int(taken)]:
            break
    failure(loaded_kernel.run(f"%claude_session delete {taken}"), "SessionNotFoundError")
    loaded_kernel.run("%claude_session name done")  # no row of another test has this name


def test_resume_a_row(loaded_kernel: Kernel, two: tuple[str, str]) -> None:
    """`resume N` takes up the row of the list that was shown."""
    rows = loaded_kernel.run("%claude_session list").bundle["text/plain"].splitlines()
    row = next(line.split()[0] for line in rows if two[0][:8] in line and "branch of" not in line)
    assert loaded_kernel.run(f"%claude_session resume {row}").ok
    assert session_of(answered(loaded_kernel, "on")) == two[0]


def test_turns_of_what_is_gone(loaded_kernel: Kernel, two: tuple[str, str]) -> None:
    """A turn whose session was deleted has no button any more in the tree of turns."""
    before = buttons(loaded_kernel)  # none for the current turn, as one is there
    loaded_kernel.run(f"%claude_session delete {two[1]}", answer="y")
    assert buttons(loaded_kernel) == before


def buttons(kernel: Kernel) -> int:
    kernel.run("%claude_session turns")
    count = len(kernel.widgets_named("ButtonModel"))
    kernel.run("1")
    return count


def test_first_cell_after_a_restart(fresh_kernel: Kernel) -> None:
    """The first cell after a restart says once that it begins anew, and how to go on with the conversation above."""
    fresh_kernel.run("%load_ext claude_magic")
    first = answered(fresh_kernel, "hello", cell_id="a")
    assert "new conversation" not in first.text
    save(fresh_kernel, first)
    fresh_kernel.restart()
    fresh_kernel.run("%load_ext claude_magic")
    anew = answered(fresh_kernel, "hello")
    assert f"This begins a new conversation; %claude_session resume {session_of(first)[:8]} goes on" in anew.text
    assert "new conversation" not in answered(fresh_kernel, "more").text
    assert fresh_kernel.run(f"%claude_session resume {session_of(first)[:8]}").ok
    again = answered(fresh_kernel, "back")
    assert session_of(again) == session_of(first)
    assert about(again)["turn"] == 3


def test_tab_offers_names(loaded_kernel: Kernel, two: tuple[str, str]) -> None:
    """Tab offers a session by its name, also one of several words, and says beside an ID what was said."""
    assert loaded_kernel.run(f"%claude_session resume {two[0]}").ok
    loaded_kernel.run("%claude_session name the great clean-up")
    code = """
from IPython.core.completer import provisionalcompleter
def tab(text):
    with provisionalcompleter():
        return [(found.text, found.type) for found in get_ipython().Completer.completions(text, len(text))]
"""
    assert loaded_kernel.run(code).ok
    assert ("the great clean-up", "first of one") in loaded_kernel.value("tab('%claude_session resume ')")
    assert loaded_kernel.value("tab('%claude_session delete the great c')") == [("the great clean-up", "first of one")]
    assert ('"the great clean-up"', "first of one") in loaded_kernel.value("tab('%%claude --resume ')")
    assert (two[0], "the great clean-up") in loaded_kernel.value(f"tab('%claude_session resume {two[0][:5]}')")
