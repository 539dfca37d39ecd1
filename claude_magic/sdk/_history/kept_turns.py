"""Whether the turns of a session are on disk, and what to say when they are not.

The CLI (2.1.332) writes a turn before it reports that the turn has ended. If it cannot write, because the disk is full or
read-only, it continues without a word, and the turn is gone when its process ends. So we look for each turn on disk.
"""

from __future__ import annotations

import asyncio
import os
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import claude_agent_sdk as sdk

from claude_magic._paths import regular, shorten_home
from claude_magic.sdk._history.places import found_below, why_not_written

_PATIENCE_S = (0.0, 0.02, 0.08, 0.2)
"""Waits between the looks for a turn: a network disk may show it a moment later."""

_CHUNK = 1 << 18


@dataclass(slots=True)
class _Session:
    missing: list[str] = field(default_factory=list)
    """The last message of each turn that is not in the file now, oldest first."""
    lost: list[str] = field(default_factory=list)
    """The same for turns that will never be in the file: later turns have been written without them."""
    size: int = 0
    """Size of the file when we last found all that we looked for; only what was added since is searched."""


class KeptTurns:
    """What we know of the transcripts below `projects`, where the CLI keeps its sessions."""

    def __init__(self, projects: Path) -> None:
        self._projects = projects
        self._sessions: defaultdict[str, _Session] = defaultdict(_Session)

    def count_missing(self, session_id: str | None) -> int:
        """Return how many turns of a session are known to a live process but are not on disk."""
        session = self._sessions.get(session_id or "")
        return len(session.missing) + len(session.lost) if session else 0

    def note(self, session_id: str | None, message_id: str | None) -> None:
        """Count a turn that the CLI began by itself as missing until we look for the next one."""
        if session_id and message_id:
            self._sessions[session_id].missing.append(message_id)

    async def look(self, session_id: str | None, message_id: str | None, directory: str) -> str:
        """Look for a turn that has just ended, and return a remark for the person; empty if the turn is on disk."""
        if not session_id or not message_id:
            return ""
        session = self._sessions[session_id]
        earlier = len(session.missing)
        path = self._path(session_id, directory)
        for delay_s in _PATIENCE_S:
            await asyncio.sleep(delay_s)
            if await asyncio.to_thread(_find, path, [message_id], session):
                break
        else:
            session.size = 0  # the file may have been cut and have grown again
            if not await asyncio.to_thread(_find, path, [message_id], session):
                session.missing.append(message_id)
                return self._not_kept(len(session.missing), path)
        if not earlier:
            return ""
        await asyncio.to_thread(_find, path, list(session.missing), session)
        if not (lost := session.missing):
            return ""
        session.lost, session.missing = [*session.lost, *lost], []
        before = "the turn before this one is" if len(lost) == 1 else f"the {len(lost)} turns before this one are"
        return f"{self._shown} can be written to again, but {before} not kept."

    async def is_missing(self, session_id: str | None, message_id: str | None, directory: str) -> bool:
        """Tell whether the turn that ended with this message is not on disk, so that no branch can begin there."""
        session = self._sessions.get(session_id or "")
        if not session_id or not message_id or session is None:
            return False
        if message_id in session.missing:
            await asyncio.to_thread(_find, self._path(session_id, directory), [message_id], session)
        return message_id in (*session.missing, *session.lost)

    async def go_on_from_disk(self, session_id: str | None, directory: str) -> str:
        """Note that the process that knew a session's missing turns has ended; return a remark for the person."""
        if not session_id or not self.count_missing(session_id):
            return ""
        session = self._sessions.pop(session_id)
        await asyncio.to_thread(_find, self._path(session_id, directory), list(session.missing), session)
        if not (count := len(session.missing) + len(session.lost)):
            return ""
        which, them = ("1 turn of this session was", "it") if count == 1 else (f"{count} turns of this session were", "them")
        return f"{which} not kept on disk, and the process that knew {them} has ended: Claude no longer knows {them}."

    @property
    def _shown(self) -> str:
        return shorten_home(str(self._projects))

    def _path(self, session_id: str, directory: str) -> Path:
        name = f"{session_id}.jsonl"
        expected = self._projects / sdk.project_key_for_directory(directory) / name
        return expected if os.path.exists(expected) else next(found_below(self._projects, f"*/{name}"), expected)

    def _not_kept(self, count: int, path: Path) -> str:
        which, them = ("This turn is", "it") if count == 1 else (f"The last {count} turns are", "them")
        why, next_step = why_not_written(path.parent)
        return f"{which} not kept: {self._shown} {why}. Claude knows {them} until its process ends; {next_step}."


def _find(path: Path, message_ids: list[str], session: _Session) -> bool:
    """Search the new part of the file from its end. What is found is no longer missing; return whether all were found."""
    # With the key, as the next message holds the same ID as its `parentUuid`.
    wanted = {message_id: f'"uuid":"{message_id}"'.encode() for message_id in message_ids}
    try:
        with open(path, "rb", opener=regular) as file:
            size = end = file.seek(0, os.SEEK_END)
            begin = session.size if session.size <= size else 0  # a shorter file is a different file
            behind = b""
            while wanted and end > begin:
                start = max(begin, end - _CHUNK)
                file.seek(start)
                data = file.read(end - start) + behind
                wanted = {message_id: word for message_id, word in wanted.items() if word not in data}
                end, behind = start, data[:64]
    except OSError:
        return False
    found = set(message_ids) - wanted.keys()
    session.missing = [message_id for message_id in session.missing if message_id not in found]
    if not wanted and not session.missing:
        session.size = size
    return not wanted
