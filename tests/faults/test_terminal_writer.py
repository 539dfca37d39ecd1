"""A person goes on with a session in a terminal, by `claude -r`, while the process of a client still holds it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import claude_agent_sdk
import pexpect
from messages_api import MessagesAPI
from rig.environment import own_variables
from test_one_writer import client, remarks, seen, turn

CLI = Path(claude_agent_sdk.__file__).parent / "_bundled" / "claude"


def test_claude_in_a_terminal(
    tmp_path: Path, monkeypatch: Any, home: Path, api: MessagesAPI, run_async: Callable[..., Any]
) -> None:
    """What was said there is told by the next turn, and Claude knows it."""
    monkeypatch.chdir(tmp_path)
    for name, value in own_variables(home, api.url).items():
        monkeypatch.setenv(name, value)
    # Else the CLI asks about colours, the key and the directory first.
    answers = {
        "hasCompletedOnboarding": True,
        "theme": "dark",
        "customApiKeyResponses": {"approved": [os.environ["ANTHROPIC_API_KEY"][-20:]], "rejected": []},
        "projects": {str(tmp_path): {"hasTrustDialogAccepted": True, "hasCompletedProjectOnboarding": True}},
    }

    config = home / ".claude/.claude.json"
    config.parent.mkdir(exist_ok=True)
    # Before the client starts: its process writes to this file after the turn.
    config.write_text(json.dumps((json.loads(config.read_text()) if config.exists() else {}) | answers))

    def in_a_terminal(session_id: str) -> None:
        terminal = pexpect.spawn(str(CLI), ["-r", session_id], dimensions=(40, 120), timeout=25, encoding="utf-8")
        try:
            terminal.expect("(?s)said:.{0,40}one")
            terminal.send("theirs")
            terminal.expect("theirs")
            terminal.send("\r")
            api.wait_for_requests(2)
            terminal.expect("(?s)theirs.*theirs")
            terminal.sendcontrol("c")
            terminal.sendcontrol("c")
            terminal.expect(pexpect.EOF)
        finally:
            terminal.close(force=True)

    async def talk() -> str:
        async with client() as ours:
            one = await turn(ours, "one")
            in_a_terminal(str(one.session_id))
            return remarks(await turn(ours, "two", one.session_id))

    said = run_async(talk())
    assert seen(api) == ["one", "theirs", "two"]
    assert "Another process went on with the session" in said
