"""Text and events as they arrive; leaving early interrupts the turn."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest
from messages_api import MessagesAPI
from rig.pace import at_some_pace
from watching import QUICK, UNKNOWN, MakeConfig, Run, arrived, cli_pids

from claude_magic.errors import APIError, SessionNotFoundError, TurnTimeoutError
from claude_magic.sdk import ClaudeClient, SessionAwareClient
from claude_magic.sdk.events import MessageEnded, SessionStarted, TextDelta, ThinkingDelta, ToolCalled, ToolReturned, TurnEnded


@pytest.mark.short
def test_text_comes_while_the_model_writes(make_config: MakeConfig, run_async: Run) -> None:
    """The first words are there while the turn still hangs; leaving then interrupts it and the client goes on."""

    async def ask() -> None:
        async with SessionAwareClient(make_config()) as client:
            async with aclosing(client.stream_query("<<say first words>><<hang>>")) as texts:
                assert await anext(texts) == "first words"
            session_id = client.last_session_id
            assert session_id is not None
            reply = await client.query_with_session("hello", auto_resume_last=True)
            assert (reply.content, reply.session_id) == ("You said: hello", session_id)
            assert len(cli_pids()) == 1

    run_async(ask())


def test_plain_break_interrupts(make_config: MakeConfig, run_async: Run) -> None:
    """A `break` out of the loop is enough: the next prompt on the session is answered soon."""

    async def ask() -> None:
        async with SessionAwareClient(make_config()) as client:
            await client.query_with_session("start")
            async for text in client.stream_query("<<say first words>><<hang>>", session_id=client.last_session_id):
                assert text == "first words"
                break
            reply = await client.query_with_session("hello", auto_resume_last=True)
            assert reply.content == "You said: hello"

    run_async(ask())


def test_pieces_add_up(make_config: MakeConfig, run_async: Run) -> None:
    """The pieces, many of them, are the whole text in order; thinking and tools are not in it."""

    async def ask() -> None:
        async with ClaudeClient(make_config()) as client:
            prompt = '<<think hm>><<say before>><<tool Glob {"pattern": "*"}>><<stream 200 7>>'
            pieces = [text async for text in client.stream_query(prompt)]
        assert pieces[0] == "before"
        assert len(pieces) > 20
        assert "".join(pieces[1:]) == "lorem i" * 200

    run_async(ask())


@pytest.mark.short
def test_events_in_order(make_config: MakeConfig, run_async: Run) -> None:
    """The session comes first, the end last, and in between everything in the order in which it happens."""

    async def ask() -> None:
        async with ClaudeClient(make_config()) as client:
            prompt = '<<think hm>><<say look>><<tool Glob {"pattern": "*"}>><<say found>>'
            events = [event async for event in client.stream_events(prompt)]
        assert isinstance(events[0], SessionStarted)
        assert isinstance(events[-1], TurnEnded)
        assert events[0].session_id == events[-1].session_id
        kinds = (ThinkingDelta, TextDelta, ToolCalled, ToolReturned)
        told = [type(event) for event in events if isinstance(event, kinds)]
        assert told == [ThinkingDelta, TextDelta, ToolCalled, ToolReturned, TextDelta]
        assert any(isinstance(event, MessageEnded) for event in events)

    run_async(ask())


@at_some_pace
def test_failure_comes_after_what_had_arrived(make_config: MakeConfig, run_async: Run, pace: int) -> None:
    """A stream whose turn fails yields what came, then raises with the same text and the session ID."""

    async def ask() -> None:
        pieces: list[str] = []

        async def listen(client: ClaudeClient, prompt: str, **choices: float | str) -> None:
            pieces.clear()
            async for text in client.stream_query(prompt, **choices):
                pieces.append(text)  # noqa: PERF401 - what came before the error counts

        async with SessionAwareClient(make_config(env=QUICK)) as client:
            with pytest.raises(TurnTimeoutError) as caught:
                await listen(client, "<<say part>><<hang>>", timeout=2 * pace)
            assert (pieces, caught.value.content, bool(caught.value.session_id)) == (["part"], "part", True)
            with pytest.raises(APIError):
                await listen(client, "<<status 529>>")
            with pytest.raises(SessionNotFoundError):
                await listen(client, "hello", session_id=UNKNOWN)
            assert pieces == []

    run_async(ask())


def test_cancelled_listener_interrupts(make_config: MakeConfig, run_async: Run, api: MessagesAPI) -> None:
    """Cancelling the task that listens interrupts the turn, too."""

    async def listen(client: ClaudeClient, session_id: str) -> None:
        async for _ in client.stream_query("<<hang>>", session_id=session_id):
            pass

    async def ask() -> None:
        async with SessionAwareClient(make_config()) as client:
            session_id = str((await client.query_with_session("start")).session_id)
            listener = asyncio.create_task(listen(client, session_id))
            await arrived(api, 2)
            listener.cancel()
            with pytest.raises(asyncio.CancelledError):
                await listener
            assert (await client.query("hello", session_id=session_id)).content == "You said: hello"

    run_async(ask())


def test_slow_listener_loses_nothing(make_config: MakeConfig, run_async: Run) -> None:
    """A listener that lingers over each piece gets every one, and the turn does not wait for it."""

    async def ask() -> None:
        async with ClaudeClient(make_config()) as client:
            text = ""
            async for piece in client.stream_query("<<stream 100 10>>"):
                text += piece
                await asyncio.sleep(0.001)
        assert text == "lorem ipsu" * 100

    run_async(ask())
