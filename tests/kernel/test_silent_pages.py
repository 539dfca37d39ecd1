"""A page that shows no widget, or whose clicks are not heard, is noticed: nobody waits for a button that is not there."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cells import WIDGET, start
from messages_api import MessagesAPI
from rig.kernel import Kernel

QUESTION = '<<tool Bash {"command": "touch x"}>><<say done>>'


@pytest.fixture
def page(fresh_kernel: Kernel) -> Iterator[Kernel]:
    assert fresh_kernel.run("%load_ext claude_magic").ok
    yield fresh_kernel
    fresh_kernel.widgets.clear()


def has_button(kernel: Kernel, description: str) -> bool:
    return any(state["description"] == description for state in kernel.widgets_named("ButtonModel").values())


def stop_is_hidden(kernel: Kernel) -> bool:
    return "claude-hidden" in kernel.widgets[kernel.button("Stop")]["_dom_classes"]


def test_page_that_says_nothing(page: Kernel, api: MessagesAPI) -> None:
    """Where no sign of the page arrives while the cell runs there is no Stop button, and a question goes on in words."""
    page.page = "is silent"
    cell = start(page, QUESTION)
    page.wait_for(lambda: bool(cell.unanswered))
    page.wait_for(lambda: not has_button(page, "Allow once"))
    assert stop_is_hidden(page)
    page.answer_input("y")
    assert "allow once" in cell.result.prompts[0]
    assert "done" in cell.wait().bundle["text/plain"]


def test_page_without_widgets(page: Kernel, api: MessagesAPI) -> None:
    """A page that closes widgets gets the growing answer as text and is asked in words; the next cell opens no widget."""
    page.page = "has no widgets"
    cell = start(page, f"<<say growing>><<wait>>{QUESTION}", answer="y")
    page.wait_for(lambda: "growing" in str(cell.result.displays and cell.result.displays[0]["data"].get("text/plain")))
    assert "growing" in cell.result.displays[0]["data"]["text/plain"]
    api.go_on.set()
    assert "done" in cell.wait().bundle["text/plain"]
    assert cell.result.prompts
    page.sync()
    again = start(page, QUESTION, answer="n").wait()
    assert again.prompts
    assert all(WIDGET not in message["content"].get("data", {}) for message in again.messages)
    panel = page.run("%claude_session")
    assert WIDGET not in panel.bundle


def test_page_that_shows_widgets(page: Kernel, api: MessagesAPI) -> None:
    """Where the page says that it shows them the Stop button is there, and the question has buttons."""
    cell = start(page, QUESTION)
    page.wait_for(lambda: has_button(page, "Allow once"))
    page.wait_for(lambda: not stop_is_hidden(page))
    page.click("Allow once")
    assert "done" in cell.wait().bundle["text/plain"]
    assert not cell.result.prompts
