"""Leaving a client ends every CLI process it started, in time, whatever they are doing, with transcripts on disk."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from pathlib import Path

import psutil
import pytest
from messages_api import MessagesAPI
from rig.pace import at_some_pace
from watching import CLOSE_S, SLACK_S, MakeConfig, Run, arrived, cli_pids, script, until

from claude_magic.errors import ClaudeError, CLIDiedError
from claude_magic.sdk import ClaudeClient, SessionAwareClient, TurnOptions
from claude_magic.sdk._cli.command_line import Launch, find_cli
from claude_magic.sdk._cli.environment import environment
from claude_magic.sdk._cli.process import LiveProcess, State


async def close_timed(client: ClaudeClient) -> float:
    """Close the client and return how long that took, in seconds; no CLI process is left."""
    started = time.monotonic()
    await client.aclose()
    took_s = time.monotonic() - started
    assert cli_pids() == set()
    return took_s


def test_transcripts_are_on_disk(make_config: MakeConfig, run_async: Run, home: Path) -> None:
    """After the context has been left every prompt and every answer is in the transcript."""

    async def ask() -> str:
        async with SessionAwareClient(make_config()) as client:
            for number in range(5):
                await client.query_with_session(f"<<say answer {number}>>", auto_resume_last=True)
            return str(client.last_session_id)

    session_id = run_async(ask())
    (path,) = (home / ".claude" / "projects").rglob(f"{session_id}.jsonl")
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    said = [block["text"] for line in lines if line["type"] == "assistant" for block in line["message"]["content"]]
    assert said == [f"answer {number}" for number in range(5)]


@at_some_pace
def test_idle_processes_end_gracefully(make_config: MakeConfig, run_async: Run, pace: int) -> None:
    """Idle processes are gone after aclose, long before the bound, and a second aclose does nothing."""

    async def ask() -> None:
        client = ClaudeClient(make_config(process_cleanup_timeout=5 * pace))
        await asyncio.gather(client.query("one"), client.query("two"))
        assert len(cli_pids()) == 2
        assert await close_timed(client) < 2 * pace
        assert await close_timed(client) < 0.1 * pace

    run_async(ask())


@at_some_pace
def test_while_a_turn_runs(make_config: MakeConfig, run_async: Run, api: MessagesAPI, pace: int) -> None:
    """A running turn is interrupted by aclose; whoever waits for it hears so by an error of ours."""

    async def ask() -> None:
        client = ClaudeClient(make_config(process_cleanup_timeout=CLOSE_S * pace))
        turn = asyncio.create_task(client.query("<<say part>><<hang>>"))
        await arrived(api)
        assert await close_timed(client) < CLOSE_S * pace
        with pytest.raises(ClaudeError):
            await turn

    run_async(ask())


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
@at_some_pace
def test_stopped_cli(busy: bool, make_config: MakeConfig, run_async: Run, api: MessagesAPI, pace: int) -> None:
    """A CLI that was suspended (SIGSTOP) is gone within the bound, too."""

    async def ask() -> None:
        client = ClaudeClient(make_config(process_cleanup_timeout=CLOSE_S * pace))
        turn = asyncio.create_task(client.query("<<hang>>" if busy else "hello"))
        await (arrived(api) if busy else asyncio.wait([turn]))
        (pid,) = cli_pids()
        os.kill(pid, signal.SIGSTOP)
        assert await close_timed(client) < (CLOSE_S + SLACK_S) * pace
        if busy:
            with pytest.raises(ClaudeError):
                await turn

    run_async(ask())


@at_some_pace
def test_tool_that_runs(make_config: MakeConfig, run_async: Run, workdir: Path, pace: int) -> None:
    """A command that a tool has started, and that ignores SIGTERM, is gone after aclose, too."""
    (workdir / "pid").unlink(missing_ok=True)
    command = "trap '' TERM INT HUP; echo $$ > pid; while :; do sleep 1; done"
    call = f"<<tool Bash {json.dumps({'command': command})}>><<say done>>"

    async def ask() -> None:
        client = ClaudeClient(make_config(allowed_tools=["Bash"], process_cleanup_timeout=CLOSE_S * pace))
        turn = asyncio.create_task(client.query(call))
        pid_file = workdir / "pid"
        await until(lambda: pid_file.exists() and pid_file.read_text().strip())
        tool = psutil.Process(int(pid_file.read_text()))
        assert await close_timed(client) < (CLOSE_S + SLACK_S) * pace
        assert not tool.is_running()
        with pytest.raises(ClaudeError):
            await turn

    run_async(ask())


@at_some_pace
def test_cli_that_never_listens(make_config: MakeConfig, run_async: Run, tmp_path: Path, pace: int) -> None:
    """A CLI that hangs while it starts is ended within the bound; its turn runs into its own timeout before."""
    mute = script(tmp_path / "mute", "import time\ntime.sleep(600)\n# stream-json")

    async def ask() -> None:
        client = ClaudeClient(make_config(cli_path=mute, process_cleanup_timeout=CLOSE_S * pace))
        with pytest.raises(TimeoutError):
            await client.query("hello", timeout=0.5)
        assert await close_timed(client) < (CLOSE_S + SLACK_S) * pace

    run_async(ask())


@at_some_pace
def test_while_a_cli_starts(make_config: MakeConfig, run_async: Run, pace: int) -> None:
    """aclose in the middle of a start ends that process; the turn that wanted it fails with an error of ours."""

    async def ask() -> None:
        client = ClaudeClient(make_config(process_cleanup_timeout=CLOSE_S * pace))
        turn = asyncio.create_task(client.query("hello"))
        await until(cli_pids)
        assert await close_timed(client) < (CLOSE_S + SLACK_S) * pace
        with pytest.raises(ClaudeError):
            await turn
        assert cli_pids() == set()

    run_async(ask())


def test_closed_before_the_start(make_config: MakeConfig, run_async: Run, workdir: Path) -> None:
    """A process that was closed before its start does not start later."""

    async def ask() -> None:
        launch, env = Launch(directory=str(workdir), options=TurnOptions()), environment(make_config().env, str(workdir))
        cli = LiveProcess(find_cli(None), launch, env=env, close_timeout_s=CLOSE_S)
        await cli.aclose()
        try:
            with pytest.raises(CLIDiedError):
                await cli.start()
        finally:
            await cli.aclose()
        assert cli.state is State.CLOSED

    run_async(ask())


def test_turns_that_wait_start_no_process_any_more(make_config: MakeConfig, run_async: Run, api: MessagesAPI) -> None:
    """Turns that wait for a free process when the client is closed fail with an error of ours; nothing is left running."""

    async def ask() -> None:
        client = ClaudeClient(make_config(max_concurrent_processes=1, process_cleanup_timeout=CLOSE_S))
        turns = [asyncio.create_task(client.query("<<wait>><<say late>>")) for _ in range(4)]
        await arrived(api)
        await client.aclose()
        results = await asyncio.gather(*turns, return_exceptions=True)
        assert all(isinstance(result, ClaudeError) for result in results), results
        assert cli_pids() == set()

    run_async(ask())


def test_closed_client_starts_nothing(make_config: MakeConfig, run_async: Run) -> None:
    """A query on a client that was closed is an error of ours and starts no process that nobody ends."""

    async def ask() -> None:
        async with ClaudeClient(make_config()) as client:
            pass
        try:
            with pytest.raises(ClaudeError):
                await client.query("hello")
            assert cli_pids() == set()
        finally:
            await client.aclose()

    run_async(ask())


def test_error_in_the_context_ends_processes(make_config: MakeConfig, run_async: Run) -> None:
    """An exception of the caller leaves the context as it is, and no process behind."""

    async def fail() -> None:
        async with ClaudeClient(make_config()) as client:
            await client.query("hello")
            raise LookupError

    async def ask() -> None:
        with pytest.raises(LookupError):
            await fail()
        assert cli_pids() == set()

    run_async(ask())


def test_cancelled_context_ends_processes(make_config: MakeConfig, run_async: Run, api: MessagesAPI) -> None:
    """A task that is cancelled inside the context ends its turn and its processes on the way out."""

    async def work() -> None:
        async with ClaudeClient(make_config(process_cleanup_timeout=CLOSE_S)) as client:
            await client.query("<<hang>>")

    async def ask() -> None:
        task = asyncio.create_task(work())
        await arrived(api)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert cli_pids() == set()

    run_async(ask())
