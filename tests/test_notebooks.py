"""The notebooks that we ship: they run as they are, and hold the outputs that a run gives; so do their cassettes."""

from __future__ import annotations

import contextlib
import getpass
import json
import re
import socket
import sqlite3
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

import nbformat
import pytest
from lessons import LESSONS, SCRIPTED
from make_notebooks import (
    AT_ONCE_HZ,
    LIVE,
    NOTEBOOKS,
    OFFLINE,
    cassette_of,
    checkpoint_of,
    execute,
    has_cassette,
    has_checkpoint,
    record,
    record_checkpoint,
)

VARYING = re.compile(
    r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b[0-9a-f]{8}\b|<?\d+(\.\d+)? s\b|just now|now|~?(/[\w.-]+)+"
    r"|\b\d{4}-\d\d-\d\d \d\d:\d\d\b|a request +about [\d,]+ tokens \([^)]*\)"
)
"""What differs from run to run in an output."""
IDS_AND_DATES = re.compile(r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\btoolu_\w+|\b\d{4}-\d\d-\d\d\b")
PRIVATE = re.compile(r"sk-\w|\.claude\b|/(home|root|Users|tmp)\b|\b(Bearer|oauth|organization|account|email)", re.IGNORECASE)

PLAYED = "Nobody is logged in, so the answers are played from quickstart.jsonl."
QUICK = "quickstart.ipynb"
"""The notebook that is always run."""
RECORDED = sorted(name for name in LESSONS if has_cassette(name))
KEPT = sorted(name for name in LESSONS if has_checkpoint(name))


def plain_outputs(notebook: nbformat.NotebookNode) -> list[str]:
    """Return what a reader without styles sees, without what differs from run to run."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    texts = [output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs]
    return [" ".join(VARYING.sub("…", text).split()) for text in texts]


def saved(name: str) -> nbformat.NotebookNode:
    return nbformat.read(NOTEBOOKS / name, as_version=4)


def facts(cassette: str) -> list[dict[str, Any]]:
    """Return the lines of a cassette without IDs, dates, times and versions; a text that came in pieces is one.

    The turns come in the order of their names, as turns that run at once are recorded in the order in which they end.
    """
    turns: list[tuple[str, list[str]]] = []
    for line in cassette.splitlines()[1:]:
        if line.startswith('{"turn"'):
            turns.append((json.loads(line)["turn"], []))
        turns[-1][1].append(line)
    turns.sort(key=itemgetter(0))
    lines = [json.loads(IDS_AND_DATES.sub("…", line)) for _, turn in turns for line in turn]
    parts: list[dict[str, Any]] = []
    for (event, _), group in groupby(lines, lambda line: (line.get("event"), line.get("block"))):
        found = [_timeless(line) for line in group]
        if event in ("TextDelta", "ThinkingDelta"):
            found = [found[0] | {"text": "".join(line["text"] for line in found)}]
        parts += found
    return [part for part in parts if part.get("event") != "TokensCounted"]


def _timeless(value: Any) -> Any:
    match value:
        case dict():
            # A plot is drawn anew, by whatever version is installed; a seal is that of its machine.
            kept = ((key, inner) for key, inner in value.items() if key not in ("at", "images", "seal"))
            return {key: _timeless(inner) for key, inner in kept if not key.startswith("duration")}
        case list():
            return [_timeless(inner) for inner in value]
    return value


@pytest.mark.parametrize(
    "name", [QUICK, *(pytest.param(name, marks=pytest.mark.long) for name in sorted({*LESSONS} - {QUICK}))]
)
def test_runs_and_gives_the_saved_outputs(name: str, tmp_path: Path) -> None:
    """Run All in a real kernel gives the saved outputs; what plays always does so without CLI, login and network."""
    plays_always = has_checkpoint(name) or 'cassette_mode = "replay"' in "".join(cell.source for cell in saved(name).cells)
    executed = execute(name, tmp_path, OFFLINE if plays_always else LIVE)
    assert plain_outputs(executed) == plain_outputs(saved(name))


@pytest.mark.long
def test_quickstart_runs_without_cli_login_and_network(tmp_path: Path) -> None:
    """Where nobody is logged in, every answer of the quickstart is there, played, and the first cell says so."""
    first, *others = plain_outputs(execute("quickstart.ipynb", tmp_path, OFFLINE))
    remark = f"{PLAYED} {SCRIPTED} To go live, run python -m claude_magic login in a terminal. "
    assert first.startswith(remark)
    played = [first.removeprefix(remark), *others]
    # What was played can be continued in this kernel only.
    live = [text.replace(" … in a terminal cd … && claude -r …", "") for text in plain_outputs(saved("quickstart.ipynb"))]
    assert [text.replace(" recorded", "").replace(" · not done again: Bash", "") for text in played] == live
    assert sum("recorded" in text for text in played) == len(LESSONS["quickstart.ipynb"])  # one is quiet, one the panel


@pytest.mark.long
def test_the_data_lesson_runs_without_cli_login_and_network(tmp_path: Path) -> None:
    """Where nobody is logged in, every answer about the data is played, and the code and the functions in it run."""
    name = "working-with-your-data.ipynb"
    texts = plain_outputs(execute(name, tmp_path, OFFLINE))
    assert sum("recorded" in text.replace("were recorded", "") for text in texts) == len(LESSONS[name])
    assert any("warmer_than Basel" in text for text in texts)
    assert sum("Figure size" in text for text in texts) == 2


@pytest.mark.long
@pytest.mark.parametrize("name", sorted({*RECORDED} - {QUICK}))
def test_runs_without_an_account(name: str, tmp_path: Path) -> None:
    """Run All without a login, a CLI of the magics and a network ends well, with an answer wherever one is saved."""
    executed = execute(name, tmp_path, OFFLINE)
    assert "You said:" not in "".join(plain_outputs(executed))
    assert [*map(answers, executed.cells)] == [*map(answers, saved(name).cells)]


def answers(cell: nbformat.NotebookNode) -> int:
    """Return how many replies of Claude's a cell shows."""
    return sum("claude_magic" in output.get("metadata", {}) for output in cell.get("outputs", []))


@pytest.mark.long
@pytest.mark.parametrize("name", RECORDED)
def test_cassette_is_what_the_script_makes(name: str, tmp_path: Path) -> None:
    """What is shipped is what would be recorded now, says who wrote its answers, and holds nothing private."""
    fresh = record(name, tmp_path, words_hz=AT_ONCE_HZ)
    shipped = cassette_of(name).read_text(encoding="utf-8")
    assert facts(shipped) == facts(fresh)
    assert json.loads(shipped.splitlines()[0])["note"] == SCRIPTED
    for text in shipped, fresh:
        assert not PRIVATE.search(text)
    for word in getpass.getuser(), socket.gethostname(), str(tmp_path), str(Path.home()):
        assert not re.search(rf"(?<!\w){re.escape(word)}(?!\w)", fresh)


@pytest.mark.long
@pytest.mark.parametrize("name", KEPT)
def test_checkpoint_is_what_the_script_makes(name: str, tmp_path: Path) -> None:
    """The checkpoint that is shipped is small, and answers every row as it would be answered now; it holds nothing private."""
    assert labels(record_checkpoint(name, tmp_path)) == labels(checkpoint_of(name))
    assert checkpoint_of(name).stat().st_size + (NOTEBOOKS / name).stat().st_size < 300_000
    assert not PRIVATE.search(checkpoint_of(name).read_bytes().decode("latin-1"))


def labels(checkpoint: Path) -> dict[bytes, str]:
    """Return the answers of a checkpoint by their keys."""
    with contextlib.closing(sqlite3.connect(checkpoint)) as connection:
        return dict(connection.execute("SELECT key, structured FROM answers"))


def test_cassettes_are_those_of_the_notebooks() -> None:
    """Every cassette belongs to a notebook that names it."""
    assert sorted({*LESSONS} - {*KEPT}) == RECORDED
    assert sorted(NOTEBOOKS.glob("*.jsonl")) == [cassette_of(name) for name in RECORDED]


@pytest.mark.parametrize("name", sorted(LESSONS))
def test_saved_notebook_needs_no_kernel(name: str) -> None:
    """A saved notebook holds no widget, a text for every output and no error but on purpose, and says what is scripted."""
    notebook = saved(name)
    nbformat.validate(notebook)
    assert "widgets" not in notebook.metadata
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            assert output.output_type != "error" or "raises-exception" in cell.metadata.get("tags", [])
            if "data" in output:
                assert "text/plain" in output.data
                assert not any(kind.startswith("application/vnd.jupyter.widget") for kind in output.data)
    assert "scripted" in notebook.cells[0].source


@pytest.mark.parametrize("name", sorted(LESSONS))
def test_has_a_written_answer_for_every_prompt(name: str) -> None:
    """No prompt of a notebook falls back on the API's echo."""
    assert "You said:" not in "".join(plain_outputs(saved(name)))
