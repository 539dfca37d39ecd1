"""The rig itself: what the other tests trust."""

from __future__ import annotations

import inspect
import os
import struct
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import psutil
import pytest
from messages_api import MessagesAPI
from rig import UnansweredInputError
from rig.environment import NotLoopbackError, is_foreign, isolated_environment
from rig.kernel import Kernel, KernelDiedError
from rig.lab import Lab
from rig.leaks import LeakError, Ledger, assert_ended, assert_no_widgets
from rig.pace import at_some_pace

ASYNC_BUTTON = """
import asyncio, ipywidgets as widgets
from IPython.display import display
clicked = asyncio.Event()
button = widgets.Button(description="Allow once")
button.on_click(lambda _: clicked.set())
display(button)
await asyncio.wait_for(clicked.wait(), 60)
print("clicked")
for widget in (button.layout, button.style, button): widget.close()
"""

# In short ticks: one long `wait(60)`, interrupted right as it began, once went on for 20 s (in about 300 tries).
BLOCKING = """
import threading
print("waiting", flush=True)
while True:
    threading.Event().wait(0.05)
"""

# A CLI turn as any script would run it; the drained generator closes its CLI before the cell ends.
SDK_TURN = """
import claude_agent_sdk as sdk
options = sdk.ClaudeAgentOptions(setting_sources=[])
async with sdk.ClaudeSDKClient(options) as client:
    await client.query("<<say Hello from the script>>")
    async for message in client.receive_response():
        for block in getattr(message, "content", None) or []:
            print(type(block).__name__, block.text)
    import psutil
    alive = [process.name() for process in psutil.Process().children(recursive=True)]
print(alive)
"""


def test_runs_a_cell(kernel: Kernel) -> None:
    """A cell's outputs arrive as a notebook would keep them."""
    result = kernel.run("print('one')\nprint('two')\n6 * 7")
    assert result.ok
    assert result.stdout == "one\ntwo\n"
    assert result.text == "42"
    assert [output["output_type"] for output in result.outputs] == ["stream", "execute_result"]


def test_values_and_next_cell(kernel: Kernel) -> None:
    """A variable's value, the cell's id and what the cell asks of the frontend can be read."""
    code = "cell = get_ipython().kernel.get_parent()['metadata']['cellId']\nget_ipython().set_next_input('next')"
    result = kernel.run(code, cell_id="abc")
    assert kernel.value("cell") == "abc"
    assert result.payload == [{"source": "set_next_input", "text": "next", "replace": False}]
    with pytest.raises(AssertionError, match="NameError"):
        kernel.value("nowhere")


def test_display_update(kernel: Kernel) -> None:
    """An update changes the display it names, in the cell that made it, also from a later cell."""
    first = kernel.run("handle = display({'text/plain': 'draft'}, raw=True, display_id=True)\nprint('after')")
    assert first.text == "draft"
    second = kernel.run("handle.update({'text/plain': 'final'}, raw=True, metadata={'turn': 3})")
    assert (first.text, first.metadata) == ("final", {"turn": 3})
    assert second.outputs == []


def test_clear_output(kernel: Kernel) -> None:
    """Clearing with `wait` keeps the old output until there is new."""
    code = "from IPython.display import clear_output\nprint('old')\nclear_output(wait=True)\n"
    assert kernel.run(code).stdout == "old\n"
    assert kernel.run(code + "print('new')").stdout == "new\n"


def test_click_in_the_middle(kernel: Kernel) -> None:
    """A click reaches an async cell while it runs, and the buttons it closes are gone from the frontend."""
    cell = kernel.start(ASYNC_BUTTON)
    cell.wait_for(lambda result: bool(result.bundle))
    assert cell.result.bundle["application/vnd.jupyter.widget-view+json"]["model_id"] == kernel.button("Allow")
    assert not cell.result.done
    kernel.click("Allow once")
    assert cell.wait().stdout == "clicked\n"
    assert_no_widgets(kernel)


def test_click_and_typing_between_cells(kernel: Kernel) -> None:
    """Typing in a text box and a click are handled when no cell runs."""
    code = """
    import ipywidgets as widgets
    box, go = widgets.Text(), widgets.Button(description="Go")
    go.on_click(lambda _: setattr(go, "description", f"Went with {box.value}"))
    """
    kernel.run(textwrap.dedent(code))
    (box,) = kernel.widgets_named("TextModel")
    kernel.set_widget(box, value="a name")
    kernel.click("Go")
    kernel.sync()
    assert kernel.button("Went with a name")
    with pytest.raises(LeakError, match="ButtonModel Went with a name"):
        assert_no_widgets(kernel)
    kernel.run("widgets.Widget.close_all()")


def test_interrupt(kernel: Kernel) -> None:
    """An interrupt ends a blocking cell with KeyboardInterrupt."""
    cell = kernel.start(BLOCKING)
    cell.wait_for(lambda result: "waiting" in result.stdout)
    kernel.interrupt()
    result = cell.wait()
    assert result.status == "error"
    assert result.errors[0]["ename"] == "KeyboardInterrupt"


def test_input(kernel: Kernel) -> None:
    """`input()` is answered by a string, a function or later by hand, and is an error of the test otherwise."""
    assert kernel.run("print(input('Allow? '))", answer="y").stdout == "y\n"
    assert kernel.run("print(input('Allow? '))", answer=str.upper).stdout == "ALLOW? \n"
    cell = kernel.start("print(input('Allow? '))")
    cell.wait_for(lambda result: result.prompts == ["Allow? "])
    with pytest.raises(UnansweredInputError, match="Allow"):
        cell.wait()
    kernel.answer_input("later")
    assert cell.wait().stdout == "later\n"
    assert kernel.run("input()", allow_stdin=False).errors[0]["ename"] == "StdinNotImplementedError"


def test_run_all_stops_on_error(kernel: Kernel) -> None:
    """Queued cells run in order, and behind a failed one they are aborted."""
    results = kernel.run_all(["a = 1", "a + 1", "1 / 0", "print('never')", "print('never')"])
    assert [result.status for result in results] == ["ok", "ok", "error", "aborted", "aborted"]
    assert results[1].text == "2"
    assert kernel.run("a").text == "1"


def test_waiting_in_vain(kernel: Kernel) -> None:
    """Waiting ends with the reason when the cell has ended or the time is up."""
    with pytest.raises(AssertionError, match="ended without that"):
        kernel.start("print('x')").wait_for(lambda result: "y" in result.stdout)
    cell = kernel.start(BLOCKING)
    cell.wait_for(lambda result: "waiting" in result.stdout)
    with pytest.raises(TimeoutError, match="not within 0"):
        cell.wait(timeout_s=0.2)
    kernel.interrupt()
    cell.wait()


def test_restart(fresh_kernel: Kernel, tmp_path: Path) -> None:
    """A restart gives a new process in the same directory, without names or widgets."""
    fresh_kernel.run("import ipywidgets\nbutton = ipywidgets.Button()")
    before = fresh_kernel.pid
    fresh_kernel.restart()
    assert fresh_kernel.pid != before
    assert not fresh_kernel.widgets
    assert fresh_kernel.run("button").errors[0]["ename"] == "NameError"
    assert fresh_kernel.value("__import__('os').getcwd()") == str(tmp_path)


def test_death(tmp_path: Path, environment: dict[str, str]) -> None:
    """A kernel that dies is reported at once, to whoever waits for it."""
    with Kernel(tmp_path, environment) as kernel, pytest.raises(KernelDiedError, match=r"os\._exit"):
        kernel.run("import os\nos._exit(1)")


def test_children(kernel: Kernel) -> None:
    """The processes below a kernel are seen, and their end is waited for."""
    kernel.run("import subprocess\nchild = subprocess.Popen(['cat'], stdin=subprocess.PIPE)")
    children = kernel.children()
    assert [child.name() for child in children] == ["cat"]
    with pytest.raises(LeakError, match="still alive"):
        assert_ended(children, patience_s=0.1)
    kernel.run("child.stdin.close(); child.wait()")
    assert kernel.children() == []


def test_leaked_process_is_caught(sdk_env: dict[str, str]) -> None:
    """A leaked process is named and killed, also when its parent is gone and it has a session of its own."""
    ledger = Ledger()
    before = ledger.snapshot()
    spawn = "import subprocess; subprocess.Popen(['sleep', '77'], start_new_session=True)"
    subprocess.run([sys.executable, "-c", spawn], check=True, env=os.environ | sdk_env)
    with pytest.raises(LeakError, match="sleep 77"):
        ledger.check(before, patience_s=0.1)
    ledger.check(before)


@pytest.mark.parametrize(
    "start",
    [
        lambda command: subprocess.Popen(command).pid,
        lambda command: os.posix_spawnp(command[0], command, os.environ),
        lambda command: os.spawnvp(os.P_NOWAIT, command[0], command),
    ],
    ids=["subprocess", "posix_spawn", "fork"],
)
def test_every_way_of_starting_is_heard(start: Callable[[list[str]], int]) -> None:
    """However this process starts another one, it is found afterwards; where it has started none nobody looks."""
    ledger = Ledger()
    ledger.check(ledger.snapshot())
    before = ledger.snapshot()
    pid = start(["sleep", "77"])
    with pytest.raises(LeakError, match="sleep 77"):
        ledger.check(before, patience_s=0.1)
    assert not psutil.pid_exists(pid)


def test_adopted_process_may_stay() -> None:
    """A registered process and what it starts are no leak, as long as they are registered."""
    ledger = Ledger()
    before = ledger.snapshot()
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as child:
        with ledger.adopt(lambda: child.pid):
            ledger.check(before, patience_s=0.1)
        assert psutil.pid_exists(child.pid)
        with pytest.raises(LeakError, match="cat"):
            ledger.check(before, patience_s=0.1)


def test_leaked_thread_is_caught() -> None:
    """A thread that does not end is a leak, one that is about to end is waited for."""
    ledger = Ledger()
    before = ledger.snapshot()
    over = threading.Event()
    thread = threading.Thread(target=over.wait, name="forgotten")
    thread.start()
    with pytest.raises(LeakError, match="thread forgotten"):
        ledger.check(before, patience_s=0.1)
    over.set()
    ledger.check(before)


@pytest.mark.parametrize(("needed", "tried"), [(1, [1]), (4, [1, 4]), (100, [1, 4, 16])])
def test_pace(needed: int, tried: list[int], api: MessagesAPI) -> None:
    """A limit that was too short for the machine is tried again with a longer one; what is wrong fails at every pace."""
    paces = []

    @at_some_pace
    def limited(api: MessagesAPI, pace: int) -> None:
        assert api.requests == []
        api.requests.append({})
        paces.append(pace)
        assert pace >= needed

    with pytest.raises(AssertionError) if needed > tried[-1] else nullcontext():
        limited(api=api)
    assert paces == tried
    assert list(inspect.signature(limited).parameters) == ["api"]


def test_environment_inherits_no_account(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, api: MessagesAPI) -> None:
    """No key, provider, proxy or configuration of the person who runs the tests gets through."""
    inherited = {
        "ANTHROPIC_AUTH_TOKEN": "secret",
        "CLAUDE_CODE_USE_BEDROCK": "1",
        "CLAUDECODE": "1",
        "AWS_PROFILE": "secret",
        "GOOGLE_APPLICATION_CREDENTIALS": "secret",
        "https_proxy": "http://elsewhere",
        "PYTHONDONTWRITEBYTECODE": "1",
        "JUPYTER_TOKEN": "secret",
        "OPENAI_API_KEY": "secret",
    }
    for name, value in inherited.items():
        monkeypatch.setenv(name, value)
    environment = isolated_environment(tmp_path, api.url)
    assert not inherited.keys() & environment.keys()
    assert environment["ANTHROPIC_API_KEY"] == "sk-dummy"
    assert environment["ANTHROPIC_BASE_URL"] == api.url
    assert environment["HOME"] == str(tmp_path)
    assert environment["PATH"] == os.environ["PATH"]


@pytest.mark.parametrize("url", ["https://api.anthropic.com", "http://example.com", "http://127.0.0.1.example.com", ""])
def test_only_loopback(tmp_path: Path, url: str) -> None:
    """An API anywhere but on loopback is refused, and so is a kernel in the person's own environment."""
    with pytest.raises(NotLoopbackError):
        isolated_environment(tmp_path, url)
    with pytest.raises(NotLoopbackError):
        Kernel(tmp_path, {**os.environ, "ANTHROPIC_BASE_URL": url})


def test_pytest_itself_is_isolated() -> None:
    """What runs inside of pytest sees no account either."""
    assert "ANTHROPIC_API_KEY" not in os.environ
    assert os.environ["ANTHROPIC_BASE_URL"] == "http://127.0.0.1:9"
    assert Path.home().name.startswith("claude-magic-tests-")
    assert not any(is_foreign(name) for name in os.environ if "PROXY" in name.upper())


def test_api_begins_at_zero(api: MessagesAPI, run_async: Callable[..., Any]) -> None:
    """Each test finds the scripted API with no requests in it."""

    async def nothing() -> int:
        return len(api.requests)

    assert run_async(nothing()) == 0


def test_a_turn_of_the_real_cli(kernel: Kernel, api: MessagesAPI) -> None:
    """The bundled CLI answers in a kernel from the script, and ends with its client."""
    began = time.monotonic()
    result = kernel.run(SDK_TURN)
    assert result.ok, result
    assert "TextBlock Hello from the script" in result.stdout
    assert "claude" in result.stdout.splitlines()[-1]
    assert "<<say Hello from the script>>" in api.prompts()[-1]
    assert all(message["arrived"] >= began for message in result.messages)
    assert kernel.children() == []


@pytest.mark.long
def test_lab(lab: Lab, tmp_path: Path) -> None:
    """JupyterLab runs a notebook, takes a click in mid-cell, changes its theme and has its picture taken."""
    lab.write("rig.ipynb", [("markdown", "# A title"), ("code", "6 * 7"), ("code", ASYNC_BUTTON)])
    with lab.open("rig.ipynb", scale=2) as notebook:
        notebook.start("notebook:run-all-cells")
        notebook.page.get_by_role("button", name="Allow once").click()
        notebook.wait_idle()
        outputs = [cell.outputs for cell in notebook.save().cells if cell.cell_type == "code"]
        assert outputs[0][0].data["text/plain"] == "42"
        assert outputs[1][-1].text == "clicked\n"
        pictures = [notebook.screenshot(tmp_path / "light.png")]
        notebook.theme("dark")
        pictures += [notebook.screenshot(tmp_path / "dark.png"), notebook.screenshot(tmp_path / "cell.png", cell=1)]
    sizes = [struct.unpack(">II", picture.read_bytes()[16:24]) for picture in pictures]
    assert sizes[0] == sizes[1]
    assert sizes[0][1] > sizes[2][1] > 50
