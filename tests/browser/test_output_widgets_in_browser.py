"""Replies that are asked for inside widgets, as a person meets them in JupyterLab."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import expect
from rig.lab import Lab, LabNotebook

pytestmark = pytest.mark.long

CELLS = (
    "%load_ext claude_magic\nimport ipywidgets\ndef claude(prompt):\n    get_ipython().run_line_magic('claude', prompt)",
    "out = ipywidgets.Output()\ndisplay(out)\nwith out:\n    %claude inside",
    "button = ipywidgets.Button(description='Click me')\nbutton.on_click(lambda _: claude('from a click'))\nbutton",
    "slider = ipywidgets.interact_manual(lambda x: claude(f'from {x}'), x=['interact'])",
    "%%capture captured\n%claude captured",
    "captured.show()",
)


@pytest.fixture(scope="module")
def notebook(lab: Lab) -> Iterator[LabNotebook]:
    """A notebook of which every cell has run."""
    lab.write("outputs.ipynb", [("code", cell) for cell in CELLS])
    with lab.open("outputs.ipynb") as notebook:
        notebook.run_all()
        yield notebook


def test_output_widget(notebook: LabNotebook) -> None:
    """The reply stands in the Output widget, and nothing says that it is still on its way."""
    inside = notebook.cell(1).locator(".widget-output")
    expect(inside).to_contain_text("You said: inside")
    expect(inside).not_to_contain_text("answering")


def test_callback(notebook: LabNotebook) -> None:
    """The reply to a click stands below the cell that ran last."""
    notebook.page.get_by_role("button", name="Click me").click()
    expect(notebook.cell(len(CELLS) - 1)).to_contain_text("You said: from a click")


def test_interact(notebook: LabNotebook) -> None:
    """What a function of `interact` asks stands in its own output."""
    notebook.page.get_by_role("button", name="Run Interact").click()
    expect(notebook.cell(3).locator(".widget-output")).to_contain_text("You said: from interact")


def test_capture(notebook: LabNotebook) -> None:
    """A reply that was captured is not shown before it is asked for, and then as it settled."""
    expect(notebook.cell(4).locator(".claude-magic")).to_have_count(0)
    expect(notebook.cell(5).locator(".claude-magic").first).to_contain_text("You said: captured")
