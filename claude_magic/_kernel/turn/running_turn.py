"""One turn of a cell, from the request that goes down to the response that comes up."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from claude_magic._kernel.advice import in_notebook_words
from claude_magic._kernel.notebook.outline import Told
from claude_magic._kernel.prompt.cell_request import CellRequest
from claude_magic._kernel.state.known_sessions import KnownSessions
from claude_magic._kernel.state.turns import Outcome, Start, Turn
from claude_magic.errors import ClaudeError, TurnInterrupted
from claude_magic.sdk.events import Event, MessageEnded, SessionReplaced, SessionStarted
from claude_magic.sdk.host import PermissionAnswer, PermissionRequest, ToolResult, TurnHost
from claude_magic.sdk.response import SessionAwareResponse
from claude_magic.sdk.turn_request import TurnRequest

if TYPE_CHECKING:
    from claude_magic.sdk._cassette.cassette import Cassette
    from claude_magic.sdk.client import ClaudeClient


@dataclass(eq=False, slots=True)
class RunningTurn:
    """A turn that is on its way. `response` is the main thread's: it holds the events that the cell has taken so far."""

    label: str
    """What is different about it in a comparison: a model, the number of a sample."""
    start: Start
    told: Told
    """What goes along with the prompt, unless the turn is played."""
    request: TurnRequest
    cassette: Cassette | None
    response: SessionAwareResponse
    turn: Turn = field(init=False)
    """Its place in the tree of turns; it has one from just before it is sent. The background thread puts it right."""
    answer: SessionAwareResponse | ClaudeError | None = None
    """What the client gave back, or why it did not; `None` while the turn runs, and when it was stopped."""
    data: Any = None
    """What a reply to a schema holds, as the type that was asked for."""

    @property
    def was_played(self) -> bool:
        """Whether a recording answered, so that nothing was sent."""
        return bool(self.response.metadata.get("recorded"))

    @property
    def note(self) -> str:
        """What the footer says of where the turn began, and of what went along."""
        return ", ".join(filter(None, (self.start.note, "" if self.was_played else self.told.note)))

    async def run(self, client: ClaudeClient, host: TurnHost, sessions: KnownSessions) -> None:
        """Run the turn; called on the background thread."""
        placing = _Placing(self, host, sessions)
        try:
            with self.cassette or nullcontext():
                self.answer = await client.run_turn(self.request, placing)
        except ClaudeError as failure:
            self.answer = in_notebook_words(failure)
        finally:
            placing.end()

    def outcome(self, cell: CellRequest, elapsed_s: float) -> Outcome:
        """Return what the turn came to, once its last event has been taken."""
        return Outcome(self.turn, self.response, self._failure(cell, elapsed_s), self.request.directory)

    def _failure(self, cell: CellRequest, elapsed_s: float) -> ClaudeError | None:
        response = self.response
        match self.answer:
            case ClaudeError() as failure:
                failure.content = response.arrived
                return failure
            case None:
                message = f"Interrupted after {elapsed_s:.1f} s."
                return TurnInterrupted(message, session_id=response.session_id, content=response.arrived)
            case answer:
                response.metadata["command"] = answer.metadata.get("command")
        try:
            self.data = cell.load(response)
        except ClaudeError as failure:
            return failure
        return None


class _Placing:
    """A host that hands everything on, and gives the turn its place among those of its session.

    Other threads ask in the same session: what a turn follows is known when the CLI takes it up. The next one may be taken up
    before the thread that asked has heard of the end.
    """

    def __init__(self, running: RunningTurn, host: TurnHost, sessions: KnownSessions) -> None:
        self._running = running
        self._host = host
        self._sessions = sessions
        self._session_id: str | None = None
        self._message_id: str | None = None
        self._directory = running.request.directory

    def emit(self, event: Event) -> None:
        match event:
            case SessionStarted(session_id=session_id, directory=directory):
                self._session_id, self._directory = session_id, directory or self._directory
                self._running.turn = self._sessions.placed(self._running.turn, session_id)
            case SessionReplaced(session_id=session_id):
                self._session_id = session_id
            case MessageEnded(message_id=message_id):
                self._message_id = message_id
        self._host.emit(event)

    async def ask(self, request: PermissionRequest) -> PermissionAnswer:
        return await self._host.ask(request)

    async def call(self, tool: str, arguments: dict[str, Any]) -> ToolResult:
        return await self._host.call(tool, arguments)

    def end(self) -> None:
        """Let the next turn of the session follow this one, if it has reached a session."""
        if self._session_id is not None:
            self._sessions.leave(self._running.turn, self._session_id, self._message_id, self._directory)
