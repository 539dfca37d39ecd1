"""Branches that we write to disk because the CLI would not find the message that they begin after.

The CLI (2.1.332) goes back only along what it believes to be the conversation. It does not go back past a compaction, nor to
messages that another process has written beside that conversation.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import claude_agent_sdk as sdk

from claude_magic._paths import private
from claude_magic.errors import SessionNotFoundError
from claude_magic.sdk._history.places import not_written, read_entries

T = TypeVar("T")


def branch_on_disk(path: Path, at: str, *, name: str | None = None) -> str:
    """Write a transcript of everything that led to the message `at`, and return the ID of its session.

    :param name: the branch's name; by default the session's name, with a note that it is a fork.
    :raises SessionNotFoundError: when the transcript does not hold that message.
    :raises ClaudeError: when it cannot be written.
    """
    session_id = path.stem
    if not (entries := leading_to(at, [*read_entries(path)])):
        raise SessionNotFoundError("The session no longer holds the message to go on from.")
    titles = [entry for entry in read_entries(path) if "title" in str(entry.get("type"))]

    async def fork() -> tuple[str, list[Any]]:
        store = sdk.InMemorySessionStore()
        key = sdk.project_key_for_directory(os.sep)
        await store.append({"project_key": key, "session_id": session_id}, [*entries, *titles])  # type: ignore[list-item]
        fork = await sdk.fork_session_via_store(store, session_id, os.sep, up_to_message_id=at, title=name)
        return fork.session_id, list(await store.load({"project_key": key, "session_id": fork.session_id}) or ())

    branch_id, lines = in_a_loop(fork)
    branch = path.with_name(f"{branch_id}.jsonl")
    try:
        with open(branch, "x", encoding="utf-8", newline="\n", opener=private) as file:
            file.writelines(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
    except OSError as error:
        branch.unlink(missing_ok=True)  # half a transcript would be listed as a session
        raise not_written(path.parent, error) from error
    return branch_id


def leading_to(at: str, entries: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the entries that led to this message, and its own, but none of other branches; empty if it is missing."""
    by_id = {entry["uuid"]: entry for entry in entries if isinstance(entry.get("uuid"), str)}
    line: set[str] = set()
    walked: str | None = at
    while walked is not None and walked in by_id and walked not in line:
        line.add(walked)
        walked = parent_of(by_id[walked])
    kept: list[dict[str, Any]] = []
    kept_ids: set[str] = set()
    for entry in entries:
        message_id = entry.get("uuid")
        # Results of parallel tools hang beside the line of ancestors and belong to it. A prompt begins another branch.
        if message_id in line or (parent_of(entry) in kept_ids and not _begins(entry)):
            kept.append(entry)
            kept_ids.add(str(message_id))
        if message_id == at:
            return kept
    return []


def in_a_loop(work: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """Run a coroutine in a thread of its own: this thread may already run an event loop, as a cell does."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(work())).result()


def parent_of(entry: dict[str, Any]) -> str | None:
    """Return the ID of the entry before this one, also across a compaction."""
    parent = entry.get("parentUuid") or entry.get("logicalParentUuid")
    return parent if isinstance(parent, str) else None


def _begins(entry: dict[str, Any]) -> bool:
    match entry:
        case {"type": "user", "message": {"content": list(parts)}}:
            return not any(isinstance(part, dict) and part.get("type") == "tool_result" for part in parts)
    return entry.get("type") == "user"
