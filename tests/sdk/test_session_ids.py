"""Every reply says which session it belongs to, whatever format was asked for and however the turn ended."""

from __future__ import annotations

import uuid
from typing import Any

import claude_agent_sdk as sdk
import pytest
from rig.pace import at_some_pace
from watching import QUICK, MakeConfig, Run

from claude_magic.errors import APIError, TurnLimitError, TurnTimeoutError
from claude_magic.sdk import ClaudeClient, OutputFormat, SessionAwareClient
from claude_magic.sdk._cli.turn_reader import Reading, TurnReader
from claude_magic.sdk.events import TurnEnded
from claude_magic.sdk.host import Listener, TurnHost


def test_messages_end_with_the_result(run_async: Run) -> None:
    """What the CLI has already said behind a turn's result is none of the turn's messages."""
    raw = [{"type": "assistant", "uuid": "a"}, {"type": "result", "uuid": "r"}, {"type": "system", "uuid": "s"}]
    figures = {"duration_ms": 1, "duration_api_ms": 1, "is_error": False, "num_turns": 1}
    unread = list(raw)

    def taken(message_id: str | None) -> list[dict[str, Any]]:
        count = [message["uuid"] for message in unread].index(message_id) + 1
        return [unread.pop(0) for _ in range(count)]

    async def read() -> TurnEnded:
        reader, reading = TurnReader(taken, Listener), Reading(Listener(), "p")
        reader.expect(reading, lambda: None)
        reader.read(sdk.ResultMessage(subtype="success", session_id="s", uuid="r", user_message_uuid="p", **figures))
        return await reading.done

    ended = run_async(read())
    assert ended.raw == raw[1]
    assert list(ended.messages) == raw[:2]


@pytest.mark.parametrize("told_first", [True, False], ids=["queued before its end", "queued behind its end"])
def test_own_end_before_the_prompt(run_async: Run, told_first: bool) -> None:
    """What a resumed CLI says of work that ended with its last process is a turn of its own, though it comes first."""
    figures = {"duration_ms": 1, "duration_api_ms": 1, "is_error": False, "num_turns": 0, "session_id": "s"}
    queued, started = (
        sdk.SystemMessage("command_lifecycle", {"command_uuid": "p", "state": state}) for state in ("queued", "started")
    )
    own_end = sdk.ResultMessage(subtype="success", origin={"kind": "task-notification"}, **figures)
    own: list[TurnHost] = []

    def begin_own() -> TurnHost:
        own.append(Listener())
        return own[-1]

    async def read() -> TurnEnded:
        reader, reading = TurnReader(lambda _: [], begin_own), Reading(Listener(), "p")
        reader.expect(reading, lambda: None)
        reader.read(sdk.SystemMessage("init", {"session_id": "s"}))
        for message in (queued, own_end) if told_first else (own_end, queued):
            reader.read(message)
        assert not reading.done.done()
        reader.read(started)
        reader.read(sdk.SystemMessage("init", {"session_id": "s", "user_message_uuids": ["p"]}))
        reader.read(sdk.ResultMessage(subtype="success", user_message_uuid="p", result="yours", **figures))
        return await reading.done

    assert run_async(read()).text == "yours"
    assert len(own) == 1


def test_session_id_is_in_every_format(make_config: MakeConfig, run_async: Run) -> None:
    """TEXT, JSON and STREAM_JSON all give the ID that the CLI gave."""

    async def ask() -> None:
        async with SessionAwareClient(make_config()) as client:
            text = await client.query("hello", output_format=OutputFormat.TEXT)
            as_json = await client.query("hello", session_id=text.session_id, output_format=OutputFormat.JSON)
            stream = await client.query("hello", session_id=text.session_id, output_format=OutputFormat.STREAM_JSON)
        assert str(uuid.UUID(text.session_id)) == text.session_id == as_json.session_id == stream.session_id
        assert text.raw_json is None
        assert as_json.raw_json is not None
        assert as_json.raw_json["type"] == "result"
        assert as_json.raw_json["session_id"] == text.session_id
        assert as_json.raw_json["result"] == as_json.content == "You said: hello"
        assert stream.raw_json is not None
        kinds = [message["type"] for message in stream.raw_json["messages"]]
        assert kinds[-1] == "result"
        assert {"system", "assistant"} <= set(kinds)
        assert {message["session_id"] for message in stream.raw_json["messages"]} == {text.session_id}

    run_async(ask())


def test_defaults_of_the_two_ways_to_ask(make_config: MakeConfig, run_async: Run) -> None:
    """`query` gives text alone, `query_with_session` the result message."""

    async def ask() -> None:
        async with SessionAwareClient(make_config()) as client:
            plain = await client.query("hello")
            aware = await client.query_with_session("hello", resume_session_id=plain.session_id)
        assert plain.raw_json is None
        assert aware.raw_json is not None
        assert str(plain) == plain.content == aware.content == "You said: hello"

    run_async(ask())


def test_stream_json_holds_only_this_turn(make_config: MakeConfig, run_async: Run) -> None:
    """`raw_json` of a later turn holds none of an earlier one's messages, and the earlier one's is left alone."""

    async def ask() -> None:
        async with SessionAwareClient(make_config()) as client:
            first = await client.query("<<say one>>", output_format=OutputFormat.STREAM_JSON)
            before = [message["uuid"] for message in first.raw_json["messages"]]
            second = await client.query("<<say two>>", session_id=first.session_id, output_format=OutputFormat.STREAM_JSON)
        after = [message["uuid"] for message in second.raw_json["messages"]]
        assert before == [message["uuid"] for message in first.raw_json["messages"]]
        assert not set(before) & set(after)

    run_async(ask())


@pytest.mark.parametrize("status", [400, 500])
def test_failed_turn_has_it(status: int, make_config: MakeConfig, run_async: Run) -> None:
    """A turn that the API refuses carries the session ID in its error, and the client remembers it."""

    async def ask() -> None:
        async with SessionAwareClient(make_config(env=QUICK)) as client:
            with pytest.raises(APIError) as caught:
                await client.query_with_session(f"<<status {status}>>")
            assert caught.value.session_id
            assert client.last_session_id == caught.value.session_id
            again = await client.query_with_session("hello", resume_session_id=caught.value.session_id)
            assert again.session_id == caught.value.session_id

    run_async(ask())


@at_some_pace
def test_turn_that_is_cut_off_has_it(make_config: MakeConfig, run_async: Run, pace: int) -> None:
    """A turn that runs into its timeout has said which session it is, and that session goes on."""

    async def ask() -> None:
        async with SessionAwareClient(make_config()) as client:
            with pytest.raises(TurnTimeoutError) as caught:
                await client.query_with_session("<<say begun>><<hang>>", timeout=2 * pace)
            assert client.last_session_id == caught.value.session_id
            reply = await client.query_with_session("<<history>>", auto_resume_last=True)
            assert reply.session_id == caught.value.session_id
            assert "- <<say begun>><<hang>>" in reply.content

    run_async(ask())


def test_turn_at_its_limit_has_it(make_config: MakeConfig, run_async: Run) -> None:
    """A turn with too many rounds of tools carries the session ID and what had been said."""

    async def ask() -> None:
        async with ClaudeClient(make_config(max_turns=1)) as client:
            with pytest.raises(TurnLimitError) as caught:
                await client.query('<<say looking>><<tool Glob {"pattern": "*"}>><<say done>>')
            assert caught.value.session_id
            assert caught.value.content == "looking"

    run_async(ask())


def test_new_sessions_differ(make_config: MakeConfig, run_async: Run) -> None:
    """Two turns that resume nothing are two sessions, and the second knows nothing of the first."""

    async def ask() -> None:
        async with SessionAwareClient(make_config()) as client:
            first = await client.query_with_session("secret")
            second = await client.query_with_session("<<history>>")
        assert first.session_id != second.session_id
        assert second.content == "- <<history>>"

    run_async(ask())
