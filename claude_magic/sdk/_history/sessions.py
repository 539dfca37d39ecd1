"""The sessions that the CLI has kept on disk: list them, find one, name or delete one.

A session belongs to the directory that it was started in. claude-agent-sdk reads and writes the files; this module
translates its results and errors into ours.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import claude_agent_sdk as sdk

from claude_magic._paths import file_bytes, shorten_home
from claude_magic._text import name_line, well_formed
from claude_magic.errors import ConfigError, SessionNotFoundError
from claude_magic.sdk._history import places
from claude_magic.sdk._history.transcripts import is_added, prompt_in


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """A session on disk. `name` is the title that a person gave it, `size_bytes` the size of its transcript."""

    session_id: str
    name: str | None
    first_prompt: str | None
    directory: str | None
    last_used: datetime
    size_bytes: int | None = None


def list_sessions(directory: str) -> list[SessionInfo]:
    """Return the sessions of a directory, the most recently used first."""
    if not os.path.isdir(places.all_projects()):  # without a home directory the SDK cannot even look for them
        return []
    name = places.folder_name(directory)
    # From this path the SDK makes the CLI's name for the folder; from the directory it may make another. For a long
    # name it could take the folder of another directory, so it lists all sessions then.
    spelled = os.sep + name[1:]
    listed = sdk.list_sessions(spelled if len(name) <= places.LONGEST_NAME else None, include_worktrees=False)
    infos = []
    for info in map(_info, listed):
        # The SDK reads only the beginning of a file, and a large prompt can stand before the entry with the directory.
        path = places.transcript_of(info.session_id) if info.directory in (None, spelled, places.canonical(spelled)) else None
        told = info.directory if path is None else places.told_directory(path) or directory
        if told is not None and places.is_same_directory(told, directory):
            infos.append(replace(info, directory=told))
    return _sorted(infos)


async def list_sessions_elsewhere(directory: str, projects: Path) -> list[SessionInfo]:
    """Return the sessions of a directory from the transcripts below `projects`."""
    key = sdk.project_key_for_directory(directory)
    store, files = sdk.InMemorySessionStore(), {}
    for path in (path for folder in places.folders(directory, projects) for path in folder.glob("*.jsonl")):
        if not places.is_id(path.stem) or not path.is_file() or not places.belongs(path, directory):
            continue
        await store.append({"project_key": key, "session_id": path.stem}, [*places.read_entries(path)])  # type: ignore[list-item]
        files[path.stem] = path.stat()
    found = await sdk.list_sessions_from_store(store, directory=directory)
    return _sorted(
        [
            _info(replace(session, last_modified=int(file.st_mtime * 1000), file_size=file.st_size))
            for session in found
            for file in [files[session.session_id]]
        ]
    )


def find_session(wanted: str, directory: str) -> SessionInfo:
    """Return the session with this ID, unique prefix of an ID, or name. A full ID is found in any directory.

    :raises SessionNotFoundError: if no session matches, or more than one does.
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
    if places.is_id(wanted) and os.path.isdir(places.all_projects()) and (found := sdk.get_session_info(wanted.lower())):
        return _info(found)
    how = "has the ID" if places.is_id(wanted) else "has this name or an ID with this beginning:"
    raise SessionNotFoundError(f"No session in {shorten_home(directory)} {how} {wanted}.")


def directory_of(session_id: str, projects: Path | None) -> str | None:
    """Return the directory of a session, `None` if there is no such session or its transcript names none."""
    path = places.transcript_of(session_id, projects)
    return places.told_directory(path) if path else None


def name_of(path: Path) -> str:
    """Return the name of a session from its transcript: its title, else the beginning of its first prompt."""
    title = first = ""
    for entry in places.read_entries(path):
        match entry:
            case {"type": "custom-title", "customTitle": str(given)}:
                title = name_line(given)
            case {"type": "user"} if not first:
                first = " ".join((prompt_in(entry) or "").split())[:40]
    return title or first


def rename_session(session_id: str, name: str, directory: str) -> None:
    """Give a session a name that `--resume` and `claude -r` understand.

    :raises SessionNotFoundError: when there is no such session in the directory.
    :raises ConfigError: if the name has no visible character.
    :raises ClaudeError: if the name cannot be written.
    """
    if not (name := name_line(name)):
        raise ConfigError("The name is empty.", next_step="Give it a letter.")
    with _own(session_id, directory) as path:
        before = path.stat().st_size
        sdk.rename_session(session_id, name)
        # On a nearly full disk the SDK (0.2.189) writes the beginning of a line and does not notice.
        if not file_bytes(path).endswith(b"\n"):
            os.truncate(path, before)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def delete_session(session_id: str, directory: str) -> None:
    """Delete a session's transcript for good.

    :raises SessionNotFoundError: when there is no such session in the directory.
    """
    with _own(session_id, directory):
        sdk.delete_session(session_id)


@contextmanager
def _own(session_id: str, directory: str) -> Iterator[Path]:
    """Check that a session belongs to the directory, and yield the path of its transcript.

    IDs are unique, so the SDK may look for the session in all folders.
    """
    missing = SessionNotFoundError(f"No session in {shorten_home(directory)} has the ID {session_id}.")
    if (path := places.transcript_of(session_id, directory=directory)) is None:
        raise missing
    try:
        yield path
    except FileNotFoundError as error:
        raise missing from error
    except OSError as error:
        raise places.not_written(places.all_projects(), error) from error


def _sorted(sessions: list[SessionInfo]) -> list[SessionInfo]:
    return sorted(sessions, key=lambda session: session.last_used, reverse=True)


def _first_prompt(session: sdk.SDKSessionInfo) -> str | None:
    first = session.first_prompt
    if first and is_added(first):  # the SDK mistakes the context that we send with a prompt for the prompt
        prompts = map(prompt_in, places.readable_entries(places.transcript_of(session.session_id)))
        first = " ".join(next(filter(None, prompts), "").split())[:200]
    return well_formed(first) if first else None


def _info(session: sdk.SDKSessionInfo) -> SessionInfo:
    return SessionInfo(
        session_id=session.session_id,
        name=name_line(session.custom_title) if session.custom_title else None,
        first_prompt=_first_prompt(session),
        directory=session.cwd,
        last_used=datetime.fromtimestamp(session.last_modified / 1000, UTC),
        size_bytes=session.file_size,
    )
