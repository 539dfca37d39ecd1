"""Going back: what a branch sees is the history of the place that it begins at, and nothing else."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from cells import WIDGET, Configure, answered, ask, clis, ended, failure, history, session_of, start, usage_error
from messages_api import MessagesAPI
from rig import CellResult
from rig.kernel import Kernel

SUMMARY = "This session is being continued from a previous conversation"


def turn_of(result: CellResult) -> int:
    return int(result.metadata["claude_magic"]["turn"])


def say(kernel: Kernel, words: str) -> CellResult:
    result = kernel.run(f"%claude_session {words}", allow_stdin=False)
    assert result.ok, result.outputs
    return result


def interrupted(kernel: Kernel, api: MessagesAPI, options: str = "", **run: str) -> CellResult:
    """Ask what is never answered, and interrupt it once the API has heard it."""
    count = len(api.requests)
    cell = start(kernel, "<<hang>>", options, **run)
    kernel.wait_for(lambda: len(api.requests) > count)
    kernel.interrupt()
    result = cell.wait()
    assert result.errors[0]["ename"] == "TurnInterrupted"
    return result


@pytest.mark.long
def test_redo_four_cells_up(loaded_kernel: Kernel, api: MessagesAPI) -> None:
    """`--redo` in a cell further up asks in place of what was asked there; the branch left behind can be continued."""
    results = [answered(loaded_kernel, prompt, cell_id=prompt) for prompt in ("a", "b", "c", "d", "e")]
    result = answered(loaded_kernel, "b again", "--redo", cell_id="b")
    assert history(api) == ["a", "b again"]
    assert f"instead of turn {turn_of(results[1])}" in result.text
    assert session_of(result) != session_of(results[1])
    answered(loaded_kernel, "on", cell_id="f")
    assert history(api) == ["a", "b again", "on"]
    answered(loaded_kernel, "the old way", f"--resume {session_of(results[1])}", cell_id="g")
    assert history(api) == ["a", "b", "c", "d", "e", "the old way"]


@pytest.mark.long
def test_redo_once_more(loaded_kernel: Kernel, api: MessagesAPI) -> None:
    """Each further `--redo` takes the place of the one before, also that of a first turn; none piles up."""
    answered(loaded_kernel, "one", cell_id="1")
    answered(loaded_kernel, "two", cell_id="2")
    for number in range(2):
        answered(loaded_kernel, f"two, {number}", "--redo", cell_id="2")
        assert history(api) == ["one", f"two, {number}"]
    for number in range(2):
        answered(loaded_kernel, f"one, {number}", "--redo", cell_id="1")
        assert history(api) == [f"one, {number}"]


def test_redo_of_what_was_never_asked(loaded_kernel: Kernel, api: MessagesAPI) -> None:
    """In a cell that asked nothing yet `--redo` continues; without cell IDs it takes the place of the last turn."""
    answered(loaded_kernel, "one", cell_id="r1")
    answered(loaded_kernel, "two", "--redo", cell_id="r2")
    assert history(api) == ["one", "two"]
    answered(loaded_kernel, "three", "--redo")
    assert history(api) == ["one", "three"]


def test_rerun_is_redo(loaded_kernel: Kernel, api: MessagesAPI, configure: Configure) -> None:
    """With `rerun = "redo"` a cell that runs again replaces its turn; otherwise it continues, and its footer says so."""
    answered(loaded_kernel, "one", cell_id="s1")
    answered(loaded_kernel, "two", cell_id="s2")
    assert "continues; turn" in answered(loaded_kernel, "two", cell_id="s2").text
    configure("rerun", "redo")
    answered(loaded_kernel, "two, better", cell_id="s2")
    assert history(api) == ["one", "two", "two, better"]
    answered(loaded_kernel, "two, best", cell_id="s2")
    assert history(api) == ["one", "two", "two, best"]
    answered(loaded_kernel, "three", "--fork", cell_id="s2")
    assert history(api) == ["one", "two", "two, best", "three"]


def test_interrupted_turn(loaded_kernel: Kernel, api: MessagesAPI) -> None:
    """An interrupted prompt is in the history of what branches off behind it, and not of what is asked in its place."""
    answered(loaded_kernel, "one", cell_id="i1")
    stopped = interrupted(loaded_kernel, api, cell_id="i2")
    for options in ("--fork", f"--at {turn_of(stopped)}"):
        answered(loaded_kernel, "on", options)
        assert history(api) == ["one", "<<hang>>", "on"]
    answered(loaded_kernel, "two", "--redo", cell_id="i2")
    assert history(api) == ["one", "two"]


def test_refused_turn(loaded_kernel: Kernel, api: MessagesAPI) -> None:
    """A turn that the API refused has no end to go on from, and the error names the way; asking in its place works."""
    before = answered(loaded_kernel, "one", cell_id="x1")
    refused = ask(loaded_kernel, "<<status 400>>", cell_id="x2")
    failure(refused, "APIError")
    count = len(api.requests)
    text = failure(ask(loaded_kernel, "on", f"--at {turn_of(refused)}"), "TurnNotFoundError")
    assert f"--at {turn_of(before)}" in text
    assert len(api.requests) == count
    answered(loaded_kernel, "two", "--redo", cell_id="x2")
    assert history(api) == ["one", "two"]


@pytest.mark.long
def test_before_a_compaction(loaded_kernel: Kernel, api: MessagesAPI) -> None:
    """`/compact` can be undone: before it lies the whole conversation, behind it the summary."""
    first = answered(loaded_kernel, "one", cell_id="c1")
    answered(loaded_kernel, "two", cell_id="c2")
    compacted = answered(loaded_kernel, "/compact", cell_id="c3")
    answered(loaded_kernel, "three", cell_id="c4")
    for options, cell_id in (("--redo", "c4"), (f"--at {turn_of(compacted)}", None)):
        answered(loaded_kernel, "behind", options, cell_id=cell_id)
        summary, *rest = history(api)
        assert summary.startswith(SUMMARY)
        assert rest == ["behind"]
    answered(loaded_kernel, "instead", "--redo", cell_id="c3")
    assert history(api) == ["one", "two", "instead"]
    answered(loaded_kernel, "before", f"--at {turn_of(first)}")
    assert history(api) == ["one", "before"]


def test_cleared(loaded_kernel: Kernel, api: MessagesAPI) -> None:
    """`/clear` can be undone; what was asked behind it, asked again, sees nothing of before."""
    answered(loaded_kernel, "one", cell_id="l1")
    answered(loaded_kernel, "/clear", cell_id="l2")
    answered(loaded_kernel, "two", cell_id="l3")
    answered(loaded_kernel, "two again", "--redo", cell_id="l3")
    assert history(api) == ["two again"]
    answered(loaded_kernel, "instead", "--redo", cell_id="l2")
    assert history(api) == ["one", "instead"]


@pytest.mark.long
def test_branches_of_branches(loaded_kernel: Kernel, api: MessagesAPI) -> None:
    """A branch of a branch sees the way that led to it, also when every process has died meanwhile."""
    one = turn_of(answered(loaded_kernel, "one"))
    two = turn_of(answered(loaded_kernel, "two", f"--at {one}"))
    answered(loaded_kernel, "left", f"--at {two}")
    answered(loaded_kernel, "three", f"--at {two}")
    processes = clis(loaded_kernel)
    for process in processes:
        os.kill(process.pid, signal.SIGKILL)
    assert ended(processes, 5)
    answered(loaded_kernel, "four")
    assert history(api) == ["one", "two", "three", "four"]
    answered(loaded_kernel, "five", f"--at {two}")
    assert history(api) == ["one", "two", "five"]


@pytest.mark.long
def test_prepared_process_is_closed_when_idle(loaded_kernel: Kernel, api: MessagesAPI, configure: Configure) -> None:
    """The process prepared for asking once more is closed when nobody does; then `--redo` sees the same."""
    configure("idle_timeout", 1)
    answered(loaded_kernel, "one", cell_id="p1")
    answered(loaded_kernel, "two", cell_id="p2")
    answered(loaded_kernel, "two, 1", "--redo", cell_id="p2")
    loaded_kernel.wait_for(lambda: not clis(loaded_kernel), about="no CLI")
    answered(loaded_kernel, "two, 2", "--redo", cell_id="p2")
    assert history(api) == ["one", "two, 2"]


@pytest.mark.long
def test_resumed_session(loaded_kernel: Kernel, fresh_kernel: Kernel, api: MessagesAPI, notebook_dir: Path) -> None:
    """In another kernel `--resume X --fork` and `--redo` go back to what the disk says, also what was said meanwhile."""
    session = session_of(answered(loaded_kernel, "one"))
    fresh_kernel.run(f"import os; os.chdir({str(notebook_dir)!r})")
    assert fresh_kernel.run("%load_ext claude_magic").ok
    answered(fresh_kernel, "branch", f"--resume {session} --fork", cell_id="1")
    assert history(api) == ["one", "branch"]
    answered(fresh_kernel, "branch again", "--redo", cell_id="1")
    assert history(api) == ["one", "branch again"]
    answered(loaded_kernel, "two")
    answered(fresh_kernel, "three", f"--resume {session}", cell_id="2")
    assert history(api) == ["one", "two", "three"]
    answered(fresh_kernel, "three again", "--redo", cell_id="2")
    assert history(api) == ["one", "two", "three again"]


def test_granted_permission_in_a_branch(loaded_kernel: Kernel, api: MessagesAPI) -> None:
    """What was allowed for a session is allowed in its branches."""
    tool = '<<tool Bash {"command": "touch granted", "description": "x"}>><<say done>>'
    cell = start(loaded_kernel, tool)
    loaded_kernel.wait_for(lambda: any("session" in state["description"] for state in buttons(loaded_kernel)))
    loaded_kernel.click("Allow this command in this session")
    assert cell.wait().ok
    result = answered(loaded_kernel, tool, "--fork", allow_stdin=False)
    assert "denied" not in result.text
    assert "✓" in result.text


@pytest.mark.parametrize("options", ["--new", "--redo"])
def test_refused_model(loaded_kernel: Kernel, api: MessagesAPI, options: str) -> None:
    """A model that the API refuses leaves the current session and its place as they were, wherever the turn began."""
    answered(loaded_kernel, "one", cell_id="m1")
    answered(loaded_kernel, "two", cell_id="m2")
    text = failure(ask(loaded_kernel, "<<only haiku>>", f"{options} --model sonnet", cell_id="m2"), "APIError")
    assert "--model" in text
    answered(loaded_kernel, "three", cell_id="m3")
    assert history(api) == ["one", "two", "three"]


@pytest.mark.parametrize("options", ["--at 99999", "--resume nowhere --fork"])
def test_unknown_place(loaded_kernel: Kernel, api: MessagesAPI, options: str) -> None:
    """A turn or session that is not there is an error before anything is sent, and the current session stays."""
    answered(loaded_kernel, "one")
    name = "TurnNotFoundError" if "--at" in options else "SessionNotFoundError"
    failure(ask(loaded_kernel, "two", options), name)
    assert len(api.requests) == 1
    answered(loaded_kernel, "three")
    assert history(api) == ["one", "three"]


def test_places_exclude_each_other(loaded_kernel: Kernel) -> None:
    """Two places to begin at are refused in a line."""
    assert "--at and --redo exclude" in usage_error(ask(loaded_kernel, "hello", "--at 1 --redo"))


def test_tree(loaded_kernel: Kernel, api: MessagesAPI) -> None:
    """`turns` draws the tree, `fork` branches once; a click on Continue goes on from that turn, and the next cell closes it."""
    one = answered(loaded_kernel, "the first one")
    answered(loaded_kernel, "the second one")
    say(loaded_kernel, "fork")
    forked = answered(loaded_kernel, "the third one")
    assert session_of(forked) != session_of(one)
    tree = loaded_kernel.run("%claude_session turns")
    assert WIDGET in tree.bundle
    assert "--fork" in tree.text
    (continue_first,) = [
        id_
        for id_, state in loaded_kernel.widgets_named("ButtonModel").items()
        if str(state["tooltip"]).startswith(f"Continue from turn {turn_of(one)} ")
    ]
    loaded_kernel.click(continue_first)
    loaded_kernel.sync()
    answered(loaded_kernel, "on")
    assert not loaded_kernel.widgets
    assert WIDGET not in tree.bundle
    assert history(api) == ["the first one", "on"]


def buttons(kernel: Kernel) -> list[dict[str, str]]:
    return list(kernel.widgets_named("ButtonModel").values())
