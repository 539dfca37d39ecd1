"""What Claude goes on with by itself appears on the page where it began, between two cells."""

from __future__ import annotations

import json
import re

import pytest
from messages_api import MessagesAPI
from playwright.sync_api import expect
from rig.lab import Lab

LATER = json.dumps({"command": "sleep 0.3; echo finished", "run_in_background": True})
CELLS = ("%load_ext claude_magic", f"%%claude --allow Bash\n<<tool Bash {LATER}>><<say I have begun it.>>", "1 + 1")


@pytest.mark.long
def test_shown_where_it_began(lab: Lab, api: MessagesAPI) -> None:
    """It stands below the reply of the cell, in one output, that is saved so; no cell has to be run for it."""
    lab.write("own.ipynb", [("code", cell) for cell in CELLS])
    with lab.open("own.ipynb") as notebook:
        notebook.run_cell(0)
        notebook.run_cell(1)
        expect(notebook.cell(1).get_by_text("Claude went on by itself.", exact=True)).to_have_count(1)
        expect(notebook.cell(1).get_by_text(re.compile(r"^turn \d$"))).to_have_count(2)
        notebook.run_cell(2)
        expect(notebook.cell(2)).not_to_contain_text("went on by itself")
        (output,) = notebook.save().cells[1].outputs
        assert [later["how"] for later in output.metadata["claude_magic"]["later"]] == ["by itself"]
