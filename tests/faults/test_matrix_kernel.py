"""The kernel's side of a turn fails: it restarts, the extension goes, cells are interrupted, threads and kernels compete."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from ends_well import STATE, Notebook, conversation, ends_well, freeze, understood
from messages_api import MessagesAPI
from rig import CellResult, RunningCell
from rig.kernel import Kernel

long = pytest.mark.long


@pytest.fixture
def notebook(loaded_kernel: Kernel, api: MessagesAPI) -> Notebook:
    return Notebook(loaded_kernel, api)


@pytest.fixture
def restarted(notebook: Notebook) -> Iterator[Callable[[], Notebook]]:
    """Restart the kernel, load the extension and go on with the session: `restarted()`."""
    session = notebook.kernel.value(f"{STATE}.current.session_id")

    def restart() -> Notebook:
        notebook.kernel.restart()
        assert notebook.kernel.run("%load_ext claude_magic").ok
        assert notebook.kernel.run(f"%claude_session resume {session}").ok
        return notebook

    yield restart
    notebook.kernel.run("%load_ext claude_magic")


@pytest.fixture
def patient(notebook: Notebook) -> Iterator[Notebook]:
    """Let the kernel wait a minute, not 5 s, before it kills a CLI that does not confirm an interrupt."""
    limit = "__import__('claude_magic.sdk._cli.process').sdk._cli.process.INTERRUPT_LIMIT_S"
    usual = notebook.kernel.value(limit)
    assert notebook.kernel.run(f"{limit} = 60.0").ok
    yield notebook
    assert notebook.kernel.run(f"{limit} = {usual}").ok


# Restarts


@pytest.mark.parametrize("prompt", ["<<hang>>", pytest.param("<<say The beginning.>><<hang>>", marks=long)])
def test_restarted_in_mid_turn(notebook: Notebook, restarted: Callable[[], Notebook], prompt: str) -> None:
    """A kernel that is restarted in the middle of a turn leaves no CLI, and the session goes on from what was said."""
    notebook.start(prompt)
    notebook.api.wait_for_requests(2)
    if "beginning" in prompt:
        notebook.kernel.wait_for(lambda: "The beginning." in notebook.page())
    restarted()
    notebook.shown.clear()
    last = notebook.run("afterwards")
    assert last.ok, last.outputs
    seen = conversation(notebook.api.requests[-1])
    assert seen[0] == ("before", "You said: before")
    assert seen[-1] == ("afterwards", "")
    # The prompt was taken up; what of its answer Claude remembers, the person has seen.
    assert [prompt for prompt, answer in seen[1:-1] if answer not in ("", "The beginning.")] == []


# The extension goes


RELOAD = "%reload_ext claude_magic"


@pytest.mark.parametrize("line", [pytest.param("%unload_ext claude_magic", marks=long), RELOAD])
def test_extension_goes_in_mid_turn(notebook: Notebook, line: str) -> None:
    """Code that Claude runs takes the extension out from under its own turn: the cell ends, and loading again works."""
    call = json.dumps({"code": line})
    cell = notebook.start(
        f"<<say The beginning.>><<tool mcp__kernel__run_code {call}>><<say Done.>>", "--allow mcp__kernel__run_code"
    )
    result = notebook.took(cell.wait())
    if not result.ok:
        understood(result, "TurnInterrupted", "ConfigError", "CLIDiedError")
    assert "The beginning." in result.text
    reloaded(notebook)


@pytest.mark.parametrize("line", ["%unload_ext claude_magic", pytest.param(RELOAD, marks=long)])
def test_extension_goes_under_a_thread(notebook: Notebook, line: str) -> None:
    """A thread that waits for an answer is told when a cell takes the extension out, and does not wait for ever."""
    notebook.kernel.run(THREAD.format(prompts=["<<hang>>"]))
    notebook.api.wait_for_requests(2)
    assert notebook.kernel.run(line).ok
    assert notebook.kernel.run("for thread in threads: thread.join()").ok
    assert notebook.kernel.value("[type(answer).__name__ for answer in answers.values()]") != ["NoneType"]
    reloaded(notebook)


def test_extension_goes_under_a_stream(notebook: Notebook) -> None:
    """An `ask.stream` that nobody has read to its end does not keep the extension from being reloaded."""
    notebook.kernel.run(
        "from claude_magic import ask\nstream = ask.stream('<<say The beginning.>><<hang>>')\nprint(next(stream))"
    )
    notebook.api.wait_for_requests(2)
    assert notebook.kernel.run(RELOAD).ok
    notebook.kernel.run("del stream")
    reloaded(notebook)


def reloaded(notebook: Notebook) -> None:
    """Load what may be gone, and see that all works in a new session."""
    assert notebook.kernel.run("%load_ext claude_magic\n%claude_session new").ok
    notebook.shown.clear()
    assert notebook.run("before").ok
    ends_well(notebook)


# Interrupts


AT: dict[str, tuple[str, Callable[[Notebook, RunningCell], Any]]] = {
    # Before its code runs ipykernel itself loses an interrupt.
    "at once": ("<<hang>>", lambda notebook, cell: cell.wait_for(lambda result: result.stdout != "")),
    "view open": ("<<hang>>", lambda notebook, cell: cell.wait_for(lambda result: bool(result.displays))),
    "asked": ("<<hang>>", lambda notebook, cell: notebook.api.wait_for_requests(2)),
    "in text": (
        "<<say The beginning.>><<hang>>",
        lambda notebook, cell: cell.wait_for(lambda _: "The beginning." in notebook.page()),
    ),
    "at the end": ("<<say The beginning.>><<wait>>", lambda notebook, cell: ending(notebook, cell)),
}
WAYS = {"async": "", "blocking": "%%time\n"}
FAST = {("in text", "async", 1), ("in text", "blocking", 2), ("at once", "blocking", 1)}
CASES = [
    pytest.param(moment, way, times, marks=() if (moment, way, times) in FAST else long)
    for moment in AT
    for way in WAYS
    for times in (1, 2)
    if (moment, way) != ("at once", "async")
]


def ending(notebook: Notebook, cell: RunningCell) -> None:
    cell.wait_for(lambda _: "The beginning." in notebook.page())
    notebook.api.go_on.set()


@pytest.mark.parametrize(("moment", "way", "times"), CASES)
def test_interrupted(notebook: Notebook, moment: str, way: str, times: int) -> None:
    """An interrupt, or two, at any moment of a turn: what had arrived stays, and Claude and the kernel know the same."""
    prompt, arrived = AT[moment]
    if moment == "at once":
        cell = notebook.kernel.start(f"print('begun', flush=True)\n%claude {prompt}")
    else:
        cell = notebook.start(prompt, above=WAYS[way])
    arrived(notebook, cell)
    for _ in range(times):
        notebook.kernel.interrupt()
    result = notebook.took(cell.wait())
    stopped(result)
    if moment in ("in text", "at the end"):
        assert "The beginning." in result.text
    ends_well(notebook)


def stopped(result: CellResult) -> None:
    """Assert that a cell ended well, or as one that was interrupted; before there was a turn IPython says so.

    An interrupt behind the cell's last line comes to ipykernel, and the cell has no error. A second one can hit IPython while
    it prints our error.
    """
    if [error["ename"] for error in result.errors] == ["TurnInterrupted", "KeyboardInterrupt"]:
        result.outputs.remove(result.errors[1])
    if result.errors and result.errors[0]["ename"] != "KeyboardInterrupt":
        understood(result, "TurnInterrupted")


@long
@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("gap_ms", [5, 40, 150, 600])
def test_interrupted_again(notebook: Notebook, way: str, gap_ms: int) -> None:
    """A second interrupt while the turn is being stopped takes nothing away of what had arrived."""
    cell = notebook.start("<<say The beginning.>><<hang>>", above=WAYS[way])
    cell.wait_for(lambda _: "The beginning." in notebook.page())
    notebook.kernel.interrupt()
    # The gap is what the case is about.
    threading.Event().wait(gap_ms / 1000)
    notebook.kernel.interrupt()
    result = notebook.took(cell.wait())
    stopped(result)
    assert "The beginning." in result.text
    ends_well(notebook)


def test_interrupted_before_claude_begins(patient: Notebook) -> None:
    """A prompt that Claude takes up only after its cell was interrupted is a turn of the tree, as it is one of Claude's."""
    notebook = patient
    clis = notebook.clis()
    for process in clis:
        freeze(process)
    cell = notebook.start("<<hang>>")
    cell.wait_for(lambda _: notebook.page() != "")
    notebook.kernel.interrupt()
    result = notebook.took(cell.wait())
    assert "Nothing had arrived." in understood(result, "TurnInterrupted")
    for process in clis:
        process.resume()
    ends_well(notebook)
    assert ("<<hang>>", "") in conversation(notebook.api.requests[-1]), "the prompt was not sent before the interrupt"


@long
@pytest.mark.parametrize("way", WAYS)
def test_interrupted_with_new(notebook: Notebook, way: str) -> None:
    """A session whose first turn was interrupted twice is the one that goes on, not the one before."""
    cell = notebook.start("<<say The beginning.>><<hang>>", "--new", above=WAYS[way])
    cell.wait_for(lambda _: "The beginning." in notebook.page())
    notebook.kernel.interrupt()
    notebook.kernel.interrupt()
    stopped(notebook.took(cell.wait()))
    ends_well(notebook)
    assert ("before", "You said: before") not in conversation(notebook.api.requests[-1])


# Threads and other kernels


THREAD = """
import threading
from claude_magic import ask
answers = {{}}
def asks(number, prompt):
    try:
        answers[number] = ask(prompt).content
    except BaseException as failure:
        answers[number] = failure
threads = [threading.Thread(target=asks, args=each) for each in enumerate({prompts!r})]
for thread in threads: thread.start()
"""


def test_sixteen_threads(notebook: Notebook) -> None:
    """16 threads ask at once: each gets its own answer, and the tree holds them in the order in which Claude knows them."""
    prompts = [f"question {number}" for number in range(16)]
    cell = notebook.kernel.run(THREAD.format(prompts=prompts) + "for thread in threads: thread.join()")
    assert cell.ok, cell.outputs
    assert notebook.kernel.value("[str(answers[number]) for number in range(16)]") == [
        f"You said: {prompt}" for prompt in prompts
    ]
    ends_well(notebook)


@long
def test_threads_beside_cells(notebook: Notebook) -> None:
    """Threads that ask while cells do get their own answers, and so do the cells."""
    notebook.kernel.run(THREAD.format(prompts=[f"question {number}" for number in range(4)]))
    for number in range(4):
        result = notebook.run(f"cell {number}")
        assert result.ok
        assert f"You said: cell {number}" in result.text
    assert notebook.kernel.run("for thread in threads: thread.join()").ok
    answers = notebook.kernel.value("[str(answers[number]) for number in range(4)]")
    assert answers == [f"You said: question {number}" for number in range(4)]
    ends_well(notebook)


@long
def test_five_kernels(tmp_path: Path, environment: dict[str, str], api: MessagesAPI) -> None:
    """Five kernels on one home and in one directory have five conversations."""
    with ExitStack() as stack:
        kernels = [stack.enter_context(Kernel(tmp_path, environment)) for _ in range(5)]
        for kernel in kernels:
            assert kernel.run("%load_ext claude_magic").ok
        notebooks = [Notebook(kernel, api) for kernel in kernels]
        for turn in range(3):
            cells = [notebook.start(f"turn {turn} of kernel {number}") for number, notebook in enumerate(notebooks)]
            for notebook, cell in zip(notebooks, cells, strict=True):
                assert notebook.took(cell.wait()).ok
        for notebook in notebooks:
            ends_well(notebook)
