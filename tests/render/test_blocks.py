"""What the views say about a reply, in words."""

from __future__ import annotations

import json
import os
import re

import pytest
from replies import SESSION, call, called, ended, reply, said

from claude_magic._characters import strip_controls
from claude_magic._render.parts.redacted_reply import cleaned
from claude_magic._render.parts.reply_wording import (
    clip,
    dollars,
    duration,
    footer,
    shown_blocks,
    status_line,
    thinking_title,
    tool_argument,
    tool_name,
    tool_outcome,
    whole_seconds,
)
from claude_magic._render.parts.tool_call import call_html, input_html
from claude_magic.sdk.events import (
    Event,
    Retrying,
    TextDelta,
    ThinkingDelta,
    TokensCounted,
    ToolCalled,
    ToolReturned,
    ToolStarted,
)
from claude_magic.sdk.response import STRUCTURED_OUTPUT, SessionAwareResponse, Text, Thinking, ToolCall, fold


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Bash", "Bash"),
        ("mcp__kernel__run_code", "run_code"),
        ("mcp__github__create_issue", "github: create_issue"),
        ("mcp__my_server__a__b", "my_server: a__b"),
    ],
)
def test_a_tool_has_the_name_that_readers_know(name: str, shown: str) -> None:
    """A tool of the kernel has its own name, one of another server is named with it."""
    assert tool_name(call(name, {})) == shown


@pytest.mark.parametrize(
    ("input", "argument"),
    [
        ({"command": "ls -la", "description": "List"}, "ls -la"),
        ({"path": ".", "pattern": "foo.*"}, "foo.*"),
        ({"prompt": "all of it", "description": "Look around"}, "Look around"),
        ({"number": 3, "other": "first string"}, "first string"),
        ({"code": "a = 1\n\nb  = 2"}, "a = 1 b = 2"),
        ({"command": f"cat {os.path.expanduser('~')}/a.py"}, "cat ~/a.py"),
        # Named, as pytest-xdist wants the same names in every worker, and each has a home of its own.
        pytest.param(
            {"command": f"cat {os.path.expanduser('~')}ish/a.py"}, f"cat {os.path.expanduser('~')}ish/a.py", id="no home"
        ),
        ({"command": "a\u202eb\x1b[31m"}, "a\\u202eb"),
        ({"todos": []}, ""),
    ],
)
def test_the_argument_that_matters_is_on_one_line(input: dict[str, object], argument: str) -> None:
    """Of a call's input the telling argument is shown, on one line, with the home directory as ~."""
    assert tool_argument(call("Tool", input)) == argument


def test_arguments_of_a_server_are_named() -> None:
    """What a server's tool does with an argument is not known: none stands for the others, and none is shown as code."""
    query = called("mcp__db__run", {"command": "ls", "query": "DROP TABLE t"})
    assert tool_argument(query.blocks[0]) == "command: ls, query: DROP TABLE t"
    assert "<code>{" in input_html(query.blocks[0])
    assert "<code>{" in input_html(call("mcp__db__run", {"": "ls", "query": "DROP TABLE t"}))


def test_a_long_argument_is_cut() -> None:
    """An argument is at most 80 characters long, also when it is a whole file."""
    argument = tool_argument(call("Write", {"content": "word " * 100_000}))
    assert len(argument) <= 80
    assert argument.endswith("…")


def test_outcomes_say_how_a_call_went() -> None:
    """A call is running, done, failed, denied, or stopped by the end of its turn."""
    assert tool_outcome(call("Bash", {}, None)) == "running…"
    assert tool_outcome(call("Bash", {}, None), ended=True) == "stopped"
    assert tool_outcome(call("Bash", {}, "", duration_s=0.1)) == "✓ 0.1 s"
    assert tool_outcome(call("Bash", {}, "")) == "✓"
    assert tool_outcome(call("Bash", {}, "", is_error=True, duration_s=0.2)) == "✗ failed · 0.2 s"
    assert tool_outcome(call("Bash", {}, "", is_error=True, denied=True)) == "✗ denied"


@pytest.mark.parametrize(
    ("rest", "shown"),
    [
        ({"target": "staging", "dry_run": "true"}, "target: staging · dry_run: true"),
        ({"target": "staging · dry_run: true"}, 'target: "staging · dry_run: true"'),
        ({"target: a · dry_run": True}, '"target: a · dry_run": True'),
        ({"target": '"staging"'}, 'target: "\\"staging\\""'),
        ({"file_path": "/p/a  b.txt"}, "file_path: /p/a &nbsp;b.txt"),
        ({"file_path": "/p/a\tb.txt"}, 'file_path: "/p/a\\tb.txt"'),
        ({"file_path": " b.txt"}, 'file_path: " b.txt"'),
        ({"target": "staging \u0387 dry_run\u16ec true"}, 'target: "staging \u0387 dry_run\u16ec true"'),
        ({"confirm": "False", "count": "1", "of": 1, "dry": True}, 'confirm: "False" · count: "1" · of: 1 · dry: True'),
    ],
)
def test_arguments_in_a_line_are_told_apart(rest: dict[str, object], shown: str) -> None:
    """No value in the line of arguments can be taken for a further argument, or for the same with other blanks."""
    line = input_html(call("mcp__kernel__run_code", {"code": "drop_table()", **rest}))
    assert f'<p class="claude-rest">{shown}</p>' in re.sub("</?span>", "", line).replace("&quot;", '"')


def test_settled_words_from_right_to_left() -> None:
    """In what stays of a call, each word that is written from right to left stands alone; a result is text as any other."""
    html = call_html(call("Bash", {"command": "cat א > ב"}, "א ב"), "✓")
    assert html.count("cat <bdi>א</bdi> &gt; <bdi>ב</bdi>") == 2
    assert "א ב" in html


def test_thinking_says_how_long_it_took() -> None:
    """Thinking is going on, took a known time, or is over."""
    assert thinking_title(Thinking(0)) == "Thinking…"
    assert thinking_title(Thinking(0, complete=True, duration_s=3.04)) == "Thought for 3 s"
    assert thinking_title(Thinking(0, complete=True)) == "Thought"
    assert thinking_title(Thinking(0), ended=True) == "Thought"


@pytest.mark.parametrize(
    ("events", "activity"),
    [
        ([], "working"),
        ([ThinkingDelta(0, "a")], "thinking"),
        ([TextDelta(0, "a")], "writing"),
        ([ToolStarted(0, "1", "Bash")], "running Bash"),
        ([ToolStarted(0, "1", "Bash"), ToolStarted(1, "2", "Read")], "running 2 tools"),
        ([ToolCalled(0, "1", "Bash", {}), ToolReturned("1", "")], "working"),
    ],
)
def test_the_status_says_what_goes_on(events: list[Event], activity: str) -> None:
    """The status line says what the turn is doing, with which model, and for how long."""
    assert status_line(reply(*events), 12.3) == [activity, "opus-5-5", "12 s"]


def test_nothing_stands_still_in_the_status() -> None:
    """The status line has no number that does not move: no tokens, and no time while nothing is drawn."""
    assert status_line(reply(TokensCounted(2000, 310)), 1)[1:] == ["opus-5-5", "1 s"]
    assert status_line(reply(TokensCounted(2000, 310)), None)[1:] == ["opus-5-5"]


def test_a_retry_is_the_status() -> None:
    """While the API makes the CLI wait, the status says which attempt comes when, and why."""
    assert status_line(reply(Retrying(2, 10, 4.0, 529, "overloaded_error")), 9) == [
        "Retrying (2 of 10) in 4 s: overloaded (529)",
        "opus-5-5",
        "9 s",
    ]
    assert status_line(reply(Retrying(1, 10, 0.1, None, "")), 9)[0] == "Retrying (1 of 10) now: no answer"


def test_the_footer_holds_what_is_known() -> None:
    """The footer says turn, model, seconds, tokens with those of the cache, cost and session, and leaves out the unknown."""
    assert footer(said("hello"), 3) == ["turn 3", "opus-5-5", "6.2 s", "1,840 in · 212 out", "$0.021", SESSION[:8]]
    assert footer(SessionAwareResponse(), None) == []


def test_the_footer_falls_back_to_tokens_counted_on_the_way() -> None:
    """A turn that ended without usage shows the tokens that were counted while it ran."""
    response = reply(TokensCounted(640, 21), ended("", usage={}, cost_usd=None))
    assert footer(response, None) == ["opus-5-5", "6.2 s", "640 in · 21 out", SESSION[:8]]


def test_the_footer_says_what_a_recording_only_shows() -> None:
    """The footer of a played turn names the tools whose commands and changes of files are not done again."""
    response = said("hello")
    response.blocks += [ToolCall(1, "a", "Bash"), ToolCall(2, "b", "Bash"), ToolCall(3, "c", "Read"), ToolCall(4, "d", "Write")]
    assert "not done again" not in " ".join(footer(response, 1))
    response.metadata["recorded"] = True
    assert footer(response, 1)[-3:-1] == ["$0.021 recorded", "not done again: Bash, Write"]


def test_times_and_costs_are_short() -> None:
    """Times and costs have as many digits as a reader needs."""
    assert [duration(s) for s in (0.01, 0.14, 6.2, 9.96, 61)] == ["<0.1 s", "0.1 s", "6.2 s", "10 s", "1 min 1 s"]
    assert [whole_seconds(s) for s in (0, 0.3, 59.4, 3900)] == ["0 s", "<1 s", "59 s", "1 h 5 min"]
    assert [dollars(c) for c in (0.0001, 0.0214, 1.2)] == ["<$0.001", "$0.021", "$1.20"]


def test_clipped_text_says_what_is_missing() -> None:
    """A long text loses its middle and says how many characters that were."""
    assert clip("short", 10) == "short"
    assert clip("a" * 20 + "b" * 1000 + "c" * 10, 30) == f"{'a' * 20}\n… 1,000 characters left out …\n{'c' * 10}"


def test_an_answer_without_blocks_is_shown() -> None:
    """What a command of the CLI answers comes without text blocks and is shown all the same."""
    (block,) = shown_blocks(reply(ended("/cost says")))
    assert isinstance(block, Text)
    assert block.text == "/cost says"
    assert shown_blocks(called("Bash", {}))[0] is not None


def test_data_is_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """A structured reply is shown as its data, without credentials; the call that it came by is shown when it did not fit."""
    monkeypatch.setenv("SOME_API_KEY", "letmein-42")
    data = {"name": "Ada", "key": "letmein-42"}
    running = reply(ToolStarted(0, "1", STRUCTURED_OUTPUT))
    assert shown_blocks(running) == []
    assert status_line(running, 1)[0] == "writing"
    misfit = called(STRUCTURED_OUTPUT, data, "no", is_error=True)
    assert [type(block) for block in shown_blocks(misfit)] == [ToolCall]
    response = called(STRUCTURED_OUTPUT, data, "ok")
    fold(response, ended("", structured=data))
    *_, block = shown_blocks(cleaned(response))
    assert isinstance(block, Text)
    assert block.text == '```json\n{\n  "name": "Ada",\n  "key": "[SOME_API_KEY]"\n}\n```'
    assert json.loads(response.content) == response.structured == data


@pytest.mark.parametrize(
    ("raw", "plain"),
    [
        ("\x1b[31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07a", "a"),
        ("\x1b]52;c;cHdu\x1b\\a", "a"),
        ("\x9b2Ja", "a"),
        ("\x1bPq\x1b\\a", "a"),
        ("\x1b(Ba", "a"),
        ("\x1b\x1b[2J", ""),
        ("a\rb\tc\nd\x00\x7f", "a\nb\tc\nd"),
        ("\x1b]8;;javascript:x\x1b\\link\x1b]8;;\x1b\\", "link"),
    ],
)
def test_control_sequences_are_removed(raw: str, plain: str) -> None:
    """No terminal sequence is left of a text, nor its payload."""
    assert strip_controls(raw) == plain
