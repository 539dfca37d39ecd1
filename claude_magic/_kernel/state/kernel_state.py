"""The state of one kernel: its client, its current session, its turns.

Each shell has one `KernelState`; the extension makes and closes it. The state decides where a turn begins and which session is
current after it. The package `turn` runs and shows turns.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from claude_magic._kernel.options.cell_options import Options
from claude_magic._kernel.options.settings import Settings
from claude_magic._kernel.prompt.cell_request import CellRequest
from claude_magic._kernel.state.cassette_settings import CassetteSettings
from claude_magic._kernel.state.directory_trust import Trust
from claude_magic._kernel.state.kernel_client import KernelClient
from claude_magic._kernel.state.known_sessions import KnownSessions
from claude_magic._kernel.state.own_turns import OwnTurns
from claude_magic._kernel.state.remarks import Remarks
from claude_magic._kernel.state.turns import InCell, Outcome, Session, Start, Turn, Turns, is_address
from claude_magic._kernel.tools.kernel_tools import CodeCells
from claude_magic.errors import SessionNotFoundError, TurnNotFoundError
from claude_magic.sdk._workspaces import working_directory
from claude_magic.sdk.content import Prompt
from claude_magic.sdk.response import SessionAwareResponse
from claude_magic.sdk.turn_request import TurnRequest

if TYPE_CHECKING:
    from claude_magic._render.settled.reply import SettledReply
    from claude_magic._render.views import View
    from claude_magic.sdk._cassette.cassette import Cassette


@dataclass(frozen=True, slots=True)
class Comparison:
    """The last comparison: its alternatives, and its view."""

    alternatives: list[SettledReply]
    view: View


class KernelState:
    """Everything that the cells of one kernel share.

    :param warm_up: imports what the first cell needs; called on the background thread.
    :param on_own_turn: called on that thread when a turn that the CLI began by itself has ended.
    :param earlier: the closed state of this kernel, if the extension is loaded again; its conversations continue.
    """

    def __init__(
        self,
        settings: Settings,
        warm_up: Callable[[], None],
        on_own_turn: Callable[[], None],
        earlier: KernelState | None = None,
    ) -> None:
        self.settings = settings
        self._on_own_turn = on_own_turn
        self.turns: Turns = earlier.turns if earlier else Turns()
        self.trust = Trust()
        self.client = KernelClient(settings, self.trust, warm_up, self._note_own_turn)
        self.sessions: KnownSessions = KnownSessions(self.client, self.turns, earlier.sessions if earlier else None)
        self.cassette_settings = CassetteSettings(settings, self.client.logged_in)
        self.remarks = Remarks(self.trust, self.cassette_settings)
        self.own_turns = OwnTurns(self.turns, self.sessions, self.remarks.tell)
        self.in_cell = InCell(self.remarks.tell)
        self.code_cells = CodeCells()
        self._lock = threading.RLock()
        """Guards the next five fields, which say where the next cell continues: other threads may run turns, too."""
        self.current: Session | None = earlier.current if earlier else None
        """The session that the next cell continues."""
        self._chosen_turn: int | None = earlier._chosen_turn if earlier else None
        """The turn that the next cell continues from, if that is not the last one of its session."""
        self._branches_next: bool = earlier is not None and earlier._branches_next
        self._choices = 0
        """How often the person chose the next cell's start: by a %claude_session word or a click."""
        self._choices_before: dict[int, int] = {}
        """`_choices` when each running turn began, by the turn's number."""
        self.comparison: Comparison | None = None
        """The last comparison."""
        self.last_prompt: Prompt | None = None
        """The prompt that the last turn sent."""

    @property
    def current_turn(self) -> int | None:
        """The turn that the next cell continues from; `None` if it is not a turn of this kernel."""
        return self._chosen_turn or (self.current.last_turn if self.current else None)

    def continue_session(self, session: Session | None) -> None:
        """By the person's choice, let the next cell continue this session at its end; `None`: begin a new one."""
        self._move_to(session, by_choice=True)

    def branch_next(self) -> None:
        """By the person's choice, let the next cell continue a branch of the current session."""
        with self._lock:
            self._branches_next = True
            self._choices += 1

    def go_on_from(self, number: int) -> Turn:
        """By the person's choice, let the next cell continue from the end of a turn: in a branch if later turns follow it.

        :raises TurnNotFoundError: if there is no such turn, or it has no answer.
        :raises SessionNotFoundError: if its session has been deleted.
        """
        point = self.turns.reached(number)
        session = self.sessions.get(point.session_id)
        if session is None:
            raise SessionNotFoundError(f"The session {point.session_id[:8]} of turn {number} is gone.")
        self._move_to(session, None if session.last_turn == number else number, by_choice=True)
        return self.turns.find(number)

    def _move_to(self, session: Session | None, turn: int | None = None, *, by_choice: bool = False) -> None:
        with self._lock:
            self.current, self._chosen_turn, self._branches_next = session, turn, False
            self._choices += by_choice

    def start(self, options: Options, cell_id: str | None, prompt: str = "", *, attended: bool = True) -> Start:
        """Return where a turn with these options begins.

        :param prompt: the prompt as typed.
        :param attended: whether a person, not a script, runs the cells. A script runs each cell only once.
        :raises SessionNotFoundError: if `--resume` names no session.
        :raises TurnNotFoundError: if `--at` names no turn with an answer to continue from.
        """
        before = self.turns.last_of(cell_id, prompt)
        if options.new:
            return Start(how="--new")
        if options.at is not None:
            return self._branch_at(options.at, f"--at {options.at}")
        if options.resume:
            session = self.find(options.resume)
            return _branch_of(session) if options.fork else Start(session.end, session.last_turn, how="--resume")
        fork = options.fork or self._branches_next
        if not fork and (options.redo or self.settings.rerun == "redo"):
            # If the frontend gives cells no IDs, --redo can only mean the last turn.
            again = self.turns.last() if cell_id is None and options.redo and attended else before
            if again is not None:
                return self.turns.once_more(again.start, f"instead of turn {again.number}")
        if self._chosen_turn is not None:
            return self._branch_at(self._chosen_turn, f"from {self._chosen_turn}")
        if self.current is None:
            return Start()
        if fork:
            return _branch_of(self.current)
        note = f"continues; turn {before.number} was this cell's, too" if before else ""
        # Where a cell's ID is an address (VS Code), only the prompt can tell that a restored turn was this cell's.
        if options.redo and cell_id and is_address(cell_id) and self.turns.has_restored():
            note = "--redo found no restored turn with this prompt"
        return Start(self.current.end, self.current.last_turn, note=note)

    def request(self, cell: CellRequest, options: Options, start: Start, *, context: str = "") -> TurnRequest:
        """Return the request of a turn that begins at `start`.

        :param options: the options of the cell, or of one alternative.
        :param context: text that is sent along with the prompt.
        """
        session = self.sessions.get(start.origin.session_id) if start.origin else None
        directory = session.directory if session else working_directory()
        schema = cell.schema.text if cell.schema else None
        return self.client.request(
            replace(cell.prompt, context=context), options, directory, start, schema=schema, tools=cell.tools
        )

    def begin(self, cell: CellRequest, prompt: Prompt, start: Start, cell_id: str | None) -> Turn:
        """Return a new turn that is about to be sent. The current session changes only when the turn has ended."""
        with self._lock:
            self.last_prompt = prompt
            turn = self.turns.begin(cell.typed, start, cell_id)
            self._choices_before[turn.number] = self._choices
            return turn

    def take_back(self, turn: Turn) -> None:
        """Forget a turn that has begun, as its prompt is to be sent again in another one."""
        with self._lock:
            self._choices_before.pop(turn.number, None)
            self.turns.drop(turn)

    def cassette(self) -> Cassette | None:
        """Return the cassette of the next turn: that of an enclosing `with`, else that of the settings."""
        from claude_magic.sdk._cassette.cassette import active_cassette

        return active_cassette() or self.cassette_settings.cassette()

    def end(self, outcomes: Sequence[Outcome]) -> tuple[list[Turn], int, bool]:
        """Note how the turns of a cell ended; if no other point was chosen meanwhile, continue from the first that succeeded.

        Returns the ended turns, the index of that one (0 if all failed), and whether its session is now the current one. A turn
        that failed before Claude had said anything does not replace the current session, unless it was stopped.
        """
        with self._lock:
            ended = [*map(self._end, outcomes)]
            chosen = next((index for index, outcome in enumerate(outcomes) if outcome.failure is None), 0)
            left = [self._is_left(outcome.turn) for outcome in outcomes]
            return ended, chosen, self._make_current(outcomes[chosen], is_left=left[chosen])

    def take_own_turns(self) -> None:
        """Show the ended turns that the CLI began by itself; the next cell mentions those that cannot be shown."""
        with self._lock:
            self.own_turns.take()

    def _note_own_turn(self, response: SessionAwareResponse) -> None:
        if self.own_turns.note(response):
            self._on_own_turn()

    def keep_comparison(self, comparison: Comparison) -> None:
        """Remember a comparison, for `pick` and `diff`."""
        self.comparison = comparison

    def pick(self, number: int) -> SettledReply:
        """Let the next cell continue from this alternative of the last comparison, counted from 1.

        :raises TurnNotFoundError: if there is no such alternative, or it has no answer.
        """
        comparison = self.comparison
        if comparison is None or number not in range(1, len(comparison.alternatives) + 1):
            known = f"there are {len(comparison.alternatives)}" if comparison else "nothing has been compared yet"
            raise TurnNotFoundError(
                f"There is no alternative {number}; {known}.",
                next_step="Choose one of those, or make some with --compare MODEL,MODEL or --samples N.",
            )
        picked = comparison.alternatives[number - 1]
        if picked.turn is None:
            raise TurnNotFoundError(f"Alternative {number} has no answer to go on from.", next_step="Choose another one.")
        self.go_on_from(picked.turn)
        comparison.view.show_current(number)
        return picked

    def settle_comparison(self) -> None:
        """Leave the last comparison as plain output, without buttons."""
        if self.comparison is not None:
            self.comparison.view.close()

    def prepare_again(self, request: TurnRequest, start: Start) -> None:
        """After a turn that went back, start a process for another turn from the same point: often one follows."""
        if self.cassette_settings.plays_only:
            return
        if start.how.startswith(("--at", "--redo")) or self.settings.rerun == "redo":
            origin = self.turns.once_more(start, "").origin
            where = (origin.session_id, origin.message_id) if origin else (None, None)
            again = replace(request, prompt=Prompt(""), session_id=where[0], fork=origin is not None, at=where[1])
            self.client.prepare(again)

    def restore(self, turn: Turn, session: Session, about: Mapping[str, Any]) -> None:
        """Add a turn of an earlier kernel to this kernel's turns, and to its session."""
        self.turns.put(turn)
        session.last_turn, session.turns = turn.number, session.turns + 1
        session.model = str(about.get("model") or "") or session.model

    def forget(self, session_id: str) -> None:
        """Forget a session that is gone, and do not continue it."""
        self.sessions.forget(session_id)
        if self.current is not None and self.current.session_id == session_id:
            self._move_to(None)

    def instead_of(self, session_id: str) -> Start:
        """Return where to continue if a session turns out to be gone: at the point it branched off from, else in a new one.

        A branch is gone, for example, if its CLI was stopped before it wrote anything.
        """
        session = self.sessions.get(session_id)
        for turn in reversed(self.turns.path(session.last_turn if session else None)):
            end = turn.end
            if not turn.failed and not turn.can_continue:
                break  # it has cleared the conversation, as `/clear` does
            if end is not None and end.message_id and end.session_id != session_id and self.sessions.get(end.session_id):
                return self._branch_at(turn.number, f"from {turn.number}")
        return Start()

    def find(self, wanted: str) -> Session:
        """Do what `KnownSessions.find` does; its error also says that the current session has not changed."""
        try:
            return self.sessions.find(wanted)
        except SessionNotFoundError as failure:
            if self.current is not None:
                unchanged = f"The current session ({self.current.session_id[:8]}) has not changed."
                failure.next_step = f"%claude_session list shows what there is. {unchanged}"
            raise

    def delete(self, session: Session) -> None:
        """Do what `KnownSessions.delete` does, and forget the session."""
        self.sessions.delete(session)
        self.forget(session.session_id)

    @property
    def directory(self) -> str:
        """The directory of the next turn: the current session's, else the kernel's."""
        return self.current.directory if self.current else working_directory()

    def _end(self, outcome: Outcome) -> Turn:
        response = outcome.response
        turn = outcome.turn.ended(response, failed=outcome.failure is not None)
        if response.session_id is None:
            self.turns.drop(turn)
            return turn
        played = bool(response.metadata.get("recorded")) or self.cassette_settings.plays_only
        if turn.failed and not played:
            turn = self.sessions.as_kept(turn, response.directory or outcome.directory)
        self.turns.put(turn)
        if turn.end is None:  # the branch was never written
            self.sessions.forget(response.session_id)
            return turn
        self.sessions.add(turn, response, outcome.directory, played=played)
        return turn

    def _make_current(self, outcome: Outcome, *, is_left: bool) -> bool:
        """Let the next cell continue the session of a turn that has ended; return whether it will."""
        session = self.sessions.get(outcome.response.session_id or "")
        if session is None:
            return False
        if not is_left and (self.current is None or not outcome.was_refused):
            self._move_to(session)
        return self.current is not None and self.current.session_id == session.session_id

    def _is_left(self, turn: Turn) -> bool:
        """Whether the person chose a new point for the next cell after this turn began at the default one."""
        chosen = self._choices_before.pop(turn.number, self._choices) != self._choices
        origin = turn.start.origin
        if not turn.start.is_default or origin is None:
            return turn.start.is_default and chosen
        moved = self.current is None or self.current.session_id != origin.session_id
        return moved or self._chosen_turn is not None or self._branches_next

    def _branch_at(self, number: int, how: str) -> Start:
        return Start(self.turns.reached(number), parent=number, fork=True, how=how, note=f"from turn {number}")


def _branch_of(session: Session) -> Start:
    note = f"a branch of {session.session_id[:8]}"
    return Start(session.end, parent=session.last_turn, fork=True, how="--fork", note=note)
