"""The state of one kernel: its client, its current session, its turns.

There is one `KernelState` for a shell; the extension makes it and closes it. It decides where a turn begins and what is
current after it; showing a turn is the business of `cell`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from claude_magic._kernel.options.cell_options import Options
from claude_magic._kernel.options.settings import Settings
from claude_magic._kernel.prompt.cell_request import Request
from claude_magic._kernel.state.cassette_settings import Lesson
from claude_magic._kernel.state.directory_trust import Trust, settings_files
from claude_magic._kernel.state.kernel_client import KernelClient
from claude_magic._kernel.state.known_sessions import Sessions
from claude_magic._kernel.state.turns import Session, Start, Turn, Turns
from claude_magic._kernel.turn.queue import Item, StreamHost
from claude_magic._paths import shorten_home
from claude_magic.errors import ClaudeError, SessionNotFoundError, TurnInterrupted, TurnNotFoundError, TurnTimeoutError
from claude_magic.sdk.config import TurnOptions
from claude_magic.sdk.content import Prompt
from claude_magic.sdk.response import SessionAwareResponse

if TYPE_CHECKING:
    from claude_magic._render.settled.comparison import Alternative
    from claude_magic._render.views import ColumnsView


@dataclass(frozen=True, slots=True)
class RunningTurn:
    """A turn on its way; `directory` is where its session lives, `remarks` are what the person should know beforehand.

    `choices` are its options before the directory has its say. `work(put)` runs it on the background thread and puts what
    happens.
    """

    turn: Turn
    directory: str
    choices: TurnOptions
    use_tools: bool
    remarks: tuple[str, ...]
    work: Callable[[Callable[[Item], None]], Awaitable[SessionAwareResponse]]


@dataclass(slots=True)
class Comparison:
    """The last comparison: what there is to choose from, which one is current (from 1; 0: none), and the view of it."""

    alternatives: list[Alternative]
    current: int
    view: ColumnsView


class KernelState:
    """Everything that the cells of one kernel share.

    :param warm_up: imports what the first cell will need; called on the background thread.
    """

    def __init__(self, settings: Settings, warm_up: Callable[[], None]) -> None:
        self.settings = settings
        self.turns = Turns()
        self.turn_running = False
        self.last_prompt: Prompt | None = None
        self.last_error: BaseException | None = None
        self.comparison: Comparison | None = None
        self.trust = Trust()
        self.client = KernelClient(settings, self.trust, warm_up)
        self.sessions = Sessions(self.client, self.turns)
        self.lesson = Lesson(settings, self.client.logged_in)
        self.lock = threading.RLock()
        """For turns that are asked outside of the main thread."""
        self._current: Session | None = None
        self._place: int | None = None
        self.fork_next = False
        self._told_of: dict[str, str] = {}

    @property
    def current(self) -> Session | None:
        """The session that the next cell continues."""
        return self._current

    @current.setter
    def current(self, session: Session | None) -> None:
        self._current, self._place, self.fork_next = session, None, False

    @property
    def current_turn(self) -> int | None:
        """The turn that the next cell goes on from; `None` where that is none of this kernel's."""
        return self._place or (self._current.last_turn if self._current else None)

    def go_on_from(self, number: int) -> Turn:
        """Let the next cell go on from the end of a turn: in its session, or in a branch if that has gone on.

        :raises TurnNotFoundError: when there is no such turn, or it has no answer.
        :raises SessionNotFoundError: when its session has been deleted.
        """
        point = self.turns.reached(number)
        session = self.sessions.get(point.session_id)
        if session is None:
            raise SessionNotFoundError(f"The session {point.session_id[:8]} of turn {number} is gone.")
        self.current = session
        self._place = None if session.last_turn == number else number
        return self.turns.find(number)

    def start(self, options: Options, cell_id: str | None, *, attended: bool = True) -> Start:
        """Return where a turn with these options begins.

        :param attended: whether a person runs the cells, perhaps again; else each runs once.
        :raises SessionNotFoundError: when `--resume` names no session.
        :raises TurnNotFoundError: when `--at` names no turn that one could go on from.
        """
        own = self.turns.last_of(cell_id)
        if options.new:
            return Start(how="--new")
        if options.at is not None:
            return Start(self.turns.reached(options.at), options.at, True, f"--at {options.at}", f"from turn {options.at}")
        if options.resume:
            session = self.find(options.resume)
            return _branch_of(session) if options.fork else Start(session.end, session.last_turn, how="--resume")
        fork = options.fork or self.fork_next
        if not fork and (options.redo or self.settings.rerun == "redo"):
            # Where the frontend gives cells no IDs, the last turn is all that a person can mean.
            again = self.turns.last() if cell_id is None and options.redo and attended else own
            if again is not None:
                return again.start.once_more(f"instead of turn {again.number}")
        if self._place is not None:
            return Start(self.turns.reached(self._place), self._place, True, f"from {self._place}", f"from turn {self._place}")
        if self.current is None:
            return Start()
        if fork:
            return _branch_of(self.current)
        note = f"continues; turn {own.number} was this cell's, too" if own else ""
        return Start(self.current.end, self.current.last_turn, note=note)

    def begin(self, request: Request, options: Options, start: Start, *, cell_id: str | None) -> RunningTurn:
        """Make a turn ready to run. What is current changes when it has ended, not before.

        :param options: the request's own, or those of one alternative.
        """
        client = self.client.get()
        from claude_magic.sdk._cassette.cassette import active_cassette  # the SDK that it imports is there by now

        cassette = active_cassette() or self.lesson.cassette()
        origin = start.origin
        session = self.sessions.get(origin.session_id) if origin else None
        directory = session.directory if session else os.getcwd()
        turn = self.turns.begin(request.typed, start, cell_id)
        timeout = options.timeout if options.timeout is not None else self.settings.timeout
        schema = request.schema.text if request.schema else None
        choices = replace(options.over(self.settings.turn_options()), schema=schema)
        chosen, trusted = self.client.options_in(directory, choices)

        async def work(put: Callable[[Item], None]) -> SessionAwareResponse:
            return await client.run_turn(
                request.prompt,
                host=StreamHost(put),
                session_id=origin.session_id if origin else None,
                fork=start.fork,
                at=origin.message_id if origin and start.fork else None,
                options=chosen,
                directory=directory,
                trusted=trusted,
                use_tools=not options.no_kernel,
                timeout=timeout,
                cassette=cassette,
            )

        self.last_prompt = request.prompt
        return RunningTurn(
            turn, directory, choices, not options.no_kernel, self._remarks(choices, directory, trusted=trusted), work
        )

    def end(self, running: RunningTurn, response: SessionAwareResponse, failure: ClaudeError | None) -> Turn:
        """Note what a turn came to, and return it as it is now; `adopt` makes its session the current one."""
        turn = running.turn.ended(response, failed=failure is not None)
        if response.session_id is not None:
            self.turns.put(turn)
            played = bool(response.metadata.get("recorded")) or self.lesson.plays_only
            self.sessions.add(turn, response, running.directory, played=played)
        else:
            self.turns.drop(turn)
        return turn

    def adopt(self, turn: Turn, response: SessionAwareResponse, failure: ClaudeError | None) -> bool:
        """Let the next cell go on from a turn that has ended, if it led anywhere; return whether it does.

        One that was refused before anything was said leaves what was current before, where that was another session.
        """
        if response.session_id is None:
            return False
        refused = failure is not None and not isinstance(failure, TurnInterrupted | TurnTimeoutError) and not response.blocks
        if self.current is not None and refused:
            return self.current.session_id == response.session_id
        self.current = self.sessions.get(response.session_id)
        return True

    def pick(self, number: int) -> Alternative:
        """Let the next cell go on from another alternative of the last comparison, counted from 1.

        :raises TurnNotFoundError: when there is no such alternative, or it has no answer.
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
        comparison.current = number
        comparison.view.show_current(number)
        return picked

    def settle_comparison(self) -> None:
        """Leave the last comparison as plain output, without buttons."""
        if self.comparison is not None:
            self.comparison.view.close()

    def prepare_again(self, running: RunningTurn) -> None:
        """Start a process for asking this turn once more, since who has done that once often goes on doing so."""
        start = running.turn.start
        if self.lesson.plays_only:
            return
        if start.how.startswith(("--redo", "--at")) or self.settings.rerun == "redo":
            origin = start.once_more("").origin
            self.client.prepare(running.directory, running.choices, origin, use_tools=running.use_tools)

    def restore(self, turn: Turn, session: Session, about: Mapping[str, Any]) -> None:
        """Take a turn of an earlier kernel for one of this kernel's."""
        self.turns.put(turn)
        session.last_turn, session.turns = turn.number, session.turns + 1
        session.model = about.get("model") or session.model

    def forget(self, session_id: str) -> None:
        """Continue this session no more: it is gone."""
        self.sessions.forget(session_id)
        if self.current is not None and self.current.session_id == session_id:
            self.current = None

    def find(self, wanted: str) -> Session:
        """Return the session with this ID, unique prefix of an ID, or name.

        :raises SessionNotFoundError: when there is none, or more than one.
        """
        try:
            return self.sessions.find(wanted)
        except SessionNotFoundError as failure:
            if self.current is not None:
                unchanged = f"The current session ({self.current.session_id[:8]}) has not changed."
                failure.next_step = f"%claude_session list shows what there is. {unchanged}"
            raise

    def delete(self, wanted: str) -> Session:
        """Delete a session for good, and return what it was.

        :raises SessionNotFoundError: when there is none, or more than one.
        """
        session = self.find(wanted)
        self.sessions.delete(session)
        self.forget(session.session_id)
        return session

    @property
    def directory(self) -> str:
        """Where the next turn works: the current session's directory, else the kernel's."""
        return self.current.directory if self.current else os.getcwd()

    def close(self) -> None:
        """End every CLI process and the background thread."""
        self.client.close()

    def _remarks(self, choices: TurnOptions, directory: str, *, trusted: bool) -> tuple[str, ...]:
        remarks = [remark] if (remark := self.lesson.remark()) else []
        if choices.permission_mode == "bypassPermissions":
            remarks.append("Permissions are bypassed in this cell: Claude may do anything without asking.")
        if not trusted and self.trust.changed(directory, self._told_of):
            names = ", ".join(dict.fromkeys(shorten_home(str(path)) for path in settings_files(directory)))
            remarks.append(f"Not loaded, as they can run programs and allow tools: {names}. %claude_session trust loads them.")
        return tuple(remarks)


def _branch_of(session: Session) -> Start:
    return Start(session.end, session.last_turn, True, "--fork", f"a branch of {session.session_id[:8]}")
