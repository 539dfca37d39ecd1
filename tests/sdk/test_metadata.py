"""What a reply says about its turn: model, usage, cost, time, rounds, denials, command."""

from __future__ import annotations

import shlex
import time
from typing import Any

import pytest
from watching import MakeConfig, Run

from claude_magic.sdk import ClaudeClient, SessionAwareClient, SessionAwareResponse


def test_metadata_of_a_plain_turn(make_config: MakeConfig, run_async: Run) -> None:
    """Model, usage, cost, time, rounds, stop reason, denials and command are there, and are this turn's."""

    async def ask() -> SessionAwareResponse:
        async with SessionAwareClient(make_config(model="claude-sonnet-4-5")) as client:
            return await client.query_with_session("<<stream 30 5>>")

    started = time.monotonic()
    reply = run_async(ask())
    metadata = reply.metadata
    assert metadata["model"] == reply.model == "claude-sonnet-4-5"
    assert (metadata["usage"]["input_tokens"], metadata["usage"]["output_tokens"]) == (100, 30)
    assert metadata["cost_usd"] == reply.cost_usd == pytest.approx((100 * 3 + 30 * 15) / 1e6)
    assert 0 < metadata["duration_s"] < time.monotonic() - started
    assert metadata["num_turns"] == 1
    assert metadata["is_error"] is False
    assert metadata["stop_reason"] == "end_turn"
    assert metadata["permission_denials"] == []
    assert shlex.split(metadata["command"])[1:3] == ["-p", "<<stream 30 5>>"]


def test_cost_is_of_this_turn(make_config: MakeConfig, run_async: Run) -> None:
    """A turn costs what it costs: in a warm session, after a resume in a new client, and there again."""

    async def ask() -> list[SessionAwareResponse]:
        replies = []
        async with SessionAwareClient(make_config()) as client:
            replies.append(await client.query_with_session("<<say one>>"))
            replies.append(await client.query_with_session("<<say two>>", auto_resume_last=True))
        async with SessionAwareClient(make_config()) as client:
            for _ in range(2):
                replies.append(await client.query_with_session("<<say on>>", resume_session_id=replies[0].session_id))
        return replies

    first, *others = run_async(ask())
    assert first.cost_usd is not None
    assert first.cost_usd > 0
    assert [reply.cost_usd for reply in others] == [pytest.approx(first.cost_usd)] * 3
    assert [reply.usage["input_tokens"] for reply in others] == [100] * 3


def test_rounds_with_tools_add_up(make_config: MakeConfig, run_async: Run) -> None:
    """Usage and rounds of a turn with a tool count all its requests."""

    async def ask() -> SessionAwareResponse:
        async with ClaudeClient(make_config()) as client:
            return await client.query('<<tool Glob {"pattern": "*"}>><<tool Glob {"pattern": "*.py"}>><<say done>>')

    reply = run_async(ask())
    assert reply.content == "done"
    assert reply.metadata["num_turns"] == 3
    assert reply.metadata["usage"]["input_tokens"] == 300


def test_permission_denials_are_listed(make_config: MakeConfig, run_async: Run, workdir: Any) -> None:
    """A tool that nobody allowed does not run, and the reply says which one that was."""
    call = f'<<tool Write {{"file_path": "{workdir}/made.txt", "content": "x"}}>><<say tried>>'

    async def ask() -> SessionAwareResponse:
        async with ClaudeClient(make_config()) as client:
            return await client.query(call)

    reply = run_async(ask())
    assert [denial["tool_name"] for denial in reply.metadata["permission_denials"]] == ["Write"]
    assert not (workdir / "made.txt").exists()
    assert reply.content == "tried"


def test_command_names_the_session(make_config: MakeConfig, run_async: Run) -> None:
    """The command of a continued turn resumes that session."""

    async def ask() -> tuple[SessionAwareResponse, SessionAwareResponse]:
        async with SessionAwareClient(make_config()) as client:
            first = await client.query_with_session("one")
            return first, await client.query_with_session("two", auto_resume_last=True)

    first, second = run_async(ask())
    assert "-r" not in shlex.split(first.metadata["command"])
    assert f"-r {first.session_id}" in second.metadata["command"]
