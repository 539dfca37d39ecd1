"""A client and its event loops: whatever becomes of a loop or of a script, no CLI is left, and `aclose` returns."""

from __future__ import annotations

import asyncio
import gc
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from messages_api import MessagesAPI
from rig.environment import own_variables
from rig.leaks import tree

from claude_magic.errors import APIError, ConfigError
from claude_magic.sdk import ClaudeConfig, SessionAwareClient

# What asyncio and the SDK say, at some later time, of the tasks of a loop that was closed under them.
pytestmark = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

GONE_S = 20.0
"""A bound for a busy machine; a quiet one needs less than one second."""


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path, api: MessagesAPI) -> SessionAwareClient:
    """A client that nobody closes but the test."""
    monkeypatch.chdir(tmp_path)
    return SessionAwareClient(ClaudeConfig(env=own_variables(home, api.url), process_cleanup_timeout=5))


def clis() -> list[psutil.Process]:
    """Return the CLI processes that this process has started, with their supervisors."""
    return [process for process in psutil.Process().children(recursive=True) if "stream-json" in command_of(process)]


def command_of(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return ""


def gone(processes: list[psutil.Process]) -> bool:
    return not psutil.wait_procs(processes, timeout=GONE_S)[1]


@contextmanager
def a_loop() -> Iterator[asyncio.AbstractEventLoop]:
    """A loop that runs in a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield loop
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


def asked_in(loop: asyncio.AbstractEventLoop, client: SessionAwareClient, prompt: str) -> str:
    """Ask in a loop that runs elsewhere, and return the answer."""
    return asyncio.run_coroutine_threadsafe(client.query_with_session(prompt), loop).result(60).content


def test_one_loop_after_the_other(client: SessionAwareClient, api: MessagesAPI) -> None:
    """Each `asyncio.run` is a loop of its own: the session goes on in the next, and nothing outlives any of them."""
    assert asyncio.run(client.query_with_session("one")).content == "You said: one"
    assert gone(clis())
    assert asyncio.run(client.query_with_session("two", auto_resume_last=True)).content == "You said: two"
    assert gone(clis())
    asyncio.run(client.aclose())
    assert api.prompts()[-1] == ["one", "two"]


def test_another_loop_that_lives(client: SessionAwareClient, api: MessagesAPI) -> None:
    """Asked from a second loop the client says so at once, and goes on in its own; any loop can close it."""
    with a_loop() as loop:
        assert asked_in(loop, client, "one") == "You said: one"
        for use in (lambda: client.query("two"), lambda: client.close_session(str(client.last_session_id))):
            with pytest.raises(ConfigError, match="another event loop") as raised:
                asyncio.run(use())
            assert "Make a client for each loop" in str(raised.value.next_step)
        assert asked_in(loop, client, "three") == "You said: three"
        asyncio.run(client.aclose())
        assert not clis()
        asyncio.run_coroutine_threadsafe(client.aclose(), loop).result(60)
    assert len(api.requests) == 2


def test_closed_from_elsewhere_while_a_turn_runs(client: SessionAwareClient, api: MessagesAPI) -> None:
    """Closing from another loop ends the turn that runs, and whoever waits for it hears so."""
    with a_loop() as loop:
        turn = asyncio.run_coroutine_threadsafe(client.query("<<hang>>"), loop)
        api.wait_for_requests(1)
        asyncio.run(client.aclose())
        assert turn.exception(60) is not None
        assert not clis()


def test_closed_from_elsewhere_while_its_loop_is_blocked(client: SessionAwareClient) -> None:
    """Closing is bounded also where the client's own loop does nothing."""
    free = threading.Event()
    client.config.process_cleanup_timeout = 1
    with a_loop() as loop:
        assert asked_in(loop, client, "one") == "You said: one"
        loop.call_soon_threadsafe(free.wait)
        try:
            asyncio.run(asyncio.wait_for(client.aclose(), 60))
            assert not clis()
        finally:
            free.set()


def test_closed_while_its_loop_is_not_run(client: SessionAwareClient) -> None:
    """A loop that was run until something was done, and neither goes on nor is closed, holds nobody up."""
    loop = asyncio.new_event_loop()
    loop.run_until_complete(client.query("one"))
    asyncio.run(asyncio.wait_for(client.aclose(), 60))
    assert not clis()
    finish(loop)


@pytest.mark.parametrize("busy", [False, True], ids=["idle", "busy"])
def test_loop_closed_without_aclose(client: SessionAwareClient, api: MessagesAPI, busy: bool) -> None:
    """A loop that is closed takes its CLIs along though the client lives; the session goes on in the next loop."""
    loop = asyncio.new_event_loop()
    loop.run_until_complete(client.query_with_session("one"))
    turn = loop.create_task(client.query_with_session("<<hang>>", auto_resume_last=True)) if busy else None
    if turn:
        loop.run_until_complete(asyncio.to_thread(api.wait_for_requests, 2))
    running = clis()
    assert running
    loop.close()
    assert gone(running)
    assert asyncio.run(client.query_with_session("two", auto_resume_last=True)).content == "You said: two"
    asyncio.run(client.aclose())
    assert api.prompts()[-1][0] == "one"
    del turn
    gc.collect()


@pytest.mark.parametrize("left", ["break", "raise", "cancel", "fail"])
def test_streams_that_do_not_end(client: SessionAwareClient, api: MessagesAPI, left: str) -> None:
    """A stream that is left, cancelled or fails leaves a process that serves the session's next turn at once."""

    async def leave(prompt: str) -> None:
        async for _ in client.stream_query(prompt, session_id=client.last_session_id):
            match left:
                case "break":
                    break
                case "raise":
                    raise LookupError
                case "cancel":
                    raise asyncio.CancelledError

    async def ask() -> None:
        async with client:
            await client.query_with_session("one")
            processes = {process.pid for process in clis()}
            try:
                await leave("<<status 400>>" if left == "fail" else "<<say part>><<hang>>")
            except (LookupError, asyncio.CancelledError, APIError):
                assert left != "break"
            reply = await client.query_with_session("two", auto_resume_last=True)
            assert reply.content == "You said: two"
            assert {process.pid for process in clis()} == processes
        assert not clis()

    asyncio.run(asyncio.wait_for(ask(), 60))
    assert api.prompts()[-1][::2] == ["one", "two"]


CLIENT = """
    import asyncio
    from claude_magic.sdk import ClaudeClient
    async def stream(client):
        async for text in client.stream_query("<<say part>><<hang>>"):
            print(text, flush=True)
    async def in_context():
        async with ClaudeClient() as client:
            await stream(client)
    async def unclosed():
        await stream(ClaudeClient())
"""
RUN = {
    "in its context": "asyncio.run(in_context())",
    "never closed": "asyncio.run(unclosed())",
    "on an old loop": "asyncio.new_event_loop().run_until_complete(unclosed())",
    "in a thread": """
import threading
thread = threading.Thread(target=asyncio.run, args=[in_context()], daemon=True)
thread.start()
thread.join()""",
}


@pytest.mark.parametrize("way", RUN)
def test_interrupted_script(tmp_path: Path, environment: dict[str, str], api: MessagesAPI, way: str) -> None:
    """A script that Ctrl-C ends in the middle of a turn leaves no CLI, and a shell sees 130."""
    code = textwrap.dedent(CLIENT) + RUN[way]
    script = subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=tmp_path, env=environment, text=True
    )
    with script:
        assert script.stdout is not None
        assert script.stdout.readline() == "part\n"
        below = list(tree(script.pid) - {psutil.Process(script.pid)})
        assert below
        script.send_signal(signal.SIGINT)
        assert gone(below)
        script.communicate(timeout=GONE_S)
    # Python ends by the signal itself, which a shell calls 130.
    assert script.returncode == -signal.SIGINT


def finish(loop: asyncio.AbstractEventLoop) -> None:
    """Close a loop as `asyncio.run` does: with its tasks."""
    tasks = asyncio.all_tasks(loop)
    for task in tasks:
        task.cancel()
    loop.run_until_complete(asyncio.gather(*tasks, return_exceptions=True))
    loop.close()
