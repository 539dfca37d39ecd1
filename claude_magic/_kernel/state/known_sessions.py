"""The sessions that a kernel can continue: those on disk, those it has prompted, and those it has played.

Finds, names and deletes them, and returns what was said in one. `kernel_state` decides which one is current.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Collection
from dataclasses import replace
from datetime import UTC, datetime
from types import ModuleType
from typing import TYPE_CHECKING, Final, Literal

from claude_magic._kernel.state.kernel_client import KernelClient
from claude_magic._kernel.state.turns import Session, Turn, Turns
from claude_magic._text import name_line
from claude_magic.errors import SessionNotFoundError
from claude_magic.sdk._workspaces import working_directory
from claude_magic.sdk.response import Remark, SessionAwareResponse, ToolCall

if TYPE_CHECKING:
    from claude_magic.sdk._history.sessions import SessionInfo
    from claude_magic.sdk._history.transcripts import Exchange

MAX_CHARACTERS: Final = 50_000_000
"""The most characters of replies that are kept, images (as base64) included."""


class KnownSessions:
    """The sessions of one kernel.

    :param client: knows which sessions are warm.
    :param turns: this kernel's turns.
    :param earlier: the sessions of an earlier client, which is closed.
    """

    def __init__(self, client: KernelClient, turns: Turns, earlier: KnownSessions | None = None) -> None:
        self._client = client
        self._turns = turns
        self._known: dict[str, Session] = earlier._known if earlier else {}
        self._played: dict[int, SessionAwareResponse] = earlier._played if earlier else {}
        """By turn: the reply that a cassette played. A session of such turns needs no transcript."""
        self._played_at: dict[str, datetime] = earlier._played_at if earlier else {}
        """By session that a cassette has answered in: when it last did."""
        self._replies: Replies = earlier._replies if earlier else Replies()

    def get(self, session_id: str) -> Session | None:
        """Return a session that this kernel has prompted or found."""
        return self._known.get(session_id)

    def add(self, turn: Turn, response: SessionAwareResponse, directory: str, *, played: bool) -> None:
        """Add a turn that has ended to its session.

        :param directory: the turn's directory, if the reply does not name it.
        :param played: whether a cassette answered.
        """
        assert response.session_id is not None  # it has reached its session
        if response.session_id not in self._known:  # it was forgotten in the meantime
            self.leave(turn, response.session_id, response.message_id, response.directory or directory)
        session = self._known[response.session_id]
        session.add(response)
        self._replies.add(turn.number, response)
        if not played and session.last_turn == turn.number and (turn.failed or response.message_id is None):
            # The turn broke off, but its prompt is now part of the session.
            with contextlib.suppress(SessionNotFoundError):  # `message_id` stays as it is
                session.message_id = self._last_message_id(session.session_id, session.directory) or session.message_id
        if played:
            self._played[turn.number] = response
            self._played_at[response.session_id] = datetime.now(UTC)

    def placed(self, turn: Turn, session_id: str) -> Turn:
        """Return a turn with its start moved to the session's present end, now that the CLI begins the turn.

        Other turns may have been added since its prompt was sent. Called on the background thread, one turn at a time.
        """
        session, start = self._known.get(session_id), turn.start
        if session is None or start.fork or start.origin is None or start.origin.session_id != session_id:
            return turn
        return replace(turn, start=replace(start, origin=session.end, parent=session.last_turn))

    def leave(self, turn: Turn, session_id: str, message_id: str | None, directory: str) -> None:
        """Let a session's next turn follow this one. Called on the background thread before that turn begins, except by `add`.

        :param message_id: the last message of the turn, if it has one.
        """
        begun = turn.start.origin.message_id if turn.start.origin else None
        session = self._known.setdefault(session_id, Session(session_id, directory, message_id=begun))
        session.last_turn, session.message_id = turn.number, message_id or session.message_id

    def as_kept(self, turn: Turn, directory: str) -> Turn:
        """Return a failed turn; without its last message if that is not the last on disk: a killed CLI may not have written it.

        `end` is `None` if the turn was to begin a branch and not even the branch was written.
        """
        if turn.end is None or self._client.is_warm(turn.end.session_id):
            return turn
        try:
            last = self._last_message_id(turn.end.session_id, directory)
        except SessionNotFoundError:
            last = None
        if last is None and turn.start.fork:
            return replace(turn, end=None)
        return turn if last == turn.end.message_id else replace(turn, end=replace(turn.end, message_id=None))

    def find(self, wanted: str) -> Session:
        """Return the session with this ID, unique prefix of an ID, or name.

        :raises SessionNotFoundError: if there is none, or more than one.
        """
        store = self._history("sessions")
        failures: list[SessionNotFoundError] = []
        for directory in dict.fromkeys([working_directory(), *(session.directory for session in list(self._known.values()))]):
            try:
                info = store.find_session(wanted, directory)
            except SessionNotFoundError as failure:
                failures.append(failure)
                continue
            where = info.directory or directory
            session = self._known.setdefault(info.session_id, Session(info.session_id, where, info.name))
            # Another kernel may have continued the session; a live process of ours goes on from what it knows.
            if not self._client.is_warm(info.session_id):
                with contextlib.suppress(SessionNotFoundError):  # `message_id` stays as it is
                    session.message_id = self._last_message_id(info.session_id, where)
            return session
        played = filter(self.is_played, list(self._known.values()))
        found = [session for session in played if session.session_id.startswith(wanted.lower()) or session.name == wanted]
        if len(found) == 1:
            return found[0]
        raise failures[0]

    def delete(self, session: Session) -> None:
        """Delete a session for good; the caller forgets it.

        :raises SessionNotFoundError: if it is gone already.
        """
        self._client.background.call(self._client.get().close_session, session.session_id)
        with self._may_be_missing(session):
            self._history("sessions").delete_session(session.session_id, session.directory)

    def rename(self, session: Session, name: str) -> None:
        """Give a session a name.

        :raises SessionNotFoundError: if it is gone.
        """
        with self._may_be_missing(session):
            self._history("sessions").rename_session(session.session_id, name, session.directory)
        session.name = name_line(name)

    def forget(self, session_id: str) -> None:
        """Forget a session that is gone."""
        self._known.pop(session_id, None)

    def on_disk(self, directory: str) -> list[SessionInfo]:
        """Return the sessions of a directory that are on disk, the most recently used first."""
        found: list[SessionInfo] = self._history("sessions").list_sessions(directory)
        return found

    def all(self, directory: str) -> list[SessionInfo]:
        """Return the sessions on disk and those played here, the most recently used first."""
        store, found = self._history("sessions"), self.on_disk(directory)
        on_disk = {info.session_id for info in found}
        for session in filter(self.is_played, list(self._known.values())):
            if session.directory == directory and session.session_id not in on_disk:
                first, last_used = self._turns.path(session.last_turn)[0], self._played_at[session.session_id]
                found.append(store.SessionInfo(session.session_id, session.name, first.prompt, directory, last_used))
        return sorted(found, key=lambda info: info.last_used, reverse=True)

    def used_last(self, session_ids: Collection[str]) -> str:
        """Return the ID of the session with the latest message. File times mislead: a process writes when it ends."""
        return max(session_ids, key=self._history("transcripts").last_said_at)

    def is_played(self, session: Session) -> bool:
        """Tell whether a cassette has answered in a session, so that the CLI may not know the session."""
        return session.session_id in self._played_at

    def exchanges(self, session: Session) -> list[Exchange]:
        """Return what was said in a session: what was played here, else what its transcript holds.

        On the machine that recorded a lesson, the transcript holds also what was not played yet.
        """
        store, path = self._history("transcripts"), self._turns.path(session.last_turn)
        if path and all(turn.number in self._played for turn in path):
            return [store.Exchange(turn.prompt, tuple(self._played[turn.number].blocks)) for turn in path]
        found: list[Exchange] = store.exchanges(session.session_id, session.directory)
        return found

    def reply(self, turn: Turn) -> SessionAwareResponse | None:
        """Return the reply of a turn: the one that was given, else one rebuilt from the transcript, else `None`."""
        kept = self._replies.get(turn.number)
        session = self.get(turn.session_id or "")
        if kept is not None or session is None:
            return kept
        found = self.exchanges(session)
        by_place = (exchange for exchange in found if turn.end and turn.end.message_id in exchange.messages)
        by_words = (exchange for exchange in reversed(found) if exchange.prompt.strip() == turn.prompt.strip())
        exchange = next(by_place, None) or next(by_words, None)
        if exchange is not None:
            kept = self._history("transcripts").reply_of(exchange, session.session_id, session.directory)
        return kept

    def before(self, turn: Turn | None, session: Session) -> list[Exchange]:
        """Return what was said before `turn`, this kernel's first one in a session; all that was said if `turn` is `None`."""
        if turn is None:
            return self.exchanges(session)
        origin = turn.start.origin
        if origin is None or origin.message_id is None or (session_before := self.get(origin.session_id)) is None:
            return []
        found = self.exchanges(session_before)
        last = next((number for number, exchange in enumerate(found) if origin.message_id in exchange.messages), -1)
        return found[: last + 1]

    def said(self, info: SessionInfo) -> list[Exchange]:
        """Return what was said in a session, in this kernel or elsewhere."""
        return self.exchanges(self.get(info.session_id) or Session(info.session_id, info.directory or ""))

    def branch_of(self, info: SessionInfo) -> str | None:
        """Return the ID of the session that this one is a branch of, `None` if it is no branch."""
        begun = (turn.start for turn in self._turns if turn.session_id == info.session_id and turn.start.fork)
        here = next((start.origin.session_id for start in begun if start.origin), None)
        return here or self._history("transcripts").forked_from(info.session_id, info.directory)

    def _last_message_id(self, session_id: str, directory: str) -> str | None:
        last: str | None = self._history("transcripts").last_message_id(session_id, directory)
        return last

    def _history(self, module: Literal["sessions", "transcripts"]) -> ModuleType:
        """Return this module of `claude_magic.sdk._history`. It imports the SDK, so wait until the client has done that."""
        self._client.get()
        from claude_magic.sdk._history import sessions, transcripts

        return sessions if module == "sessions" else transcripts

    def _may_be_missing(self, session: Session) -> contextlib.AbstractContextManager[None]:
        return contextlib.suppress(SessionNotFoundError) if self.is_played(session) else contextlib.nullcontext()


class Replies:
    """The latest replies by the numbers of their turns, up to a limit; older ones can be rebuilt from transcripts."""

    def __init__(self, limit: int = MAX_CHARACTERS) -> None:
        self._limit = limit
        self._kept: dict[int, tuple[SessionAwareResponse, int]] = {}
        self._lock = threading.Lock()

    def add(self, number: int, reply: SessionAwareResponse) -> None:
        """Keep a reply without the CLI's raw messages: its blocks were made from them."""
        if reply.ended is not None:
            reply.ended = replace(reply.ended, messages=())
        with self._lock:
            self._kept[number] = reply, _size(reply)
            while sum(size for _, size in self._kept.values()) > self._limit and len(self._kept) > 1:
                del self._kept[next(iter(self._kept))]

    def get(self, number: int) -> SessionAwareResponse | None:
        """Return the reply of a turn, if it is still kept."""
        return self._kept.get(number, (None, 0))[0]


def _size(reply: SessionAwareResponse) -> int:
    size = len(reply.content)
    for block in reply.blocks:
        match block:
            case ToolCall():
                texts = (*block.input.values(), block.result, *(image.data for image in block.images))
                size += sum(len(text) for text in texts if isinstance(text, str))
            case Remark():
                size += len(block.text)
            case _:
                size += block.growing.length
    return size
