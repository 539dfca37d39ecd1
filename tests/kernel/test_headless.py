"""Notebooks that run where nobody watches: jupyter execute, nbconvert, papermill, jupytext; live and played."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jupytext
import nbformat
import pytest
from cells import SETTLED, WIDGET
from messages_api import MessagesAPI
from rig.environment import NOWHERE, isolated_environment

Run = Callable[[list[str], Path, str], subprocess.CompletedProcess[str]]

CASSETTE = """\
{"cassette": 1, "claude_magic": "0.1.0"}
{"turn": "a1", "session": "00000000-0000-4000-8000-00000000000a", "prompt": "one"}
{"at": 0.0, "event": "SessionStarted", "session_id": "00000000-0000-4000-8000-00000000000a", "model": "m"}
{"at": 0.1, "event": "TextDelta", "block": 0, "text": "It is played."}
{"at": 0.2, "end": "answered"}
"""
PLAYED = "%load_ext claude_magic\n%config ClaudeMagics.cassette = 'lesson.jsonl'\n%config ClaudeMagics.cassette_mode = 'replay'"
LIVE = "%load_ext claude_magic"
CELLS = ["%%claude\none", "#| echo: false\n%%claude\none", "%%claude\n#| label: fig\n\none", "%claude one"]

RUNS = {
    "execute": (LIVE, ["jupyter", "execute", "in.ipynb", "--output=out.ipynb"]),
    "papermill": (PLAYED, ["papermill", "--no-progress-bar", "--log-output", "in.ipynb", "out.ipynb"]),
    "jupytext": (PLAYED, ["jupytext", "--to=notebook", "--execute", "--output=out.ipynb", "in.py"]),
}


@pytest.fixture(scope="module")
def run(home: Path) -> Run:
    """Run a program's module in a directory, to its end."""

    def run(command: list[str], directory: Path, api_url: str) -> subprocess.CompletedProcess[str]:
        name, *arguments = command
        program, environment = [sys.executable, "-m", name, *arguments], isolated_environment(home, api_url)
        return subprocess.run(program, cwd=directory, env=environment, capture_output=True, text=True, timeout=150)

    return run


def write(path: Path, sources: list[str]) -> None:
    spec = {"name": "python3", "display_name": "Python 3", "language": "python"}
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"kernelspec": spec}), path)


@pytest.mark.long
@pytest.mark.parametrize("name", RUNS)
def test_every_answer_is_settled(name: str, tmp_path: Path, api: MessagesAPI, run: Run) -> None:
    """Each cell holds its answer as plain output, and no widget; Quarto's option lines are no part of the prompt."""
    setup, command = RUNS[name]
    sources = [setup, *CELLS]
    write(tmp_path / "in.ipynb", sources)
    (tmp_path / "lesson.jsonl").write_text(CASSETTE)
    if name == "jupytext":
        jupytext.write(nbformat.read(tmp_path / "in.ipynb", 4), tmp_path / "in.py", fmt="py:percent")
    ran = run(command, tmp_path, api.url if setup == LIVE else NOWHERE)
    assert ran.returncode == 0, ran.stderr
    notebook = nbformat.read(tmp_path / "out.ipynb", 4)
    assert [cell.source for cell in notebook.cells] == sources
    for cell in notebook.cells[1:]:
        (output,) = cell.outputs
        assert set(output.data) == SETTLED
        assert output.data["text/plain"].startswith("You said: one" if setup == LIVE else "It is played.")
        assert output.metadata["claude_magic"]["session_id"]
    assert WIDGET not in (tmp_path / "out.ipynb").read_text()
    assert "widgets" not in notebook.metadata
    if name == "papermill":  # which logs what is displayed, and no update of it
        assert ran.stderr.count("It is played.") == len(CELLS)


@pytest.mark.parametrize("form", ["py:percent", "md"])
def test_cells_as_text(form: str) -> None:
    """Cells come back from jupytext's files as they were, with the magic in their first line or below options."""
    sources = [PLAYED, *CELLS]
    text = jupytext.writes(nbformat.v4.new_notebook(cells=[*map(nbformat.v4.new_code_cell, sources)]), fmt=form)
    assert [cell.source for cell in jupytext.reads(text, fmt=form).cells] == sources


@pytest.mark.long
def test_failed_turn_fails_the_run(tmp_path: Path, run: Run) -> None:
    """The exit code says that a turn failed, the log says why, and no cell behind it was run."""
    write(tmp_path / "in.ipynb", [PLAYED, "%%claude\ntwo", "open('after', 'w').close()"])
    (tmp_path / "lesson.jsonl").write_text(CASSETTE)
    ran = run(["jupyter", "nbconvert", "--execute", "--to=notebook", "--output=out.ipynb", "in.ipynb"], tmp_path, NOWHERE)
    assert ran.returncode != 0
    assert "CassetteMismatchError" in ran.stderr
    assert not (tmp_path / "after").exists()
