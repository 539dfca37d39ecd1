"""What every case of the fault matrix ends with: the next cell works, and nobody was told anything but the truth.

`Notebook` is a loaded kernel whose cells are remembered; `ends_well` compares the newest request at the API with the turns
that the kernel believes in, and looks for what was left over. How a fault is made is the business of the cases.
"""

from __future__ import annotations

import re
import signal
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import psutil
from kernel.cells import NEXT_STEP_WORDS, SCREENFUL, WIDGET, plain
from messages_api import DIRECTIVE, MessagesAPI, prompts_in
from rig import CellResult, RunningCell
from rig.kernel import Kernel
from rig.leaks import assert_no_widgets

STATE = "get_ipython().magics_manager.registry['ClaudeMagics'].state"
PATH = f"[(turn.number, turn.prompt, turn.failed) for turn in {STATE}.turns.path({STATE}.current_turn)]"
THREADS = "[(thread.name, type(thread).__module__) for thread in __import__('threading').enumerate()]"
OF_ASYNCIO = ("asyncio-waitpid", "asyncio_")
"""Threads of loops: one for each process that lives, and those that a loop keeps for calls that block."""

OF_THE_CLI = ("No response requested.",)
"""What the CLI itself puts where an answer is missing (2.1.332)."""


BROKE = "The connection broke here; Claude was asked to go on."


@dataclass(slots=True)
class Notebook:
    """A loaded kernel, the API that it asks, and what its cells have shown of each turn."""

    kernel: Kernel
    api: MessagesAPI
    shown: dict[int, str] = field(default_factory=dict)
    threads: list[str] = field(default_factory=list)
    earlier: list[tuple[str, str]] = field(default_factory=list)
    """What was said before in an earlier kernel, which this one's tree does not hold."""
    asked: int = 0

    def __post_init__(self) -> None:
        # IPython 9 loads it when it is first used, and an interrupt meanwhile leaves it broken.
        assert self.kernel.run("%%time\npass").ok
        assert self.run("before").ok
        self.threads = self.now_threads()

    def now_threads(self) -> list[str]:
        """Return the names of the kernel's threads, but for those of loops and the one that pyzmq keeps for large messages."""
        threads = self.kernel.value(THREADS)
        return sorted(name for name, of in threads if not name.startswith(OF_ASYNCIO) and of != "zmq.utils.garbage")

    def start(self, prompt: str, options: str = "", *, above: str = "", **run: Any) -> RunningCell:
        """Start a cell; `above` it may stand another magic, which makes it block."""
        return self.kernel.start(f"{above}%%claude {options}\n{prompt}", **run)

    def run(self, prompt: str, options: str = "", **run: Any) -> CellResult:
        """Run a cell to its end."""
        return self.took(self.start(prompt, options, **run).wait())

    def took(self, result: CellResult) -> CellResult:
        """Remember what a cell that has ended shows of its turns."""
        told = result.metadata.get("claude_magic", {})
        for about in told.get("alternatives") or [told]:
            if about.get("turn"):
                self.shown[about["turn"]] = squeezed(result.text)
        return result

    def page(self) -> str:
        """Return what the open widgets show."""
        return "\n".join(str(state["value"]) for state in self.kernel.widgets.values() if isinstance(state.get("value"), str))

    def clis(self) -> list[psutil.Process]:
        """Return the CLI processes, the newest one first."""
        found = [process for process in self.kernel.children() if "stream-json" in command_of(process)]
        return sorted(found, key=born, reverse=True)

    def new_cli(self, before: Iterable[psutil.Process]) -> psutil.Process:
        """Wait for a CLI that was not there before."""
        known = set(before)
        self.kernel.wait_for(lambda: bool(set(self.clis()) - known), about="a new CLI")
        return next(process for process in self.clis() if process not in known)


def command_of(process: psutil.Process) -> list[str]:
    try:
        return [] if process.status() == psutil.STATUS_ZOMBIE else list(process.cmdline())
    except psutil.Error:
        return []


def born(process: psutil.Process) -> float:
    return float(process.create_time())


def squeezed(text: str) -> str:
    """Return text without the white space in which its forms differ, and without remarks between its pieces."""
    return re.sub(r"\s+", "", text.replace(BROKE, ""))


def scripted(prompt: str) -> str:
    """Return what the API's script says in answer to a prompt."""
    found = DIRECTIVE.findall(prompt)
    return "".join(text for verb, text in found if verb == "say") if found else f"You said: {prompt}"


def conversation(body: dict[str, Any]) -> list[tuple[str, str]]:
    """Return the prompts of a request, each with the text of its answer."""
    turns: list[tuple[str, str]] = []
    for message in body["messages"]:
        if message["role"] == "user":
            turns += [(prompt, "") for prompt in prompts_in(message) if not prompt.startswith("[Request interrupted")]
        if message["role"] != "assistant":
            continue
        content = message["content"]
        texts = [content] if isinstance(content, str) else [block["text"] for block in content if block["type"] == "text"]
        said = "".join(text for text in texts if text.strip() not in OF_THE_CLI)
        prompt, before = turns.pop() if turns else ("", "")
        turns.append((prompt, before + said))
    return turns


def deviations(notebook: Notebook, body: dict[str, Any]) -> list[str]:
    """Return where a request's history differs from the turns that the kernel believes in, and from what their cells show.

    A turn that failed may have come to nothing; but what Claude knows of it, the person has seen. The last turn's answer stands
    in no request yet.
    """
    believed = notebook.kernel.value(PATH)
    seen = conversation(body)
    found: list[str] = []
    left = list(seen)
    for known in notebook.earlier:
        if left and known == left[0]:
            left.pop(0)
        else:
            found.append(f"what an earlier kernel knew is missing: {known}")
    for number, prompt, failed in believed:
        if left and squeezed(left[0][0]) == squeezed(prompt):
            answer = squeezed(left.pop(0)[1])
            shown = notebook.shown.get(number)
            if not failed and left and answer != squeezed(scripted(prompt)):
                found.append(f"turn {number}: Claude believes that it said {answer!r}")
            if shown is not None and answer not in shown:
                found.append(f"turn {number}: {answer!r} is not in its cell: {shown!r}")
        elif not failed:
            found.append(f"turn {number} is missing: {prompt!r}")
    found += [f"Claude knows of what is not in the tree: {turn}" for turn in left]
    return [*found, f"believed {believed}, seen {seen}"] if found else []


def understood(result: CellResult, *names: str) -> str:
    """Assert that a cell failed with one of these errors: its name, a sentence and a next step, in a screenful."""
    assert result.status == "error", result.outputs
    (error,) = result.errors
    assert error["ename"] in names, result.outputs
    text = plain("\n".join(error["traceback"]))
    sentence, *rest = text.splitlines()
    assert len(rest) < SCREENFUL, text
    assert sentence.startswith(f"{error['ename']}: "), text
    assert "Traceback" not in text, text
    assert ".py" not in text, text
    assert re.search(NEXT_STEP_WORDS, " ".join(rest), re.IGNORECASE), f"no next step: {text}"
    assert result.stderr == "", result.stderr
    assert WIDGET not in result.bundle
    return text


def ends_well(notebook: Notebook) -> None:
    """Assert what holds after every fault: the next cell works, its history is the tree's, nothing was left."""
    kernel, api = notebook.kernel, notebook.api
    last = notebook.run("afterwards")
    assert last.ok, last.outputs
    assert squeezed("You said: afterwards") in notebook.shown[last.metadata["claude_magic"]["turn"]]
    found = deviations(notebook, api.requests[-1])
    assert not found, "\n".join(found)
    assert_no_widgets(kernel)
    assert kernel.running == []
    kernel.wait_for(
        lambda: notebook.now_threads() == notebook.threads, 20, about=f"{notebook.threads}, {notebook.now_threads()}"
    )
    kernel.wait_for(lambda: not left_over(notebook), 20, about=f"{left_over(notebook)}")


def left_over(notebook: Notebook) -> list[psutil.Process]:
    """Return what runs below the kernel and is neither a CLI nor what holds one."""
    clis = notebook.clis()
    holders = {parent for process in clis for parent in parents_of(process)}
    running = [process for process in notebook.kernel.children() if command_of(process)]
    return [process for process in running if process not in clis and process not in holders]


def parents_of(process: psutil.Process) -> list[psutil.Process]:
    with suppress(psutil.Error):
        return list(process.parents())
    return []


def kill(process: psutil.Process) -> None:
    process.send_signal(signal.SIGKILL)


def freeze(process: psutil.Process) -> None:
    process.send_signal(signal.SIGSTOP)
