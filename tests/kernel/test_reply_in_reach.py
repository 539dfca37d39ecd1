"""The replies of turns, whichever kernel took them: in Python, shown once more, and their code in the next cell."""

from __future__ import annotations

import json

import pytest
from cells import answered, failure, session_of, usage_error
from rig import CellResult
from rig.kernel import Kernel

CODE = "<<say First:\n\n```python\na = {0}\n```\n\nthen:\n\n```python\nb = {0}\n```>>"
REPLIES = "[turn.reply.content for turn in current_session().turns]"


def next_cell(result: CellResult) -> str | None:
    payloads = [payload["text"] for payload in result.reply.get("payload", ()) if payload["source"] == "set_next_input"]
    return payloads[-1] if payloads else None


@pytest.fixture
def asking(loaded_kernel: Kernel) -> Kernel:
    """A kernel with a new session and `current_session`."""
    assert loaded_kernel.run("from claude_magic import ask, current_session").ok
    return loaded_kernel


def test_turns_have_replies(asking: Kernel) -> None:
    """Each turn of the current session has its reply: the very object that the cell or `ask()` gave."""
    answered(asking, "one", "-o one")
    asking.run("two = ask('two')")
    assert asking.value(REPLIES) == ["You said: one", "You said: two"]
    assert asking.value("[turn.reply is reply for turn, reply in zip(current_session().turns, (one, two))]") == [True, True]
    assert asking.value("one.ended.messages") == ()


@pytest.mark.parametrize("word", ["resume", "restore"])
def test_replies_of_an_earlier_kernel(asking: Kernel, word: str) -> None:
    """After `resume` or `restore` the turns of the kernel before have replies as well, made of the transcript."""
    cells = ["%%claude\none", '%%claude --schema list[int]\n<<tool StructuredOutput {"value": [1, 2]}>>']
    results = [asking.run(code, cell_id=f"c{number}") for number, code in enumerate(cells)]
    session = session_of(results[-1])
    save(asking, cells, results)
    asking.restart()
    assert asking.run("%load_ext claude_magic\nfrom claude_magic import current_session").ok
    assert asking.run(f"%claude_session {word} {session if word == 'resume' else ''}", allow_stdin=False).ok
    assert asking.value("current_session().turns[0].reply.content") == "You said: one"
    assert asking.value("current_session().turns[-1].reply.structured") == [1, 2]
    assert asking.value("type(current_session().turns[0].reply).__name__") == "SessionAwareResponse"
    assert "opus" in asking.value("current_session().turns[0].reply.model")
    assert asking.value("current_session().turns[0].reply.session_id") == session
    if word == "restore":
        number = asking.value("current_session().turns[0].number")
        assert "You said: one" in asking.run(f"%claude_session show {number}").text
    answered(asking, "more")
    assert asking.value(REPLIES)[::2] == ["You said: one", "You said: more"]


def save(kernel: Kernel, cells: list[str], results: list[CellResult]) -> None:
    """Save a notebook as a frontend would."""
    notebook = {
        "cells": [
            {
                "cell_type": "code",
                "id": f"c{number}",
                "source": code,
                "metadata": {},
                "execution_count": 1,
                "outputs": [output for output in result.outputs if output["output_type"] == "display_data"],
            }
            for number, (code, result) in enumerate(zip(cells, results, strict=True))
        ],
        "metadata": {},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    (kernel.notebook_dir / "notebook.ipynb").write_text(json.dumps(notebook, default=str))


def test_show_again(asking: Kernel) -> None:
    """`show N` shows the reply of a turn whole, in every form."""
    answered(asking, "<<say one **thing**>>")
    first = asking.value("current_session().turns[-1].number")
    answered(asking, "two")
    bundle = asking.run(f"%claude_session show {first}").bundle
    assert "one <strong>thing</strong>" in bundle["text/html"]
    assert "one **thing**" in bundle["text/markdown"]
    failure(asking.run("%claude_session show 999"), "TurnNotFoundError")


def test_code_of_a_turn(asking: Kernel) -> None:
    """`code` puts the Python of the last turn into the next cell, `code N` that of another, `code N 2` its second block."""
    answered(asking, CODE.format(1))
    first = asking.value("current_session().turns[-1].number")
    answered(asking, CODE.format(2))
    assert next_cell(asking.run("%claude_session code")) == "a = 2\n\nb = 2"
    assert next_cell(asking.run(f"%claude_session code {first}")) == "a = 1\n\nb = 1"
    assert next_cell(asking.run(f"%claude_session code {first} 2")) == "b = 1"
    assert "2 blocks" in usage_error(asking.run(f"%claude_session code {first} 3"))
    answered(asking, "no code")
    assert "no blocks" in usage_error(asking.run("%claude_session code"))


def test_code_is_not_piled_up(asking: Kernel) -> None:
    """A cell with `--code` that is run again makes no second cell with the same code, and says so."""
    same, other = ("%%claude --code\n" + CODE.format(number) for number in (1, 2))
    assert next_cell(asking.run(same, cell_id="a")) == "a = 1\n\nb = 1"
    again = asking.run(same, cell_id="a")
    assert next_cell(again) is None
    assert "in a cell below already" in again.text
    changed = asking.run(other, cell_id="a")
    assert next_cell(changed) == "a = 2\n\nb = 2"
    assert "made before stays" in changed.text
    assert next_cell(asking.run(other, cell_id="b")) == "a = 2\n\nb = 2"
