"""What the CLI does by itself between two prompts is in nobody else's answer: every reply stands under its question."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from messages_api import MessagesAPI
from rig.leaks import running

from claude_magic.sdk import ClaudeConfig, SessionAwareClient

Run = Callable[..., Any]
AGENT = {"description": "a helper", "prompt": "count to three", "subagent_type": "general-purpose"}
LATER = {"command": "sleep 0.3; echo finished", "run_in_background": True}
LONG = {"command": "sleep 600", "run_in_background": True}


def asking(tool: str, arguments: dict[str, Any], last: str) -> str:
    return f"<<tool {tool} {json.dumps(arguments)}>>{last}"


def configured(environment: dict[str, str], **choices: Any) -> ClaudeConfig:
    return ClaudeConfig(env=environment, allowed_tools=["Bash", "Agent", "Task"], **choices)


async def requests(api: MessagesAPI, count: int) -> None:
    await asyncio.to_thread(api.wait_for_requests, count)


@pytest.mark.parametrize(("tool", "arguments", "count"), [("Agent", AGENT, 4), ("Bash", LATER, 3)])
def test_questions_behind_background_work(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    sdk_env: dict[str, str],
    api: MessagesAPI,
    run_async: Run,
    tool: str,
    arguments: dict[str, Any],
    count: int,
) -> None:
    """A helper or a command in the background ends between cells: the next three answers are those of their questions."""
    monkeypatch.chdir(tmp_path)

    async def ask() -> None:
        async with SessionAwareClient(configured(sdk_env)) as client:
            first = await client.query_with_session(asking(tool, arguments, "<<say I have sent it off.>>"))
            assert first.content == "I have sent it off."
            await requests(api, count)
            for number in ("one", "two", "three"):
                reply = await client.query_with_session(f"question {number}", auto_resume_last=True)
                assert (reply.content, reply.text) == (f"You said: question {number}",) * 2

    run_async(ask())


def test_question_in_the_middle_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, sdk_env: dict[str, str], api: MessagesAPI, run_async: Run
) -> None:
    """A prompt that is sent while the CLI works by itself waits for its own answer."""
    monkeypatch.chdir(tmp_path)

    async def ask() -> None:
        async with SessionAwareClient(configured(sdk_env)) as client:
            await client.query_with_session(asking("Bash", LATER, "<<sleep 1>><<say I have sent it off.>>"))
            await requests(api, 3)  # the CLI's own turn is being answered, slowly
            reply = await client.query_with_session("question one", auto_resume_last=True)
            assert reply.content == "You said: question one"

    run_async(ask())


@pytest.mark.parametrize("renewed", ["killed", "model", "restart"])
def test_renewed_process(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    sdk_env: dict[str, str],
    api: MessagesAPI,
    run_async: Run,
    renewed: str,
) -> None:
    """A command was left running and the process is another one: the next prompt gets its answer, and not an empty one."""
    monkeypatch.chdir(tmp_path)

    async def ask() -> None:
        client = SessionAwareClient(configured(sdk_env))
        first = await client.query_with_session(asking("Bash", LONG, "<<say I have begun it.>>"))
        match renewed:
            case "killed":
                (cli,) = running(psutil.Process().children(recursive=True), "stream-json")
                os.kill(cli.pid, signal.SIGKILL)
            case "restart":
                await client.aclose()
                client = SessionAwareClient(configured(sdk_env))
            case "model":
                client.config.model = "claude-haiku-4-5"
        async with client:
            for number in ("one", "two"):
                reply = await client.query_with_session(f"question {number}", resume_session_id=first.session_id)
                assert reply.content == f"You said: question {number}"

    run_async(ask())
