"""A reply in a terminal."""

from __future__ import annotations

import io
import re
import threading

from replies import reply, said
from rich.console import Console

from claude_magic._render.settled.reply import SettledReply
from claude_magic._render.terminal import TerminalView
from claude_magic.errors import APIError, CassetteMismatchError, SessionNotFoundError, TurnInterrupted
from claude_magic.sdk.events import BlockEnded, Event, Notice, Retrying, SessionStarted, TextDelta, ToolCalled, ToolReturned
from claude_magic.sdk.response import SessionAwareResponse, fold


def console(*, terminal: bool) -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, force_terminal=terminal, width=80, height=24, color_system=None), out


def streamed(events: list[Event], *, terminal: bool) -> str:
    screen, out = console(terminal=terminal)
    view, response = TerminalView([""], screen), SessionAwareResponse()
    for event in events:
        fold(response, event)
        view.update([response], 1.0)
    view.settle([SettledReply(response, 1)], current=1, on_pick=None)
    view.close()
    return out.getvalue()


def test_finished_blocks_are_printed_once() -> None:
    """Where output is no terminal, everything is printed once, in order, and no status."""
    events: list[Event] = [SessionStarted("681fea2c", "claude-opus-5-5"), ToolCalled(0, "1", "Bash", {"command": "ls"})]
    events += [ToolReturned("1", "a.py", duration_s=0.1), Notice("A remark.")]
    events += [TextDelta(1, piece) for piece in ("One ", "para.\n\n", "Two ", "para.\n\nThr", "ee.")]
    text = streamed([*events, BlockEnded(1)], terminal=False)
    assert [line.strip() for line in text.splitlines() if line.strip()] == [
        "Bash  ls  ✓ 0.1 s",
        "A remark.",
        "One para.",
        "Two para.",
        "Three.",
        "turn 1  opus-5-5  681fea2c",
    ]


def test_only_the_growing_end_is_drawn_again() -> None:
    """A terminal gets each finished paragraph once more at most, however long the reply grows."""
    paragraphs = [f"paragraph {number}.\n\n" for number in range(200)]
    text = streamed([SessionStarted("s"), *(TextDelta(0, paragraph) for paragraph in paragraphs)], terminal=True)
    assert text.count("paragraph 0.") <= 3
    assert len(text) < 200 * 1000


def test_control_sequences_never_reach_the_terminal() -> None:
    """What a model or a tool says cannot steer the terminal, nor by an entity; raw HTML is shown as written."""
    hostile = "\x1b]0;pwn\x07\x1b[2J\x9b2J&#27;[2J&#155;2J <u>bold</u> [a](https://x.example) ![b](https://y.example)"
    events: list[Event] = [SessionStarted("s"), ToolCalled(0, "1", hostile, {hostile: hostile}), ToolReturned("1", hostile)]
    text = streamed([*events, Notice(hostile), TextDelta(1, hostile)], terminal=False)
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", text)
    assert "pwn" not in text
    assert "<u>bold</u> a (https://x.example) b (https://y.example)" in text


def test_nothing_else_steers_the_terminal_either() -> None:
    """Nor do names, errors, what to do next, the status line, footers, or what is kept of a reply as plain text."""
    hostile = "\x1b]0;pwn\x07\x1b[2J\x9b2J [red]x[/red] [y]"
    screen, out = console(terminal=True)
    view = TerminalView([hostile, hostile], screen)
    error = APIError(hostile, next_step=hostile, stderr=hostile, status=500)
    responses = [reply(SessionStarted(hostile, hostile), Notice(hostile), TextDelta(0, hostile)) for _ in range(2)]
    view.update(responses, 1.0)
    view.fail(2, error)
    settled = [SettledReply(responses[0], 1, note=hostile, label=hostile), SettledReply(responses[1], 2, error, label=hostile)]
    view.settle(settled, current=1, on_pick=None)
    one = TerminalView([""], screen)
    one.update([reply(SessionStarted(hostile, hostile), Retrying(1, 10, 1.0, 529, hostile))], 1.0)
    one.settle([settled[0]], current=1, on_pick=None)
    drawn = re.sub(r"\x1b\[(?:\?25[lh]|[12]?[AK])|\r", "", out.getvalue())  # what rich itself sends
    for shown in (drawn, str(error), error.message, "".join(error._render_traceback_()[1:])):
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", shown)
        assert "pwn" not in shown
        assert "[red]x[/red] [y]" in shown
    mismatch = CassetteMismatchError("It holds no such prompt.", diff=f"-{hostile}")
    assert "\x1b" not in str(mismatch)


def test_errors_in_reading_order() -> None:
    """What turns a text around is spelled out in errors, in what to do next, in stderr and in a difference."""
    hostile, seen = "hid\u202eden", r"hid\u202eden"
    failure = APIError(hostile, next_step=hostile, stderr=hostile)
    mismatch = CassetteMismatchError(hostile, next_step=hostile, diff=f"-{hostile}\u200b\x1b[2J\n+hidden")
    assert str(failure) == f"{seen}\n{seen}\nstderr of the CLI:\n{seen}"
    assert str(mismatch) == f"{seen}\n-{seen}\\u200b\\x1b[2J\n+hidden\n{seen}"
    for error in (failure, mismatch):
        assert (error.message, error.next_step) == (seen, seen)
        assert hostile not in "\n".join(error._render_traceback_())


def test_what_code_prints_is_no_markup() -> None:
    """What is printed while a reply is drawn goes through rich, which leaves it as it is."""
    screen = TerminalView([""])._console
    with screen.capture() as printed:
        screen.print("[y] allow [red]x [/x] :smile:")
    assert printed.get() == "[y] allow [red]x [/x] :smile:\n"


def test_no_word_of_a_narrow_table_is_cut_off() -> None:
    """A table that is wider than the terminal is folded: every character of its cells is there."""
    words = ["RandomForestClassifier(n_estimators=300)", "LinearRegression()", "robust, slow to load"] * 2
    table = f"| {' | '.join(words)} |\n|{' --- |' * 6}\n| {' | '.join(words)} |"
    printed, out = console(terminal=False)
    view = TerminalView([""], console=printed)
    view.settle([SettledReply(said(table), 1)], current=1, on_pick=None)
    view.close()
    shown = out.getvalue()
    assert "…" not in shown
    assert shown.count("(") == shown.count(")") == 8


def test_failures_are_labelled_below_what_had_arrived() -> None:
    """What had arrived before an interrupt or an error is labelled; a failure with nothing before it is not."""
    screen, out = console(terminal=False)
    stopped = SettledReply(reply(TextDelta(0, "We begin")), failure=TurnInterrupted("stopped"))
    failed = SettledReply(SessionAwareResponse(), failure=SessionNotFoundError("No session."))
    for settled in (stopped, failed):
        TerminalView([""], screen).settle([settled], current=0, on_pick=None)
    assert "We begin" in out.getvalue()
    assert "Interrupted. What had arrived is above" in out.getvalue()
    assert "SessionNotFoundError" not in out.getvalue()


def test_closing_leaves_the_terminal_as_it_was() -> None:
    """Closing twice, or without having drawn, shows the cursor again and leaves no thread."""
    before = threading.active_count()
    screen, out = console(terminal=True)
    view = TerminalView([""], screen)
    view.close()
    view.update([said("hello")], 0.5)
    view.close()
    view.close()
    assert out.getvalue().rfind("\x1b[?25h") > out.getvalue().rfind("\x1b[?25l")
    assert threading.active_count() == before
