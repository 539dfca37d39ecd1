"""The sessions that the CLI has kept on disk: list them, find one, name or delete one.

A session belongs to the directory in which it was started. claude-agent-sdk reads and writes the files; this module gives
them our words and our errors.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import claude_agent_sdk as sdk

from claude_magic._paths import shorten_home
from claude_magic.errors import SessionNotFoundError
from claude_magic.sdk._history.transcripts import exchanges, read_entries


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """A session on disk. `name` is the title somebody gave it, `size_bytes` the size of its transcript."""

    session_id: str
    name: str | None
    first_prompt: str | None
    directory: str | None
    last_used: datetime
    size_bytes: int | None = None


def list_sessions(directory: str) -> list[SessionInfo]:
    """Return the sessions of a directory, the one used last first."""
    return _sorted(sdk.list_sessions(directory=directory, include_worktrees=False))


async def list_sessions_elsewhere(directory: str, projects: Path) -> list[SessionInfo]:
    """Return the sessions of a directory from transcripts that the CLI keeps below `projects`."""
    key = sdk.project_key_for_directory(directory)
    store, files = sdk.InMemorySessionStore(), {}
    for path in (projects / key).glob("*.jsonl"):
        await store.append({"project_key": key, "session_id": path.stem}, list(read_entries(path)))
        files[path.stem] = path.stat()
    found = await sdk.list_sessions_from_store(store, directory=directory)
    return _sorted(
        replace(session, last_modified=int(file.st_mtime * 1000), file_size=file.st_size)
        for session in found
        for file in [files[session.session_id]]
    )


def projects_of(env: Mapping[str, str]) -> Path | None:
    """Return where a CLI keeps its sessions that runs with `env` over our environment; `None`: where ours does."""
    if configured := env.get("CLAUDE_CONFIG_DIR"):
        return Path(configured) / "projects"
    if "HOME" in env and "CLAUDE_CONFIG_DIR" not in os.environ:
        return Path(env["HOME"]) / ".claude" / "projects"
    return None


def all_projects(env: Mapping[str, str]) -> Path:
    """Return where a CLI keeps its sessions that runs with `env` over our environment."""
    configured = os.environ.get("CLAUDE_CONFIG_DIR")
    return projects_of(env) or Path(configured or Path.home() / ".claude") / "projects"


def find_session(wanted: str, directory: str) -> SessionInfo:
    """Return the session with this ID, unique prefix of an ID, or name; a full ID may be of any directory.

    :raises SessionNotFoundError: when there is none, or when more than one fits.
    """
    sessions = list_sessions(directory)
    for matches in (
        [session for session in sessions if session.session_id == wanted.lower()],
        [session for session in sessions if session.name == wanted],
        [session for session in sessions if session.session_id.startswith(wanted.lower())],
        [session for session in sessions if session.name and session.name.casefold() == wanted.casefold()],
    ):
        if len(matches) == 1:
            return matches[0]
        if matches:
            which = ", ".join(session.session_id[:8] for session in matches[:5])
            raise SessionNotFoundError(
                f"{len(matches)} sessions in {shorten_home(directory)} match {wanted!r}: {which}.",
                next_step="Give more of the ID; list_sessions() shows them.",
            )
    if _is_id(wanted):
        elsewhere = sdk.get_session_info(wanted)
        if elsewhere is not None:
            return _info(elsewhere)
    how = "has the ID" if _is_id(wanted) else "has a name or an ID that begins with"
    raise SessionNotFoundError(f"No session in {shorten_home(directory)} {how} {wanted}.")


def directory_of(session_id: str, projects: Path | None) -> str | None:
    """Return where a session lives, `None` when there is no such session or it does not say."""
    if projects is None:
        session = sdk.get_session_info(session_id)
        return session.cwd if session is not None else None
    paths = projects.glob(f"*/{session_id}.jsonl") if _is_id(session_id) else ()
    directories = (entry.get("cwd") for path in paths for entry in read_entries(path))
    return next((directory for directory in directories if isinstance(directory, str)), None)


def count_turns(session: SessionInfo) -> int:
    """Return how many prompts a session holds; reads its whole transcript."""
    return len(exchanges(session.session_id, session.directory))


def rename_session(session_id: str, name: str, directory: str) -> None:
    """Give a session a name, which `--resume` and `claude -r` understand.

    :raises SessionNotFoundError: when there is no such session in the directory.
    """
    try:
        sdk.rename_session(session_id, name, directory=directory)
    except FileNotFoundError as error:
        raise SessionNotFoundError(f"No session in {shorten_home(directory)} has the ID {session_id}.") from error


def delete_session(session_id: str, directory: str) -> None:
    """Delete a session's transcript for good.

    :raises SessionNotFoundError: when there is no such session in the directory.
    """
    try:
        sdk.delete_session(session_id, directory=directory)
    except FileNotFoundError as error:
        raise SessionNotFoundError(f"No session in {shorten_home(directory)} has the ID {session_id}.") from error


def _sorted(sessions: Iterable[sdk.SDKSessionInfo]) -> list[SessionInfo]:
    return sorted(map(_info, sessions), key=lambda session: session.last_used, reverse=True)


def _info(session: sdk.SDKSessionInfo) -> SessionInfo:
    return SessionInfo(
        session_id=session.session_id,
        name=session.custom_title,
        first_prompt=session.first_prompt,
        directory=session.cwd,
        last_used=datetime.fromtimestamp(session.last_modified / 1000, UTC),
        size_bytes=session.file_size,
    )


def _is_id(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text.lower()
    except ValueError:
        return False
