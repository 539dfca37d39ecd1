"""The tree of turns: rows in, lines with branches out."""

from __future__ import annotations

from dataclasses import replace

import pytest
from page import VIEW, Page
from payloads import PAYLOADS
from rich.cells import cell_len
from test_hostile import CHROME, Elements, assert_inert_markdown

from claude_magic._render.live.tree_of_turns import TURNS_SHOWN, TurnRow, TurnTree, tree_bundle, tree_text

FIRST, OTHER = "681fea2c-2417-42d4-b134-6c7d6a02503b", "d83e13e2-0000-42d4-b134-6c7d6a02503b"
ROWS = [
    TurnRow(1, None, "What is in df?", FIRST),
    TurnRow(2, 1, "Which columns have missing values?", FIRST),
    TurnRow(3, 2, "Do it, and save the result", FIRST, left=True, failed=True),
    TurnRow(4, 2, "Do it, but keep cabin", OTHER, "--redo"),
    TurnRow(5, 3, "And now?", FIRST, left=True, failed=True, can_continue=False),
    TurnRow(6, 4, "Give this plot a title", OTHER, "--compare opus", current=True),
    TurnRow(7, None, "Something else", "aaaaaaaa", "--new"),
]


def chain(length: int) -> list[TurnRow]:
    return [TurnRow(number, number - 1 or None, f"prompt {number}", FIRST) for number in range(1, length + 1)]


def test_drawing() -> None:
    """Turns in a line stand below one another, ways that part get branches; a session is named where it begins.

    One that failed with a part of an answer was stopped.
    """
    assert tree_text(ROWS).splitlines() == [
        "1  What is in df?                                      681fea2c",
        "2  Which columns have missing values?",
        "├─ 3  Do it, and save the result                                 stopped (left)",
        "│  5  And now?                                                   failed (left)",
        "└─ 4  Do it, but keep cabin            --redo          d83e13e2",
        "   6  Give this plot a title           --compare opus            current",
        "",
        "7  Something else                      --new           aaaaaaaa",
    ]


def test_narrow_drawing() -> None:
    """On a narrow screen prompts are cut shorter, as far as they can still be told apart."""
    lines = tree_text(ROWS, 60).splitlines()
    assert max(map(len, lines)) <= 60
    assert lines[2] == "├─ 3  Do it, and save the result  stopped (left)"
    assert tree_text(ROWS, 100) == tree_text(ROWS)


def test_nothing_yet() -> None:
    """Without turns there is a sentence in their place."""
    assert tree_text([]) == "No turns yet: the next %%claude cell makes the first."
    assert "No turns yet" in tree_bundle([])["text/html"]


def test_a_long_line_stays_in_place() -> None:
    """Thousands of turns in a line are not indented, and cost no recursion."""
    lines = tree_text(chain(5000)).splitlines()
    assert len(lines) == 5000
    assert lines[-1] == "5000  prompt 5000"


def test_many_branches_stay_on_the_page() -> None:
    """However often each way parts again, no line runs off the page, and every turn has its line."""
    rows = [TurnRow(1, None, "prompt " * 50, FIRST)]
    for number in range(2, 400, 2):
        parent = max(number - 1, 1)
        rows += [TurnRow(number + i, parent, "prompt " * 50, OTHER, "--redo") for i in range(2)]
    lines = tree_text(rows).splitlines()
    assert len(lines) == len(rows)
    assert max(map(len, lines)) <= 90


def test_columns_are_straight() -> None:
    """What comes after the prompts is aligned, also behind characters that take two cells of a line."""
    rows = [TurnRow(1, None, "日本語" * 40, FIRST, "--new"), TurnRow(2, 1, "Short", FIRST, "--redo")]
    first, second = tree_text(rows).splitlines()
    assert cell_len(first[: first.index("--new")]) == cell_len(second[: second.index("--redo")])
    assert "…" in first


@pytest.mark.parametrize("parent", [9, 2, 1, -1])
def test_a_parent_that_is_not_listed(parent: int) -> None:
    """A turn whose parent is not known, or is itself, begins a tree of its own."""
    assert tree_text([TurnRow(2, parent, "Hi", FIRST), TurnRow(3, 2, "Ho", FIRST)]).splitlines()[0].startswith("2  Hi")


def test_what_a_notebook_keeps() -> None:
    """The three forms hold the same lines; the current one is bold in HTML, also without the style."""
    bundle = tree_bundle(ROWS)
    assert bundle["text/plain"] == tree_text(ROWS)
    assert bundle["text/markdown"] == f"```\n{tree_text(ROWS)}\n```"
    html = bundle["text/html"]
    assert "   <b>6  Give this plot a title " in html
    assert html.count("<b>") == 1


def test_a_button_for_each_other_turn(page: Page) -> None:
    """Each turn with an answer but the current one has a button on its line that names it; a click hands over the number."""
    chosen: list[int] = []
    tree = TurnTree(ROWS, chosen.append)
    tree.show()
    buttons = page.buttons("Continue")
    assert [button["tooltip"].split(" · ")[0] for button in buttons] == [f"Continue from turn {n}" for n in (1, 2, 3, 4, 7)]
    page.click(buttons[3])
    assert chosen == [4]
    beside = next(model for model in page.shown() if "claude-go" in model.get("_dom_classes", ()))
    assert len(beside["children"]) == len(tree_text(ROWS).splitlines())
    tree.close()


def test_tree_is_painted_in_place(page: Page) -> None:
    """After a click the same widgets show what is current, with one button more at the most."""
    tree = TurnTree(ROWS, lambda number: tree.update([replace(row, current=row.number == number) for row in ROWS]))
    tree.show()
    before = len(page.models)
    page.click(page.buttons("Continue")[0])
    page.click(page.buttons("Continue")[0])
    page.click(page.buttons("Continue")[0])
    assert len(page.outputs) == 1
    assert len(page.models) == before + 1
    assert len(page.buttons("Continue")) == len(ROWS) - 2
    tree.close()


def test_closed_tree_is_plain(page: Page) -> None:
    """Closing leaves the tree as HTML and text in the same display, and no widget, however often it is called."""
    tree = TurnTree(ROWS, print)
    tree.close()
    tree.show()
    assert set(page.outputs[0].data) == {VIEW, "text/html", "text/markdown", "text/plain"}
    sent = len(page.messages)
    tree.close()
    tree.close()
    first, last = page.outputs
    assert last.transient == first.transient
    assert last.data == tree_bundle(ROWS)
    assert {kind for kind, _, _ in page.messages[sent:]} == {"comm_close"}
    tree.update([])
    assert not page.models


def test_shown_before_the_widgets_go(page: Page) -> None:
    """The plain tree is on the page before the first widget is closed, so the cell is never empty."""
    tree = TurnTree(ROWS, print)
    tree.show()
    show, models = tree._handle.show, []
    tree._handle.show = lambda *args, **kwargs: (models.append(len(page.models)), show(*args, **kwargs))  # type: ignore[method-assign]
    before = len(page.models)
    tree.close()
    assert models == [before]


def test_many_turns(page: Page) -> None:
    """Of very many turns the last are shown, with a word about the others, and each costs a message."""
    tree = TurnTree(chain(1000), print)
    tree.show()
    assert len(page.buttons("Continue")) == TURNS_SHOWN
    assert "800 earlier lines are not shown" in page.html()[0]
    assert len(page.messages) < TURNS_SHOWN + 40
    tree.close()


@pytest.mark.parametrize("evil", PAYLOADS)
def test_hostile_text_is_text(evil: str) -> None:
    """A prompt and whatever else is in a row are shown on one line as they are written."""
    row = TurnRow(1, None, evil, evil, evil)
    bundle = tree_bundle([row, replace(row, number=2, parent=1, current=True)])
    assert Elements(bundle["text/html"], CHROME).refused == []
    assert_inert_markdown(bundle["text/markdown"])
    assert len(bundle["text/plain"].splitlines()) == 2


def test_hostile_text_in_widgets(page: Page) -> None:
    """Prompts are escaped where widgets show them, too."""
    tree = TurnTree([TurnRow(1, None, "<img src=x onerror=alert(1)>\n</pre>", FIRST)], print)
    tree.show()
    assert not any(tag in value for value in page.html() for tag in ("<img", "</pre>\n<"))
    tree.close()


def test_prompts_are_private() -> None:
    """No credential that somebody typed into a prompt is in what a notebook keeps."""
    secret = "sk-ant-api03-" + "a1B2" * 12
    assert not any("a1B2a1B2" in form for form in tree_bundle([TurnRow(1, None, f"use {secret}", FIRST)]).values())
