"""Replies side by side: events and settled replies in, widgets, HTML and text out."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from page import VIEW, Page
from payloads import PAYLOADS
from replies import SESSION, ended, reply, said
from rich.console import Console
from test_hostile import CHROME, Elements, assert_inert_markdown

from claude_magic._render.live.question import ARM_S
from claude_magic._render.live_view import LiveView
from claude_magic._render.settled.comparison import diff_bundle, output_bundle, output_metadata, title
from claude_magic._render.settled.reply import SettledReply
from claude_magic._render.terminal import TerminalView
from claude_magic._render.views import ANSWERING, HeadlessView, StaticView, View
from claude_magic.errors import APIError, ClaudeError, TurnInterrupted
from claude_magic.sdk.events import BlockEnded, Event, SessionStarted, TextDelta
from claude_magic.sdk.host import Decision, PermissionAnswer, PermissionRequest
from claude_magic.sdk.response import SessionAwareResponse, fold

LABELS = ("opus-5-5", "sonnet-5-5")
PICK = "Continue from this one"
OVERLOADED = APIError("The API is overloaded (529).", next_step="Run the cell again in a minute.")
PAIR = (
    SettledReply(said("First class first"), 5, label="opus-5-5"),
    SettledReply(said("Down to your ticket"), 6, label="sonnet-5-5"),
)


class Turns:
    """Two turns on the page at once: each event is folded and painted."""

    def __init__(self, on_stop: Callable[[], None] = lambda: None) -> None:
        self.view = LiveView(LABELS, on_stop)
        self.responses = [SessionAwareResponse() for _ in LABELS]
        for number in (1, 2):
            self.take(number, SessionStarted(SESSION, "claude-opus-5-5"))

    def take(self, number: int, *events: Event) -> None:
        for event in events:
            fold(self.responses[number - 1], event)
            self.view.update(self.responses, 1.0)


pytestmark = pytest.mark.usefixtures("painted_each_time")


def words(html: str) -> str:
    return " ".join(re.sub(r"<[^>]*>", " ", html).split())


def request(call_id: str = "call") -> PermissionRequest:
    return PermissionRequest(call_id, "Bash", {"command": "ls"}, "/data")


def console(*, terminal: bool) -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, force_terminal=terminal, width=80, height=24, color_system=None), out


def test_only_what_stands_above_a_card_is_held_back(page: Page) -> None:
    """A card holds back its own column and those before it, also their ends, as a narrow page stacks the columns."""
    turns = Turns()
    answers: list[PermissionAnswer] = []
    card = PermissionRequest("first", "Bash", {"command": "ls"}, "/data")

    def buttons() -> list[bool]:
        return [button["disabled"] for button in page.buttons("Allow once")]

    def at(elapsed_s: float) -> str:
        turns.view.update(turns.responses, elapsed_s)
        return words(" ".join(page.html()))

    assert turns.view.ask(1, card, answers.append)
    page.see()
    at(1.0)
    at(1.0 + ARM_S)
    turns.take(2, TextDelta(0, "Down to"))
    assert "Down to" in words(" ".join(page.html()))
    assert buttons() == [False]
    assert turns.view.ask(2, request(), answers.append)
    page.see()
    at(3.0)
    at(3.1 + ARM_S)
    assert buttons() == [False, False]
    turns.take(1, TextDelta(0, "First class"), BlockEnded(0), ended("First class"))
    turns.take(2, TextDelta(0, " your ticket"))
    assert not re.search("First class|your ticket", at(4.0))
    page.click(page.buttons("Allow once")[0])
    turns.view.asked(1, card)
    assert buttons() == [True]
    shown = at(5.0)
    assert "First class" in shown
    assert "Down to your ticket" in shown
    at(5.1 + ARM_S)
    assert buttons() == [False]
    turns.view.close()


def test_a_card_of_a_reply_that_has_ended_can_be_answered(page: Page) -> None:
    """A background helper may ask when the answer of its column is complete and another one goes on."""
    turns = Turns()
    turns.take(1, TextDelta(0, "First class"), BlockEnded(0), ended("First class"))
    answers: list[PermissionAnswer] = []
    assert turns.view.ask(1, request(), answers.append)
    page.see()
    turns.view.update(turns.responses, 2.0)
    turns.view.update(turns.responses, 2.1 + ARM_S)
    page.click(page.buttons("Deny")[0])
    assert answers == [PermissionAnswer(Decision.DENY)]
    turns.view.close()


def test_a_card_in_an_earlier_column_disables_those_after_it(page: Page) -> None:
    """On a narrow page a new card moves the columns that follow."""
    turns = Turns()
    assert turns.view.ask(2, request(), lambda _: None)
    page.see()
    turns.view.update(turns.responses, 1.0)
    turns.view.update(turns.responses, 1.0 + ARM_S)
    assert [button["disabled"] for button in page.buttons("Deny")] == [False]
    assert turns.view.ask(1, request("other"), lambda _: None)
    assert [button["disabled"] for button in page.buttons("Deny")] == [True, True]
    turns.view.close()


def test_each_reply_grows_in_its_column(page: Page) -> None:
    """Every reply has its name, its text and its status, and a word for one is not sent to another's widgets."""
    turns = Turns()
    turns.take(1, TextDelta(0, "First class"))
    turns.take(2, TextDelta(0, "Down to"))
    before = len(page.sent())
    turns.take(2, TextDelta(0, " your ticket"))
    assert [words(html) for html in page.sent()[before:]] == ["Down to your ticket"]
    assert [words(html) for html in page.html()] == [
        *("1 · opus-5-5", "First class", "writing", "opus-5-5 1 s"),
        *("2 · sonnet-5-5", "Down to your ticket", "writing", "opus-5-5 1 s"),
    ]
    turns.view.close()


def test_one_stop_for_all(page: Page) -> None:
    """There is one button that stops all, and the next update shows that it was clicked."""
    stopped: list[bool] = []
    turns = Turns(lambda: stopped.append(True))
    (button,) = page.buttons("Stop all")
    page.click(button)
    assert stopped == [True]
    turns.take(1, TextDelta(0, "On."))
    assert page.buttons("Stop all")[0]["disabled"] is True
    turns.view.close()


def test_one_that_has_ended_says_so(page: Page) -> None:
    """Under a reply that has ended stands what it came to, while the other one goes on."""
    turns = Turns()
    turns.take(1, TextDelta(0, "First"), BlockEnded(0), ended("First"))
    turns.take(2, TextDelta(0, "Down"))
    assert [words(html) for html in page.html()][2] == "opus-5-5 6.2 s 1,840 in · 212 out $ 0.021"
    assert "writing" in words(page.html()[5])
    turns.view.close()


def test_one_that_failed_says_so(page: Page) -> None:
    """Under a reply that failed stands why, and what to do; the other one goes on."""
    turns = Turns()
    turns.view.fail(1, OVERLOADED)
    turns.take(2, TextDelta(0, "Down"))
    assert "APIError The API is overloaded (529). Run the cell again in a minute." in words(page.html()[1])
    assert words(page.html()[3]) == "Down"
    turns.view.close()


def test_a_question_stands_under_its_reply(page: Page) -> None:
    """A permission is asked in the column of the reply that needs it, and taken away from there."""
    turns = Turns()
    assert turns.view.ask(2, request(), lambda _: None)
    turns.view.update(turns.responses, 1.0)
    values = [words(html) for html in page.html()]
    assert values.index("2 · sonnet-5-5") < next(n for n, value in enumerate(values) if "Claude asks" in value)
    assert "waiting for you" in values[-2]
    assert "waiting for you" not in values[1]
    turns.view.asked(2, request())
    assert not page.buttons("Allow once")
    turns.view.ask(1, request(), lambda _: None)
    turns.view.close()


def test_settling_without_a_choice(page: Page) -> None:
    """Settling puts the plain table in the place of the widgets first, and then closes all of them."""
    turns = Turns()
    turns.take(1, TextDelta(0, "First"))
    open_before, sent_before = len(page.models), len(page.messages)
    turns.view.settle(PAIR, current=1, on_pick=None)
    first, *_, last = page.outputs
    assert last.transient == first.transient
    assert set(last.data) == {"text/html", "text/markdown", "text/plain"}
    assert [kind for kind, _, _ in page.messages[sent_before:]] == ["comm_msg", *["comm_close"] * open_before]
    shown = len(page.outputs)
    turns.view.update(turns.responses, 9.0)
    turns.view.settle(PAIR, current=2, on_pick=None)
    turns.view.close()
    assert len(page.outputs) == shown


def test_settling_shows_before_it_closes(page: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    """The settled table is on the page while the growing replies still are, so the cell is never empty."""
    turns = Turns()
    open_at_update: list[bool] = []
    show = turns.view._handle.show
    live = page.outputs[-1].data[VIEW]["model_id"]
    monkeypatch.setattr(turns.view._handle, "show", lambda *a, **k: (open_at_update.append(live in page.models), show(*a, **k)))
    turns.view.settle(PAIR, current=1, on_pick=lambda _: None)
    assert open_at_update == [True, True]
    assert live not in page.models
    # JupyterLab hides an output that goes from one widget's view to another's: there is plain HTML between the two.
    assert [VIEW in output.data for output in page.outputs[1:]] == [True, False, True]
    turns.view.close()


def test_picking_another_one(page: Page) -> None:
    """Each reply but the current one has a button that names it; a click hands over its number, and it becomes current."""
    picked: list[int] = []
    turns = Turns()
    turns.view.settle(PAIR, current=1, on_pick=picked.append)
    assert {"text/html", "text/markdown", "text/plain", VIEW} == set(page.outputs[-1].data)
    (button,) = page.buttons(PICK)
    assert button["tooltip"] == "Continue from 2 · sonnet-5-5"
    page.click(button)
    assert picked == [2]
    before, outputs = len(page.models), len(page.outputs)
    turns.view.show_current(2)
    (button,) = page.buttons(PICK)
    assert button["tooltip"] == "Continue from 1 · opus-5-5"
    assert [words(html) for html in page.html()][::2] == ["1 · opus-5-5", "2 · sonnet-5-5 current"]
    assert (len(page.models), len(page.outputs)) == (before, outputs)
    turns.view.close()
    turns.view.close()
    assert VIEW not in page.outputs[-1].data
    assert page.outputs[-1].metadata["claude_magic"]["turn"] == 6
    assert not page.models


def test_current_is_marked_in_what_stays(page: Page) -> None:
    """Also the plain table can be told that another one is current, with one update of the same display."""
    for view in (LiveView(LABELS, lambda: None), StaticView()):
        view.settle(PAIR, current=1, on_pick=None)
        view.show_current(2)
        assert page.outputs[-1].metadata["claude_magic"]["turn"] == 6
        assert page.outputs[-1].transient == page.outputs[-2].transient
        assert "2 · sonnet-5-5 (current)" in page.outputs[-1].data["text/plain"]


def test_one_that_failed_cannot_be_picked(page: Page) -> None:
    """There is no button to continue from a reply that failed, and one for a reply that was stopped."""
    failed = replace(PAIR[1], failure=OVERLOADED)
    stopped = SettledReply(reply(TextDelta(0, "We begin")), 7, TurnInterrupted("Stopped."), label="haiku-5")
    view = LiveView(["a", "b", "c"], lambda: None)
    view.settle([PAIR[0], failed, stopped], current=1, on_pick=lambda _: None)
    assert [button["tooltip"] for button in page.buttons(PICK)] == ["Continue from 3 · haiku-5"]
    view.close()


def test_closing_without_settling(page: Page) -> None:
    """Closing leaves no widget open, however often it is called."""
    turns = Turns()
    turns.take(1, TextDelta(0, "Text."))
    turns.view.show_current(2)
    turns.view.close()
    turns.view.close()
    assert not page.models
    assert len(page.outputs) == 3
    assert page.outputs[-1].data == {"text/plain": "No prompt was sent."}


def test_a_failure_leaves_the_others(page: Page) -> None:
    """What stays holds the replies that came, and of the one that did not come why."""
    bundle = output_bundle([replace(PAIR[0], response=reply(), failure=OVERLOADED), PAIR[1]], 2)
    for form in bundle.values():
        assert "Down to your ticket" in words(form)
        assert "APIError" in form
        assert "Run the cell again in a minute" in form


def test_plain_text() -> None:
    """The text is one reply after the other, each below its name; one that was stopped says so."""
    stopped = SettledReply(reply(TextDelta(0, "We begin with")), 7, TurnInterrupted("Stopped."), label="haiku-5")
    assert output_bundle([PAIR[0], stopped], 1)["text/plain"].splitlines() == [
        *("1 · opus-5-5 (current)", "──────────────────────", "", "First class first", ""),
        *("turn 5 · opus-5-5 · 6.2 s · 1,840 in · 212 out · $0.021", "", ""),
        *("2 · haiku-5", "───────────", "", "We begin with", ""),
        *("Interrupted. What had arrived is above.", "", "turn 7 · opus-5-5"),
    ]


def test_html_reads_without_its_style() -> None:
    """Without the style each reply stands below a heading of its own."""
    html = output_bundle(PAIR, 1)["text/html"]
    assert re.findall(r"<h4[^>]*>(.*?)</h4>", html) == ["1 · opus-5-5", "2 · sonnet-5-5"]
    assert words(html).startswith("1 · opus-5-5 current First class first turn 5 ")


def test_metadata() -> None:
    """The notebook keeps the current turn as if it had been alone, and each of the turns beside it."""
    about = output_metadata(PAIR, 2)["claude_magic"]
    assert (about["turn"], about["session_id"]) == (6, SESSION)
    assert [each["turn"] for each in about["alternatives"]] == [5, 6]
    assert {key for key in about if key != "alternatives"} == set(about["alternatives"][0])


def test_what_stays_is_private() -> None:
    """No credential is in what a notebook keeps, whether a reply, a label or an error said it."""
    secret = "sk-ant-api03-" + "a1B2" * 12
    kept = [SettledReply(said(f"key {secret}"), 1, APIError(secret), label=secret)] * 2
    for bundle in (output_bundle(kept, 1), diff_bundle(kept[0], SettledReply(said(secret + " and more"), 2, label="b"))):
        assert not any(secret in form for form in bundle.values())


@pytest.mark.parametrize("evil", PAYLOADS)
def test_hostile_text_is_text(evil: str) -> None:
    """What a model, a label or an error says is shown, in every form that a notebook keeps."""
    one = SettledReply(said(evil), 1, APIError(evil, next_step=evil), label=evil)
    for bundle in (output_bundle([one, one], 1), diff_bundle(one, SettledReply(said(f"{evil}\nmore"), 2, label=evil))):
        assert Elements(bundle["text/html"], CHROME).refused == []
        assert_inert_markdown(bundle["text/markdown"])
        assert not set(bundle["text/plain"]) & set(map(chr, (*range(9), *range(11, 32), *range(127, 160))))


def test_hostile_labels_in_widgets(page: Page) -> None:
    """Labels and errors are escaped where widgets show them, too."""
    evil = "<img src=x onerror=alert(1)>"
    view = LiveView([evil, evil], lambda: None)
    view.fail(1, APIError(evil))
    view.update([said(evil), said(evil)], 1.0)
    view.settle([SettledReply(said(evil), 1, label=evil), SettledReply(said(evil), 2, label=evil)], current=1, on_pick=print)
    assert not any("<img" in value for value in page.sent())
    view.close()


def test_difference() -> None:
    """A difference is a unified diff of what the replies say, by line; equal ones say that they are."""
    first, second = said("One\nTwo\nThree"), said("One\n2\nThree")
    bundle = diff_bundle(SettledReply(first, 1, label="opus"), SettledReply(second, 2, label="sonnet"))
    assert bundle["text/plain"].splitlines() == ["--- opus", "+++ sonnet", "@@ -1,3 +1,3 @@", " One", "-Two", "+2", " Three"]
    assert '">-Two</span>' in bundle["text/html"]
    assert bundle["text/markdown"].startswith("```diff\n--- opus")
    same = diff_bundle(SettledReply(first, 1, label="opus"), SettledReply(first, 2, label="sonnet"))
    shown = {words(form) for form in same.values()}
    assert shown == {"Both say the same, word for word."}


@pytest.mark.parametrize("terminal", [True, False])
def test_terminal(terminal: bool) -> None:
    """In a terminal one line says how many have ended, and all replies are printed when they have."""
    screen, out = console(terminal=terminal)
    view = TerminalView(LABELS, screen)
    view.fail(1, OVERLOADED)
    view.update([reply(), said("Done")], 3.0)
    assert not view.ask(1, request(), lambda _: None)
    view.update([reply(), reply()], 4.0)
    view.settle([replace(PAIR[0], failure=OVERLOADED), PAIR[1]], current=2, on_pick=print)
    view.show_current(1)
    view.close()
    lines = [line.strip() for line in re.sub(r"\x1b\[[^a-zA-Z]*[a-zA-Z]", "", out.getvalue()).splitlines() if line.strip()]
    assert any("2 of 2 ended  3 s" in line for line in lines) == terminal
    rest = lines[lines.index("1 · opus-5-5") :] if "1 · opus-5-5" in lines else lines[-9:]
    assert "APIError: The API is overloaded (529)." in rest
    assert rest[-4:-2] == ["2 · sonnet-5-5 (current)", "Down to your ticket"]
    assert rest[-1] == "%claude_session pick NUMBER continues from another one."


def test_views_without_widgets(page: Page) -> None:
    """Where nobody watches, the table alone is shown; a quiet cell shows nothing; neither leaves a widget."""
    views = [View(), StaticView()]
    for view in views:
        view.update([reply(), reply()], 1.0)
        view.fail(1, ClaudeError("x"))
        assert not view.ask(1, request(), lambda _: None)
        view.asked(1, request())
        view.show_current(2)
        view.settle(PAIR, current=1, on_pick=None)
        view.close()
    begun, settled = page.outputs
    assert begun.data == ANSWERING
    assert settled.data == output_bundle(PAIR, 1)


def test_a_sample_says_its_number_once() -> None:
    """The number of a sample is its name; a model has its number before it."""
    assert title(2, "sample 2") == "sample 2"
    assert title(2, "opus, sample 1") == "2 · opus, sample 1"


@pytest.mark.parametrize("runs_code", [False, True])
def test_nobody_but_a_log(page: Page, runs_code: bool) -> None:
    """Headless the settled reply is the only display, unless Claude's code may print: then it stands above that."""
    view = HeadlessView(contextlib.nullcontext)
    view.update([reply(TextDelta(0, "I will see."))], 1.0)
    if runs_code:
        view.make_room()
        view.make_room()
    view.settle([PAIR[0]], current=1, on_pick=None)
    view.close()
    *begun, settled = page.outputs
    assert [output.data for output in begun] == ([{"text/plain": "I will see."}] if runs_code else [])
    assert settled.data["text/plain"].startswith("First class first")
    silent = HeadlessView(contextlib.nullcontext)
    silent.close()
    assert len(page.outputs) == 1 + runs_code
