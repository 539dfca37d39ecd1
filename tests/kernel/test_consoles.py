"""A real `jupyter console` on a kernel: it ignores updates of a display, so that a reply is printed there."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from messages_api import MessagesAPI
from rig.terminal import Terminal


@pytest.mark.long
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
