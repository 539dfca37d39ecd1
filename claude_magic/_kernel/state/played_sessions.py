"""The sessions that this kernel has played from a cassette: they have no transcript, only this kernel's turns.

Keeps the replies of played turns, and offers what `sdk._history` offers for sessions on disk.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from claude_magic._kernel.state.turns import Session, Turn, Turns
from claude_magic.sdk.response import SessionAwareResponse

if TYPE_CHECKING:
    from claude_magic.sdk._history.sessions import SessionInfo
    from claude_magic.sdk._history.transcripts import Exchange


class PlayedSessions:
    """The sessions that were played in one kernel, with that kernel's turns and sessions."""

    def __init__(self, turns: Turns, sessions: Mapping[str, Session]) -> None:
        self._turns = turns
        self._sessions = sessions
        self._replies: dict[int, SessionAwareResponse] = {}
        self._last_used: dict[str, datetime] = {}

    def add(self, turn: Turn, response: SessionAwareResponse) -> None:
        """Keep the reply of a played turn."""
        assert response.session_id is not None  # every recorded turn has one
        self._replies[turn.number] = response
        self._last_used[response.session_id] = datetime.now(UTC)

    def holds(self, session: Session) -> bool:
        """Tell whether a session was played."""
        return session.session_id in self._last_used

    def find(self, wanted: str) -> Session | None:
        """Return the one session with this ID, unique prefix of an ID, or name."""
        sessions = [session for session_id, session in list(self._sessions.items()) if session_id in self._last_used]
        found = [session for session in sessions if session.session_id.startswith(wanted.lower()) or session.name == wanted]
        return found[0] if len(found) == 1 else None

    def exchanges(self, session: Session) -> list[Exchange]:
        """Return a session's exchanges in order; empty if not all of them were played."""
        from claude_magic.sdk._history.transcripts import Exchange  # the SDK takes a second to import

        path = self._turns.path(session.last_turn)
        if any(turn.number not in self._replies for turn in path):
            return []
        return [Exchange(turn.prompt, tuple(self._replies[turn.number].blocks)) for turn in path]

    def infos(self, directory: str, known: Collection[str]) -> list[SessionInfo]:
        """Return the sessions that were played in a directory, except those in `known`."""
        from claude_magic.sdk._history.sessions import SessionInfo

        return [
            SessionInfo(session_id, session.name, self._turns.path(session.last_turn)[0].prompt, directory, last_used)
            for session_id, last_used in self._last_used.items()
            if session_id not in known and session_id in self._sessions
            for session in [self._sessions[session_id]]
            if session.directory == directory
        ]
