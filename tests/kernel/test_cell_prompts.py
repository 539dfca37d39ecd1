"""What a cell's text becomes: prompts unchanged, the magic inside other code, slash commands."""

from __future__ import annotations

from pathlib import Path

import pytest
from cells import WIDGET, about, answered, history, sent_text, session_of
from messages_api import MessagesAPI
from rig.kernel import Kernel

ONE_LINE = [
    "what is it?",
    "really??",
    "?",
    "?is it",
    'use {x} and {"a": {"b": 1}}',
    'it\'s "quoted" \'\'\'three times\'\'\' """and so"""',
    "one \" and one ' alone",
    "$HOME ${x} $(ls) `pwd`",
    "100% of %s, %timeit and %%time",
    "%timeit x",
    "é 漢字 ẞ עברית 👩‍💻🦜",
    "!ls -la",
    "ends with a backslash \\",
    r"a\nb \x41 \u00e9 \\",
    "# a heading",
    "@nowhere and a@b.example",
    "<b>bold</b> & <script>",
    "/etc/hosts: what is it?",
    "a;b; c;",
    "two  spaces   inside",
    "a - b --new -- c",
    "x = %claude what",
]
LINES = [
    ">>> 1 + 1\n2\n>>> f(x)\n... more",
    "In [1]: x\nOut[1]: 3",
    "    indented\n  less\n\ttab",
    "a\n\n\nb",
    "trailing spaces  \nmake a break",
    "%%time\nis a magic",
    "!ls\n!pwd",
    "%claude is no magic here\n%%claude neither?",
    "what?\nand what is this?",
    "def f():\n    return {'a': 1}\n\nexplain?",
    "continues \\\nhere \\",
    '"""\nnot closed',
    "long " * 40_000,
]


@pytest.mark.parametrize("prompt", [*ONE_LINE, *LINES], ids=lambda prompt: prompt[:16].encode("unicode_escape").decode())
def test_cell_reaches_the_api_unchanged(shared_session: Kernel, api: MessagesAPI, prompt: str) -> None:
    """The body of a cell is the prompt, as typed."""
    answered(shared_session, prompt, allow_stdin=False)
    # What ends the cell is no part of it.
    assert sent_text(api) == prompt.rstrip()


@pytest.mark.parametrize("prompt", ONE_LINE, ids=lambda prompt: prompt[:16].encode("unicode_escape").decode())
def test_line_reaches_the_api_unchanged(shared_session: Kernel, api: MessagesAPI, prompt: str) -> None:
    """What stands behind `%claude` is the prompt, as typed."""
    result = shared_session.run(f"%claude {prompt}", allow_stdin=False)
    assert result.ok, result.outputs
    assert sent_text(api) == prompt


@pytest.mark.parametrize("allow_stdin", [False, True])
def test_line_among_code(shared_session: Kernel, api: MessagesAPI, allow_stdin: bool) -> None:
    """`%claude` may stand in a cell with other code; both run, in order."""
    result = shared_session.run("x = 1\n%claude <<say one>>\ny = x + 1\n%claude and two?\nprint(y)", allow_stdin=allow_stdin)
    assert result.ok, result.outputs
    assert result.stdout == "2\n"
    assert [output["data"]["text/plain"].splitlines()[0] for output in result.displays] == ["one", "You said: and two?"]
    assert [prompts[-1] for prompts in api.prompts()] == ["<<say one>>", "and two?"]


def test_line_below_awaiting_code(shared_session: Kernel, api: MessagesAPI) -> None:
    """A cell may await something of its own besides."""
    code = "import asyncio\nawait asyncio.sleep(0)\n%claude hello\nprint('done')"
    assert shared_session.run(code).stdout == "done\n"
    assert sent_text(api) == "hello"


def test_line_below_another_magic(shared_session: Kernel, api: MessagesAPI, tmp_path: Path) -> None:
    """Below `%%time` a line runs, too; in a file that is written it is text."""
    timed = shared_session.run("%%time\n%claude is it so?")
    assert timed.ok, timed.outputs
    assert sent_text(api) == "is it so?"
    path = tmp_path / "lesson.py"
    assert shared_session.run(f"%%writefile {path}\nx = 1\n%claude hi").ok
    assert path.read_text() == "x = 1\n%claude hi\n"
    assert len(api.requests) == 1


def test_string_literal_is_left_alone(shared_session: Kernel, api: MessagesAPI) -> None:
    """A line in a string that looks like the magic is text."""
    result = shared_session.run('text = """\n%claude not sent?\n%%claude nor this\n"""\nprint(text)')
    assert result.stdout == "\n%claude not sent?\n%%claude nor this\n\n"
    assert api.requests == []


@pytest.mark.parametrize("prompt", ["is it so", "is it so?", "what: {X}, $Y"])
@pytest.mark.parametrize(
    "block", ["if True:\n    %claude PROMPT\n    print('done')", "for _ in [1]:\n    %claude PROMPT\nprint('done')"]
)
def test_indented_line(shared_session: Kernel, api: MessagesAPI, block: str, prompt: str) -> None:
    """`%claude` works in an indented block, a final `?` included."""
    result = shared_session.run(block.replace("PROMPT", prompt))
    assert result.ok, result.outputs
    assert result.stdout == "done\n"
    assert len(api.requests) == 1
    assert sent_text(api) == prompt


def test_line_in_a_function(shared_session: Kernel, api: MessagesAPI) -> None:
    """`%claude` works in a function, which may be called as any other."""
    assert shared_session.run("def f():\n    %claude from a function\n\nf()\nf()").ok
    assert [prompts[-1] for prompts in api.prompts()] == ["from a function"] * 2


@pytest.mark.parametrize("allow_stdin", [False, True])
def test_below_time(shared_session: Kernel, api: MessagesAPI, allow_stdin: bool) -> None:
    """`%%time` above `%%claude` times the turn."""
    result = shared_session.run("%%time\n%%claude\nhow long?", allow_stdin=allow_stdin)
    assert result.ok, result.outputs
    assert "Wall time" in result.stdout
    assert sent_text(api) == "how long?"
    assert "text/html" in result.bundle


@pytest.mark.parametrize("allow_stdin", [False, True])
def test_below_capture(shared_session: Kernel, api: MessagesAPI, allow_stdin: bool) -> None:
    """`%%capture out` above `%%claude` keeps the settled output for later, and no dead widget."""
    result = shared_session.run("%%capture out\n%%claude\nhello", allow_stdin=allow_stdin)
    assert result.ok, result.outputs
    assert result.outputs == []
    shown = shared_session.run("out.show()")
    assert "You said: hello" in shown.bundle["text/markdown"]
    widgets = [output for output in shown.displays if WIDGET in output["data"]]
    assert widgets == []


def test_run_cell_magic_from_code(shared_session: Kernel, api: MessagesAPI) -> None:
    """The magic can be called from code: it blocks and shows its reply."""
    result = shared_session.run("get_ipython().run_cell_magic('claude', '', 'from code?')")
    assert result.ok, result.outputs
    assert sent_text(api) == "from code?"
    assert "You said: from code?" in result.text


def test_blank_lines_above(shared_session: Kernel, api: MessagesAPI) -> None:
    """Blank lines above `%%claude` do not matter."""
    assert shared_session.run("\n  \n%%claude\nhello?").ok
    assert sent_text(api) == "hello?"


def test_context(shared_session: Kernel, api: MessagesAPI) -> None:
    """`/context` is answered by the CLI, without a request to the model."""
    answered(shared_session, "hello")
    count = len(api.requests)
    assert "Context Usage" in answered(shared_session, "/context").bundle["text/markdown"]
    assert len(api.requests) == count
    answered(shared_session, "and on")
    assert "hello" in history(api)


def test_compact(shared_session: Kernel, api: MessagesAPI) -> None:
    """`/compact` shortens the conversation and says so; the session goes on."""
    session = session_of(answered(shared_session, "<<say a long story>>"))
    result = answered(shared_session, "/compact")
    assert "compacted" in result.text
    following = answered(shared_session, "and on")
    assert session_of(following) == session
    assert history(api)[-1] == "and on"


def test_compact_repeats_nothing(shared_session: Kernel) -> None:
    """What an earlier cell showed is not shown again by `/compact`."""
    for prompt in ("hello", "hello again", "/context"):
        answered(shared_session, prompt)
    assert "Context Usage" not in answered(shared_session, "/compact").text


def test_clear(loaded_kernel: Kernel, api: MessagesAPI) -> None:
    """After `/clear` the history is empty, and the new session ID is current and in the metadata."""
    before = session_of(answered(loaded_kernel, "forget this"))
    cleared = session_of(answered(loaded_kernel, "/clear"))
    assert cleared != before
    following = answered(loaded_kernel, "a new start")
    assert session_of(following) == cleared
    assert "forget this" not in history(api)
    assert cleared in loaded_kernel.run("%claude_session", allow_stdin=False).text
    answered(loaded_kernel, "back again", f"--resume {before}")
    assert history(api) == ["forget this", "back again"]


def test_clear_then_the_process_dies(shared_session: Kernel, api: MessagesAPI) -> None:
    """The session that `/clear` began is resumed by its own ID."""
    answered(shared_session, "forget this")
    answered(shared_session, "/clear")
    session = session_of(answered(shared_session, "a new start"))
    for process in shared_session.children():
        process.kill()
    following = answered(shared_session, "and on")
    assert session_of(following) == session
    assert history(api)[-2:] == ["a new start", "and on"]
    assert "forget this" not in history(api)


def test_usage_is_the_turn_s_own(shared_session: Kernel) -> None:
    """Usage and cost in the metadata are of the turn alone, also after a resume; the turns count up."""
    first, second = (about(answered(shared_session, "hello")) for _ in range(2))
    for process in shared_session.children():
        process.kill()
    third = about(answered(shared_session, "hello"))
    assert [turn["usage"]["input_tokens"] for turn in (first, second, third)] == [100, 100, 100]
    assert first["cost_usd"] == second["cost_usd"] == third["cost_usd"] > 0
    assert [second["turn"] - first["turn"], third["turn"] - second["turn"]] == [1, 1]
