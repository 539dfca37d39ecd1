"""The API fails, in every way in which one can: the cell says what happened, and the conversation goes on."""

from __future__ import annotations

import json

import pytest
from ends_well import Notebook, ends_well, understood
from messages_api import MessagesAPI
from rig.environment import NOWHERE
from rig.kernel import Kernel

long = pytest.mark.long


@pytest.fixture
def notebook(loaded_kernel: Kernel, api: MessagesAPI) -> Notebook:
    return Notebook(loaded_kernel, api)


def test_refused(notebook: Notebook) -> None:
    """Where nobody listens the cell says that it tries again; interrupted, the session goes on when somebody listens."""
    notebook.kernel.run(f"%env ANTHROPIC_BASE_URL={NOWHERE}")
    try:
        cell = notebook.start("<<say never sent>>")
        cell.wait_for(lambda _: "Retrying" in notebook.page())
        notebook.kernel.interrupt()
        understood(notebook.took(cell.wait()), "TurnInterrupted")
    finally:
        notebook.kernel.run(f"%env ANTHROPIC_BASE_URL={notebook.api.url}")
    ends_well(notebook)


@pytest.mark.parametrize(
    "first",
    [
        "<<drop>>",
        "<<say half>><<drop>>",
        pytest.param('<<say half>><<raw event: content_block_start\\ndata: {"type": "content_bl>><<drop>>', marks=long),
        pytest.param("<<say half>><<raw event: content_block_delta\\ndata: {no json}\\n\\n>><<drop>>", marks=long),
        pytest.param("<<raw HTTP/1.1 502 Bad Gateway\\n\\n<html>>><<drop>>", marks=long),
    ],
    ids=["at once", "in text", "half an event", "malformed", "no event"],
)
def test_broken_stream(notebook: Notebook, first: str) -> None:
    """A stream that breaks is asked for again, and the answer stands in the cell once."""
    result = notebook.run(f"{first}<<again>><<say The whole answer.>>")
    if result.ok:
        assert "The whole answer." in result.text
    else:
        understood(result, "APIError", "TurnError")
    ends_well(notebook)


@long
def test_always_broken(notebook: Notebook) -> None:
    """A stream that breaks each time fails the cell as one that the API did not answer."""
    cell = notebook.start("<<say half>><<drop>>")
    understood(notebook.took(cell.wait(100)), "APIError")
    ends_well(notebook)


@pytest.mark.parametrize("how", ["interrupt", pytest.param("timeout", marks=long), pytest.param("stop", marks=long)])
def test_silent(notebook: Notebook, how: str) -> None:
    """An API that says nothing is left by an interrupt, by Stop or by the cell's own limit."""
    cell = notebook.start("<<hang>>", "--timeout 2" if how == "timeout" else "")
    notebook.api.wait_for_requests(2)
    if how == "interrupt":
        notebook.kernel.interrupt()
    if how == "stop":
        cell.wait_for(lambda _: notebook.kernel.widgets_named("ButtonModel") != {})
        notebook.kernel.click("Stop")
    understood(notebook.took(cell.wait()), "TurnTimeoutError" if how == "timeout" else "TurnInterrupted")
    ends_well(notebook)


def test_login_refused_in_mid_session(notebook: Notebook) -> None:
    """A key that is refused at once is one that the cell names; with a good one the session goes on."""
    cell = notebook.start("<<say never>><<status 401>>")
    cell.wait_for(lambda result: result.status == "error" or "Retrying" in notebook.page())
    notebook.kernel.stop()
    understood(notebook.took(cell.wait()), "NotLoggedInError", "TurnInterrupted")
    ends_well(notebook)


@pytest.mark.parametrize("status", [429, pytest.param(500, marks=long), 529])
def test_then_fine(notebook: Notebook, status: int) -> None:
    """What the API refuses twice and then takes is an answer like any other."""
    result = notebook.run(f"<<status {status} 2>><<say At last.>>")
    assert result.ok, result.outputs
    assert "At last." in result.text
    ends_well(notebook)


@pytest.mark.parametrize("status", [pytest.param(400, marks=long), pytest.param(403, marks=long), 413])
def test_refused_by_status(notebook: Notebook, status: int) -> None:
    """What the API refuses for good fails the cell at once, in words that fit."""
    understood(notebook.run(f"<<status {status}>><<say never>>"), "APIError")
    ends_well(notebook)


@pytest.mark.parametrize(
    "strange",
    [
        '<<event strange {"colour": "blue"}>>',
        pytest.param(": a comment\\n\\n", marks=long),
        pytest.param('<<event content_block_delta {"index": 7, "delta": {"type": "text_delta", "text": "lost"}}>>', marks=long),
        pytest.param('<<event content_block_start {"index": 0, "content_block": {"type": "strange", "x": 1}}>>', marks=long),
        pytest.param('<<event content_block_delta {"index": 0, "delta": {"type": "strange_delta", "x": 1}}>>', marks=long),
        pytest.param("<<raw event: content_block_delta\\ndata: {no json}\\n\\n>>", marks=long),
    ],
)
def test_unknown_kinds(notebook: Notebook, strange: str) -> None:
    """Events that nobody knows change nothing, or fail the cell in words."""
    result = notebook.run(f"{strange if strange.startswith('<<') else f'<<raw {strange}>>'}<<say The answer.>>")
    if result.ok:
        assert "The answer." in result.text
    else:
        understood(result, "APIError", "TurnError")
    ends_well(notebook)


@long
def test_large_tool_result(notebook: Notebook) -> None:
    """20 MB that a command prints, or that code in the kernel prints, neither end the CLI nor fill the notebook."""
    big = json.dumps(
        {"command": "python3 -c \"print('x' * 79 + chr(10), end='') or [print('y' * 79) for _ in range(250_000)]\""}
    )
    result = notebook.run(f"<<tool Bash {big}>><<say Done.>>", '--allow "Bash"')
    assert result.ok, result.outputs
    assert len(str(result.bundle)) < 1_000_000
    ends_well(notebook)


@long
def test_many_calls(notebook: Notebook) -> None:
    """200 calls in one message are 200 calls with their results, and one reply."""
    result = notebook.run('<<tools 200 Glob {"pattern": "none%d.*"}>><<say Done.>>')
    assert result.ok, result.outputs
    results = [block for block in notebook.api.requests[-1]["messages"][-1]["content"] if block["type"] == "tool_result"]
    assert len({block["tool_use_id"] for block in results}) == 200
    ends_well(notebook)


@long
def test_many_questions(notebook: Notebook) -> None:
    """20 calls that need a permission are asked about one by one, and a no to one is a no to that one."""
    cell = notebook.start('<<tools 20 Write {"file_path": "asked%d.txt", "content": "x"}>><<say Done.>>')
    for _ in range(20):
        cell.wait_for(lambda _: open_questions(notebook) != [])
        card = open_questions(notebook)[0]
        notebook.kernel.click(card)
        cell.wait_for(lambda _, card=card: card not in notebook.kernel.widgets)
    result = notebook.took(cell.wait())
    assert result.ok, result.outputs
    ends_well(notebook)


def open_questions(notebook: Notebook) -> list[str]:
    """Return the buttons that say no, oldest first."""
    buttons = notebook.kernel.widgets_named("ButtonModel").items()
    return [model_id for model_id, state in buttons if state["description"] == "Deny" and not state.get("disabled")]


@pytest.mark.parametrize("script", ["<<stop end_turn>>", pytest.param("<<say >>", marks=long)])
def test_empty_answer(notebook: Notebook, script: str) -> None:
    """An answer without a word is one: the cell shows that there is none, and the next one works."""
    result = notebook.run(script)
    assert result.status in ("ok", "error")
    if not result.ok:
        understood(result, "TurnError", "APIError")
    ends_well(notebook)


HALF = """
<<event content_block_start {"index": 0, "content_block": {"type": "text", "text": ""}}>>
<<event content_block_delta {"index": 0, "delta": {"type": "text_delta", "text": "The answer. \\ud83d"}}>>
<<event content_block_stop {"index": 0}>>
"""


def test_half_a_character(notebook: Notebook) -> None:
    """Half of a character, which no output takes, is shown as one that is not known."""
    result = notebook.run(HALF)
    assert result.ok, result.outputs
    assert "The answer. \ufffd" in result.text
    assert notebook.run("afterwards").ok
