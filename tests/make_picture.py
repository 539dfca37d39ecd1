"""Take the README's pictures: cells of our notebooks as JupyterLab shows them, answered by the scripted API.

python tests/make_picture.py
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import nbformat
from lessons import answer
from make_notebooks import NOTEBOOKS
from messages_api import MessagesAPI
from rig.environment import isolated_environment
from rig.lab import PANEL, Lab

PICTURES = Path(__file__).parent / "picture"
ALLOWED = " --allow mcp__kernel__run_code"
"""What a cell of `working-with-your-data.ipynb` allows, so that it runs where nobody answers. Without it, Claude asks."""


def main() -> None:
    with tempfile.TemporaryDirectory() as home, MessagesAPI(answer) as api:
        root = Path(home) / "root"
        root.mkdir()
        for path in NOTEBOOKS.glob("*.ipynb"):
            (root / path.name).write_text(path.read_text(encoding="utf-8").replace(ALLOWED, ""), encoding="utf-8")
        with Lab(root, isolated_environment(Path(home), api.url)) as lab:
            take(lab, "quickstart", 3)
            take(lab, "exploring", 15)
            take(lab, "working-with-your-data", 5, waits=True)


def take(lab: Lab, name: str, cell: int, *, waits: bool = False) -> None:
    """Run a notebook up to the cell and take the cell's picture, at its end or, if it waits for an answer, at its question."""
    code = [index for index, each in enumerate(nbformat.read(lab.root / f"{name}.ipynb", 4).cells) if each.cell_type == "code"]
    with lab.open(f"{name}.ipynb", scale=2) as notebook:
        for index in code[: code.index(cell)]:
            notebook.run_cell(index)
        notebook.run_cell(cell, wait=not waits)
        if waits:
            notebook.page.wait_for_selector(".claude-ask button:not([disabled])")
        notebook.page.evaluate(f"() => {{ {PANEL}.content.activeCellIndex = 0 }}")  # The active cell has a frame and a toolbar.
        notebook.screenshot(PICTURES / f"{name}.png", cell)


if __name__ == "__main__":
    main()
