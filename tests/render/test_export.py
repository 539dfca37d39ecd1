"""An exported conversation and a recap of one: exchanges in, text out."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

import nbformat
import pytest
from IPython.core.interactiveshell import InteractiveShell
from payloads import PAYLOADS
from replies import SESSION
from test_hostile import CHROME, Elements, assert_inert_markdown
from traitlets.config import Config

from claude_magic._kernel.options.cell_options import Options
from claude_magic._kernel.prompt.composition import compose
from claude_magic._render.parts import safe_markdown
from claude_magic._render.settled.export import SHOWN, Conversation, recap_bundle, to_markdown, to_notebook
from claude_magic.sdk._history.transcripts import Exchange
from claude_magic.sdk.content import Prompt
from claude_magic.sdk.response import Growing, Text, ToolCall

NOW = datetime(2026, 3, 14, 15, 0).astimezone()
BASH = ToolCall(0, "1", "Bash", {"command": "ls"}, complete=True)


def text(words: str) -> Text:
    return Text(0, Growing(words), complete=True)


def conversation(*exchanges: Exchange, name: str | None = None) -> Conversation:
    return Conversation(SESSION, "/data/titanic", NOW, exchanges, name)


def notebook(exported: Conversation) -> Any:
    found = nbformat.reads(to_notebook(exported), as_version=4)
    nbformat.validate(found)
    assert (found.nbformat, found.nbformat_minor) == (4, 5)
    return found


TALK = conversation(
    Exchange("What is in *df*?\n\n- columns\n- rows", (BASH, text("Ten **columns**.")), ("an image", "data.csv")),
    Exchange("And\n```python\nx = 1\n```", (text("```python\nprint('<b>')\n```"),), trouble="Interrupted."),
    name="titanic clean-up",
)


def test_markdown() -> None:
    """The Markdown has title, session, directory and date, then for each turn the prompt as a quote and the reply."""
    assert to_markdown(TALK).splitlines() == [
        "# titanic clean-up",
        "",
        f"session {SESSION} · /data/titanic · 2026-03-14 15:00",
        "",
        "## Turn 1",
        "",
        "> What is in *df*?",
        ">",
        "> - columns",
        "> - rows",
        "",
        "Sent with the prompt: an image, data.csv.",
        "",
        "**Bash** `ls` ✓",
        "",
        "Ten **columns**.",
        "",
        "## Turn 2",
        "",
        "> And",
        "",
        "```python",
        "x = 1",
        "```",
        "",
        "```python",
        "print('<b>')",
        "```",
        "",
        "Interrupted.",
    ]


def test_notebook() -> None:
    """The notebook loads the extension, then has a cell for each prompt with the reply as its settled output."""
    load, first, second = notebook(TALK).cells
    assert (load.source, load.outputs) == ("%load_ext claude_magic", [])
    assert first.source == "%%claude\nWhat is in *df*?\n\n- columns\n- rows"
    assert second.source == "%%claude\nAnd\n```python\nx = 1\n```"
    (output,) = first.outputs
    assert output.output_type == "display_data"
    assert set(output.data) == {"text/html", "text/markdown", "text/plain"}
    for form in output.data.values():
        assert all(part in form for part in ("columns", "Bash", "data.csv", "turn 1", SESSION[:8]))
    assert output.metadata == {"claude_magic": {"session_id": SESSION, "turn": 1}}
    assert "Interrupted." in second.outputs[0].data["text/plain"]
    assert second.outputs[0].metadata["claude_magic"]["turn"] == 2


@pytest.mark.parametrize(
    "prompt", ["  indented\n\tthe second\n", "Übung – “naïve” 😀 \\n \u2028 x", "%%claude\n!ls\n$x {y}", "<b>?"]
)
def test_prompts_are_exact(prompt: str) -> None:
    """A prompt stands in its cell as it was sent, in a file of lines as Jupyter writes them."""
    exported = conversation(Exchange(prompt, (text("ok"),)))
    assert notebook(exported).cells[1].source == f"%%claude\n{prompt}"
    assert json.loads(to_notebook(exported))["cells"][1]["source"] == ["%%claude\n", *prompt.splitlines(keepends=True)]


@pytest.mark.parametrize("data", ["{{ 7 * 7 }}", "{% for x in [1] %}", "a {{ __import__('os').getpid() }} b"])
def test_braces_are_no_code(data: str) -> None:
    """Braces in what was sent may have come out of somebody's table: run again, they are text."""
    (_, cell) = notebook(conversation(Exchange(f"Sum up: {data}"))).cells
    line, _, body = cell.source.partition("\n")
    assert (line, body) == ("%%claude --raw", f"Sum up: {data}")


@pytest.mark.parametrize(
    "prompt",
    [
        "Summarize see @private.txt",
        "/command x",
        " \n//deploy /x",
        "/",
        "{@a} {@{b}} @{{ 7 * 7 }} {% raw %} {{{x}}} {# @c #} }}{{ f(x)[1:] }} a@b.org \\n",
        "/{{ x }} “@ü” \u2028@",
    ],
)
def test_no_path_and_no_command_is_data(prompt: str) -> None:
    """A path or a command in what was sent may have been data: run again, the cell sends the same text, as text."""
    (_, cell) = notebook(conversation(Exchange(prompt))).cells
    line, _, body = cell.source.partition("\n")
    options = Options(raw="--raw" in line)
    shell = InteractiveShell.instance(config=Config({"HistoryManager": {"enabled": False}}))
    sent = compose(shell, body, options, limit=10_000, namespace={}).prompt
    assert (line, sent) == ("%%claude", Prompt(prompt, verbatim=True))


@pytest.mark.parametrize("prompt", ["a / b", "{x}", "one {{ 7 }}"])
def test_other_prompts_stay_as_they_are(prompt: str) -> None:
    """Where nothing would be read, no sign is changed."""
    (_, cell) = notebook(conversation(Exchange(prompt))).cells
    assert cell.source.partition("\n")[2] == prompt


def test_title() -> None:
    """Without a name, how the conversation began is its title, on one line and not too long."""
    assert to_markdown(conversation(Exchange("# a\nb <i>" + "x" * 200))).startswith("# \\# a b &lt;i&gt;xxx")
    assert len(to_markdown(conversation(Exchange("x" * 200))).splitlines()[0]) == 82
    assert to_markdown(conversation(Exchange(""))).startswith("# A session with Claude\n")


@pytest.mark.parametrize("payload", PAYLOADS)
def test_nothing_hostile_runs(payload: str) -> None:
    """Wherever hostile text stands, what is written runs nothing when it is opened."""
    exchange = Exchange(payload, (text(payload), ToolCall(1, "1", payload, {payload: payload})), (payload,), payload)
    exported = conversation(exchange, name=payload)
    assert_inert_markdown(to_markdown(exported))
    data = notebook(exported).cells[1].outputs[0].data
    assert_inert_markdown(data["text/markdown"])
    assert Elements(data["text/html"], CHROME).refused == []
    bundle = recap_bundle([exchange])
    assert_inert_markdown(bundle["text/markdown"])
    assert Elements(bundle["text/html"], CHROME).refused == []


def test_no_credential_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """A credential of the environment is named in its place, in prompts, in replies, and where a recap cuts it."""
    monkeypatch.setenv("SOME_API_KEY", "hunter2-hunter2")
    exported = conversation(Exchange("use hunter2-hunter2", (text("I used hunter2-hunter2."),)), name="hunter2-hunter2")
    cut = Exchange("x" * 110 + "hunter2-hunter2", (text("y" * 270 + "hunter2-hunter2"),))
    for written in (to_markdown(exported), to_notebook(exported), *recap_bundle([*exported.exchanges, cut]).values()):
        assert "hunter2" not in written
    assert "%%claude\nuse [SOME_API_KEY]" in notebook(exported).cells[1].source


def test_recap() -> None:
    """A recap shows the last exchanges, each as a line of prompt and the beginning of what its reply says in sentences."""
    exchanges = [Exchange(f"prompt {number}\nmore", (text(f"# reply {number}\n" + "word " * 400),)) for number in range(9)]
    lines = recap_bundle(exchanges)["text/plain"].split("\n\n")
    assert [line.splitlines()[0] for line in lines] == [f"> prompt {number} more" for number in range(9 - SHOWN, 9)]
    assert all(len(line) < 400 and line.endswith("…") for line in lines)
    assert (
        recap_bundle([Exchange("a", trouble="Interrupted."), Exchange("b")])["text/plain"]
        == "> a\nInterrupted.\n\n> b\nNo reply."
    )
    rich = (
        "It is **3** (`[1, 3]`),\nsee:\n\n```python\nmedian([1])\n```\n\n| a | b |\n| --- | --- |\n| 1 | 2 |\n\n- so $x$ it is"
    )
    assert recap_bundle([Exchange("a", (text(rich),))])["text/plain"] == "> a\nIt is 3 ([1, 3]), see: so $x$ it is"
    assert recap_bundle([Exchange("a", (text("```\nx\n```"),))])["text/plain"] == "> a\n``` x ```"
    assert set(recap_bundle(exchanges)) == {"text/html", "text/markdown", "text/plain"}


def test_no_title_block() -> None:
    """A line that begins with `%` is no title block, which pandoc would leave out of rst and LaTeX."""
    assert safe_markdown.text_markdown("% DELETED\n% all") == "\\% DELETED\n\\% all"
    assert safe_markdown.paragraph("% DELETED") == "\\% DELETED"
