"""What Claude does by itself between cells is a turn of its own: in the tree, in the costs, and said in the next cell."""

from __future__ import annotations

import json

from messages_api import MessagesAPI
from rig.kernel import Kernel

LATER = json.dumps({"command": "sleep 0.3; echo finished", "run_in_background": True})
LONG = json.dumps({"command": "sleep 600", "run_in_background": True})


STATE = "get_ipython().magics_manager.registry['ClaudeMagics'].state"


def last_is_own(kernel: Kernel) -> bool:
    """Tell whether the CLI's own turn is in the tree: cells that begin no turn let it in, too."""
    return bool(kernel.value(f"{STATE}.turns.last().start.how == 'by itself'"))


def test_helper_between_cells(loaded_kernel: Kernel, api: MessagesAPI) -> None:
    """Each of three cells shows its own answer, the first of them tells of the turn between, and the costs add up."""
    first = loaded_kernel.run(f"%%claude --allow Bash -o first\n<<tool Bash {LATER}>><<say I have begun it.>>")
    assert first.ok
    api.wait_for_requests(3)
    while not last_is_own(loaded_kernel):
        loaded_kernel.run("import time; time.sleep(0.05)")
    for number in ("one", "two"):
        cell = loaded_kernel.run(f"%%claude -o {number}\nquestion {number}")
        assert cell.ok
        assert loaded_kernel.value(f"{number}.content") == f"You said: question {number}"
        assert cell.text.count("You said") == 1
        assert ("Claude went on by itself, which is turn" in cell.text) == (number == "one")
    loaded_kernel.run("from claude_magic import current_session\nsession = current_session()")
    assert loaded_kernel.value("[turn.start.how for turn in session.turns]") == ["", "by itself", "", ""]
    assert loaded_kernel.value(f"{STATE}.current.cost_usd > sum(reply.cost_usd for reply in (first, one, two))")
    assert len(api.requests) == 5


def test_work_is_not_ended_silently(loaded_kernel: Kernel, api: MessagesAPI) -> None:
    """A cell whose options need another process says what that ends."""
    assert loaded_kernel.run(f"%%claude --allow Bash\n<<tool Bash {LONG}>><<say I have begun it.>>").ok
    cell = loaded_kernel.run("%%claude --allow Read\nquestion")
    assert cell.ok
    assert "Ended, as this turn needs another process: sleep 600." in cell.text
    assert "You said: question" in cell.text


def test_stopped_in_the_panel(loaded_kernel: Kernel, api: MessagesAPI) -> None:
    """The session panel lists what still runs, and its Stop button ends it."""
    assert loaded_kernel.run(f"%%claude --allow Bash\n<<tool Bash {LONG}>><<say I have begun it.>>").ok
    assert loaded_kernel.run("%claude_session").ok
    assert "still running" in "".join(str(state.get("value")) for state in loaded_kernel.widgets.values())
    (command,) = [process for process in loaded_kernel.children() if process.cmdline()[-1:] == ["600"]]
    loaded_kernel.click(loaded_kernel.button("Stop sleep 600"))
    loaded_kernel.sync()
    command.wait(30)
    assert "still running" not in "".join(str(state.get("value")) for state in loaded_kernel.widgets.values())
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
