"""Real consoles on a kernel: they ignore updates of a display, so that a reply is printed there."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from cells import answered
from messages_api import MessagesAPI
from rig.kernel import Kernel
from rig.terminal import Terminal
from rig.versions import other_versions

pytestmark = pytest.mark.long

ALLOWED = '%%claude --allow "mcp__kernel__run_code"\n<<tool mcp__kernel__run_code {"code": "print(41); 6 * 7"}>><<say done>>'
TOUCH = '%%claude\n<<tool Bash {"command": "touch asked"}>><<say Done.>>'
HANG = "%%claude\n<<say Begun. >><<hang>>"
ROWS = "rows = ['a', 'b']", "%%claude --each rows -o out\n{{ row }}"


def test_jupyter_console(environment: dict[str, str], api: MessagesAPI, tmp_path: Path) -> None:
    """Replies, lists and questions are text in a console, the question is answered there, and nothing is left unsettled."""
    command = (sys.executable, "-m", "jupyter_console", "--simple-prompt", "--ZMQTerminalInteractiveShell.banner=")
    with Terminal(command, tmp_path, environment, rows=50, columns=100) as console:

        def type_(line: str, number: int) -> str:
            console.type(f"{line}\n")
            console.wait_for(lambda: console.line.startswith(f"In [{number}]:"), line)
            return console.text

        console.wait_for(lambda: console.line.startswith("In [1]:"), "the first prompt")
        type_("%load_ext claude_magic", 2)
        written = type_("%claude hello there", 3)
        assert "You said: hello there" in written
        assert "turn 1" in written
        console.type('%claude <<tool Bash {"command": "touch x"}>><<say done>>\n')
        console.wait_for(lambda: "instead:" in console.line, "the question")
        written = type_("y", 4)
        assert "allowed once" in written
        assert (tmp_path / "x").exists()
        written = type_("%claude_session turns", 5)
        assert "answering" not in written
        assert "Widget" not in written
        assert "VBox" not in written
        console.type("\x04")
        console.wait_for(lambda: "exit" in console.line or "Shutting down" in console.text, "leaving")
        console.type("y\n")
        console.end()


@pytest.mark.timeout(600)
def test_spyder(environment: dict[str, str], api: MessagesAPI, tmp_path: Path) -> None:
    """In Spyder's kernel replies are printed, a question is asked in words, and every line is ended, which Spyder does not."""
    spyder = ("spyder-kernels==3.1.*", "ipykernel==6.31.*", "wurlitzer", "pyxdg")
    with (
        other_versions(*spyder) as python,
        Kernel(tmp_path, environment, notebook=None, python=python, module="spyder_kernels.console") as kernel,
    ):
        assert "SpyderShell" in kernel.run("%load_ext claude_magic\nprint(get_ipython())").stdout
        assert answered(kernel, "hello").stdout.startswith("You said: hello")
        asked = kernel.run(TOUCH, answer="y")
        assert len(asked.prompts) == 1
        assert "allowed once" in asked.stdout
        assert (tmp_path / "asked").exists()
        cell = kernel.start(HANG)
        kernel.wait_for(lambda: "Begun." in cell.result.stdout)
        kernel.interrupt()
        assert [error["ename"] for error in cell.wait().errors] == ["TurnInterrupted"]
        assert "\x1b[1mInterrupted" in cell.result.stdout
        printed, value, reply = kernel.run(ALLOWED).outputs
        assert (printed["text"], value["data"]["text/plain"], reply["text"][0]) == ("41\n", "42", "\n")
        kernel.run(ROWS[0])
        rows = kernel.run(ROWS[1])
        assert rows.stderr.splitlines()[-1].startswith("100%")
        assert rows.outputs[-1]["text"].startswith("   row  reply\n")
        assert not kernel.widgets


@pytest.mark.timeout(300)
def test_qtconsole(environment: dict[str, str], api: MessagesAPI, tmp_path: Path) -> None:
    """In qtconsole replies are readable, the question is answered with the keyboard, and an interrupt stops the turn."""
    pytest.importorskip("qtconsole", reason="qtconsole and Qt (some 250 MB) are no part of the test extra")
    command = [sys.executable, str(Path(__file__).with_name("window_of_qtconsole.py"))]
    cells = ["%load_ext claude_magic", "%%claude\nhello", TOUCH, HANG, ALLOWED, *ROWS]
    there = environment | {"QT_QPA_PLATFORM": "offscreen"}
    done = subprocess.run([*command, *cells], cwd=tmp_path, env=there, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
    lines = [line.rstrip() for line in done.stdout.splitlines()]
    assert {"You said: hello", "Begun.", "Out[5]: 42", "   row  reply", "1  b    You said: b"} <= {*lines}
    assert "allowed once" in done.stdout
    assert "TurnInterrupted: Interrupted" in done.stdout
    assert (tmp_path / "asked").exists()
