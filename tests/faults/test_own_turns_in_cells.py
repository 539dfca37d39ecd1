"""What Claude does by itself between cells is a turn of its own: in the tree, in the costs, and said in the next cell."""

from __future__ import annotations

import json
from pathlib import Path

import psutil
import pytest
from messages_api import MessagesAPI
from rig.kernel import Kernel

LATER = json.dumps({"command": "sleep 0.3; echo finished", "run_in_background": True})
LONG = json.dumps({"command": "sleep 600", "run_in_background": True})


STATE = "get_ipython().magics_manager.registry['ClaudeMagics'].state"


def words_of(process: psutil.Process) -> list[str]:
    """Return a process's command line, empty when it has just ended."""
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def page(kernel: Kernel) -> str:
    return "\n".join(str(state.get("value")) for state in kernel.widgets.values())


def last_is_own(kernel: Kernel) -> bool:
    """Tell whether the CLI's own turn is in the tree: cells that begin no turn let it in, too."""
    return bool(kernel.value(f"{STATE}.turns.last().start.how == 'by itself'"))


def ended_by_now(kernel: Kernel, api: MessagesAPI) -> None:
    """Wait until the CLI's own turn is in the tree."""
    api.wait_for_requests(3)
    while not last_is_own(kernel):
        kernel.run("import time; time.sleep(0.05)")


def test_shown_where_it_began(loaded_kernel: Kernel, api: MessagesAPI) -> None:
    """What Claude goes on with by itself is added to the cell that it follows, without a cell being run; a saved notebook
    keeps it as a turn of its own."""
    cell = loaded_kernel.start(f"%%claude --allow Bash\n<<tool Bash {LATER}>><<say I have begun it.>>")
    result = cell.wait()
    loaded_kernel.wait_for(lambda: "went on by itself" in result.text)
    assert result.text.index("I have begun it.") < result.text.index("went on by itself") < result.text.rindex(" · ")
    told = result.metadata["claude_magic"]
    (later,) = told["later"]
    assert (later["turn"], later["parent"], later["how"]) == (told["turn"] + 1, told["turn"], "by itself")
    assert "went on by itself" not in loaded_kernel.run("%%claude\nquestion").text


@pytest.mark.parametrize("above", ["%%capture captured\n", "ask"])
def test_told_by_the_next_cell(loaded_kernel: Kernel, api: MessagesAPI, above: str) -> None:
    """Where no output can be added to, the next cell that prompts tells of it in a line."""
    prompt = f"<<tool Bash {LATER}>><<say I have begun it.>>"
    code = f"from claude_magic import ask\nreply = ask({prompt!r}, allow='Bash')"
    assert loaded_kernel.run(code if above == "ask" else f"{above}%%claude --allow Bash\n{prompt}").ok
    ended_by_now(loaded_kernel, api)
    assert "Claude went on by itself, which is turn" in loaded_kernel.run("%%claude\nquestion").text


def test_helper_between_cells(loaded_kernel: Kernel, api: MessagesAPI) -> None:
    """Each of three cells shows its own answer, the turn between is shown with the first one, and the costs add up."""
    first = loaded_kernel.run(f"%%claude --allow Bash -o first\n<<tool Bash {LATER}>><<say I have begun it.>>")
    assert first.ok
    ended_by_now(loaded_kernel, api)
    for number in ("one", "two"):
        cell = loaded_kernel.run(f"%%claude -o {number}\nquestion {number}")
        assert cell.ok
        assert loaded_kernel.value(f"{number}.content") == f"You said: question {number}"
        assert cell.text.count("You said") == 1
        assert "went on by itself" not in cell.text
    assert first.text.count("went on by itself") == 1
    loaded_kernel.run("from claude_magic import current_session\nsession = current_session()")
    own = "(Claude went on by itself)"
    assert loaded_kernel.value(f"[turn.prompt == {own!r} for turn in session.turns]") == [False, True, False, False]
    assert loaded_kernel.value(f"{STATE}.current.cost_usd > sum(reply.cost_usd for reply in (first, one, two))")
    assert len(api.requests) == 5


@pytest.mark.parametrize("options", ["--samples 2", "--fork"])
def test_branches_begin_after_it(loaded_kernel: Kernel, api: MessagesAPI, options: str) -> None:
    """A branch or a comparison can begin right after a turn that the CLI began by itself."""
    assert loaded_kernel.run(f"%%claude --allow Bash\n<<tool Bash {LATER}>><<say I have begun it.>>").ok
    ended_by_now(loaded_kernel, api)
    cell = loaded_kernel.run(f"%%claude {options}\nquestion")
    assert cell.ok, cell.outputs
    assert "I have begun it." in json.dumps(api.requests[-1]["messages"])
    assert loaded_kernel.run("%unload_ext claude_magic").ok  # the comparison's buttons stay until then


def test_work_is_not_ended_silently(loaded_kernel: Kernel, api: MessagesAPI) -> None:
    """A cell whose options need another process says what that ends, and the cells after it do not."""
    assert loaded_kernel.run(f"%%claude --allow Bash\n<<tool Bash {LONG}>><<say I have begun it.>>").ok
    cell = loaded_kernel.run("%%claude --allow Read\nquestion")
    assert cell.ok
    assert "Ended, because this turn needs another process: sleep 600." in cell.text
    assert "You said: question" in cell.text
    assert "Ended" not in loaded_kernel.run("%%claude --allow Read\nanother").text


@pytest.mark.parametrize("when", ["<<sleep 1>>", ""])
def test_question_of_a_helper(loaded_kernel: Kernel, api: MessagesAPI, tmp_path: Path, when: str) -> None:
    """What a helper asks between two cells, or at the end of one, waits for the next cell."""
    made = tmp_path / "made"
    bash = json.dumps({"command": f"touch {made}"})
    prompt = f"{when}<<tool Bash {bash}>><<say done>>".replace("<", "\\u003c").replace(">", "\\u003e").replace('"', '\\"')
    agent = f'{{"description": "a helper", "subagent_type": "general-purpose", "prompt": "{prompt}"}}'
    assert loaded_kernel.run(f"%%claude --allow Agent --allow Task\n<<tool Agent {agent}>><<say I have sent it off.>>").ok
    api.wait_for_requests(3)
    while not any(state.get("description") == "Deny and tell" for state in loaded_kernel.widgets.values()):
        loaded_kernel.run("import time; time.sleep(0.05)")
    loaded_kernel.sync()
    if when:
        assert "A helper agent, at work on an earlier prompt, asks to run a command" in page(loaded_kernel)
        # Unanswered it goes from one cell to the next.
        assert loaded_kernel.run("1").ok
        assert "Allow once" in {state.get("description") for state in loaded_kernel.widgets.values()}
    loaded_kernel.click(loaded_kernel.button("Allow once"))
    loaded_kernel.wait_for(made.exists)
    result = loaded_kernel.run("%%claude\nquestion")
    assert result.ok
    assert "You said: question" in result.text


def test_stopped_in_the_panel(loaded_kernel: Kernel, api: MessagesAPI) -> None:
    """The session panel lists what still runs, and its Stop button ends it."""
    assert loaded_kernel.run(f"%%claude --allow Bash\n<<tool Bash {LONG}>><<say I have begun it.>>").ok
    assert loaded_kernel.run("%claude_session").ok
    assert "still running" in page(loaded_kernel)
    (command,) = [process for process in loaded_kernel.children() if words_of(process)[-1:] == ["600"]]
    loaded_kernel.click(loaded_kernel.button("Stop sleep 600"))
    loaded_kernel.sync()
    command.wait(30)
    assert "still running" not in page(loaded_kernel)
    assert loaded_kernel.run("%%claude\nquestion").ok


def test_no_background(loaded_kernel: Kernel, api: MessagesAPI) -> None:
    """With `background = False` Claude is not offered to leave a command running."""
    offered = []
    for background in (True, False):
        loaded_kernel.run(f"%config ClaudeMagics.background = {background}")
        assert loaded_kernel.run("%%claude\nhello").ok
        (bash,) = [tool for tool in api.requests[-1]["tools"] if tool["name"] == "Bash"]
        offered.append("run_in_background" in bash["input_schema"]["properties"])
    loaded_kernel.run("%config ClaudeMagics.background = True")
    assert offered == [True, False]
