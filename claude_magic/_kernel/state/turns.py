"""The turns of this kernel, the sessions that they belong to, and the points that turns begin at."""

from __future__ import annotations

import contextlib
import inspect
import threading
import weakref
from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final

from IPython.core.error import UsageError

from claude_magic._redaction import redact
from claude_magic.errors import ClaudeError, TurnInterrupted, TurnNotFoundError, TurnTimeoutError
from claude_magic.sdk.response import SessionAwareResponse, has_answer

BY_ITSELF: Final = "by itself"
"""The `how` of a turn that the CLI began by itself."""

OWN_PROMPT: Final = "(Claude went on by itself)"

Stream = Generator[str, None, None]


@dataclass(frozen=True, slots=True)
class Point:
    """A point in a session that a turn can continue from: after this message. `None`: the session is empty."""

    session_id: str
    message_id: str | None = None


@dataclass(frozen=True, slots=True)
class Start:
    """Where a turn begins. `origin` is `None` for a new session; with `fork` the turn begins a branch at `origin`.

    `parent` is the number of the turn that it continues, `how` the option or click that chose the point, `note` a text for the
    footer.
    """

    origin: Point | None = None
    parent: int | None = None
    fork: bool = False
    how: str = ""
    note: str = ""

    @property
    def is_default(self) -> bool:
        """Whether the turn continues what was current: neither an option, a comparison nor a click chose another point."""
        return not self.how


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of this kernel. `cell_id` is the notebook cell of its prompt, `end` the point in a session after it."""

    number: int
    prompt: str
    start: Start = field(default_factory=Start)
    cell_id: str | None = None
    end: Point | None = None
    failed: bool = False

    @property
    def session_id(self) -> str | None:
        """The turn's session. While the turn runs it is that of `origin`, or `None` for a new session or branch."""
        if self.end is not None:
            return self.end.session_id
        return self.start.origin.session_id if self.start.origin and not self.start.fork else None

    @property
    def can_continue(self) -> bool:
        """Whether it has an answer, or a part of one, that another turn can continue from."""
        return self.end is not None and self.end.message_id is not None

    def about(self) -> dict[str, Any]:
        """Return the metadata that the notebook saves with the reply: the tree of turns can be rebuilt from it."""
        origin, end = self.start.origin, self.end
        return {
            "parent": self.start.parent,
            "how": self.start.how,
            "fork": self.start.fork,
            "origin": {"session_id": origin.session_id, "message_id": origin.message_id} if origin else None,
            "message_id": end.message_id if end else None,
            "failed": self.failed,
        }

    def ended(self, response: SessionAwareResponse, *, failed: bool) -> Turn:
        """Return the turn as ended, with the point after it."""
        end = Point(response.session_id, response.message_id) if response.session_id else None
        return replace(self, end=end, failed=failed)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a turn ended. `directory` is used if the response does not name the turn's."""

    turn: Turn
    response: SessionAwareResponse
    failure: ClaudeError | None
    directory: str

    @property
    def was_refused(self) -> bool:
        """Whether the turn failed before anything was said, without being stopped."""
        stopped = isinstance(self.failure, TurnInterrupted | TurnTimeoutError)
        return self.failure is not None and not stopped and not has_answer(self.response.blocks)


def is_address(cell_id: str) -> bool:
    """Tell whether a cell ID is a document's URI, as in VS Code, and not the ID in the notebook file."""
    return ":" in cell_id


class Turns:
    """All turns of this kernel, in the order in which they ended or were restored."""

    def __init__(self) -> None:
        self._turns: dict[int, Turn] = {}
        self._next = 1
        self._lock = threading.Lock()
        """The background thread numbers the turns that the CLI begins by itself."""

    def __iter__(self) -> Iterator[Turn]:
        return iter(list(self._turns.values()))  # threads add to them meanwhile

    def __len__(self) -> int:
        return len(self._turns)

    def begin(self, prompt: str, start: Start, cell_id: str | None) -> Turn:
        """Return a new turn with the next number; `put` adds it."""
        with self._lock:
            self._next += 1
            return Turn(self._next - 1, prompt, start, cell_id)

    def put(self, turn: Turn) -> None:
        """Add a turn that has ended or was restored; later turns get higher numbers."""
        with self._lock:
            self._turns[turn.number] = turn
            self._next = max(self._next, turn.number + 1)

    def drop(self, turn: Turn) -> None:
        """Free the number of a turn that never reached a session, unless a later turn has begun."""
        with self._lock:
            if turn.number == self._next - 1:
                self._next = turn.number

    def find(self, number: int) -> Turn:
        """Return the turn with this number, or raise a `TurnNotFoundError`."""
        turn = self._turns.get(number)
        if turn is None:
            known = f"the last one is {max(self._turns)}" if self._turns else "there are none yet"
            raise TurnNotFoundError(
                f"There is no turn {number} in this kernel; {known}.", next_step="%claude_session turns shows those there are."
            )
        return turn

    def reached(self, number: int) -> Point:
        """Return the point after a turn, for another turn to continue from.

        :raises TurnNotFoundError: if there is no such turn, or it has no answer to continue from.
        """
        turn = self.find(number)
        if turn.end is None or turn.end.message_id is None:
            before = f"--at {turn.start.parent} continues from before it" if turn.start.parent else "Repeat it with --redo"
            raise TurnNotFoundError(f"Turn {number} has no answer to go on from.", next_step=f"{before}.")
        return turn.end

    def path(self, number: int | None) -> tuple[Turn, ...]:
        """Return this turn and those that led to it, oldest first."""
        path: list[Turn] = []
        while number is not None and number in self._turns:
            path.append(self._turns[number])
            number = path[-1].start.parent
        return tuple(reversed(path))

    def once_more(self, start: Start, note: str) -> Start:
        """Return the start of a turn that replaces one that began at `start`."""
        begun = start
        # A failed turn without an answer leaves no message to continue from, so the start of that turn is used instead.
        # If that turn did not fail, it was a `/clear`, and the new one begins behind it.
        while begun.origin and not begun.origin.message_id and begun.parent in self._turns:
            if not self._turns[begun.parent].failed:
                break
            begun = self._turns[begun.parent].start
        # If the session was empty, a new one loses nothing. Continuing at its end would keep the replaced turn.
        origin = begun.origin if begun.origin and begun.origin.message_id else None
        return replace(start, origin=origin, fork=origin is not None, how="--redo", note=note)

    def last_of(self, cell_id: str | None, prompt: str = "") -> Turn | None:
        """Return the last turn of this cell; if cell IDs cannot tell (VS Code), the last restored one with its prompt."""
        if cell_id is None:
            return None
        turns = list(reversed(list(self)))
        own = next((turn for turn in turns if turn.cell_id == cell_id), None)
        if own is not None or not is_address(cell_id):
            return own
        return next((turn for turn in turns if self._is_restored(turn) and turn.prompt.strip() == prompt.strip()), None)

    def has_restored(self) -> bool:
        """Whether turns were restored from the notebook. Right only in VS Code, where the cell IDs of other turns are URIs."""
        return any(map(self._is_restored, self))

    def _is_restored(self, turn: Turn) -> bool:
        return turn.cell_id is not None and not is_address(turn.cell_id)

    def last(self) -> Turn | None:
        """Return the turn that ended or was restored last, `None` if there is none."""
        return next(reversed(list(self)), None)


@dataclass(slots=True)
class Session:
    """A conversation that this kernel has prompted or found. It belongs to `directory`, where it was started.

    `turns`, `tokens` and `cost_usd` (US dollars) are totals of this kernel's turns. `last_turn` is this kernel's last turn in
    it. `message_id` is the last message that is known; `None` only while the session is empty.
    """

    session_id: str
    directory: str
    name: str | None = None
    model: str | None = None
    turns: int = 0
    tokens: int = 0
    cost_usd: float | None = None
    last_turn: int | None = None
    message_id: str | None = None
    context_used: float | None = None
    """How full the model's context was after the last turn, from 0 to 1."""

    @property
    def label(self) -> str:
        """The start of its ID, and its name if it has one."""
        return f"{self.session_id[:8]} ({redact(self.name)})" if self.name else self.session_id[:8]

    @property
    def end(self) -> Point:
        """The point after its last known message."""
        return Point(self.session_id, self.message_id)

    def add(self, response: SessionAwareResponse) -> None:
        """Add a turn that has ended, well or not, to the totals."""
        self.turns += 1
        self.model = response.model or self.model
        ended = response.ended
        if ended is not None and ended.context_tokens and ended.context_window:
            self.context_used = ended.context_tokens / ended.context_window
        self.tokens += response.input_tokens + response.output_tokens
        if response.cost_usd is not None:
            self.cost_usd = (self.cost_usd or 0.0) + response.cost_usd


class InCell:
    """The turn that runs on the main thread: one at a time. An `ask.stream()` that was left open runs until it is closed.

    :param tell: adds a remark to the next reply.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self.is_running = False
        """Whether a turn runs on the main thread."""
        self._stream: weakref.ref[Stream] | None = None
        self._is_of_earlier_cell = False

    @contextlib.contextmanager
    def running(self, stream: weakref.ref[Stream] | None) -> Iterator[None]:
        """Mark that a turn runs on the main thread, after closing a stream that an earlier cell left open.

        :param stream: the generator that reads the turn, if there is one. Weak: if code drops the generator, Python closes it.
        :raises UsageError: if a turn runs already.
        """
        if self.end_stream(of_earlier_cell=True):
            self._tell("An ask.stream() that was left open has been closed.")
        if self.is_running:
            raise UsageError(
                "%claude: a turn is running: code that Claude runs cannot start another; "
                "a cell with an open ask.stream() must first read it to its end or close it"
            )
        self.is_running, self._stream, self._is_of_earlier_cell = True, stream, False
        try:
            yield
        finally:
            self.is_running, self._stream = False, None

    def note_cell(self) -> None:
        """Note that a cell begins: a stream that is open now belongs to an earlier cell."""
        self._is_of_earlier_cell = self._paused() is not None

    def end_stream(self, *, of_earlier_cell: bool) -> bool:
        """Close the stream that this cell (with `of_earlier_cell`, an earlier one) left open; return whether there was one."""
        stream = self._paused()
        if stream is None or self._is_of_earlier_cell != of_earlier_cell:
            return False
        stream.close()
        return True

    def _paused(self) -> Stream | None:
        """Return the stream if it is open and waits for its reader, else `None`."""
        stream = self._stream() if self._stream else None
        return stream if stream is not None and inspect.getgeneratorstate(stream) == inspect.GEN_SUSPENDED else None
