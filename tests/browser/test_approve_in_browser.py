"""A permission request as a person meets it: in the cell, in Chromium, with the mouse, with the keyboard, in both themes."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Locator, expect
from rig.lab import Lab, LabNotebook

READABLE = 4.5
"""The contrast that WCAG asks of text."""

# Colours are painted to be read back: a computed one may be a `color-mix`, and a background see-through.
CONTRAST = r"""element => {
  const context = new OffscreenCanvas(1, 1).getContext("2d");
  const paint = color => { context.fillStyle = color; context.fillRect(0, 0, 1, 1); };
  const luminance = () => {
    const [r, g, b] = [...context.getImageData(0, 0, 1, 1).data].slice(0, 3).map(x => x / 255)
      .map(x => x <= 0.04045 ? x / 12.92 : ((x + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const parents = [];
  for (let parent = element; parent; parent = parent.parentElement) parents.unshift(parent);
  parents.forEach(parent => paint(getComputedStyle(parent).backgroundColor));
  const behind = luminance();
  paint(getComputedStyle(element).color);
  const [dark, bright] = [behind, luminance()].sort((a, b) => a - b);
  return (bright + 0.05) / (dark + 0.05);
}"""


# Whether each button of a card takes clicks when it is on the page for the first time.
FIRST_SIGHT = """
window.atFirst = [];
const seen = new Set();
new MutationObserver(() => {
  for (const button of document.querySelectorAll(".claude-ask button"))
    if (!seen.has(button)) { seen.add(button); window.atFirst.push(getComputedStyle(button).pointerEvents); }
}).observe(document, { childList: true, subtree: true });
"""


def writes(name: str, content: str) -> str:
    """Return a cell in which Claude writes a file."""
    return f"%%claude\n<<tool Write {json.dumps({'file_path': name, 'content': content})}>><<say Done with {name}.>>"


@pytest.fixture(scope="module")
def opened(lab: Lab) -> Iterator[LabNotebook]:
    """A notebook whose second cell asks to write `note.py` each time it runs."""
    lab.write("approve.ipynb", [("code", "%load_ext claude_magic"), ("code", writes("note.py", "answer = 42\n"))])
    with lab.open("approve.ipynb") as notebook:
        notebook.run_cell(0)
        yield notebook


@pytest.fixture
def notebook(lab: Lab, opened: LabNotebook) -> LabNotebook:
    """The notebook while its second cell runs, and no `note.py` yet."""
    (lab.root / "note.py").unlink(missing_ok=True)
    opened.run_cell(1, wait=False)
    return opened


def card_in(notebook: LabNotebook) -> Locator:
    card = notebook.cell(1).locator(".claude-ask")
    card.wait_for()
    return card


def assert_settled(notebook: LabNotebook, outcome: str) -> None:
    """Assert that the card is gone and the settled output, on the page and on disk, says what was answered."""
    notebook.wait_idle()
    output_area = notebook.cell(1).locator(".jp-OutputArea")
    expect(output_area.locator(".claude-ask, button")).to_have_count(0)
    expect(output_area.locator("details summary")).to_contain_text(outcome)
    (output,) = notebook.save().cells[1].outputs
    for form in ("text/html", "text/markdown", "text/plain"):
        assert outcome in output.data[form]


def test_allowed_with_the_mouse(notebook: LabNotebook, lab: Lab) -> None:
    """A click on Allow once lets Claude write the file that the card showed in full, and the cell keeps the answer."""
    card = card_in(notebook)
    expect(card).to_contain_text("Claude asks to write a file")
    expect(card).to_contain_text("note.py")
    expect(card.locator("pre")).to_have_text("answer = 42\n")
    expect(notebook.cell(1).get_by_role("status")).to_have_text("waiting for you")
    assert not (lab.root / "note.py").exists()
    card.get_by_role("button", name="Allow once").click()
    assert_settled(notebook, "allowed once")
    assert (lab.root / "note.py").read_text() == "answer = 42\n"


@pytest.mark.parametrize("key", ["Space", "Enter"])
def test_allowed_with_the_keyboard(notebook: LabNotebook, lab: Lab, key: str) -> None:
    """A key on the focused button does what a click does."""
    allow = card_in(notebook).get_by_role("button", name="Allow once")
    expect(allow).to_be_enabled()
    allow.focus()
    notebook.page.keyboard.press(key)
    assert_settled(notebook, "allowed once")
    assert (lab.root / "note.py").read_text() == "answer = 42\n"


def test_denied_with_a_word_by_keyboard(notebook: LabNotebook, lab: Lab) -> None:
    """Words typed into the card reach Claude with the no, and the file is not written."""
    card = card_in(notebook)
    expect(card.get_by_role("button", name="Deny and tell")).to_be_enabled()
    card.get_by_role("textbox").focus()
    notebook.page.keyboard.type("call it notes.py")
    notebook.page.keyboard.press("Tab")
    expect(card.get_by_role("button", name="Deny and tell")).to_be_focused()
    notebook.page.keyboard.press("Space")
    assert_settled(notebook, "denied: call it notes.py")
    assert not (lab.root / "note.py").exists()


def test_readable_in_both_themes(notebook: LabNotebook) -> None:
    """The card with all of its words can be seen and read in the light and in the dark theme."""
    card = card_in(notebook)
    for theme in ("light", "dark"):
        notebook.theme(theme)
        for words in [*card.locator("p, pre code").all(), *card.get_by_role("button").all()]:
            expect(words).to_be_in_viewport()
            assert words.evaluate(CONTRAST) >= READABLE, f"{words.inner_text()!r} in the {theme} theme"
    card.get_by_role("button", name="Deny", exact=True).click()
    assert_settled(notebook, "denied")


def test_nothing_is_painted_over_a_card(lab: Lab) -> None:
    """Marks heaped on the letters of a reply, which a page draws through many lines below, leave a card as it is."""
    heaps = ("a" + "\u0323" * 150 + " ") * 40
    fetch = json.dumps({"url": "https://example.com/?q=secret", "prompt": "p"})
    lab.write(
        "marks.ipynb", [("code", "%load_ext claude_magic"), ("code", f"%%claude\n<<say {heaps}>><<tool WebFetch {fetch}>>")]
    )
    with lab.open("marks.ipynb") as notebook:
        notebook.run_cell(0)
        notebook.run_cell(1, wait=False)
        card = card_in(notebook)
        expect(card.get_by_role("button", name="Allow once")).to_be_enabled()
        for theme in ("light", "dark"):
            notebook.theme(theme)
            inside = card.get_by_role("alertdialog")  # not its corners, which are round
            while (covered := inside.screenshot()) != inside.screenshot():
                """The theme fades in."""
            text = notebook.cell(1).locator(".claude-text p")
            text.evaluate("element => { element.style.visibility = 'hidden'; }")
            assert inside.screenshot() == covered, theme
            text.evaluate("element => { element.style.visibility = ''; }")
        card.get_by_role("button", name="Deny", exact=True).click()
        notebook.wait_idle()


def test_a_double_click_answers_one(lab: Lab) -> None:
    """Of two requests that follow each other a double click allows the first, the next one stands elsewhere and waits."""
    two = "".join(f"<<tool Bash {json.dumps({'command': f'touch {name}'})}>>" for name in ("first.txt", "second.txt"))
    lab.write("double.ipynb", [("code", "%load_ext claude_magic"), ("code", f"%%claude\n{two}<<say Done.>>")])
    with lab.open("double.ipynb") as notebook:
        notebook.run_cell(0)
        notebook.run_cell(1, wait=False)
        allow = card_in(notebook).get_by_role("button", name="Allow once")
        expect(allow).to_be_disabled()
        expect(allow).to_be_enabled()
        box = allow.bounding_box()
        assert box is not None
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        notebook.page.mouse.dblclick(x, y)
        expect(notebook.cell(1).locator(".claude-answered")).to_contain_text("allowed once")
        card = card_in(notebook)
        expect(card).to_contain_text("second.txt")
        under = notebook.page.evaluate("([x, y]) => document.elementFromPoint(x, y).closest('.claude-ask') !== null", [x, y])
        assert not under
        expect(card.get_by_role("button", name="Allow once")).to_be_enabled()
        assert not (lab.root / "second.txt").exists()
        notebook.page.keyboard.press("Tab")
        expect(card.get_by_role("button", name="Allow once")).to_be_focused()
        card.get_by_role("textbox").fill("no second one")
        card.get_by_role("textbox").press("Enter")
        notebook.wait_idle()
        expect(notebook.cell(1).locator("details summary")).to_contain_text(["allowed once", "denied: no second one"])
        assert (lab.root / "first.txt").exists()
        assert not (lab.root / "second.txt").exists()


def test_a_reloaded_page_waits(lab: Lab) -> None:
    """A card that a reloaded page draws again takes no click at once, and answers after a moment."""
    lab.write("reload.ipynb", [("code", "%load_ext claude_magic"), ("code", writes("again.py", "answer = 42\n"))])
    with lab.open("reload.ipynb") as notebook:
        notebook.run_cell(0)
        notebook.run_cell(1, wait=False)
        allow = card_in(notebook).get_by_role("button", name="Allow once")
        expect(allow).to_be_enabled()
        notebook.save()
        notebook.page.add_init_script(FIRST_SIGHT)
        notebook.page.goto(notebook.page.url)
        expect(card_in(notebook).get_by_role("button", name="Allow once")).to_be_enabled()
        assert set(notebook.page.evaluate("() => window.atFirst")) == {"none"}
        card_in(notebook).get_by_role("button", name="Allow once").click()
        expect(notebook.cell(1).locator(".claude-ask")).to_have_count(0)
        notebook.wait_idle()
        assert (lab.root / "again.py").read_text() == "answer = 42\n"


@pytest.mark.parametrize("width", [1280, 560])
def test_a_card_keeps_its_place(lab: Lab, width: int) -> None:
    """While the reply goes on, the card of a background helper does not move; a click on Deny denies, and the text follows."""
    asks = f"<<tool Bash {json.dumps({'command': 'touch moved.txt'})}>><<say done>>"
    helper = {"description": "d", "prompt": asks, "subagent_type": "general-purpose", "run_in_background": True}
    about = json.dumps(helper).replace("<", r"\u003c").replace(">", r"\u003e")
    reply = f"<<tool Agent {about}>><<sleep 4>><<stream 60 30 20>><<sleep 2>><<say The end.>>"
    lab.write("moves.ipynb", [("code", "%load_ext claude_magic"), ("code", f"%%claude --raw\n{reply}")])
    with lab.open("moves.ipynb") as notebook:
        notebook.run_cell(0)
        notebook.page.set_viewport_size({"width": width, "height": 900})
        notebook.run_cell(1, wait=False)
        deny = card_in(notebook).get_by_role("button", name="Deny", exact=True)
        expect(deny).to_be_enabled()
        before = deny.bounding_box()
        expect(notebook.cell(1)).to_contain_text("more follows")
        assert before is not None
        assert deny.bounding_box() == before
        allow = card_in(notebook).get_by_role("button", name="Allow once").bounding_box()
        assert allow is not None
        assert allow["x"] + allow["width"] < before["x"]
        notebook.page.mouse.click(before["x"] + before["width"] / 2, before["y"] + before["height"] / 2)
        notebook.wait_idle()
        expect(notebook.cell(1).locator("details summary")).to_contain_text(["denied"])
        expect(notebook.cell(1)).to_contain_text("The end.")
        assert not (lab.root / "moved.txt").exists()


def test_a_question_below_the_fold(lab: Lab) -> None:
    """Above a long reply a link says that somebody waits; the page stays until it is clicked, then shows the card."""
    prompt = f"<<say {'word ' * 900}>><<tool Bash {json.dumps({'command': 'touch one.txt'})}>><<say Done.>>"
    lab.write("below.ipynb", [("code", "%load_ext claude_magic"), ("code", f"%%claude\n{prompt}")])
    with lab.open("below.ipynb") as notebook:
        notebook.run_cell(0)
        notebook.run_cell(1, wait=False)
        card, link = card_in(notebook), notebook.cell(1).get_by_role("link", name="Claude waits for your answer")
        expect(link).to_be_in_viewport()
        expect(card).not_to_be_in_viewport()
        for theme in ("light", "dark"):
            notebook.theme(theme)
            assert link.evaluate(CONTRAST) >= READABLE
        link.click()
        expect(card).to_be_in_viewport()
        allow = card.get_by_role("button", name="Allow once")
        expect(allow).to_be_enabled()
        notebook.page.keyboard.press("Tab")
        expect(allow).to_be_focused()
        notebook.page.keyboard.press("Enter")
        assert_settled(notebook, "allowed once")
