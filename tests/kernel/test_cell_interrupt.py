"""Interrupting a turn: the kernel's interrupt and the Stop button, wherever the turn is."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable

import psutil
import pytest
from cells import about, answered, ask, clis, ended, failure, history, kept, on_page, only_cli, session_of, start, stopped_soon
from messages_api import MessagesAPI
from rig import CellResult, RunningCell
from rig.kernel import Kernel

kinds = pytest.mark.parametrize("kind", ["async", "sync"])
ways = pytest.mark.parametrize(("kind", "allow_stdin"), [("async", True), ("sync", False)], ids=["async-live", "sync-static"])


def interrupted(cell: RunningCell, stop: Callable[[], None] | None = None) -> CellResult:
    """Interrupt the kernel and assert that the cell ends soon, as an interrupted turn."""
    result = stopped_soon(cell, stop or cell.kernel.interrupt)
    failure(result, "TurnInterrupted")
    return result


# The CLI (2.1.331) refuses a plain `sleep`.
NAP = "import time; time.sleep(600)"
TOOL = f"""<<tool Bash {{"command": "python3 -c '{NAP}'"}}>>"""
ALLOWED = "--allow Bash(python3:*)"


def command_of(process: psutil.Process) -> list[str]:
    try:
        return list(process.cmdline())
    except psutil.Error:  # it has just ended
        return []


def napping(kernel: Kernel) -> list[psutil.Process]:
    """Wait for the command that the tool runs."""

    def found() -> list[psutil.Process]:
        return [process for process in kernel.children() if command_of(process)[-1:] == [NAP]]

    kernel.wait_for(lambda: bool(found()), about="the command")
    return found()


@ways
def test_waiting_for_the_api(loaded_kernel: Kernel, api: MessagesAPI, kind: str, allow_stdin: bool) -> None:
    """While the API says nothing the turn ends within a second, and the next cell continues the session."""
    session = session_of(answered(loaded_kernel, "one"))
    cell = start(loaded_kernel, "<<hang>>", kind=kind, allow_stdin=allow_stdin)
    api.wait_for_requests(2)
    assert session_of(interrupted(cell)) == session
    assert session_of(answered(loaded_kernel, "two")) == session
    assert history(api)[0] == "one"
    assert history(api)[-1] == "two"


@kinds
def test_streaming(loaded_kernel: Kernel, api: MessagesAPI, kind: str) -> None:
    """While text streams in the turn ends within a second; what had arrived stays."""
    session = session_of(answered(loaded_kernel, "one"))
    cell = start(loaded_kernel, "<<say The beginning.>><<stream 2000 20 100>><<hang>>", kind=kind)
    cell.wait_for(lambda _: "lorem ipsum" in on_page(loaded_kernel))
    result = interrupted(cell)
    kept(result, "The beginning.", "lorem ipsum")
    assert session_of(result) == session
    assert session_of(answered(loaded_kernel, "two")) == session
    assert history(api)[0] == "one"


@ways
def test_inside_a_tool(loaded_kernel: Kernel, api: MessagesAPI, kind: str, allow_stdin: bool) -> None:
    """While a command runs the turn ends within a second, and the command with it; what was said before stays."""
    answered(loaded_kernel, "one", ALLOWED)
    prompt = f"<<say Before the call.>>{TOOL}<<say never>>"
    cell = start(loaded_kernel, prompt, ALLOWED, kind=kind, allow_stdin=allow_stdin)
    commands = napping(loaded_kernel)
    kept(interrupted(cell), "Before the call.", "time.sleep(600)")
    assert ended(commands)
    answered(loaded_kernel, "two", ALLOWED)
    assert history(api)[0] == "one"


@pytest.mark.parametrize("kind", ["async"])
def test_stop_button(loaded_kernel: Kernel, api: MessagesAPI, kind: str) -> None:
    """The Stop button ends the turn as the interrupt does, and goes away with it."""
    session = session_of(answered(loaded_kernel, "one"))
    cell = start(loaded_kernel, "<<say The beginning.>><<hang>>", kind=kind)
    cell.wait_for(lambda _: "The beginning." in on_page(loaded_kernel))
    kept(interrupted(cell, lambda: loaded_kernel.click("Stop")), "The beginning.")
    assert dict(loaded_kernel.widgets) == {}
    assert session_of(answered(loaded_kernel, "two")) == session


def test_stop_button_inside_a_tool(loaded_kernel: Kernel) -> None:
    """The Stop button ends a running command, too."""
    cell = start(loaded_kernel, TOOL, ALLOWED)
    commands = napping(loaded_kernel)
    interrupted(cell, lambda: loaded_kernel.click("Stop"))
    assert ended(commands)


def test_between_retries(loaded_kernel: Kernel) -> None:
    """While the CLI waits before it tries again the turn ends within a second."""
    answered(loaded_kernel, "one")
    cell = start(loaded_kernel, "<<status 529>>")
    cell.wait_for(lambda _: "Retrying" in on_page(loaded_kernel))
    interrupted(cell)
    answered(loaded_kernel, "two")


def test_run_all_stops(loaded_kernel: Kernel, api: MessagesAPI) -> None:
    """The cells behind an interrupted one do not run."""
    codes = ["%%claude\none", "%%claude\n<<hang>>", "%%claude\nnever", "print('never')"]
    cells = [loaded_kernel.start(code) for code in codes]
    api.wait_for_requests(2)
    interrupted(cells[1])
    assert [cell.wait().status for cell in cells] == ["ok", "error", "aborted", "aborted"]
    assert len(api.requests) == 2


def test_while_the_first_process_starts(fresh_kernel: Kernel) -> None:
    """Interrupted before the CLI is up, the cell fails as an interrupted turn, and the next one works."""
    fresh_kernel.run("%load_ext claude_magic")
    cell = fresh_kernel.start("print('begun')\n%claude <<hang>>", stop_on_error=False)
    cell.wait_for(lambda result: result.stdout == "begun\n")
    fresh_kernel.interrupt()
    result = cell.wait()
    failure(result, "TurnInterrupted")
    answered(fresh_kernel, "hello")


def test_pressed_again(loaded_kernel: Kernel, api: MessagesAPI) -> None:
    """Somebody who presses interrupt three times gets the same as for once: label, partial text, a session that goes on."""
    session, process = only_cli(loaded_kernel)
    cell = start(loaded_kernel, "<<say The beginning.>><<hang>>")
    cell.wait_for(lambda _: "The beginning." in on_page(loaded_kernel))
    # Stopped, the CLI makes the turn's end take long enough for the next press to fall into it.
    process.suspend()
    for _ in range(3):
        loaded_kernel.interrupt()
        threading.Event().wait(0.15)
    result = cell.wait()
    failure(result, "TurnInterrupted")
    kept(result, "The beginning.")
    assert session_of(answered(loaded_kernel, "two")) == session


@kinds
def test_a_cli_that_does_not_react(loaded_kernel: Kernel, api: MessagesAPI, kind: str) -> None:
    """A CLI that ignores the interrupt is ended after a bounded wait, and the session resumed from disk."""
    session, process = only_cli(loaded_kernel)
    cell = start(loaded_kernel, "<<say The beginning.>><<hang>>", kind=kind)
    cell.wait_for(lambda _: "The beginning." in on_page(loaded_kernel))
    os.kill(process.pid, signal.SIGSTOP)
    kept(interrupted(cell), "The beginning.")
    following = start(loaded_kernel, "two")
    assert session_of(following.wait()) == session
    assert ended([process])
    assert history(api)[0] == "one"
    assert history(api)[-1] == "two"


def test_other_cell(loaded_kernel: Kernel, api: MessagesAPI) -> None:
    """Interrupting a cell that has nothing to do with Claude leaves the CLI alive, and the next turn uses it."""
    _, process = only_cli(loaded_kernel)
    cell = loaded_kernel.start("print('looping', flush=True)\nwhile True: pass")
    cell.wait_for(lambda result: "looping" in result.stdout)
    loaded_kernel.interrupt()
    assert cell.wait().errors[0]["ename"] == "KeyboardInterrupt"
    assert clis(loaded_kernel) == [process]
    answered(loaded_kernel, "two")
    assert clis(loaded_kernel) == [process]
    assert history(api) == ["one", "two"]


def test_process_survives(loaded_kernel: Kernel) -> None:
    """An interrupted turn costs no new process: the next one is warm."""
    _, process = only_cli(loaded_kernel)
    cell = start(loaded_kernel, "<<say The beginning.>><<hang>>")
    cell.wait_for(lambda _: "The beginning." in on_page(loaded_kernel))
    interrupted(cell)
    answered(loaded_kernel, "two")
    assert clis(loaded_kernel) == [process]


def test_first_turn_of_a_session(loaded_kernel: Kernel, api: MessagesAPI) -> None:
    """A session whose first turn was interrupted goes on all the same."""
    cell = start(loaded_kernel, "<<say The beginning.>><<hang>>")
    cell.wait_for(lambda _: "The beginning." in on_page(loaded_kernel))
    session = session_of(interrupted(cell))
    assert session_of(answered(loaded_kernel, "two")) == session
    assert len(history(api)) == 2


def test_again_and_again(loaded_kernel: Kernel, api: MessagesAPI) -> None:
    """Turn after turn can be interrupted; each is counted, and no session is lost."""
    session = session_of(answered(loaded_kernel, "one"))
    turns = []
    for number in range(3):
        cell = start(loaded_kernel, f"<<say Part {number}.>><<hang>>")
        cell.wait_for(lambda _, part=f"Part {number}.": part in on_page(loaded_kernel))
        result = interrupted(cell)
        kept(result, f"Part {number}.")
        turns.append(about(result)["turn"])
    assert turns == [turns[0], turns[0] + 1, turns[0] + 2]
    assert session_of(ask(loaded_kernel, "two")) == session
