"""What the tests of the client look at from outside: CLI processes, requests at the API, CLIs that are scripts."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import psutil
from messages_api import MessagesAPI
from rig.leaks import running

from claude_magic.sdk import Cassette, ClaudeClient, ClaudeConfig, Event, SessionAwareResponse
from claude_magic.sdk.content import Prompt
from claude_magic.sdk.host import Listener, TurnHost

MakeConfig = Callable[..., ClaudeConfig]
Run = Callable[..., Any]

QUICK = {"CLAUDE_CODE_MAX_RETRIES": "0"}
"""Makes the CLI give up at the first refusal of the API instead of asking again for minutes."""

UNKNOWN = "00000000-0000-4000-8000-000000000000"
"""A session ID that nobody has."""

CLOSE_S = 2.0
"""A `process_cleanup_timeout` for the tests that need a short one."""

SLACK_S = 1.0
"""What two busy cores may add to a bound, at `pace` 1."""


def cli_pids() -> set[int]:
    """Return the IDs of the live CLI processes that this process has started."""
    return {child.pid for child in running(psutil.Process().children(recursive=True), "stream-json")}


@contextmanager
def counting_processes() -> Iterator[list[int]]:
    """Look at the number of live CLI processes 20 times a second; the list holds what was seen."""
    seen: list[int] = []
    stop = threading.Event()

    def look() -> None:
        while not stop.wait(0.05):
            seen.append(len(cli_pids()))

    watcher = threading.Thread(target=look, name="watcher")
    watcher.start()
    try:
        yield seen
    finally:
        stop.set()
        watcher.join()


async def run_turn(
    client: ClaudeClient,
    prompt: Prompt | str,
    emit: Callable[[Event], None] = lambda event: None,
    *,
    host: TurnHost | None = None,
    cassette: Cassette | None = None,
    **choices: Any,
) -> SessionAwareResponse:
    """Run one turn for `host`, else hand its events to `emit`; `choices` are those of `ClaudeClient.request`."""
    with cassette or nullcontext():
        return await client.run_turn(client.request(prompt, **choices), host or Listener(emit))


async def arrived(api: MessagesAPI, count: int = 1) -> None:
    """Return when this many requests have arrived at the API in this test."""
    await asyncio.to_thread(api.wait_for_requests, count)


async def until(happened: Any, timeout_s: float = 60) -> None:
    """Return when `happened()` is true."""
    async with asyncio.timeout(timeout_s):
        while not happened():  # noqa: ASYNC110 - a process table has no event
            await asyncio.sleep(0.01)


def user_blocks(api: MessagesAPI) -> list[dict[str, Any]]:
    """Return every block of the user's messages in the last request, also those that the CLI adds."""
    blocks: list[dict[str, Any]] = []
    for message in api.requests[-1]["messages"]:
        if message["role"] == "user":
            content = message["content"]
            blocks += [{"type": "text", "text": content}] if isinstance(content, str) else content
    return blocks


def user_texts(api: MessagesAPI) -> str:
    """Return the texts of the user's messages in the last request."""
    return "\n".join(block["text"] for block in user_blocks(api) if block["type"] == "text")


def script(path: Path, code: str) -> Path:
    """Write a CLI that is a Python script."""
    path.write_text(f"#!{sys.executable} -S\n{code}")
    path.chmod(0o755)
    return path
