"""Remarks for the person on a turn: what was not loaded, what the mode allows, what happened, a new session."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from claude_magic._kernel.state.cassette_settings import CassetteSettings
from claude_magic._kernel.state.directory_trust import Trust, Unloaded, named
from claude_magic._kernel.state.known_sessions import KnownSessions
from claude_magic._kernel.state.notebook_file import notebook_path, saved_turns
from claude_magic._kernel.state.turns import Start, Turns
from claude_magic._paths import shorten_home
from claude_magic.errors import ConfigError
from claude_magic.sdk._folder.memories import memories, memories_outside
from claude_magic.sdk.turn_request import TurnRequest

MAX_NAMED: Final = 6
"""The most files that a cell names as not loaded; %claude_session trust show names all."""


class Remarks:
    """The remarks of one kernel. Each is given once, except those about the turn's own options."""

    def __init__(self, trust: Trust, cassette_settings: CassetteSettings) -> None:
        self._trust = trust
        self._cassette_settings = cassette_settings
        self._told: list[str] = []
        self._seen: dict[str, str] = {}
        """The contents of each directory when the person was last told what was not loaded; `Trust.changed` updates it."""
        self._cut: set[str] = set()
        """The remarks on files that were not read to their end."""

    def tell(self, remark: str) -> None:
        """Add a remark to the next reply."""
        self._told.append(remark)

    def take(self, request: TurnRequest) -> tuple[str, ...]:
        """Return the remarks for a turn, and forget them."""
        remarks, self._told = self._told, []
        if recording := self._cassette_settings.remark():
            remarks.append(recording)
        if request.options.permission_mode == "bypassPermissions":
            remarks.append("Permissions are bypassed in this cell: Claude may do anything without asking.")
        if request.options.permission_mode == "auto":
            remarks.append("The mode auto asks for everything that the mode default asks for.")
        if not request.options.bare and not request.trusted:  # a bare turn loads nothing from any directory
            remarks += self._not_loaded(request.directory)
        return tuple(remarks)

    def _not_loaded(self, directory: str) -> list[str]:
        remarks: list[str] = []
        if self._trust.changed(directory, self._seen):
            outside = memories_outside(directory)
            unloaded = [one for one in self._trust.unloaded(directory) if Path(one.path) not in outside]
            if not all(one.waits_for_a_change for one in unloaded):
                remarks.append(_unloaded_words(unloaded))
            remarks += [f"Not read: {named(str(path), directory)}. %claude_session trust loads it." for path in outside]
        cut = [f"Not all of {shorten_home(str(path))} was read." for path in memories(directory).cut]
        remarks += [remark for remark in cut if remark not in self._cut]
        self._cut.update(cut)
        return remarks


def _unloaded_words(unloaded: Sequence[Unloaded]) -> str:
    names = [str(one) for one in unloaded]
    more = f" and {len(names) - MAX_NAMED} more" if len(names) > MAX_NAMED else ""
    return (
        f"Not loaded, as they can run programs and allow tools: {', '.join(names[:MAX_NAMED])}{more}. "
        "%claude_session trust show prints them, %claude_session trust loads them."
    )


def begins_anew(start: Start, turns: Turns, sessions: KnownSessions, directory: str, namespace: Mapping[str, Any]) -> list[str]:
    """Return a remark on how to continue the conversation above, if a kernel's first turn begins a new one instead.

    :param namespace: the user namespace; VS Code puts the notebook's path there.
    """
    if start.origin is not None or not start.is_default or len(turns):
        return []
    path = notebook_path(namespace)
    with contextlib.suppress(ConfigError):  # it cannot be read
        saved = [turn.session_id for turn in saved_turns(path) if turn.chosen] if path else []
        there = {info.session_id for info in sessions.on_disk(directory)} if saved else set()
        if left := [session_id for session_id in saved if session_id in there]:
            return [f"This begins a new conversation; %claude_session resume {left[-1][:8]} goes on with the one above."]
    return []
