"""What the magics give to the code around them, and how that is shown once."""

from __future__ import annotations

import pytest
from cells import answered, sent_text, usage_error
from messages_api import MessagesAPI
from rig import CellResult
from rig.kernel import Kernel

CITY = """from dataclasses import dataclass
@dataclass
class City:
    name: str
"""


@pytest.fixture
def shared_session(shared_session: Kernel) -> Kernel:
    """Sessions make no difference here."""
    return shared_session


def run(kernel: Kernel, code: str, **options: bool) -> CellResult:
    result = kernel.run(code, **options)
    assert result.ok, result.outputs
    return result


def shown_once(result: CellResult, text: str) -> None:
    """Assert that one output of a cell has this text, and no other."""
    assert [text in output["data"]["text/plain"] for output in result.displays] == [True], result.outputs
    assert [output for output in result.outputs if output["output_type"] == "execute_result"] == []


@pytest.mark.parametrize("allow_stdin", [False, True])
@pytest.mark.parametrize(
    "code", ["r = %claude is it so?", "for k in [1]:\n    r = %claude is it so?", "%%time\nr = %claude is it so?"]
)
def test_assigned(shared_session: Kernel, api: MessagesAPI, code: str, allow_stdin: bool) -> None:
    """`r = %claude ...` binds the reply, a final `?` being part of the prompt, and shows it once."""
    result = run(shared_session, code, allow_stdin=allow_stdin)
    assert sent_text(api) == "is it so?"
    shown_once(result, "You said: is it so?")
    assert shared_session.value("r.content") == "You said: is it so?"


CALLS = [
    "await get_ipython().run_cell_magic('claude', '', 'hi')",
    "get_ipython().run_cell_magic('claude', '', 'hi')",
    "get_ipython().run_line_magic('claude', 'hi')",
]


@pytest.mark.parametrize("call", CALLS)
def test_called(shared_session: Kernel, call: str) -> None:
    """A magic that is called, awaited or not, gives its reply; as a cell's last value that is not shown a second time."""
    shown_once(run(shared_session, f"r = {call}\nprint(r)"), "You said: hi")
    assert shared_session.value("r.content") == "You said: hi"
    shown_once(run(shared_session, call), "You said: hi")
    assert shared_session.value("_.content") == "You said: hi"
    assert "You said: hi" in run(shared_session, "r").text


def test_awaited_comparison(shared_session: Kernel) -> None:
    """A comparison that is awaited gives its replies."""
    run(shared_session, "r = await get_ipython().run_cell_magic('claude', '--samples 2', 'hi')")
    assert shared_session.value("[reply.content for reply in r]") == ["You said: hi"] * 2
    assert shared_session.run("1").ok  # its buttons go with the next cell


@pytest.mark.parametrize("allow_stdin", [False, True])
@pytest.mark.parametrize("code", ["%%claude\nhello", "%claude hello", "%%time\n%%claude\nhello", "%%capture\n%%claude\nhello"])
def test_underscore(shared_session: Kernel, code: str, allow_stdin: bool) -> None:
    """Behind a cell of Claude's `_` is its reply, as it is the value of any other cell, and nothing is shown twice."""
    run(shared_session, "globals().pop('_', None)")
    result = run(shared_session, code, allow_stdin=allow_stdin)
    assert [output for output in result.outputs if output["output_type"] == "execute_result"] == []
    assert len(result.displays) <= 1
    assert shared_session.value("(_.content, Out[max(Out)] is _)") == ("You said: hello", True)


def test_underscore_of_ones_own(shared_session: Kernel) -> None:
    """A variable `_` of the person's own stays as it is."""
    run(shared_session, "_ = 'mine'")
    answered(shared_session, "hello")
    assert shared_session.value("_") == "mine"
    run(shared_session, "del _")


def test_structured_reply_is_data(shared_session: Kernel) -> None:
    """A structured reply prints as its data, also once instances were made of it, in code and as a cell's value."""
    shared_session.run(CITY)
    prompt = """<<tool StructuredOutput {"value": [{"name": "Oslo"}]}>>"""
    answered(shared_session, prompt, "--schema list[City] -o r")
    assert shared_session.value("str(r)") == '[\n  {\n    "name": "Oslo"\n  }\n]'
    again = run(shared_session, "r").bundle
    for form in again.values():
        assert "City(" not in form
        assert "Oslo" in form


def test_comment_above(shared_session: Kernel, api: MessagesAPI) -> None:
    """Comments and blank lines above `%%claude` do not matter."""
    run(shared_session, "# a comment\n\n   # another\n%%claude\nhello?\n# sent")
    assert sent_text(api) == "hello?\n# sent"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("tell me {x}", "{{ x }}"),
        ("tell me {x.real:.2f}", "x.real"),
        ("read file_{x}.csv", "{{ x }}"),
        ("what is $x", "{{ x }}"),
    ],
)
def test_single_braces(shared_session: Kernel, api: MessagesAPI, typed: str, meant: str) -> None:
    """Braces that other magics fill in are refused where they name a variable, with the way to write it; nothing is sent."""
    run(shared_session, "x = 4711")
    assert meant in usage_error(shared_session.run(f"%claude {typed}"))
    assert api.requests == []
    run(shared_session, f"%claude --raw {typed}")
    assert sent_text(api) == typed


@pytest.mark.parametrize(
    "typed", ["is {a, b} a set", 'explain {"a": 1}', r"solve $x$ and \sqrt{x}", "what is {} in Python", "$5"]
)
def test_other_braces(shared_session: Kernel, api: MessagesAPI, typed: str) -> None:
    """Braces and dollars that name no variable, and formulas, are a prompt's own."""
    run(shared_session, "x = 4711")
    run(shared_session, f"%claude {typed}")
    assert sent_text(api) == typed


def test_unknown_name_in_braces(shared_session: Kernel, api: MessagesAPI) -> None:
    """A name that is nobody's is sent as it stands, and the reply says so."""
    result = run(shared_session, "%claude tell me {nobody}")
    assert sent_text(api) == "tell me {nobody}"
    assert "{nobody} was sent as it stands" in result.text


@pytest.mark.parametrize("code", ["%%claude --help", "%claude -h", "%%claude --model sonnet --help\nhello"])
def test_help(shared_session: Kernel, api: MessagesAPI, code: str) -> None:
    """`--help` shows the options and sends nothing."""
    assert "--model NAME" in run(shared_session, code).stdout
    assert api.requests == []


@pytest.mark.parametrize("word", ["help", "--help", "-h"])
def test_help_of_session_words(shared_session: Kernel, word: str) -> None:
    """`%claude_session help` shows its words, `help WORD` the ways to type one."""
    assert "%claude_session delete X" in run(shared_session, f"%claude_session {word}").stdout
    one = run(shared_session, f"%claude_session {word} resume").stdout
    assert "%claude_session resume X" in one
    assert "delete" not in one


@pytest.mark.parametrize(
    ("code", "meant"),
    [
        ("%%claude --modle sonnet\nhi", "--model"),
        ("%%claude --mdoel sonnet\nhi", "--model"),
        ("%%claude --mdoe plan\nhi", "--mode"),
        ("%%claude --effort hihg\nhi", "high"),
        ("%claude_session lsit", "list"),
    ],
)
def test_hints(shared_session: Kernel, code: str, meant: str) -> None:
    """A word with two letters in the wrong order is known for what it is."""
    assert usage_error(shared_session.run(code)).endswith(f"did you mean {meant}?")
