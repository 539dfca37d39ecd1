"""Claude's own questions in a cell: by click, by `input()`, where nobody is there, in a lesson, and in a terminal."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from cells import answered, ask, failure, on_page, session_of, start, stopped_soon
from messages_api import MessagesAPI
from rig import RunningCell
from rig.kernel import Kernel
from rig.pace import at_some_pace
from test_approvals import asks, click, complete_cards, in_all_forms, passed, returned
from test_terminal_words import PROMPT, terminal

OPTIONS = [{"label": "Red", "description": "warm"}, {"label": "Blue", "description": "cool"}]
COLOUR = {"question": "Which colour?", "header": "Colour", "multiSelect": False, "options": OPTIONS}
SIZES = {"question": "Which sizes?", "header": "Sizes", "multiSelect": True, "options": OPTIONS}


def question(*questions: dict[str, object]) -> str:
    return f"<<tool AskUserQuestion {json.dumps({'questions': questions or (COLOUR,)})}>>"


def test_answered_by_click(loaded_kernel: Kernel, api: MessagesAPI) -> None:
    """The cell shows the question and its choices; a click is the answer, which the settled output keeps in each form."""
    cell = start(loaded_kernel, question() + "<<say As you like.>>")
    assert asks(cell) == "Claude asks you"
    assert "Which colour?" in on_page(loaded_kernel)
    click(cell, "Blue")
    result = cell.wait()
    assert result.ok, result.outputs
    in_all_forms(result, "Question", "Which colour?", "answered: Blue", "As you like.")
    assert '"Which colour?"="Blue"' in returned(api)[-1]


def test_several_with_boxes(loaded_kernel: Kernel, api: MessagesAPI) -> None:
    """Two questions at once are answered together, one of them with several choices."""
    cell = start(loaded_kernel, question(COLOUR, SIZES))
    asks(cell)
    for label in ("○ Red", "☐ Blue", "☐ Red"):
        loaded_kernel.click(loaded_kernel.button(label))
    click(cell, "Send")
    assert cell.wait().ok
    assert '"Which colour?"="Red", "Which sizes?"="Red, Blue"' in returned(api)[-1]


def test_question_beside_a_permission(loaded_kernel: Kernel, api: MessagesAPI, notebook_dir: Path) -> None:
    """A question and then a permission in one turn are answered each in its own way."""
    bash = f"<<tool Bash {json.dumps({'command': 'touch coloured'})}>>"
    cell = start(loaded_kernel, question() + bash)
    click(cell, "Red")
    click(cell, "Allow once")
    result = cell.wait()
    in_all_forms(result, "answered: Red", "allowed once")
    assert (notebook_dir / "coloured").exists()


def test_declined(loaded_kernel: Kernel, api: MessagesAPI) -> None:
    """Decline tells Claude that there is no answer, with the words that were typed."""
    cell = start(loaded_kernel, question() + "<<say done>>")
    asks(cell)
    (text,) = loaded_kernel.widgets_named("TextModel")
    loaded_kernel.set_widget(text, value="Choose yourself.")
    click(cell, "Decline")
    in_all_forms(cell.wait(), "✗ not answered: Choose yourself.")
    assert "Choose yourself." in returned(api)[-1]


@pytest.mark.parametrize(("reply", "said"), [("2", "Blue"), ("green, rather", "green, rather")])
def test_by_input(loaded_kernel: Kernel, api: MessagesAPI, reply: str, said: str) -> None:
    """In a blocking cell the question comes as lines, and what is typed answers."""
    result = start(loaded_kernel, question(), kind="sync", answer=reply).wait()
    assert result.ok, result.outputs
    assert "[2] Blue: cool" in result.stdout
    assert f'"Which colour?"="{said}"' in returned(api)[-1]
    in_all_forms(result, f"answered: {said}")


def test_nobody_there(loaded_kernel: Kernel, api: MessagesAPI) -> None:
    """Under nbclient Claude goes on without an answer, and the output says so."""
    result = answered(loaded_kernel, question() + "<<say Blue, then.>>", allow_stdin=False)
    in_all_forms(result, 'nobody was there to answer: "Which colour?"', "Blue, then.")
    assert "Nobody is there" in returned(api)[-1]
    assert "--allow" not in result.text


def interrupted(cell: RunningCell) -> None:
    cell.kernel.interrupt()


def stopped(cell: RunningCell) -> None:
    cell.kernel.click(cell.kernel.button("Stop"))


@pytest.mark.parametrize("stop", [interrupted, stopped])
def test_stopped_while_it_waits(loaded_kernel: Kernel, stop: Callable[[RunningCell], None]) -> None:
    """An interrupt or Stop while Claude waits for an answer ends the turn, and the next cell works."""
    session = session_of(answered(loaded_kernel, "one"))
    cell = start(loaded_kernel, question())
    asks(cell)
    result = stopped_soon(cell, lambda: stop(cell))
    failure(result, "TurnInterrupted")
    assert "not answered" in result.text
    assert complete_cards(loaded_kernel) == 0
    assert session_of(answered(loaded_kernel, "two")) == session


@at_some_pace
def test_time_to_think_is_not_counted(loaded_kernel: Kernel, pace: int) -> None:
    """The time limit of a turn stands still while the person thinks."""
    answered(loaded_kernel, "warm up")
    cell = start(loaded_kernel, question(), f"--timeout {2 * pace}")
    asks(cell)
    cell.wait_for(passed(loaded_kernel, 3 * pace))
    click(cell, "Blue")
    assert cell.wait().ok


def test_in_a_lesson(loaded_kernel: Kernel, notebook_dir: Path) -> None:
    """A recorded lesson shows the question and what was answered, and does not ask."""
    loaded_kernel.run("%config ClaudeMagics.cassette = 'asked.jsonl'\n%config ClaudeMagics.cassette_mode = 'record'")
    cell = start(loaded_kernel, question() + "<<say As you like.>>")
    click(cell, "Blue")
    assert cell.wait().ok
    loaded_kernel.run("%config ClaudeMagics.cassette_mode = 'replay'\n%claude_session new")
    played = ask(loaded_kernel, question() + "<<say As you like.>>", allow_stdin=False)
    in_all_forms(played, "Which colour?", "answered: Blue", "As you like.")
    loaded_kernel.run("%config ClaudeMagics.cassette = ''")


def test_in_a_terminal(environment: dict[str, str], api: MessagesAPI, tmp_path: Path) -> None:
    """In IPython in a terminal the choices stand as lines above the cursor, and a number answers."""
    typed = question().replace("\\", "\\\\").replace('"', '\\"')
    with terminal(tmp_path, environment) as child:
        child.sendline(f'cell("claude", "", "{typed}<<say done>>")')
        child.expect(re.escape("no answer): "))
        assert "[2] Blue: cool" in child.before
        child.sendline("2")
        child.expect(PROMPT)
        assert "answered: Blue" in child.before
    assert '"Which colour?"="Blue"' in returned(api)[-1]
