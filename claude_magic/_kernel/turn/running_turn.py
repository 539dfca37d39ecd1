"""A cell's turns, while they are prepared and while they run: request, growing response, number in the tree of turns."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from claude_magic._kernel.advice import in_notebook_words
from claude_magic._kernel.frontend import Frontend
from claude_magic._kernel.notebook.outline import Told
from claude_magic._kernel.prompt.cell_request import CellRequest
from claude_magic._kernel.state.kernel_state import KernelState
from claude_magic._kernel.state.known_sessions import KnownSessions
from claude_magic._kernel.state.remarks import begins_anew
from claude_magic._kernel.state.turns import Outcome, Start, Turn
from claude_magic.errors import ClaudeError, TurnInterrupted
from claude_magic.sdk.events import Event, MessageEnded, Notice, SessionReplaced, SessionStarted
from claude_magic.sdk.host import PassingHost, TurnHost
from claude_magic.sdk.response import SessionAwareResponse, fold, has_answer
from claude_magic.sdk.turn_request import TurnRequest

if TYPE_CHECKING:
    from claude_magic.sdk._cassette.cassette import Cassette
    from claude_magic.sdk.client import ClaudeClient


@dataclass(eq=False, slots=True)
class RunningTurn:
    """A turn that runs. `response` belongs to the cell's thread: it holds the events that the cell has processed so far."""

    label: str
    """How it differs from the other turns of a comparison: a model, the number of a sample."""
    start: Start
    told: Told
    """What happened in the notebook; sent along with the prompt, unless a recording answers."""
    request: TurnRequest
    cassette: Cassette | None
    remarks: tuple[str, ...]
    """What the state had to tell the person before this turn."""
    response: SessionAwareResponse
    turn: Turn = field(init=False)
    """Its entry in the tree of turns, set just before the turn is sent. `_Placing` corrects it."""
    answer: SessionAwareResponse | ClaudeError | None = None
    """The client's response, or its error; `None` while the turn runs, and when it was stopped."""
    value: Any = None
    """The value of a structured reply, of the type that the cell names."""

    @property
    def was_played(self) -> bool:
        """Whether a recording answered and nothing was sent."""
        return bool(self.response.metadata.get("recorded"))

    @property
    def note(self) -> str:
        """The footer's words about where the turn began and what was sent along."""
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
        """Return how the turn ended; called when its last event has been processed."""
        return Outcome(self.turn, self.response, self._failure(cell, elapsed_s), self.request.directory)

    def _failure(self, cell: CellRequest, elapsed_s: float) -> ClaudeError | None:
        response = self.response
        match self.answer:
            case ClaudeError() as failure:
                failure.content = response.arrived
                return failure
            case None if response.ended is None or response.ended.is_error:
                message = f"Interrupted after {response.duration_s or elapsed_s:.1f} s."
                failure = TurnInterrupted(message, session_id=response.session_id, content=response.arrived)
                if not has_answer(response.blocks):
                    failure.next_step = "Nothing had arrived. The next prompt continues the session."
                return failure
            case None:
                pass  # stopped when the reply was complete: shown as complete
            case answer:
                response.metadata["command"] = answer.metadata.get("command")
        try:
            self.value = cell.load(response)
        except ClaudeError as failure:
            return failure
        return None


def prepared_turns(
    state: KernelState, frontend: Frontend, cell: CellRequest, start: Start, earlier: Sequence[str] = ()
) -> list[RunningTurn]:
    """Return the turns of a cell with their requests, one for each alternative.

    :param earlier: the remarks of a first try, whose output is not seen.
    :raises ClaudeError: a turn cannot be sent.
    """
    turns = []
    told = _told(state, cell, start)
    cassette = state.cassette()
    about_new = begins_anew(start, state.turns, state.sessions, state.directory, frontend.shell.user_ns)
    choices = cell.options.alternatives()
    for choice in choices:
        options = replace(cell.options, model=choice.model or cell.options.model)
        begin = replace(start, how=" ".join(filter(None, (start.how, choice.typed))))
        if len(choices) > 1 and start.origin is not None:
            begin = replace(begin, fork=True)
        request = state.request(cell, options, begin, context=told.text)
        response = SessionAwareResponse()
        remarks = tuple(dict.fromkeys((*earlier, *state.remarks.take(request))))
        for remark in (*about_new, *remarks, *cell.remarks):
            fold(response, Notice(remark))
        turns.append(RunningTurn(choice.label, begin, told, request, cassette, remarks, response))
    return turns


def _told(state: KernelState, cell: CellRequest, start: Start) -> Told:
    """Return what happened in the notebook since the parent turn; empty when nothing of it is to be sent."""
    options, settings = cell.options, state.settings.trait_values()
    detail = options.notebook or settings["notebook"]
    bare = options.bare or settings["bare"]
    # A slash command takes no context. For `ask()`, `notebook` is "none".
    if detail == "none" or bare or options.no_kernel or cell.prompt.text.lstrip().startswith("/"):
        return Told()
    before = [turn.number for turn in state.turns.path(start.parent)]
    return cell.notebook.since(before, detail, state.settings.value_limit)


class _Placing(PassingHost):
    """A host that passes everything on, and records which turn of its session this turn follows.

    Several threads may send turns to one session. Their order is known only when the CLI starts each turn, and a turn may start
    before the thread of the previous turn has noticed that it ended. So this runs on the background thread.
    """

    def __init__(self, running: RunningTurn, host: TurnHost, sessions: KnownSessions) -> None:
        super().__init__(host)
        self._running = running
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
        super().emit(event)

    def end(self) -> None:
        """Record this turn as the last of its session, if it has reached one: the next turn follows it."""
        if self._session_id is not None:
            self._sessions.leave(self._running.turn, self._session_id, self._message_id, self._directory)
