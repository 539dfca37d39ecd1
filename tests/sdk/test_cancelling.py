"""Cancelling a task interrupts its turn, and only that; the client goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest
from messages_api import MessagesAPI
from watching import MakeConfig, Run, arrived, cli_pids

from claude_magic.sdk import ClaudeClient, Event, SessionAwareClient, TurnOptions
from claude_magic.sdk._cli import process
from claude_magic.sdk._cli.command_line import Launch, find_cli
from claude_magic.sdk._cli.environment import environment
from claude_magic.sdk.content import Prompt
from claude_magic.sdk.events import TextDelta
from claude_magic.sdk.host import Listener


@pytest.mark.short
def test_cancelled_turn_is_interrupted_and_the_session_goes_on(
    make_config: MakeConfig, run_async: Run, api: MessagesAPI
) -> None:
    """The task ends at once as cancelled; the same process answers the next prompt, and the history has both."""

    async def ask() -> None:
        async with SessionAwareClient(make_config()) as client:
            session_id = (await client.query_with_session("one")).session_id
            pids = cli_pids()
            turn = asyncio.create_task(client.query_with_session("<<say part>><<hang>>", auto_resume_last=True))
            await arrived(api, 2)
            turn.cancel()
            with pytest.raises(asyncio.CancelledError):
                await turn
            assert client.last_session_id == session_id
            reply = await client.query_with_session("<<history>>", auto_resume_last=True)
            assert reply.session_id == session_id
            assert [line for line in reply.content.splitlines() if "hang" in line or "one" in line]
            assert reply.content.splitlines()[-1] == "- <<history>>"
            assert cli_pids() == pids

    run_async(ask())


async def by_wait_for(turn: Coroutine[Any, Any, Any]) -> None:
    await asyncio.wait_for(turn, 0.5)


async def by_timeout(turn: Coroutine[Any, Any, Any]) -> None:
    async with asyncio.timeout(0.5):
        await turn


@pytest.mark.parametrize("bounded", [by_wait_for, by_timeout])
def test_bounds_of_asyncio(bounded: Callable[..., Any], make_config: MakeConfig, run_async: Run) -> None:
    """`asyncio.wait_for` and `asyncio.timeout` raise their TimeoutError, and the client is usable after."""

    async def ask() -> None:
        async with SessionAwareClient(make_config()) as client:
            await client.query_with_session("one")
            with pytest.raises(TimeoutError) as caught:
                await bounded(client.query_with_session("<<hang>>", auto_resume_last=True))
            assert type(caught.value) is TimeoutError
            reply = await client.query_with_session("hello", auto_resume_last=True)
            assert reply.content == "You said: hello"
            assert len(cli_pids()) == 1

    run_async(ask())


@pytest.mark.long
def test_cancelled_at_any_moment(make_config: MakeConfig, run_async: Run) -> None:
    """Whenever in its life a turn is cancelled, it ends then: the next prompt gets its own answer, and soon."""

    async def cancelled_after(pause: Coroutine[Any, Any, Any], client: SessionAwareClient, number: int) -> None:
        turn = asyncio.create_task(client.query_with_session("<<hang>>", auto_resume_last=True))
        await pause
        turn.cancel()
        await asyncio.wait([turn])
        reply = await client.query_with_session(f"<<say answer {number}>>", auto_resume_last=True)
        assert reply.content == f"answer {number}"

    async def passes(count: int) -> None:
        for _ in range(count):
            await asyncio.sleep(0)

    async def ask() -> None:
        async with SessionAwareClient(make_config()) as client:
            await client.query_with_session("start")
            for number in range(14):
                await cancelled_after(passes(number), client, number)
            for number in range(14, 34):
                await cancelled_after(asyncio.sleep((number - 13) * 0.002), client, number)
            assert len(cli_pids()) == 1

    run_async(ask())


def test_cancelled_while_it_waits(make_config: MakeConfig, run_async: Run, api: MessagesAPI) -> None:
    """A turn that is cancelled while it waits behind another one is never asked."""

    async def ask() -> None:
        async with SessionAwareClient(make_config()) as client:
            session_id = (await client.query_with_session("start")).session_id
            first = asyncio.create_task(client.query("<<wait>><<say first>>", session_id=session_id))
            await arrived(api, 2)
            second = asyncio.create_task(client.query("never asked", session_id=session_id))
            third = asyncio.create_task(client.query("<<history>>", session_id=session_id))
            await asyncio.sleep(0)
            second.cancel()
            api.go_on.set()
            assert (await first).content == "first"
            assert "never asked" not in (await third).content

    run_async(ask())


def test_cancelled_behind_another_in_one_process(
    make_config: MakeConfig, run_async: Run, api: MessagesAPI, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A turn that is cancelled while its process serves another one is dropped, and the process is not ended for it."""
    monkeypatch.setattr(process, "INTERRUPT_LIMIT_S", 0.2)

    async def ask() -> list[Event]:
        config = make_config()
        launch, env = Launch(directory=str(workdir), options=TurnOptions()), environment(config.env, str(workdir))
        cli = process.LiveProcess(find_cli(None), launch, env=env, close_timeout_s=10)
        await cli.start()
        seen: list[Event] = []
        first = asyncio.create_task(cli.run_turn(Prompt("<<wait>><<say first>>"), TurnOptions(), Listener(seen.append)))
        await arrived(api)
        second = asyncio.create_task(cli.run_turn(Prompt("never asked"), TurnOptions(), Listener()))
        await asyncio.sleep(0)
        second.cancel()
        await asyncio.wait([second])
        await asyncio.wait([first], timeout=0.5)
        api.go_on.set()
        try:
            await first
        finally:
            await cli.aclose()
        assert second.cancelled()
        return seen

    assert [event.text for event in run_async(ask()) if isinstance(event, TextDelta)] == ["first"]
    assert len(api.requests) == 1


def test_cancelled_at_the_start(make_config: MakeConfig, run_async: Run) -> None:
    """A turn cancelled while its CLI starts leaves a client that answers, and no process more than it may keep."""

    async def ask() -> None:
        async with ClaudeClient(make_config()) as client:
            for pause in (0, 0.1, 0.3):
                turn = asyncio.create_task(client.query("<<hang>>"))
                await asyncio.sleep(pause)
                turn.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await turn
            assert (await client.query("hello")).content == "You said: hello"
            assert len(cli_pids()) <= 2

    run_async(ask())


def test_failing_group_cancels_its_turns(make_config: MakeConfig, run_async: Run, api: MessagesAPI) -> None:
    """In a task group one task's error cancels the others' turns; the client is usable after."""

    async def fail() -> None:
        await arrived(api, 2)
        raise LookupError

    async def group_of(client: ClaudeClient) -> None:
        async with asyncio.TaskGroup() as group:
            for _ in range(2):
                group.create_task(client.query("<<hang>>"))
            group.create_task(fail())

    async def ask() -> None:
        async with ClaudeClient(make_config()) as client:
            with pytest.raises(ExceptionGroup):
                await group_of(client)
            assert (await client.query("hello")).content == "You said: hello"

    run_async(ask())
