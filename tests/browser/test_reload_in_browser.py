"""A page that is loaded again in the middle of a turn loses the cell's output; the next cell shows the reply."""

from __future__ import annotations

import pytest
from messages_api import MessagesAPI
from playwright.sync_api import expect
from rig.lab import Lab

CELLS = ("%load_ext claude_magic", "%%claude\n<<say The beginning. >><<wait>><<say The end.>>", "1 + 1", "2 + 2")


@pytest.mark.long
def test_reload(lab: Lab, api: MessagesAPI) -> None:
    """A reply whose page went away is shown by the next cell, whatever that is, and once; so the notebook keeps it."""
    lab.write("reload.ipynb", [("code", cell) for cell in CELLS])
    with lab.open("reload.ipynb") as notebook:
        notebook.run_cell(0)
        notebook.run_cell(1, wait=False)
        expect(notebook.cell(1).locator(".claude-text")).to_have_text("The beginning.")
        notebook.reload()
        expect(notebook.cell(1).locator(".claude-magic")).to_have_count(0)
        api.go_on.set()
        notebook.run_cell(2)
        expect(notebook.cell(2)).to_contain_text("The end.")
        expect(notebook.cell(2)).to_contain_text("not in the saved notebook")
        notebook.run_cell(3)
        expect(notebook.cell(3).locator(".claude-magic")).to_have_count(0)
        saved = notebook.save()
        (told,) = [
            output.metadata["claude_magic"] for output in saved.cells[2].outputs if "claude_magic" in output.get("metadata", {})
        ]
        assert told["turn"] == 1
        notebook.reload()
        notebook.run_cell(3)
        expect(notebook.cell(3).locator(".claude-magic")).to_have_count(0)
