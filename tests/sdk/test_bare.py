"""Bare turns: what the API gets is the prompt, the system prompt that was given, and little else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from messages_api import MessagesAPI
from watching import MakeConfig, Run

from claude_magic.sdk import ClaudeClient, SessionAwareResponse, TurnOptions
from claude_magic.sdk._cli.environment import environment, login_settings

MOST_BYTES = 2_500


def ask(run_async: Run, config: Any, prompt: str, options: TurnOptions) -> SessionAwareResponse:
    """Ask once with these options."""

    async def turn() -> SessionAwareResponse:
        async with ClaudeClient(config) as client:
            return await client.run_turn(client.request(prompt, options=options))

    return run_async(turn())


def test_the_request_is_small(make_config: MakeConfig, run_async: Run, api: MessagesAPI, workdir: Path, home: Path) -> None:
    """A bare request has no tools, no memory, nothing of the settings; `system` is the whole system prompt."""
    (workdir / "CLAUDE.md").write_text("the memory of the folder")
    (home / ".claude" / "CLAUDE.md").write_text("the memory of the person")
    settings = home / ".claude" / "settings.json"
    settings.write_text(json.dumps({"outputStyle": "Learning"}))
    try:
        ask(run_async, make_config(), "hi", TurnOptions(bare=True, system="Answer in French."))
    finally:
        settings.unlink()
        (home / ".claude" / "CLAUDE.md").unlink()
    [body] = api.requests
    assert body["tools"] == []
    assert api.prompts() == [["hi"]]
    assert body["system"][-1]["text"] == "Answer in French."
    assert len("".join(part["text"] for part in body["system"])) < 200
    assert "memory" not in json.dumps(body["messages"]) + json.dumps(body["system"])
    assert len(json.dumps(body)) - len("hi") < MOST_BYTES


def test_for_the_whole_client(make_config: MakeConfig, run_async: Run, api: MessagesAPI) -> None:
    """`ClaudeConfig(bare=True)` makes every turn bare, also without a system prompt, and a turn can have its own word."""
    config = make_config(bare=True)
    ask(run_async, config, "one", TurnOptions())
    ask(run_async, config, "two", TurnOptions(bare=False))
    sizes = [len(json.dumps(body)) for body in api.requests]
    assert sizes[0] < MOST_BYTES < 20_000 < sizes[1]
    assert api.requests[0]["tools"] == []


def test_tools_that_are_named(make_config: MakeConfig, run_async: Run, api: MessagesAPI) -> None:
    """A bare turn has those tools alone that its rules name."""
    ask(run_async, make_config(), "hi", TurnOptions(bare=True, allowed_tools=("Read", "Grep(src/**)", "Read(docs/**)")))
    # With tools that cannot be searched the CLI (2.1.332) sends a placeholder that does nothing.
    assert {tool["name"] for tool in api.requests[0]["tools"]} - {"DeferredToolPlaceholder"} == {"Grep", "Read"}


def test_command(make_config: MakeConfig) -> None:
    """The command that is shown says the same."""
    command = ClaudeClient(make_config(bare=True, system="Be brief.")).command("hi").text
    assert "--append-system-prompt 'Be brief.'" in command
    assert "--system-prompt '' --tools '' --strict-mcp-config --setting-sources ''" in command


def test_logins_by_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A key or a helper that stands in the person's settings logs in a bare turn, too, although it loads no settings."""
    own = {"CLAUDE_CONFIG_DIR": str(tmp_path)}
    assert login_settings(own) == ""
    (tmp_path / "settings.json").write_text(
        json.dumps({"apiKeyHelper": "print-key", "env": {"ANTHROPIC_AUTH_TOKEN": "a token"}, "model": "opus"})
    )
    assert json.loads(login_settings(own)) == {"apiKeyHelper": "print-key"}
    assert environment(own, "/", bare=True)["ANTHROPIC_AUTH_TOKEN"] == "a token"
    assert environment(own, "/").get("ANTHROPIC_AUTH_TOKEN") != "a token"
