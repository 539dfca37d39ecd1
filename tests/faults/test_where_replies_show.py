"""A reply is shown wherever it was asked for, also where updates of a display do not arrive: what was paid is not lost."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from messages_api import MessagesAPI
from rig.kernel import Kernel

SETTLED = {"text/html", "text/markdown", "text/plain"}

PARTS = """
import threading
import ipywidgets
shell = get_ipython()
def claude(prompt):
    shell.run_line_magic("claude", prompt)
out = ipywidgets.Output()
"""

CLOSE = "ipywidgets.Widget.close_all()"


@pytest.fixture
def kernel_with_parts(loaded_kernel: Kernel) -> Iterator[Kernel]:
    """A kernel with an Output widget, and a function that does what `%claude` does."""
    assert loaded_kernel.run(PARTS).ok
    loaded_kernel.stray.clear()
    yield loaded_kernel
    assert loaded_kernel.run(CLOSE).ok


def shown(displays: list[dict[str, Any]], text: str) -> bool:
    """Tell whether there is one display, and it is the settled reply with this text."""
    return [set(display["data"]) for display in displays] == [SETTLED] and text in displays[0]["data"]["text/plain"]


def stray_displays(kernel: Kernel) -> list[tuple[str, dict[str, Any]]]:
    """Return what was displayed for other requests than cells: an Output widget shows it, if it is no update."""
    kinds = ("display_data", "update_display_data")
    return [(message["msg_type"], message["content"]) for message in kernel.stray if message["msg_type"] in kinds]


def test_output_widget(kernel_with_parts: Kernel) -> None:
    """In an Output widget, which takes no updates, the settled reply is one new display, and there was none before it."""
    result = kernel_with_parts.run("with out:\n    %claude hello")
    assert result.ok
    assert [message["msg_type"] for message in result.messages if "display_data" in message["msg_type"]] == ["display_data"]
    assert shown(result.displays, "You said: hello")
    assert result.metadata["claude_magic"]["turn"] >= 1


def test_output_widget_keeps_no_dead_widget(kernel_with_parts: Kernel) -> None:
    """The session's panel is plain in an Output widget: its buttons could not be taken away again."""
    for word in ("", "turns"):
        kernel_with_parts.run("%claude hello")
        result = kernel_with_parts.run(f"with out:\n    %claude_session {word}")
        assert "application/vnd.jupyter.widget-view+json" not in result.bundle


def test_callback(kernel_with_parts: Kernel) -> None:
    """In a button's callback, which no cell belongs to, the reply is shown below the cell that ran last."""
    kernel_with_parts.run("button = ipywidgets.Button(description='Go')\nbutton.on_click(lambda _: claude('from a click'))")
    cell = kernel_with_parts.run("button", cell_id="the-cell")
    kernel_with_parts.click("Go")
    kernel_with_parts.sync()
    assert shown(cell.displays[1:], "You said: from a click")


def test_callback_in_a_running_cell(kernel_with_parts: Kernel) -> None:
    """A callback that is handled in the middle of an async cell shows its reply there; what the cell shows stays its own."""
    code = """
import asyncio
clicked = asyncio.Event()
button = ipywidgets.Button(description="Go")
button.on_click(lambda _: (claude("from a click"), clicked.set()))
print("waiting")
await clicked.wait()
print("clicked")"""
    cell = kernel_with_parts.start(code)
    cell.wait_for(lambda result: "waiting" in result.stdout)
    kernel_with_parts.click("Go")
    result = cell.wait()
    assert shown(result.displays, "You said: from a click")
    assert "clicked" in result.stdout


@pytest.mark.parametrize("way", ["capture", "interact"])
def test_output_widget_in_a_callback(kernel_with_parts: Kernel, way: str) -> None:
    """A callback that writes into an Output widget, as those of `interact` do, shows its reply in there."""
    if way == "capture":
        code = "button = ipywidgets.Button(description='Go')\nbutton.on_click(out.capture()(lambda _: claude('in out')))"
    else:
        code = "shown = ipywidgets.interact_manual(lambda x: claude(f'in {x}'), x=['out'])"
    kernel_with_parts.run(code)
    kernel_with_parts.stray.clear()
    kernel_with_parts.click("Go" if way == "capture" else "Run Interact")
    kernel_with_parts.sync()
    ((kind, content),) = stray_displays(kernel_with_parts)
    assert kind == "display_data"
    assert shown([content], "You said: in out")


@pytest.mark.parametrize("again", ["captured.show()", "display(*captured.outputs)"])
@pytest.mark.parametrize("asked", ["%claude hello", "%%claude\nhello", "claude('hello')"])
def test_capture(kernel_with_parts: Kernel, asked: str, again: str) -> None:
    """`%%capture` holds the settled reply and nothing else; showing it later shows the reply."""
    result = kernel_with_parts.run(f"%%capture captured\n{asked}")
    assert result.ok
    assert not result.outputs
    assert kernel_with_parts.value("len(captured.outputs)") == 1
    assert kernel_with_parts.value("captured.outputs[0].metadata['claude_magic']['turn']") >= 1
    assert shown(kernel_with_parts.run(again).displays, "You said: hello")


def test_capture_of_a_failed_turn(kernel_with_parts: Kernel) -> None:
    """What had arrived of a turn that fails is in the capture, too."""
    prompt = '--allow Bash --max-turns 1 <<say part>><<tool Bash {"command": "true"}>><<say more>>'
    assert kernel_with_parts.run(f"%%capture captured\n%claude {prompt}").errors
    assert shown(kernel_with_parts.run("captured.show()").displays, "part")


def test_question_in_a_capture(kernel_with_parts: Kernel) -> None:
    """What Claude asks for can be read although what is printed is captured."""
    prompt = '<<tool Bash {"command": "touch asked-for"}>><<say done>>'
    result = kernel_with_parts.run(f"%%capture captured\n%claude {prompt}", answer="y")
    assert result.ok
    assert "touch asked-for" in result.prompts[0]
    assert Path(kernel_with_parts.notebook_dir, "asked-for").exists()


def test_thread_while_a_cell_captures(kernel_with_parts: Kernel, api: MessagesAPI, tmp_path: Path) -> None:
    """The reply to a thread settles below the cell that started it, also when another cell captures at that moment."""
    cell = kernel_with_parts.run(
        "thread = threading.Thread(target=claude, args=['<<wait>><<say from a thread>>'])\nthread.start()"
    )
    api.wait_for_requests(1)
    begun = tmp_path / "begun"
    capturing = kernel_with_parts.start(f"%%capture captured\nopen({str(begun)!r}, 'w').close()\nthread.join()")
    kernel_with_parts.wait_for(begun.exists)
    api.go_on.set()
    assert capturing.wait().ok
    assert shown(cell.displays, "from a thread")
    assert kernel_with_parts.value("len(captured.outputs)") == 0


def test_thread_behind_a_callback(kernel_with_parts: Kernel) -> None:
    """A thread that prompts while a widget's message is handled shows its reply below the cell that ran last."""
    code = """
clicked = threading.Event()
thread = threading.Thread(target=lambda: (clicked.wait(), claude("from a thread")))
thread.start()
button = ipywidgets.Button(description="Go")
button.on_click(lambda _: (clicked.set(), thread.join()))"""
    cell = kernel_with_parts.run(code)
    kernel_with_parts.click("Go")
    kernel_with_parts.sync()
    assert shown(cell.displays, "You said: from a thread")


@pytest.fixture
def console(tmp_path: Path, environment: dict[str, str], api: MessagesAPI) -> Iterator[Kernel]:
    """A kernel with the extension, as `jupyter console` and qtconsole start one: no notebook is told."""
    with Kernel(tmp_path, environment, notebook=None) as kernel:
        assert kernel.run("%load_ext claude_magic").ok
        yield kernel


def test_console(console: Kernel, api: MessagesAPI) -> None:
    """A console, which ignores updates of a display, gets text: what is finished at once, no widget, no cursor movement."""
    cell = console.start("%%claude\n<<say The **first** part.\n\nThe second >>\n<<wait>><<say ends.>>")
    cell.wait_for(lambda result: "part." in result.stdout)
    api.go_on.set()
    result = cell.wait()
    assert result.ok
    assert not result.displays
    assert "The second" in result.stdout.partition("part.")[2]
    assert "ends." in result.stdout
    assert "turn 1" in result.stdout
    assert "\x1b[1mfirst\x1b[0m" in result.stdout
    assert not [sequence for sequence in ("\x1b[?25l", "\x1b[2K", "\r") if sequence in result.stdout]
    assert console.widgets == {}

    asked = console.run('%claude <<tool Bash {"command": "touch asked-for"}>><<say done>>', answer="y")
    assert "touch asked-for" in asked.stdout
    assert Path(console.notebook_dir, "asked-for").exists()

    for word in ("", "turns", "list"):
        listed = console.run(f"%claude_session {word}")
        assert listed.stdout
        assert not listed.displays

    assert not console.run("%%capture captured\n%claude hello").outputs
    assert "You said: hello" in console.run("captured.show()").text


def test_notebook_without_a_name(console: Kernel) -> None:
    """A frontend that tells which cell it runs is a notebook, though its kernel knows no path: behind a gateway it is so."""
    result = console.run("%%claude\nhello", cell_id="a-cell")
    assert shown(result.displays, "You said: hello")
    assert not result.stdout


def test_a_page_that_typesets_no_html(loaded_kernel: Kernel) -> None:
    """Where HTML is not typeset, as in VS Code, a reply's formulas are MathML, also of one that is shown by its name."""
    asked = "%%claude -o reply\n<<say So $x^2$.>>"
    assert "<math" not in loaded_kernel.run(asked, allow_stdin=False).bundle["text/html"]
    assert loaded_kernel.run("__vsc_ipynb_file__ = '/a.ipynb'").ok
    for result in (loaded_kernel.run(asked, allow_stdin=False), loaded_kernel.run("reply")):
        assert "<msup><mi>x</mi><mn>2</mn></msup>" in result.bundle["text/html"]
        assert "$x^2$" in result.bundle["text/markdown"]
    assert loaded_kernel.run("del __vsc_ipynb_file__").ok
