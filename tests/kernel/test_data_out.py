"""What comes out of a reply: the bound response, typed data, code for the next cell."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cells import answered, ask, failure, sent_text, usage_error
from messages_api import MessagesAPI
from rig import CellResult
from rig.kernel import Kernel

TYPES = """
import dataclasses, enum
@dataclasses.dataclass
class City:
    name: str
    people: int
class Kind(enum.Enum):
    big = "big"
plain = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
wrong, number, city = {"type": "objct"}, 3, City("Oslo", 1)
class Unprintable(Exception):
    def __str__(self): raise RuntimeError("no words")
class Failing:
    def __getattr__(self, name): raise Unprintable
failing = Failing()
"""

PYTHON = "```python\na = 1\n```"


def data(value: object) -> str:
    """Let Claude give this as its structured reply."""
    return f"<<tool StructuredOutput {json.dumps(value)}>>"


def next_cell(result: CellResult) -> str | None:
    """Return what a cell puts into the next one."""
    payload: list[dict[str, Any]] = result.reply["payload"]
    return next((str(item["text"]) for item in payload if item["source"] == "set_next_input"), None)


@pytest.fixture
def shared_session(shared_session: Kernel) -> Kernel:
    """No test here needs a session of its own."""
    return shared_session


@pytest.fixture
def kernel_with_types(shared_session: Kernel) -> Kernel:
    """A kernel whose user has made some types."""
    assert shared_session.run(TYPES).ok
    return shared_session


def test_output(shared_session: Kernel) -> None:
    """`-o` binds the reply, with its text, code, usage, cost and session; as a cell's value it is Markdown."""
    result = answered(shared_session, f"<<say **so**\n\n{PYTHON}>>", "--output reply")
    assert shared_session.value("reply.content") == f"**so**\n\n{PYTHON}"
    assert shared_session.value("reply.code_blocks") == ["a = 1"]
    assert shared_session.value("reply.structured") is None
    assert shared_session.value("reply.usage")["input_tokens"] == 100
    assert shared_session.value("reply.cost_usd") > 0
    assert shared_session.value("reply.session_id") == result.metadata["claude_magic"]["session_id"]
    assert "**so**" in shared_session.run("reply").bundle["text/markdown"]


def test_quiet_output_of_several(shared_session: Kernel) -> None:
    """`--quiet` shows nothing; of several alternatives `-o` binds a list."""
    assert answered(shared_session, "<<say so>>", "--output replies --samples 2 --quiet").displays == []
    assert shared_session.value("[reply.content for reply in replies]") == ["so", "so"]


def test_a_failed_turn_binds_nothing(shared_session: Kernel) -> None:
    """Of a turn that failed nothing is bound, and the name keeps what it had."""
    shared_session.run("kept = 'as before'")
    failure(ask(shared_session, "<<status 400>>", "--output kept"), "APIError")
    assert shared_session.value("kept") == "as before"


@pytest.mark.parametrize(
    ("schema", "given", "made"),
    [
        ("City", {"name": "Oslo", "people": 7}, "City(name='Oslo', people=7)"),
        ("plain", {"name": "Oslo"}, "{'name': 'Oslo'}"),
        ("dict[str, int]", {"Oslo": 7}, "{'Oslo': 7}"),
        ("Kind", {"value": "big"}, "<Kind.big: 'big'>"),
    ],
)
def test_schema(kernel_with_types: Kernel, schema: str, given: object, made: str) -> None:
    """The reply to a schema is an instance of the type that it came from."""
    answered(kernel_with_types, data(given), f"--schema {schema} --output reply")
    assert kernel_with_types.value("repr(reply.structured)") == made


def test_only_what_says_that_it_is_python(shared_session: Kernel) -> None:
    """Beside code that is labelled, a block without a label is what it prints; alone, it is code."""
    labelled = answered(shared_session, f"<<say {PYTHON}\n\nIt prints:\n\n```\nTotal: 3\n```>>", "--code")
    assert next_cell(labelled) == "a = 1"
    assert next_cell(answered(shared_session, "<<say ```\na = 2\n```>>", "--code")) == "a = 2"


def test_schema_of_a_table(kernel_with_types: Kernel) -> None:
    """A list of them is shown as one, without what the CLI needs around it, and becomes a DataFrame."""
    rows = {"value": [{"name": "Oslo", "people": 7}, {"name": "Bonn", "people": 3}]}
    shown = answered(kernel_with_types, data(rows), "--schema list[City] --output reply").text
    assert shown.startswith('```json\n[\n  {\n    "name": "Oslo"'), shown
    assert kernel_with_types.value("[type(row).__name__ for row in reply.structured]") == ["City", "City"]
    frame = kernel_with_types.value("reply.structured.to_frame().to_dict('list')")
    assert frame == {"name": ["Oslo", "Bonn"], "people": [7, 3]}


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ("wrong", "is not a JSON schema: $.type cannot be 'objct'"),
        ("number", "its type is int"),
        ("city", "its type is City"),
        ("city.name", "its type is str"),
        ("dataclasses", "its type is module"),
        ("len", "its type is builtin_function_or_method"),
        ("nowhere", "name 'nowhere' is not defined"),
        ("City(", "SyntaxError"),
        ("failing.x", "Unprintable"),
    ],
)
def test_what_is_no_schema(kernel_with_types: Kernel, api: MessagesAPI, schema: str, said: str) -> None:
    """What is no schema is an error of one line, and nothing is sent."""
    line = usage_error(ask(kernel_with_types, "x", f"--schema {schema}"))
    assert said in line
    assert "nothing was sent" in line
    assert api.requests == []


def test_a_reply_that_does_not_fit(kernel_with_types: Kernel) -> None:
    """A reply that does not fit its schema is an error that keeps what was said; nothing is bound, the session goes on."""
    kernel_with_types.run("import sys; reply = None")
    failure(ask(kernel_with_types, "<<say in words>>", "--schema City --output reply"), "StructuredOutputError")
    assert "in words" in kernel_with_types.value("sys.last_value.content")
    assert kernel_with_types.value("reply") is None
    answered(kernel_with_types, "and on")


def test_code(shared_session: Kernel) -> None:
    """`--code` puts the Python of the reply into the next cell, and no other code; where there is none the cell says so."""
    reply = f"{PYTHON}\n```js\nx\n```\n```py\nb = 2\n```"
    assert next_cell(answered(shared_session, f"<<say {reply}>>", "--code")) == "a = 1\n\nb = 2"
    assert next_cell(answered(shared_session, f"<<say {reply}>>")) is None
    result = answered(shared_session, "<<say ```js\nx\n```>>", "--code")
    assert next_cell(result) is None
    assert "there is no Python in the reply" in result.bundle["text/markdown"]


def test_code_beside_a_cell_of_claude_s(shared_session: Kernel) -> None:
    """A cell that Claude adds and the reply's code become one, as a frontend makes only one."""
    added = '<<tool mcp__kernel__add_cell {"source": "c = 3"}>>'
    result = answered(shared_session, f"{added}<<say {PYTHON}>>", "--code --allow mcp__kernel__add_cell")
    assert next_cell(result) == "c = 3\n\n# ---\n\na = 1"


def test_reply_into_a_prompt(shared_session: Kernel, api: MessagesAPI) -> None:
    """A reply in a prompt is what was said, without its footer."""
    answered(shared_session, "<<say it is 42>>", "--output reply")
    answered(shared_session, "Why {{ reply }}?")
    assert sent_text(api) == "Why it is 42?"
