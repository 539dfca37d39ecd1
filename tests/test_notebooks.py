"""The notebooks that we ship: they run as they are, and hold the outputs that a run gives."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
from lessons import LESSONS
from make_notebooks import NOTEBOOKS, execute

VARYING = re.compile(
    r"\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b|\b[0-9a-f]{8}\b|<?\d+(\.\d+)? s\b|just now|now|~?(/[\w.-]+)+"
)


def plain_outputs(notebook: nbformat.NotebookNode) -> list[str]:
    """Return what a reader without styles sees, without what differs from run to run."""
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    texts = [output.get("text") or output.get("data", {}).get("text/plain", "") for output in outputs]
    return [" ".join(VARYING.sub("…", text).split()) for text in texts]


@pytest.mark.parametrize("name", sorted(LESSONS))
def test_runs_and_gives_the_saved_outputs(name: str, tmp_path: Path) -> None:
    """Run All in a real kernel gives the outputs that are saved in the notebook."""
    executed = execute(name, tmp_path)
    assert plain_outputs(executed) == plain_outputs(nbformat.read(NOTEBOOKS / name, as_version=4))


@pytest.mark.parametrize("name", sorted(LESSONS))
def test_saved_notebook_needs_no_kernel(name: str) -> None:
    """A saved notebook holds no widget, a text for every output and no error but on purpose, and says what is scripted."""
    notebook = nbformat.read(NOTEBOOKS / name, as_version=4)
    nbformat.validate(notebook)
    assert "widgets" not in notebook.metadata
    for cell, output in ((code, output) for code in notebook.cells for output in code.get("outputs", [])):
        assert output.output_type != "error" or "raises-exception" in cell.metadata.get("tags", [])
        if "data" in output:
            assert "text/plain" in output.data
            assert not any(kind.startswith("application/vnd.jupyter.widget") for kind in output.data)
    assert "scripted" in notebook.cells[0].source


@pytest.mark.parametrize("name", sorted(LESSONS))
def test_has_a_written_answer_for_every_prompt(name: str) -> None:
    """No prompt of a notebook falls back on the API's echo."""
    saved = "".join(plain_outputs(nbformat.read(NOTEBOOKS / name, as_version=4)))
    assert "You said:" not in saved
