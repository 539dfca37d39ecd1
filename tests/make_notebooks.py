"""Execute the notebooks that we ship, against the scripted API, and save them with their settled outputs.

python tests/make_notebooks.py [NAME ...]
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from pathlib import Path

import nbformat
from lessons import LESSONS, answer
from messages_api import MessagesAPI
from nbclient import NotebookClient
from rig.environment import isolated_environment

TEMPORARY = re.compile(re.escape(tempfile.gettempdir()) + r"/tmp\w+")
"""The directories that a lesson is executed in, which mean nothing to a reader."""

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"


def execute(name: str, directory: Path) -> nbformat.NotebookNode:
    """Return the notebook as it is after Run All in `directory`, in a real kernel, with nobody there to answer."""
    shutil.copy(NOTEBOOKS / name, directory)
    notebook = nbformat.read(NOTEBOOKS / name, as_version=4)
    with tempfile.TemporaryDirectory() as home, MessagesAPI(answer) as api:
        environment = isolated_environment(Path(home), api.url)
        client = NotebookClient(
            notebook,
            kernel_name="python3",
            # As JupyterLab does: `--redo` asks for the turn of this very cell.
            on_cell_start=lambda cell, cell_index: client.kc.session.metadata.update(cellId=cell.id),
            timeout=120,
            coalesce_streams=True,
            resources={"metadata": {"path": str(directory)}},
        )
        client.execute(env=environment)
    return notebook


def tidy(notebook: nbformat.NotebookNode) -> None:
    """Take out what differs from run to run and means nothing to a reader."""
    notebook.metadata = {
        "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
        "language_info": {"name": "python"},
    }
    for cell in notebook.cells:
        cell.metadata.pop("execution", None)


def main(names: list[str]) -> None:
    for name in names or list(LESSONS):
        with tempfile.TemporaryDirectory() as directory:
            notebook = execute(name, Path(directory))
        tidy(notebook)
        (NOTEBOOKS / name).write_text(TEMPORARY.sub("~/lesson", nbformat.writes(notebook)) + "\n", encoding="utf-8")
        print(f"wrote {name}")


if __name__ == "__main__":
    main(sys.argv[1:])
