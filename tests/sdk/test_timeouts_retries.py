"""A timeout bounds the whole turn; a retry repeats only what cannot have acted."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from messages_api import MessagesAPI
from rig.pace import at_some_pace
from watching import QUICK, SLACK_S, MakeConfig, Run, arrived, cli_pids, run_turn, script, until

from claude_magic.errors import APIError, ClaudeError, CLIDiedError, ConfigError, TurnError, TurnTimeoutError
from claude_magic.sdk import ClaudeClient, ClaudeConfig, SessionAwareClient
from claude_magic.sdk._cli.command_line import find_cli
from claude_magic.sdk.events import Event, ToolReturned
from claude_magic.sdk.host import Decision, Listener, PermissionAnswer, PermissionRequest


@at_some_pace
def test_timeout_carries_session_and_partial_content(make_config: MakeConfig, run_async: Run, pace: int) -> None:
    """TurnTimeoutError says after how long, which session, and what had arrived; it is a TimeoutError, too."""

    async def ask() -> None:
        async with SessionAwareClient(make_config()) as client:
            session_id = (await client.query_with_session("one")).session_id
            pids, limit_s, started = cli_pids(), 0.8 * pace, time.monotonic()
            with pytest.raises(TurnTimeoutError, match=rf"longer than {limit_s:g} s") as caught:
                await client.query_with_session("<<say half a>><<hang>>", auto_resume_last=True, timeout=limit_s)
            assert limit_s <= time.monotonic() - started
            # It came before a CLI that does not stop would have been ended.
            assert cli_pids() == pids
            assert isinstance(caught.value, TimeoutError)
            assert isinstance(caught.value, TurnError)
            assert (caught.value.session_id, caught.value.content) == (session_id, "half a")
            assert (await client.query_with_session("hello", auto_resume_last=True)).content == "You said: hello"

    run_async(ask())


@at_some_pace
def test_default_timeout_of_the_config(make_config: MakeConfig, run_async: Run, pace: int) -> None:
    """`default_timeout` holds where a turn names none; a turn's own wins."""

    async def ask() -> None:
        async with SessionAwareClient(make_config(default_timeout=0.7 * pace)) as client:
            await client.query_with_session("start", timeout=60)
            with pytest.raises(TurnTimeoutError):
                await client.query_with_session("<<hang>>", auto_resume_last=True)
            reply = await client.query_with_session(f"<<sleep {pace}>><<say slow>>", auto_resume_last=True, timeout=60)
            assert reply.content == "slow"

    run_async(ask())


def test_timeout_bounds_all_attempts(make_config: MakeConfig, run_async: Run) -> None:
    """With retries the timeout still bounds the whole turn, pauses included."""

    async def ask() -> None:
        async with ClaudeClient(make_config(max_retries=10_000, retry_delay=0.3, env=QUICK)) as client:
            with pytest.raises(TurnTimeoutError):
                await client.query("<<status 529>>", timeout=2)

    run_async(ask())


def test_refused_turn_is_repeated(make_config: MakeConfig, run_async: Run, api: MessagesAPI) -> None:
    """A turn that the API refused for now is asked again in its session, up to `max_retries` times; then it is plain."""

    async def ask() -> None:
        async with SessionAwareClient(make_config(max_retries=2, retry_delay=0, env=QUICK)) as client:
            session_id = (await client.query_with_session("one")).session_id
            for status in (500, 529, 429):
                api.requests.clear()
                prompt = f"<<status {status} 2>><<history>>"
                reply = await client.query_with_session(prompt, auto_resume_last=True)
                assert reply.session_id == client.last_session_id == session_id
                assert reply.metadata["is_error"] is False
                assert (reply.content.startswith("- one\n"), reply.content.endswith(f"\n- {prompt}")) == (True, True)
                assert len(api.requests) == 3

    run_async(ask())


def test_refused_beginning_is_repeated(make_config: MakeConfig, run_async: Run, api: MessagesAPI) -> None:
    """The first turn of a session is asked again, too; the reply names the session that answered."""

    async def ask() -> None:
        async with SessionAwareClient(make_config(max_retries=1, retry_delay=0, env=QUICK)) as client:
            first = await client.query_with_session("<<status 529 1>><<say at last>>")
            assert (first.content, first.session_id) == ("at last", client.last_session_id)
            assert len(api.requests) == 2

    run_async(ask())


def test_gives_up_in_the_end(make_config: MakeConfig, run_async: Run, api: MessagesAPI) -> None:
    """After `max_retries` more attempts, `retry_delay` apart, the last error is raised."""

    async def ask() -> None:
        async with ClaudeClient(make_config(max_retries=1, retry_delay=0.4, env=QUICK)) as client:
            started = time.monotonic()
            with pytest.raises(APIError) as caught:
                await client.query("<<status 529>>")
            assert caught.value.status == 529
            assert time.monotonic() - started > 0.4

    run_async(ask())
    assert len(api.requests) == 2


def test_refusal_for_good_is_not_repeated(make_config: MakeConfig, run_async: Run, api: MessagesAPI) -> None:
    """What the API will refuse again costs no more requests with retries than without, which is the default."""

    async def requests(client: SessionAwareClient, status: int) -> int:
        api.requests.clear()
        with pytest.raises(ClaudeError):
            await client.query_with_session(f"<<status {status}>>", auto_resume_last=True)
        return len(api.requests)

    async def ask(**choices: Any) -> list[int]:
        async with SessionAwareClient(make_config(env=QUICK, **choices)) as client:
            await client.query_with_session("start")
            return [await requests(client, status) for status in (400, 401, 404)]

    assert run_async(ask(max_retries=3, retry_delay=0)) == run_async(ask())


def test_turn_that_said_something_is_not_repeated(make_config: MakeConfig, run_async: Run, api: MessagesAPI) -> None:
    """A CLI killed after the first words is not asked again: what it did cannot be known. What it said is in the error."""

    async def ask() -> None:
        async with ClaudeClient(make_config(max_retries=3, retry_delay=0)) as client:
            turn = asyncio.create_task(anext(events := client.stream_query("<<say begun>><<hang>>")))
            assert await turn == "begun"
            (pid,) = cli_pids()
            os.kill(pid, signal.SIGKILL)
            with pytest.raises(CLIDiedError) as caught:
                await anext(events)
            assert caught.value.content == "begun"

    run_async(ask())
    assert len(api.requests) == 1


def test_turn_that_used_a_tool_is_not_repeated(make_config: MakeConfig, run_async: Run, workdir: Path) -> None:
    """A CLI that dies after a tool has run ends the turn: the tool must not run twice."""

    def kill_after_the_tool(event: Event) -> None:
        if isinstance(event, ToolReturned):
            os.kill(*cli_pids(), signal.SIGKILL)

    call = f'<<tool Bash {{"command": "echo once | tee -a {workdir}/log"}}>><<hang>>'

    async def ask() -> None:
        async with ClaudeClient(make_config(max_retries=3, retry_delay=0, env=QUICK, allowed_tools=["Bash"])) as client:
            with pytest.raises(CLIDiedError) as caught:
                await run_turn(client, call, kill_after_the_tool)
            assert caught.value.session_id

    run_async(ask())
    assert (workdir / "log").read_text() == "once\n"


def test_cli_that_dies_at_its_start_is_started_again(make_config: MakeConfig, run_async: Run, tmp_path: Path) -> None:
    """`max_retries` holds for starting the CLI, too."""
    code = f"""import os, sys
marker = {str(tmp_path / "attempts")!r}
with open(marker, "a") as file: file.write("x")
if os.path.getsize(marker) < 3: sys.exit("not yet")
os.execv({find_cli(None)!r}, sys.argv)
"""
    cli = script(tmp_path / "cli", code)

    async def ask() -> None:
        async with ClaudeClient(make_config(cli_path=cli, max_retries=1, retry_delay=0)) as client:
            with pytest.raises(CLIDiedError, match="not yet"):
                await client.query("hello")
        (tmp_path / "attempts").unlink()
        async with ClaudeClient(make_config(cli_path=cli, max_retries=2, retry_delay=0)) as client:
            assert (await client.query("hello")).content == "You said: hello"
        assert (tmp_path / "attempts").read_text() == "xxx"

    run_async(ask())


def test_idle_cli_that_was_killed_is_not_noticed(make_config: MakeConfig, run_async: Run) -> None:
    """A CLI that died between two turns is replaced, without any retry, and the session goes on."""

    async def ask() -> None:
        async with SessionAwareClient(make_config()) as client:
            await client.query_with_session("one")
            (pid,) = cli_pids()
            os.kill(pid, signal.SIGKILL)
            reply = await client.query_with_session("<<history>>", auto_resume_last=True)
        assert reply.content == "- one\n- <<history>>"

    run_async(ask())


def test_prepared_cli_that_was_killed_is_not_noticed(make_config: MakeConfig, run_async: Run) -> None:
    """A CLI that was started ahead of its first turn, and died before it, is replaced in the same way."""

    async def ask() -> None:
        async with ClaudeClient(make_config()) as client:
            client.prepare(client.request("one"))
            await until(lambda: client.choices.models)
            os.kill(*cli_pids(), signal.SIGKILL)
            assert (await run_turn(client, "one")).content == "You said: one"

    run_async(ask())


def test_waiting_for_the_cli_counts(make_config: MakeConfig, run_async: Run, api: MessagesAPI) -> None:
    """A turn that waits behind another one on its session raises at its timeout, and the other goes on."""

    async def ask() -> None:
        async with SessionAwareClient(make_config()) as client:
            session_id = (await client.query_with_session("start")).session_id
            first = asyncio.create_task(client.query("<<wait>><<say first>>", session_id=session_id))
            await arrived(api, 2)
            with pytest.raises(TurnTimeoutError):
                await client.query("second", session_id=session_id, timeout=0.3)
            api.go_on.set()
            assert (await first).content == "first"

    run_async(ask())


class TwoQuestions(Listener):
    """Answers the first of two questions when both are open, and the second one when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.both, self.one_answered, self.answer_the_other = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self.asked = 0

    async def ask(self, request: PermissionRequest) -> PermissionAnswer:
        self.asked += 1
        if self.asked == 2:
            self.both.set()
            await self.answer_the_other.wait()
        else:
            await self.both.wait()
            self.one_answered.set()
        return PermissionAnswer(Decision.DENY)


@at_some_pace
def test_timeout_stops_until_the_last_of_two_questions(make_config: MakeConfig, run_async: Run, pace: int) -> None:
    """The CLI asks about parallel calls at the same time: the timeout stops until the last answer, then goes on."""
    limit_s = 1.0 * pace
    prompt = '<<tools 2 WebFetch {"url": "http://127.0.0.1:%d/", "prompt": "p"}>><<hang>>'

    async def ask() -> None:
        async with ClaudeClient(make_config(), asks=True) as client:
            session_id = (await client.query("start")).session_id
            host = TwoQuestions()
            turn = asyncio.create_task(run_turn(client, prompt, host=host, session_id=session_id, timeout=limit_s))
            await asyncio.wait_for(host.one_answered.wait(), 30)
            done, _ = await asyncio.wait([turn], timeout=limit_s + SLACK_S)
            assert not done
            host.answer_the_other.set()
            with pytest.raises(TurnTimeoutError, match=rf"longer than {limit_s:g} s"):
                await asyncio.wait_for(turn, limit_s + 10)

    run_async(ask())


@pytest.mark.parametrize(
    "choices",
    [
        {"max_retries": -1},
        {"retry_delay": -1},
        {"default_timeout": 0},
        {"process_cleanup_timeout": 0},
        {"max_concurrent_processes": 0},
        {"permission_mode": "yes"},
        {"effort": "much"},
        {"max_turns": 0},
        {"max_budget_usd": 0},
    ],
    ids=str,
)
def test_config_that_cannot_be_meant(choices: dict[str, object]) -> None:
    """A setting that makes no sense is an error when the config is made; it is a ValueError, too."""
    with pytest.raises(ConfigError, match=next(iter(choices))) as caught:
        ClaudeConfig(**choices)  # type: ignore[arg-type]
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("timeout", [0, -1, float("nan")])
def test_timeout_that_cannot_be_meant(timeout: float, make_config: MakeConfig, run_async: Run) -> None:
    """A turn's timeout that is no time at all is a ConfigError, and no CLI is started for it."""

    async def ask() -> None:
        async with ClaudeClient(make_config()) as client:
            with pytest.raises(ConfigError, match="timeout"):
                await client.query("hello", timeout=timeout)
            assert cli_pids() == set()

    run_async(ask())
