"""The CLI is killed or stopped, at any moment of a turn: the cell says so, and the next one goes on with the conversation."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from ends_well import Notebook, ends_well, freeze, kill, understood
from messages_api import MessagesAPI
from rig import RunningCell
from rig.kernel import Kernel

NAP = json.dumps({"command": "touch napping; python3 -c 'import time; time.sleep(600)'"})
WRITE = json.dumps({"file_path": "asked.txt", "content": "x"})

ALLOWED = '--allow "Bash"'


@pytest.fixture
def notebook(loaded_kernel: Kernel, api: MessagesAPI) -> Notebook:
    return Notebook(loaded_kernel, api)


def waiting(notebook: Notebook, cell: RunningCell) -> None:
    notebook.api.wait_for_requests(notebook.asked + 1)


def in_text(notebook: Notebook, cell: RunningCell) -> None:
    cell.wait_for(lambda _: "The beginning." in notebook.page())


def in_tool(notebook: Notebook, cell: RunningCell) -> None:
    notebook.kernel.wait_for(Path(notebook.kernel.notebook_dir, "napping").exists)


def in_question(notebook: Notebook, cell: RunningCell) -> None:
    cell.wait_for(
        lambda _: any(str(state.get("description")).startswith("Allow") for state in notebook.kernel.widgets.values())
    )


Moment = tuple[str, Callable[[Notebook, RunningCell], None]]
MOMENTS: dict[str, Moment] = {
    "before the first byte": ("<<hang>>", waiting),
    "in text": ("<<say The beginning.>><<hang>>", in_text),
    "in a tool": (f"<<say The beginning.>><<tool Bash {NAP}>><<say late>>", in_tool),
    "in a question": (f"<<say The beginning.>><<tool Write {WRITE}>><<say late>>", in_question),
}
FAST = "in text"
moments = pytest.mark.parametrize(
    "moment", [moment if moment == FAST else pytest.param(moment, marks=pytest.mark.long) for moment in MOMENTS]
)
ways = pytest.mark.parametrize("above", ["", pytest.param("%%time\n", marks=pytest.mark.long)], ids=["async", "blocking"])


def begun(notebook: Notebook, moment: str, above: str = "") -> RunningCell:
    """Start a cell and return when it is there."""
    Path(notebook.kernel.notebook_dir, "napping").unlink(missing_ok=True)
    prompt, arrived = MOMENTS[moment]
    notebook.asked = len(notebook.api.requests)
    cell = notebook.start(prompt, ALLOWED if "tool" in moment else "", above=above)
    arrived(notebook, cell)
    return cell


@moments
def test_killed(notebook: Notebook, moment: str) -> None:
    """A killed CLI fails the cell, in words, and what had arrived stays."""
    cell = begun(notebook, moment)
    for process in notebook.clis():
        kill(process)
    result = notebook.took(cell.wait())
    assert "signal 9" in understood(result, "CLIDiedError")
    if moment != "before the first byte":
        assert "The beginning." in result.text
    ends_well(notebook)


def test_killed_idle(notebook: Notebook) -> None:
    """Nobody notices a CLI that is killed between two cells."""
    for process in notebook.clis():
        kill(process)
    ends_well(notebook)


@moments
@ways
def test_stopped(notebook: Notebook, moment: str, above: str) -> None:
    """A CLI that does not move any more is ended by an interrupt of the cell."""
    if moment == "in a question" and above:
        pytest.skip("a blocking cell asks by input(), which the person interrupts")
    cell = begun(notebook, moment, above)
    for process in notebook.clis():
        freeze(process)
    notebook.kernel.interrupt()
    result = notebook.took(cell.wait())
    understood(result, "TurnInterrupted")
    if moment != "before the first byte":
        assert "The beginning." in result.text
    ends_well(notebook)


@pytest.mark.parametrize("interrupted", [False, True])
def test_stopped_idle(notebook: Notebook, interrupted: bool) -> None:
    """A CLI that does not move is replaced, and the prompt sent again; an interrupt ends the wait, and the next cell works."""
    for process in notebook.clis():
        freeze(process)
    cell = notebook.start("<<say sent again>>")
    if interrupted:
        cell.wait_for(lambda _: notebook.page() != "")
        notebook.kernel.interrupt()
        understood(notebook.took(cell.wait()), "TurnInterrupted")
    else:
        result = notebook.took(cell.wait())
        assert result.ok, result.outputs
        assert "sent again" in result.text
    ends_well(notebook)


@pytest.mark.parametrize("harm", [kill, pytest.param(freeze, marks=pytest.mark.long)])
def test_while_a_fork_starts(notebook: Notebook, harm: Callable[[psutil.Process], None]) -> None:
    """A branch whose CLI comes to nothing is a failed cell; the conversation that it came from goes on."""
    before = notebook.clis()
    cell = notebook.start("branched", "--fork")
    harm(notebook.new_cli(before))
    if harm is freeze:
        notebook.kernel.interrupt()
    result = notebook.took(cell.wait())
    if not result.ok:
        understood(result, "CLIDiedError", "TurnInterrupted")
    ends_well(notebook)


@pytest.mark.parametrize("harm", [kill, pytest.param(freeze, marks=pytest.mark.long)])
def test_in_a_comparison(notebook: Notebook, harm: Callable[[psutil.Process], None]) -> None:
    """Of two replies side by side one loses its CLI: the other one is the answer, and the next cell goes on from it."""
    before = notebook.clis()
    cell = notebook.start("<<say Side by side.>><<wait>>", "--samples 2")
    notebook.api.wait_for_requests(3)
    new = [process for process in notebook.clis() if process not in before]
    harm(new[0])
    notebook.api.go_on.set()
    if harm is freeze:
        # The other one has ended. The page's style sheet names the footer, too, but not as the class of a part.
        cell.wait_for(lambda _: 'class="claude-footer"' in notebook.page())
        notebook.kernel.interrupt()
    result = notebook.took(cell.wait())
    assert result.ok, result.text
    ends_well(notebook)


def test_behind_a_branch_that_never_was(notebook: Notebook, home: Path) -> None:
    """A branch of which nothing is on disk is gone: the next cell says so and goes on from where the branch began."""
    before = set(home.rglob("*.jsonl"))
    cell = notebook.start("<<hang>>", "--fork")
    notebook.api.wait_for_requests(2)
    for process in notebook.clis():
        freeze(process)
    notebook.kernel.interrupt()
    understood(notebook.took(cell.wait()), "TurnInterrupted")
    for transcript in set(home.rglob("*.jsonl")) - before:  # the CLI may have written it before it was stopped
        transcript.unlink()
    following = notebook.run("once", cell_id="again")
    assert following.ok
    assert "is gone; this goes on from turn" in following.text
    assert notebook.run("twice", "--redo", cell_id="again").ok
    assert notebook.api.prompts()[-2:] == [["before", "once"], ["before", "twice"]]
    ends_well(notebook)
