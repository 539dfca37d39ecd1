"""The live view: widgets in, widgets out."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from page import VIEW, Page
from replies import SESSION, ended

from claude_magic._render.live import live_reply
from claude_magic._render.live.growing_text import GrowingText
from claude_magic._render.live.live_reply import PAGE_SIZE
from claude_magic._render.live_view import MOMENT_S, LiveView
from claude_magic._render.parts.markdown_html import text_html
from claude_magic._render.settled.reply import SettledReply
from claude_magic.errors import TurnInterrupted
from claude_magic.sdk.events import (
    BlockEnded,
    BlocksDiscarded,
    Event,
    Notice,
    Retrying,
    SessionStarted,
    TextDelta,
    ThinkingDelta,
    ToolCalled,
    ToolReturned,
    ToolStarted,
)
from claude_magic.sdk.host import PermissionRequest
from claude_magic.sdk.response import SessionAwareResponse, Text, fold

pytestmark = pytest.mark.usefixtures("painted_each_time")

PARAGRAPH = "Two columns have gaps: `age` (177 of 891) and `cabin` (687 of 891). Nothing else has to be done.\n\n"


class Turn:
    """A turn on the page: each event is folded and painted at once."""

    def __init__(self, on_stop: Callable[[], None] = lambda: None, *, began_s: float = 1.0) -> None:
        self.view = LiveView(["opus"], on_stop)
        self.response = SessionAwareResponse()
        self.take(SessionStarted(SESSION, "claude-opus-5-5"), elapsed_s=began_s)

    def take(self, *events: Event, elapsed_s: float = 1.0) -> None:
        for event in events:
            fold(self.response, event)
            self.view.update([self.response], elapsed_s)


def deltas(text: str, size: int, block: int = 0) -> Iterable[Event]:
    return (TextDelta(block, text[start : start + size]) for start in range(0, len(text), size))


def words(html: str) -> str:
    """What one reads of the HTML, without spaces."""
    return re.sub(r"<[^>]*>|\s", "", html)


def test_displayed_at_once(page: Page) -> None:
    """A view is on the page as soon as it is made: a line at first, widgets when it takes longer than a moment."""
    turn = Turn(began_s=MOMENT_S / 2)
    (first,) = page.outputs
    assert not page.messages
    assert words(first.data["text/html"]) == "●starting"
    turn.take(TextDelta(0, "Text."), elapsed_s=MOMENT_S)
    output = page.outputs[-1]
    assert (output.update, output.transient) == (True, first.transient)
    assert "text/html" not in output.data
    assert output.data["text/plain"] == "Claude is answering…"
    assert output.data[VIEW]["model_id"] in page.models
    assert page.buttons("Stop")[0]["tooltip"]
    assert page.buttons("Stop")[0]["tabbable"] is None  # as the browser has it: a button is
    _, status, figures = page.html()
    assert 'role="status" aria-live="polite"' in status
    assert words(figures) == "opus-5-5<1s".replace("<", "&lt;")
    (slot,) = [model for model in page.shown() if "claude-slot" in model.get("_dom_classes", ())]
    assert slot["children"] == []
    turn.view.close()


def test_finished_blocks_are_left_alone(page: Page) -> None:
    """Only the block that grows is sent again; one that is complete never is."""
    turn = Turn()
    turn.take(TextDelta(0, "First."), BlockEnded(0), TextDelta(1, "Sec"))
    before = len(page.sent())
    turn.take(TextDelta(1, "ond"), TextDelta(1, "."))
    assert [words(value) for value in page.sent()[before:]] == ["Second", "Second."]
    assert [words(value) for value in page.html()[:2]] == ["First.", "Second."]
    turn.view.close()


def test_nothing_new_sends_nothing(page: Page) -> None:
    """An update without news sends nothing, and one second later the time alone."""
    turn = Turn()
    turn.take(TextDelta(0, "Text."), ToolCalled(1, "call", "Bash", {"command": "ls"}))
    before = len(page.messages)
    turn.view.update([turn.response], 1.4)
    assert len(page.messages) == before
    turn.view.update([turn.response], 2.4)
    (message,) = page.messages[before:]
    assert words(message[2]["state"]["value"]) == "opus-5-52s"
    turn.view.close()


def test_tool_line_changes_with_its_state_only(page: Page) -> None:
    """A tool call is rendered when it starts, when its input is known and when it has a result, so an open fold stays open."""
    turn = Turn()
    before = len(page.sent())
    turn.take(ToolStarted(0, "call", "Bash"))
    turn.take(ToolCalled(0, "call", "Bash", {"command": "ls"}))
    turn.take(*deltas("Meanwhile I write something else.", 3, block=1))
    turn.take(ToolReturned("call", "a.py", duration_s=0.1))
    assert sum("</summary>" in value for value in page.sent()[before:]) == 3
    assert "✓" in page.html()[0]
    turn.view.close()


def folds(page: Page) -> list[dict[str, Any]]:
    """List the buttons that unfold something, from top to bottom."""
    return [model for model in page.shown() if model["_model_name"] == "ToggleButtonModel"]


def test_thoughts_can_be_read_while_they_are_thought(page: Page) -> None:
    """Thoughts are sent when somebody has unfolded them, as they grow, and when they are complete."""
    turn = Turn()
    before = len(page.sent())
    turn.take(*(ThinkingDelta(0, "a thought ") for _ in range(50)))
    assert len([value for value in page.sent()[before:] if "</summary>" in value]) == 1
    assert "a thought" not in page.html()[0]
    (fold,) = folds(page)
    page.change(fold, value=True)
    for number in (1, 2):
        turn.take(ThinkingDelta(0, f"and number {number} "))
        assert f"a thought and number 1 {'and number 2' if number == 2 else ''}".strip() in page.html()[0]
    turn.take(BlockEnded(0, 3.0))
    assert "Thought for 3 s" in page.html()[0]
    assert "and number 2" in page.html()[0]
    turn.view.close()


def test_what_is_unfolded_stays_so(page: Page) -> None:
    """A fold that somebody has opened stays open when its call ends, and when the turn settles; the others stay closed."""
    turn = Turn()
    turn.take(*(ToolCalled(number, f"call{number}", "Bash", {"command": f"ls {number}"}) for number in range(3)))
    page.change(folds(page)[1], value=True)
    turn.take(*(ToolReturned(f"call{number}", "a.py") for number in range(3)), ended("Done."))
    assert [fold["value"] for fold in folds(page)] == [False, True, False]
    turn.view.settle([SettledReply(turn.response, 1)], current=1, on_pick=None)
    found = re.findall(r"<details[^>]*?( open)?><summary>.*?<code>(.*?)</code>", page.outputs[-1].data["text/html"])
    assert found == [("", "ls 0"), (" open", "ls 1"), ("", "ls 2")]


def test_a_call_that_waits_for_somebody_says_so(page: Page) -> None:
    """The line of a call says that it waits for an answer, for as long as it does; the others run."""
    turn = Turn()
    turn.take(*(ToolCalled(number, f"call{number}", "Bash", {"command": "ls"}) for number in range(2)))
    asked = PermissionRequest("call1", "Bash", {"command": "ls"}, "/data")
    turn.view.ask(1, asked, lambda _: None)
    turn.view.update([turn.response], 1.0)
    assert ["waiting for you" in value for value in page.html()[:2]] == [False, True]
    turn.view.asked(1, asked)
    turn.view.update([turn.response], 1.0)
    assert ["running…" in value for value in page.html()[:2]] == [True, True]
    turn.view.close()


def test_a_growing_text_is_painted_a_few_times_a_second(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    """However often there is more of a text, the page gets it a few times a second, and its end at once."""
    monkeypatch.setattr(live_reply, "PAINT_EVERY_S", 0.2)
    turn = Turn()
    before = len(page.sent())
    for number in range(60):
        turn.take(TextDelta(0, f"word{number} "), elapsed_s=1 + number * 0.05)
    turn.take(BlockEnded(0), elapsed_s=3.99)
    assert 14 <= sum("word0" in value for value in page.sent()[before:]) <= 17
    assert "word59" in page.html()[0]
    turn.view.close()


def test_what_code_has_shown_stands_between(page: Page) -> None:
    """What comes behind code that has shown something gets a display of its own, below: together they are the reply."""
    turn = Turn()
    turn.take(TextDelta(0, "Before."), BlockEnded(0), ToolCalled(1, "call", "mcp__kernel__run_code", {"code": "print(1)"}))
    page.change(folds(page)[0], value=True)
    turn.view.go_on_below(turn.response)
    turn.take(Notice("A remark."))
    assert len({output.transient["display_id"] for output in page.outputs}) == 1
    turn.take(ToolReturned("call", "1"))
    above = page.outputs[-2]
    assert "Before." in above.data["text/plain"]
    assert "A remark." in above.data["text/plain"]
    assert re.search(r"<details[^>]* open>", above.data["text/html"])
    assert not above.metadata
    assert page.outputs[-1].transient != above.transient
    assert not page.outputs[-1].update
    turn.take(TextDelta(2, "After."), BlockEnded(2), elapsed_s=3.0)
    assert [words(value) for value in page.html()[:1]] == ["After."]
    turn.take(ended("After."), elapsed_s=3.0)
    turn.view.settle([SettledReply(turn.response, 3)], current=1, on_pick=None)
    last = page.outputs[-1]
    assert "Before." not in last.data["text/plain"]
    assert last.data["text/plain"].startswith("After.\n\nturn 3")
    assert last.metadata["claude_magic"]["turn"] == 3
    turn.view.show_again()
    assert page.outputs[-1].data["text/plain"].index("Before.") < page.outputs[-1].data["text/plain"].index("After.")


def test_a_reply_that_begins_with_code(page: Page) -> None:
    """Nothing of what stands above is said once more below, also where the reply begins with code."""
    turn = Turn()
    turn.take(ToolCalled(0, "call", "mcp__kernel__run_code", {"code": "print(1)"}))
    turn.view.go_on_below(turn.response)
    turn.take(ToolReturned("call", "1"), TextDelta(1, "After."), BlockEnded(1), ended("After."))
    turn.view.settle([SettledReply(turn.response, 3)], current=1, on_pick=None)
    assert page.outputs[-1].data["text/plain"].startswith("After.\n\nturn 3")


@pytest.mark.parametrize("complete", [False, True])
def test_stopped_behind_code(page: Page, *, complete: bool) -> None:
    """A turn that ends behind code that has shown something, with nothing more to say, leaves its footer below."""
    turn = Turn()
    turn.take(TextDelta(0, "Before."), BlockEnded(0), ToolCalled(1, "call", "mcp__kernel__run_code", {"code": "print(1)"}))
    turn.view.go_on_below(turn.response)
    if complete:
        turn.take(ToolReturned("call", "1"))
    turn.view.settle([SettledReply(turn.response, 3, TurnInterrupted("Interrupted."))], current=1, on_pick=None)
    assert "Interrupted" in page.outputs[-1].data["text/plain"]
    above = next(output for output in reversed(page.outputs) if output.transient != page.outputs[-1].transient)
    assert "Before." in above.data["text/plain"]
    assert ("stopped" in above.data["text/plain"]) is not complete


def test_discarded_blocks_vanish(page: Page) -> None:
    """Blocks that did not survive are taken off the page with their widgets, and others may take their place."""
    turn = Turn()
    turn.take(ToolCalled(0, "call", "Bash", {"command": "ls"}), TextDelta(1, "Kept."), BlockEnded(1))
    kept = len(page.models)
    turn.take(*deltas(PARAGRAPH * 200, 200, block=2), BlockEnded(2), ToolCalled(3, "other", "Bash", {"command": "ls"}))
    assert len(page.models) > kept + PAGE_SIZE
    turn.take(BlocksDiscarded(2))
    assert words(page.html()[1]) == "Kept."
    assert len(page.html()) == 4
    assert len(page.models) == kept
    turn.take(TextDelta(2, "Another."))
    assert words(page.html()[2]) == "Another."
    turn.view.close()


def test_all_text_is_there_in_order(page: Page) -> None:
    """However a text is cut into pieces, what is on the page reads as the settled reply does."""
    text = PARAGRAPH * 20 + "- one\n- two\n\n```python\n" + "x = 1\n\nif x:\n    y = 2\n" * 300 + "```\n\n" + PARAGRAPH * 3
    turn = Turn()
    turn.take(TextDelta(0, "Before."), BlockEnded(0), ToolCalled(1, "call", "Bash", {"command": "ls"}))
    turn.take(*deltas(text, 37, block=2), BlockEnded(2))
    pieces = page.html()[2:-2]
    assert len(pieces) > 6
    assert words("".join(pieces)) == words(text_html(text))
    turn.view.close()


def test_a_notice_does_not_break_a_text(page: Page) -> None:
    """A text that goes on growing above a notice stays above it, whole."""
    turn = Turn()
    turn.take(*deltas(PARAGRAPH * 9, 50), Notice("A remark."))
    turn.take(*deltas(PARAGRAPH * 30, 50), BlockEnded(0))
    assert words("".join(page.html()[:-2])) == words(text_html(PARAGRAPH * 39)) + "Aremark."
    turn.view.close()


def painted(text: str, size: int) -> tuple[int, int]:
    """Return the characters of HTML rendered for a text that grows by `size`, and the number of its pieces."""
    block = Text(0)
    growing, rendered, pieces = GrowingText(block), 0, 1
    for event in deltas(text, size):
        assert isinstance(event, TextDelta)
        block.growing.add(event.text)
        if growth := growing.advance(0.0):
            rendered += len(growth.tail) + sum(map(len, growth.finished))
            pieces += len(growth.finished)
    return rendered, pieces


@pytest.mark.long
@pytest.mark.parametrize(
    "text",
    [
        pytest.param(PARAGRAPH * 2600, id="paragraphs"),
        pytest.param("```python\n" + "value = transform(value, 10)\n" * 9000, id="one fence"),
        pytest.param("- an item of a list that does not end\n" * 6500, id="one list"),
        pytest.param("word " * 50_000, id="one line"),
        pytest.param("```\n" + "word " * 50_000, id="a fence of one line"),
    ],
)
def test_cost_grows_with_the_text(text: str) -> None:
    """Five times the text costs at most about five times the rendering, whatever the text is."""
    (small, _), (large, pieces) = painted(text[:12_000], 100), painted(text[:60_000], 100)
    assert large < 6 * small
    assert large < 100 * 60_000
    assert pieces <= 70


def test_a_pause_shows_what_is_there(page: Page) -> None:
    """A long text that is painted seldom is painted once more when it stops growing for a moment."""
    turn = Turn()
    turn.take(*deltas("word " * 40_000, 100))
    turn.take(TextDelta(0, "the end"), elapsed_s=1.1)
    assert "the end" not in page.html()[0]
    turn.view.update([turn.response], 1.2)
    assert "the end" not in page.html()[0]
    turn.view.update([turn.response], 1.7)
    assert "the end" in page.html()[0]
    turn.view.close()


def test_fence_is_cut_between_its_lines(page: Page) -> None:
    """A long fence becomes pieces that say how they join; what follows it is no code."""
    turn = Turn()
    turn.take(*deltas("````python\n" + "x = 1\n```\n" * 400 + "````\n\n*After.*\n", 20), BlockEnded(0))
    first, *pieces = page.html()[:-2]
    assert 'class="claude-text claude-open"' in first
    *middle, last = [piece for piece in pieces if "claude-continued" in piece]
    assert middle
    assert all('class="claude-text claude-continued claude-open"' in piece for piece in middle)
    assert 'class="claude-text claude-continued"' in last
    assert "<em>After.</em>" in pieces[-1]
    turn.view.close()


def test_formulas_wait(page: Page) -> None:
    """Formulas are kept from MathJax in a text that grows, and handed to it when it is complete."""
    turn = Turn()
    turn.take(TextDelta(0, "So $x^2$ grows"))
    assert "mathjax_ignore" in page.html()[0]
    turn.take(BlockEnded(0))
    assert "mathjax_ignore" not in page.html()[0]
    assert r"\(x^2\)" in page.html()[0]
    turn.view.close()


def test_model_text_is_escaped(page: Page) -> None:
    """HTML that a model, a tool or the API wrote is shown, not obeyed."""
    evil = "<img src=x onerror=alert(1)>"
    turn = Turn()
    turn.take(TextDelta(0, evil), ToolCalled(1, "call", evil, {"command": evil}), ToolReturned("call", evil), Notice(evil))
    turn.take(Retrying(1, 10, 2.0, 529, evil))
    assert not any("<img" in value for value in page.sent())
    turn.view.close()


def test_retry_is_a_warning(page: Page) -> None:
    """A retry is told in the status line, in the colour of a warning, until the reply goes on."""
    turn = Turn()
    turn.take(Retrying(2, 10, 4.0, 529, "overloaded_error"))
    assert "claude-retrying" in page.html()[-2]
    assert "Retrying (2 of 10) in 4 s: overloaded (529)" in page.html()[-2]
    turn.take(TextDelta(0, "On."))
    assert "claude-retrying" not in page.html()[-2]
    turn.view.close()


def test_stop(page: Page) -> None:
    """A click on Stop calls back, and the next update shows that it was taken."""
    stopped: list[bool] = []
    turn = Turn(lambda: stopped.append(True))
    page.click(page.buttons("Stop")[0])
    assert stopped == [True]
    turn.view.update([turn.response], 2.0)
    assert page.buttons("Stop")[0]["disabled"] is True
    turn.view.close()


def test_room_for_words_and_code(page: Page) -> None:
    """Before a question in words, or code that may run for long, all that there is to read is shown; not when it is over."""
    turn = Turn(began_s=0.0)
    turn.take(TextDelta(0, "Before."), elapsed_s=MOMENT_S / 2)
    turn.view.make_room()
    assert VIEW in page.outputs[-1].data
    assert "Before." in words("".join(page.html()))
    fold(turn.response, ended("Before."))
    turn.view.settle([SettledReply(turn.response, 1)], current=1, on_pick=None)
    turn.view.make_room()
    assert not page.models


def test_signs_count_from_the_widgets(page: Page) -> None:
    """Nothing is known of a page before it is to show widgets; one that refuses them then gets the answer as text."""
    refused: list[bool] = []
    view, response = LiveView(["opus"], lambda: None, lambda: refused.append(True)), SessionAwareResponse()
    assert view.may_hear()
    fold(response, TextDelta(0, "Text."))
    view.update([response], MOMENT_S)
    assert view.may_hear()
    page.refuse()
    assert refused
    assert not view.may_hear()
    assert not view.ask(1, PermissionRequest("call", "Bash", {"command": "ls"}, "/data"), lambda _: None)
    view.update([response], 2 * MOMENT_S)
    assert set(page.outputs[-1].data) == {"text/plain"}
    assert "Text." in page.outputs[-1].data["text/plain"]
    view.close()


def test_settling(page: Page) -> None:
    """Settling puts the plain output in the place of the view first, and then leaves no model open."""
    turn = Turn()
    turn.take(*deltas(PARAGRAPH * 60, 100), BlockEnded(0), ended("Done."))
    assert turn.view.ask(1, PermissionRequest("call", "Bash", {"command": "ls"}, "/data"), lambda _: None)
    open_before, sent_before = len(page.models), len(page.messages)
    turn.view.settle([SettledReply(turn.response, 3)], current=1, on_pick=print)
    first, *_, last = page.outputs
    assert last.update
    assert last.transient == first.transient
    assert set(last.data) == {"text/html", "text/markdown", "text/plain"}
    assert last.metadata["claude_magic"]["turn"] == 3
    # The box of the reply and that of its card report no longer.
    assert [kind for kind, _, _ in page.messages[sent_before:]] == [*["comm_msg"] * 2, *["comm_close"] * open_before]
    turn.view.close()
    shown = len(page.outputs)
    turn.view.update([turn.response], 9.0)
    assert len(page.outputs) == shown


def test_settling_a_failure(page: Page) -> None:
    """A turn that was stopped keeps what had arrived, and says so."""
    turn = Turn()
    turn.take(TextDelta(0, "We begin with"))
    stopped = SettledReply(turn.response, 6, TurnInterrupted("Interrupted."))
    turn.view.settle([stopped], current=1, on_pick=None)
    assert "We begin with" in page.outputs[-1].data["text/plain"]
    assert "Interrupted" in page.outputs[-1].data["text/plain"]


def test_closing_without_settling(page: Page) -> None:
    """Closing leaves no model open, however often it is called."""
    turn = Turn()
    turn.take(TextDelta(0, "Text."), BlocksDiscarded(0), ToolStarted(0, "call", "Bash"))
    turn.view.close()
    turn.view.close()
    assert not page.models
