"""Claude's own questions in Chromium: answered with the mouse and with the keyboard, and readable in both themes."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, expect
from rig.lab import Lab, LabNotebook
from test_approve_in_browser import CONTRAST, READABLE

LONG = "A label that says far more than fits on a button, as models write them now and then, with no end in sight"
COLOUR = {
    "question": "Which colour should **the bars** have? They stand for $x^2$.",
    "header": "Colour",
    "multiSelect": False,
    "options": [{"label": "Red", "description": "Warm, and seen from afar."}, {"label": "Blue", "description": "Calm."}],
}
PARTS = {
    "question": "Which parts are wanted?",
    "header": "Parts",
    "multiSelect": True,
    "options": [
        {"label": "Legend", "description": "Names, each with its colour.", "preview": "Red  ###\nBlue #"},
        {"label": "<b>Grid</b>", "description": "Lines."},
        {"label": LONG, "description": "All of it."},
    ],
}


def asks(*questions: dict[str, object]) -> str:
    return f"%%claude\n<<tool AskUserQuestion {json.dumps({'questions': questions})}>><<say As you like.>>"


@pytest.fixture(scope="module")
def notebook(lab: Lab) -> Iterator[LabNotebook]:
    lab.write("asked.ipynb", [("code", "%load_ext claude_magic"), ("code", asks(COLOUR)), ("code", asks(COLOUR, PARTS))])
    with lab.open("asked.ipynb") as notebook:
        notebook.run_cell(0)
        yield notebook


def card_in(notebook: LabNotebook, cell: int) -> Locator:
    notebook.run_cell(cell, wait=False)
    card = notebook.cell(cell).locator(".claude-ask")
    card.wait_for()
    return card


def assert_settled(notebook: LabNotebook, cell: int, said: str) -> None:
    """Assert that no choice is left, and the settled output says what was answered."""
    notebook.wait_idle()
    output_area = notebook.cell(cell).locator(".jp-OutputArea")
    expect(output_area.locator(".claude-ask, button")).to_have_count(0)
    expect(output_area.locator("summary")).to_contain_text(said)
    (output,) = notebook.save().cells[cell].outputs
    assert said in output.data["text/plain"]


def test_one_click(notebook: LabNotebook) -> None:
    """A click on a choice answers a single question, once the card has been there for a moment."""
    card = card_in(notebook, 1)
    blue = card.get_by_role("button", name="Blue")
    expect(card).to_contain_text(COLOUR["question"])
    expect(card.locator("mjx-container, .MathJax")).to_have_count(0)
    blue.click()
    assert_settled(notebook, 1, "answered: Blue")


def test_own_words_by_keyboard(notebook: LabNotebook) -> None:
    """Words of one's own, sent by Enter, are the answer."""
    card = card_in(notebook, 1)
    expect(card.get_by_role("button", name="Send")).to_be_enabled()
    card.get_by_role("textbox").focus()
    notebook.page.keyboard.type("green, rather")
    notebook.page.keyboard.press("Enter")
    assert_settled(notebook, 1, "answered: green, rather")


def test_two_by_keyboard(notebook: LabNotebook) -> None:
    """Two questions are answered together, with nothing but the keyboard."""
    card = card_in(notebook, 2)
    for name in ("Red", "Legend", "<b>Grid</b>", "Send"):
        button = card.get_by_role("button", name=name)
        expect(button).to_be_enabled()
        button.focus()
        notebook.page.keyboard.press("Space")
        if name != "Send":
            expect(button).to_contain_text("☑" if name != "Red" else "●")
    assert_settled(notebook, 2, "answered: Red; Legend, <b>Grid</b>")


def test_readable_in_both_themes(notebook: LabNotebook) -> None:
    """All of a card can be read in the light and in the dark theme, and none of it is wider than the cell."""
    card = card_in(notebook, 2)
    expect(card.get_by_role("button", name="Send")).to_be_enabled()
    width = card.bounding_box()
    assert width is not None
    for theme in ("light", "dark"):
        notebook.theme(theme)
        for words in [*card.locator("p").all(), *card.get_by_role("button").all()]:
            assert words.evaluate(CONTRAST) >= READABLE, f"{words.inner_text()!r} in the {theme} theme"
            box = words.bounding_box()
            assert box is not None
            assert box["x"] + box["width"] <= width["x"] + width["width"]
    card.get_by_role("button", name="Decline").click()
    assert_settled(notebook, 2, "not answered")
