"""A restarted kernel finds the conversation of its notebook again, and the tree of turns that the notebook holds."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat
import pytest
from cells import answered, failure, history, session_of
from messages_api import MessagesAPI
from rig import CellResult
from rig.kernel import Kernel

from claude_magic._kernel.state.notebook_file import SavedTurn, in_one_kernel, notebook_path, notebooks_with, saved_turns
from claude_magic._kernel.state.turns import Point
from claude_magic.errors import ConfigError


def save(path: Path, results: Sequence[CellResult]) -> None:
    """Write the notebook as a frontend would, without what is gone with the kernel."""
    notebook = nbformat.v4.new_notebook()
    for number, result in enumerate(results):
        cell = nbformat.v4.new_code_cell(result.code, id=f"cell-{number}")
        cell.outputs = [
            nbformat.v4.new_output("display_data", output["data"], metadata=output["metadata"]) for output in result.displays
        ]
        notebook.cells.append(cell)
    nbformat.write(notebook, path)


def reload(kernel: Kernel) -> None:
    kernel.restart()
    assert kernel.run("%load_ext claude_magic").ok


def test_notebook_of_another_machine(loaded_kernel: Kernel, tmp_path: Path) -> None:
    """A notebook whose sessions are elsewhere restores nothing, says so, and leaves the kernel as it was."""
    told = {"claude_magic": {"turn": 1, "session_id": "00000000-0000-4000-8000-00000000000a"}}
    output = nbformat.v4.new_output("display_data", {"text/plain": "x"}, metadata=told)
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("%%claude\nhello", outputs=[output])])
    nbformat.write(notebook, tmp_path / "other.ipynb")
    restored = loaded_kernel.run(f"%claude_session restore {tmp_path / 'other.ipynb'}")
    assert "not on this machine" in failure(restored, "SessionNotFoundError")
    assert loaded_kernel.run("%claude_session turns").stdout.startswith("No turns yet")


@pytest.mark.long
def test_conversation_of_the_notebook(loaded_kernel: Kernel, api: MessagesAPI) -> None:
    """After a restart `resume` continues it, and `restore` brings back turns that one can branch from and ask again."""
    kernel, path = loaded_kernel, loaded_kernel.notebook_dir / "notebook.ipynb"
    assert "There is no session" in failure(kernel.run("%claude_session resume"), "SessionNotFoundError")
    assert "no notebook notebook.ipynb" in failure(kernel.run("%claude_session restore"), "ConfigError")
    asked = [("", "one"), ("", "two"), ("--at 1", "three"), ("--compare sonnet,opus", "four"), ("", "five")]
    results = [answered(kernel, prompt, options, cell_id=f"cell-{n}") for n, (options, prompt) in enumerate(asked)]
    save(path, results)
    tree = kernel.run("%claude_session turns", allow_stdin=False).text
    assert "already has turns" in failure(kernel.run("%claude_session restore"), "ConfigError")
    # A session that the notebook knows nothing of, used last.
    answered(kernel, "elsewhere", "--new")

    reload(kernel)
    all_restored = "Restored 6 turns.\nThe next %%claude cell goes on from turn 6.\n"
    assert kernel.run("%claude_session restore").stdout == all_restored
    assert kernel.run("%claude_session turns", allow_stdin=False).text == tree

    reload(kernel)
    resumed = kernel.run("%claude_session resume", allow_stdin=False)
    assert session_of(results[-1])[:8] in resumed.stdout
    assert "You said: five" in resumed.text
    answered(kernel, "six")
    assert history(api) == ["one", "three", "four", "five", "six"]

    reload(kernel)
    assert kernel.run("%claude_session restore").stdout.startswith(f"{all_restored}Its session has more turns than")
    answered(kernel, "seven", "--at 2")
    assert history(api) == ["one", "two", "seven"]
    answered(kernel, "three again", "--redo", cell_id="cell-2")
    assert history(api) == ["one", "three again"]

    reload(kernel)
    path.rename(path.with_name("renamed.ipynb"))
    assert "resume ID" in failure(kernel.run("%claude_session resume", allow_stdin=False), "SessionNotFoundError")
    asking = kernel.run("%claude_session resume", answer=session_of(results[0])[:8])
    assert len(asking.prompts) == 1
    assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d  one", asking.stdout)
    assert session_of(results[0])[:8] in asking.stdout.splitlines()[-1]
    assert "No session was chosen" in failure(kernel.run("%claude_session resume", answer=""), "SessionNotFoundError")
    assert "there is no notebook" in failure(kernel.run("%claude_session restore"), "ConfigError").lower()
    assert kernel.run("%claude_session restore renamed.ipynb").stdout.startswith("Restored 6 turns.")


def saved(number: int, message_id: str | None, behind: str | None = None, parent: int | None = None, **about: Any) -> SavedTurn:
    """Return a turn of a session as its cell tells of it."""
    origin = Point("s", behind) if behind or parent else None
    return SavedTurn(number, "s", f"{number} {message_id}", None, about | {"parent": parent}, True, message_id, origin)


@pytest.mark.parametrize(
    ("turns", "tree"),
    [
        ([saved(1, "a"), saved(2, "b", "a", 1), saved(3, "c", "a", 1)], {1: ("a", None), 2: ("b", 1), 3: ("c", 1)}),
        # A restarted kernel continued the conversation, with numbers from 1, in a cell above.
        ([saved(1, "c", "b"), saved(1, "a"), saved(2, "b", "a", 1)], {1: ("a", None), 2: ("b", 1), 3: ("c", 2)}),
        # The reply of the first turn is not there any more.
        ([saved(1, "c", "b"), saved(2, "b", "a", 1)], {2: ("b", None), 3: ("c", 2)}),
        # One turn failed, and another kernel's turn has its number.
        ([saved(1, "a"), saved(2, None, "a", 1), saved(3, "b", "a", 2)], {1: ("a", None), 2: (None, 1), 3: ("b", 2)}),
        # A cell was copied with its reply.
        ([saved(1, "a"), saved(1, "a"), saved(2, "b", "a", 1)], {1: ("a", None), 2: ("b", 1)}),
        # Edited by hand.
        ([saved(1, "a", "b"), saved(2, "b", "a")], {2: ("b", None), 3: ("a", 2)}),
    ],
    ids=["tree", "restarted", "lost", "failed", "copied", "circle"],
)
def test_tree_of_a_notebook(turns: list[SavedTurn], tree: dict[int, tuple[str | None, int | None]]) -> None:
    """Each turn goes on from that which it went on from, whichever kernel counted it, and has a number of its own."""
    found = [turn for _, turn in in_one_kernel(turns)]
    assert {turn.number: (turn.end and turn.end.message_id, turn.start.parent) for turn in found} == tree


def test_long_conversation_of_another_kernel() -> None:
    """Thousands of turns that one restarted kernel went on from are no problem."""
    turns = [saved(1, "last", "4999"), *(saved(number, str(number), str(number - 1), number - 1) for number in range(1, 5000))]
    *_, (_, last) = in_one_kernel(turns)
    assert (last.number, last.start.parent) == (5000, 4999)


@pytest.mark.parametrize("text", ["hello", "[]", '{"cells": 3}', '{"worksheets": [{"cells": []}]}', "[" * 100_000])
def test_no_notebook(text: str, tmp_path: Path) -> None:
    """What is no notebook is refused with its name."""
    (tmp_path / "x.ipynb").write_text(text)
    with pytest.raises(ConfigError, match=r"x\.ipynb is not a notebook"):
        saved_turns(tmp_path / "x.ipynb")
    with pytest.raises(ConfigError, match="cannot be read"):
        saved_turns(tmp_path)


def test_damaged_cells(tmp_path: Path) -> None:
    """What other tools have left in cells of a notebook takes no turn from its other cells."""
    told = {"turn": 1, "session_id": "00000000-0000-4000-8000-00000000000a"}
    whole = {"cell_type": "code", "source": ["%%claude\n", "hi"], "outputs": [{"metadata": {"claude_magic": told}}]}
    outputs: list[Any] = [None, {}, {"metadata": None}, {"metadata": {"claude_magic": 1}}]
    outputs += [
        {"metadata": {"claude_magic": about}}
        for about in ({"turn": "1"}, told | {"turn": True}, {"alternatives": 7}, {"alternatives": [7]})
    ]
    damaged = [whole | change for change in ({"outputs": None}, {"outputs": outputs}, {"cell_type": None})]
    path = tmp_path / "x.ipynb"
    cells = ["x", None, *damaged, whole, whole | {"source": None, "id": 3}]
    path.write_text(json.dumps({"cells": cells}), encoding="utf-8-sig")
    assert [(turn.prompt, turn.number, turn.cell_id) for turn in saved_turns(path)] == [("hi", 1, None), ("", 1, None)]


def test_what_claude_went_on_with(tmp_path: Path) -> None:
    """A turn that Claude took by itself is in the output of the cell that it follows, and none that was asked there."""
    session, first, second = (f"00000000-0000-4000-8000-00000000000{number}" for number in range(3))
    later = {"turn": 2, "session_id": session, "message_id": second, "how": "by itself"}
    told = {"turn": 1, "session_id": session, "message_id": first, "later": [later, None, "x"]}
    output = {"output_type": "display_data", "metadata": {"claude_magic": told}}
    cell = {"cell_type": "code", "id": "c", "source": "%%claude\nhi", "outputs": [output]}
    path = tmp_path / "x.ipynb"
    path.write_text(json.dumps({"cells": [cell]}))
    assert [(turn.prompt, turn.number, turn.cell_id, turn.chosen) for turn in saved_turns(path)] == [
        ("hi", 1, "c", True),
        ("(Claude went on by itself)", 2, None, True),
    ]


def test_notebooks_that_mention_a_session(tmp_path: Path) -> None:
    """The latest notebook that mentions a session is named; notebooks count until 50 MB of them have been searched."""
    for age, (name, size) in enumerate(
        {"new": 10, "huge": 51_000_000, "large": 49_000_000, "old": 10, "late": 1_000_000}.items()
    ):
        path = tmp_path / f"{name}.ipynb"
        with path.open("wb") as file:
            file.write(f"{name}-1 all-1 ".encode())
            file.truncate(size + 20)
        os.utime(path, (1_000_000 - age, 1_000_000 - age))
    wanted = ["new-1", "huge-1", "large-1", "old-1", "late-1", "all-1"]
    assert notebooks_with(wanted, str(tmp_path)) == {
        "new-1": "new.ipynb", "large-1": "large.ipynb", "old-1": "old.ipynb", "all-1": "new.ipynb"
    }  # fmt: skip


def test_where_the_notebook_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The path may be a server's, with another root, or VS Code's; one that is not there is none."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "a.ipynb"
    path.write_text(json.dumps({"cells": []}))
    for told in (str(path), "a.ipynb", "/root/of/server/a.ipynb"):
        monkeypatch.setenv("JPY_SESSION_NAME", told)
        assert notebook_path({}) == path
    monkeypatch.setenv("JPY_SESSION_NAME", "b.ipynb")
    assert notebook_path({}) is None
    assert notebook_path({"__vsc_ipynb_file__": str(path)}) == path
    monkeypatch.setenv("JPY_SESSION_NAME", "console-1")
    assert notebook_path({}) is None
