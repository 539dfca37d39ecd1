"""The turns of one cell: take their events as they come, paint them, and leave settled output.

Mostly it is one turn; a comparison has several, side by side. Runs on the main thread, in an async cell (`run_async`) or a
blocking one (`run`). What can be seen is the view's business, where a turn begins and what is current after it the state's.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import anyio
from IPython.core.error import UsageError

from claude_magic._kernel.advice import in_a_notebook, in_notebook_words
from claude_magic._kernel.background import Stream
from claude_magic._kernel.frontend import Frontend
from claude_magic._kernel.prompt.cell_request import Request
from claude_magic._kernel.state.kernel_state import Comparison, KernelState, RunningTurn
from claude_magic._kernel.state.turns import Start
from claude_magic._kernel.tools.kernel_tools import KernelTools
from claude_magic._kernel.turn.questions import Questions
from claude_magic._kernel.turn.queue import Errand, Item, Question, deliver
from claude_magic.errors import ClaudeError, SessionNotFoundError, TurnInterrupted
from claude_magic.sdk.events import Event, Notice
from claude_magic.sdk.response import SessionAwareResponse, fold

Numbered = tuple[int, Item]
Outcome = SessionAwareResponse | ClaudeError | None


class TurnsInCell:
    """What one cell asks, until it is answered; a lost session makes it ask again.

    :param buttons: whether clicks are handled while the cell runs.
    :param listen: hears every event.
    """

    def __init__(
        self,
        state: KernelState,
        frontend: Frontend,
        request: Request,
        *,
        buttons: bool,
        listen: Callable[[Event], None] = lambda event: None,
    ) -> None:
        if state.turn_running and frontend.on_main_thread():
            raise UsageError(
                "%claude: a turn is running: code that Claude runs cannot start another, "
                "nor can anything before an open ask.stream() is read to its end or closed"
            )
        self._state = state
        self._request = request
        self._listen = listen
        self.frontend = frontend
        self._buttons = buttons
        self._cell_id = frontend.cell_id()
        self._waiting: deque[Numbered] = deque()
        self._alternatives = request.options.alternatives()
        self._began = time.monotonic()
        with in_a_notebook():
            start = state.start(request.options, self._cell_id, attended=frontend.can_answer())
        self._begin(start)
        labels = [choice.label for choice in self._alternatives]
        audience = state.settings.presentation
        self._view = frontend.view(labels, quiet=request.options.quiet, for_audience=audience, on_stop=self.stop)
        self._questions = [Questions(frontend, self._view, number, buttons=buttons) for number in range(1, len(labels) + 1)]
        self._tools = KernelTools(frontend.shell)
        self._main = frontend.on_main_thread()

    @contextlib.contextmanager
    def open(self) -> Iterator[None]:
        """Leave nothing running and no widget open, whatever happens inside."""
        before = self._state.turn_running
        self._state.turn_running = before or self._main
        try:
            yield
        except BaseException:
            # Whatever it was, an interrupt among it; a settled comparison keeps its buttons until the next cell.
            self._view.close()
            raise
        finally:
            self._state.turn_running = before
            self.stop()
            if self._main:
                self.frontend.forget_failed_display()

    def stop(self) -> None:
        """Interrupt every turn; called by the Stop button, too."""
        self.stream.stop()

    async def take_async(self, batch: list[Numbered]) -> None:
        """Take what has come and paint it; the kernel's loop goes on while code of Claude's awaits something."""
        for errand in self._errands(batch):
            result = await self._tools.call_async(errand.tool, errand.arguments, lambda: self.stream.stopped)
            deliver(errand.result, result)

    def take(self, batch: list[Numbered]) -> None:
        """Take what has come and paint it."""
        for errand in self._errands(batch):
            deliver(errand.result, self._tools.call(errand.tool, errand.arguments))

    def take_rest(self, batch: list[Numbered]) -> None:
        """Take what comes after an interrupt, and what was left by it: nothing is asked or done any more."""
        self._waiting.extend(batch)
        while self._waiting:
            number, item = self._waiting.popleft()
            if not isinstance(item, Errand | Question):
                self._take(number, item)
        self._paint()

    def begin_again(self) -> bool:
        """Ask again in a new session when the current one turned out to be gone, and say so; else return False."""
        origin, how = self._start.origin, self._start.how
        if origin is None or how or not all(isinstance(outcome, SessionNotFoundError) for outcome in self._outcomes):
            return False
        session = self._state.sessions.get(origin.session_id)
        was = "was played here only" if session and self._state.sessions.is_played(session) else "is gone"
        self._state.forget(origin.session_id)
        self._begin(Start())
        for response in self._responses:
            fold(response, Notice(f"The session {origin.session_id[:8]} {was}; this is a new one, without what was said."))
        return True

    def finish(self) -> list[SessionAwareResponse]:
        """Settle the output and return the replies.

        :raises ClaudeError: why the turn failed; of a comparison, when no turn of it succeeded.
        """
        from claude_magic._render.settled.comparison import Alternative

        self.stream.result()
        failures = [self._failure(number) for number in range(len(self._running))]
        with self._state.lock:
            ended = [*map(self._state.end, self._running, self._responses, failures)]
            chosen = next((number for number, failure in enumerate(failures) if failure is None), 0)
            for turn, response in zip(ended, self._responses, strict=True):
                response.about = turn.about()
            adopted = self._state.adopt(ended[chosen], self._responses[chosen], failures[chosen])
        current = chosen + 1 if adopted else 0
        labels = (choice.label for choice in self._alternatives)
        alternatives = [
            Alternative(label, turn.number if turn.end else None, response, failure)
            for label, turn, response, failure in zip(labels, ended, self._responses, failures, strict=True)
        ]
        if len(alternatives) > 1:
            self._state.comparison = Comparison(alternatives, current, self._view)
        if self._request.options.code and failures[chosen] is None and not self._tools.add_code(self._responses[chosen]):
            fold(self._responses[chosen], Notice("--code: there is no Python in the reply."))
        self._view.settle(alternatives, current=current, on_pick=self._pick if self._buttons else None)
        for response, data in zip(self._responses, self._data, strict=True):
            response.structured = data  # now that the data itself has been shown
        failure = failures[chosen]
        if failure is not None:
            raise failure
        self._state.prepare_again(self._running[0])
        return self._responses

    def _begin(self, start: Start) -> None:
        request = self._request
        self._start = start
        self._running: list[RunningTurn] = []
        self._responses: list[SessionAwareResponse] = []
        self._outcomes: list[Outcome] = [None] * len(self._alternatives)
        self._data: list[Any] = [None] * len(self._alternatives)
        for choice in self._alternatives:
            options = replace(request.options, model=choice.model or request.options.model)
            own = replace(start, how=" ".join(filter(None, (start.how, choice.typed))))
            if len(self._alternatives) > 1 and start.origin is not None:
                own = replace(own, fork=True)
            with self._state.lock:
                running = self._state.begin(request, options, own, cell_id=self._cell_id)
            response = SessionAwareResponse(note=start.note, for_audience=self._state.settings.presentation)
            for remark in (*running.remarks, *request.remarks):
                fold(response, Notice(remark))
            self._running.append(running)
            self._responses.append(response)
        self.stream: Stream[Numbered, bool] = self._state.client.stream(self._work)

    async def _work(self, put: Callable[[Numbered], None]) -> bool:
        async def work(number: int, running: RunningTurn) -> None:
            try:
                self._outcomes[number] = await running.work(lambda item: put((number, item)))
            except ClaudeError as failure:
                self._outcomes[number] = in_notebook_words(failure)

        async with anyio.create_task_group() as group:
            for number, running in enumerate(self._running):
                group.start_soon(work, number, running)
        return True

    def _errands(self, batch: list[Numbered]) -> Iterator[Errand]:
        """Take what has come and paint it, and yield in its turn what is for the caller to do."""
        self._waiting.extend(batch)
        while self._waiting:
            number, item = self._waiting.popleft()
            if isinstance(item, Errand):
                self._paint()
                yield item
            else:
                self._take(number, item)
        self._paint()

    def _take(self, number: int, item: Event | Question) -> None:
        if isinstance(item, Question):
            self._paint()
            if remark := self._questions[number].put(item):
                fold(self._responses[number], Notice(remark))
        else:
            fold(self._responses[number], item)
            self._listen(item)

    def _paint(self) -> None:
        for questions in self._questions:
            questions.tidy()
        for number, outcome in enumerate(self._outcomes, 1):
            if isinstance(outcome, ClaudeError):
                self._view.fail(number, outcome)
        # What came with the end is left to the settled output.
        if any(response.ended is None for response in self._responses):
            self._view.update(self._responses, self._elapsed_s())

    def _failure(self, number: int) -> ClaudeError | None:
        response, outcome = self._responses[number], self._outcomes[number]
        if isinstance(outcome, ClaudeError):
            outcome.content = response.arrived
            return outcome
        if outcome is None:
            message = f"Interrupted after {self._elapsed_s():.1f} s."
            return TurnInterrupted(message, session_id=response.session_id, content=response.arrived)
        response.metadata["command"] = outcome.metadata.get("command")
        try:
            self._data[number] = self._request.load(response)
        except ClaudeError as failure:
            return failure
        return None

    def _pick(self, number: int) -> None:
        # Its session was deleted: another one stays current.
        with contextlib.suppress(SessionNotFoundError):
            self._state.pick(number)

    def _elapsed_s(self) -> float:
        return time.monotonic() - self._began


async def run_async(state: KernelState, frontend: Frontend, request: Request) -> list[SessionAwareResponse]:
    """Run what a cell asks and show it; other callbacks of the kernel's loop run meanwhile.

    :raises ClaudeError: why the turn failed; what had arrived stays in the cell.
    """
    cell = TurnsInCell(state, frontend, request, buttons=True)
    with cell.open():
        while True:
            try:
                async for batch in cell.stream.abatches():
                    await cell.take_async(batch)
            except (asyncio.CancelledError, KeyboardInterrupt):
                cell.stop()
                async for batch in cell.stream.abatches():
                    cell.take_rest(batch)
            if not cell.begin_again():
                return cell.finish()


def run(state: KernelState, frontend: Frontend, request: Request, **how: Any) -> list[SessionAwareResponse]:
    """Run what a cell asks and show it, blocking the thread.

    :raises ClaudeError: why the turn failed; what had arrived stays in the cell.
    """
    cell = TurnsInCell(state, frontend, request, buttons=False, **how)
    with cell.open():
        for _ in steps(cell):
            pass
        return cell.finish()


def steps(cell: TurnsInCell) -> Iterator[None]:
    """Take what a cell's turns bring, batch by batch, blocking the thread, until they have ended."""
    while True:
        try:
            for batch in cell.stream.batches():
                cell.take(batch)
                # The kernel would be killed at last, and a CLI in the middle of a turn go on without it.
                if cell.frontend.is_ending():
                    cell.stop()
                yield
        except KeyboardInterrupt:
            stop(cell)
        if not cell.begin_again():
            return


def stop(cell: TurnsInCell) -> None:
    """Interrupt a cell's turns and take what still comes, blocking the thread."""
    cell.stop()
    for batch in cell.stream.batches():
        cell.take_rest(batch)
