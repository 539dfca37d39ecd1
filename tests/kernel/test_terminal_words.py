"""IPython in a real terminal: whatever Claude, a tool, a file or an error says, the terminal is told nothing by it."""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pexpect
import pytest
from messages_api import MessagesAPI
from rig import TIMEOUT_S

HOSTILE = "\x1b]0;pwn\x07\x1b[2J\x9b2J\x1bP1$r\x1b\\ [red]seen[/red]"
OWN = r"\x1b\[(?:\?\d+[lh]|\d*[AKJm]|(?:\d+;)*\d+m)|\r"
"""What rich and IPython send themselves: show the cursor, go up, erase a line, colours."""

PROMPT = r"In \[\d+\]: $"


@contextmanager
def terminal(directory: Path, environment: dict[str, str]) -> Iterator[Any]:
    """Start IPython in a pseudo-terminal with the magics loaded; it keeps all that was written there as `written`."""
    command = ["-m", "IPython", "--simple-prompt", "--no-banner", "--no-confirm-exit", "--no-term-title", "--colors=NoColor"]
    variables = {**environment, "TERM": "xterm", "PYTHONIOENCODING": "utf-8"}
    child: Any = pexpect.spawn(
        sys.executable, command, cwd=str(directory), env=variables, encoding="utf-8", timeout=TIMEOUT_S, dimensions=(40, 120)
    )
    child.logfile_read = child.written = io.StringIO()
    try:
        child.expect(PROMPT)
        magics = "magic, cell = (get_ipython().run_line_magic, get_ipython().run_cell_magic)"
        for line in ("%load_ext claude_magic", f"H = {HOSTILE!r}", magics):
            type_(child, line)
        yield child
        child.sendline("exit()")
        child.expect(pexpect.EOF)
    finally:
        child.close(force=True)


def type_(child: Any, line: str, *, answer: str | None = None) -> str:
    """Type a line, and an answer where it is asked for; return what was written until the next prompt."""
    child.sendline(line)
    if answer is not None:
        child.expect(re.escape("[y] allow once"))
        asked = child.before
        child.sendline(answer)
        child.expect(PROMPT)
        return str(asked + child.before)
    child.expect(PROMPT)
    return str(child.before)


@pytest.mark.long
def test_the_terminal_is_told_nothing(environment: dict[str, str], api: MessagesAPI, tmp_path: Path) -> None:
    """Replies, questions, prompts, names, lists, errors and next steps steer nothing, and no markup is read."""
    (tmp_path / "\x1b[2Jdir").mkdir()
    asked = json.dumps({"code": f"x = 1  # {HOSTILE}"})
    ascii_asked = asked.replace("\\", "\\\\").replace('"', '\\"')
    with terminal(tmp_path, environment) as child:
        type_(child, 'cell("claude", "", "<<say " + H + ">>")')
        question = type_(
            child, f'cell("claude", "", "<<tool mcp__kernel__run_code {ascii_asked}>><<say " + H + ">>")', answer="n"
        )
        assert "[red]seen[/red]" in question
        for line in (
            'magic("claude_session", "show --prompt")',
            'magic("claude_session", "name " + H)',
            'magic("claude_session", "list")',
            'magic("claude_session", "show")',
            'magic("claude_session", "turns")',
            'magic("claude_session", "resume")',
            'magic("claude_session", "delete " + H)',
            'magic("claude_session", "export \\x1b[2Jdir")',
            'cell("claude", "--model " + H.replace(" ", ""), "<<only opus>>")',
            'cell("claude", "--file " + repr(H), "hello")',
            'cell("claude", "", "{{ " + H + " }}")',
            'get_ipython().magics_manager.registry["ClaudeMagics"].cli_path = "/nowhere/" + H',
            'cell("claude", "", "hello")',
        ):
            type_(child, line)
        written = re.sub(OWN, "", child.written.getvalue())
    assert written.count("seen[/red]") > 10
    found = re.findall(r".{40}[\x00-\x08\x0b-\x1f\x7f-\x9f].{40}", written, re.DOTALL)
    assert not found
