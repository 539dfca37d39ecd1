"""A turn in a cell: take its events as they come, paint them, and leave settled output.

Runs on the main thread, in an async cell (`run_async`) or a blocking one (`run`). What can be seen is the view's business,
which session is continued the state's.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Iterator

from IPython.core.error import UsageError

from claude_magic.errors import ClaudeError, SessionNotFoundError, TurnInterrupted
from claude_magic.kernel.frontend import Frontend
from claude_magic.kernel.host import Errand, Item, Question, deliver
from claude_magic.kernel.options import Options
from claude_magic.kernel.permissions import Questions
from claude_magic.kernel.state import KernelState
from claude_magic.kernel.tools import KernelTools
from claude_magic.sdk.events import Event, Notice
from claude_magic.sdk.response import SessionAwareResponse, fold


class TurnInCell:
    """One prompt of one cell, until it is answered; a lost session makes it two turns.

    :param buttons: whether clicks are handled while the cell runs.
    """

    def __init__(self, state: KernelState, frontend: Frontend, prompt: str, options: Options, *, buttons: bool) -> None:
        if state.turn_running:
            raise UsageError("%claude: a turn is running; code that Claude runs cannot start another")
        self._state = state
        self._prompt = prompt
        self._options = options
        self._frontend = frontend
        self._cell_id = frontend.cell_id()
        self._waiting: deque[Item] = deque()
        self._began = time.monotonic()
        self._begin(options)
        self._view = frontend.view(quiet=options.quiet, on_stop=self.stop)
        self._questions = Questions(frontend, self._view, buttons=buttons)
        self._tools = KernelTools(frontend.shell)

    @contextlib.contextmanager
    def open(self) -> Iterator[None]:
        """Leave nothing running and no widget open, whatever happens inside."""
        self._state.turn_running = True
        try:
            yield
        finally:
            self._state.turn_running = False
            self.stop()
            self._view.close()
            self._frontend.forget_failed_display()

    def stop(self) -> None:
        """Interrupt the turn; called by the Stop button, too."""
        self.stream.stop()

    async def take_async(self, batch: list[Item]) -> None:
        """Take what has come and paint it; the kernel's loop goes on while code of Claude's awaits something."""
        self._waiting.extend(batch)
        while self._waiting:
            item = self._waiting.popleft()
            if isinstance(item, Errand):
                self._paint()
                deliver(item.result, await self._tools.call_async(item.tool, item.arguments, lambda: self.stream.stopped))
            else:
                self._take(item)
        self._paint()

    def take(self, batch: list[Item]) -> None:
        """Take what has come and paint it."""
        self._waiting.extend(batch)
        while self._waiting:
            item = self._waiting.popleft()
            if isinstance(item, Errand):
                self._paint()
                deliver(item.result, self._tools.call(item.tool, item.arguments))
            else:
                self._take(item)
        self._paint()

    def take_rest(self, batch: list[Item]) -> None:
        """Take what comes after an interrupt, and what was left by it: nothing is asked or done any more."""
        self._waiting.extend(batch)
        while self._waiting:
            item = self._waiting.popleft()
            if not isinstance(item, Errand | Question):
                fold(self._response, item)
        self._paint()

    def _take(self, item: Event | Question) -> None:
        if isinstance(item, Question):
            self._paint()
            if remark := self._questions.put(item):
                fold(self._response, Notice(remark))
        else:
            fold(self._response, item)

    def _paint(self) -> None:
        # What came with the end is left to the settled output.
        self._questions.tidy()
        if self._response.ended is None:
            self._view.update(self._response, self._elapsed_s())

    def begin_again(self) -> bool:
        """Ask again in a new session when the current one turned out to be gone, and say so; else return False."""
        lost = self._running.turn.session_id
        named = self._options.resume is not None
        if lost is None or named or not isinstance(self._failure(), SessionNotFoundError):
            return False
        self._state.forget(lost)
        self._begin(self._options)
        fold(self._response, Notice(f"The session {lost[:8]} is gone; this is a new one."))
        return True

    def finish(self) -> SessionAwareResponse:
        """Settle the output and return the reply.

        :raises ClaudeError: why the turn failed.
        """
        failure = self._failure()
        self._state.end(self._running, self._response)
        self._view.settle(self._response, turn=self._running.turn.number, failure=failure)
        if failure is not None:
            raise failure
        return self._response

    def _begin(self, options: Options) -> None:
        self._running = self._state.begin(self._prompt, options, cell_id=self._cell_id)
        self.stream = self._running.stream
        self._response = SessionAwareResponse()
        for remark in self._running.remarks:
            fold(self._response, Notice(remark))

    def _failure(self) -> ClaudeError | None:
        try:
            answered = self.stream.result() is not None
        except ClaudeError as failure:
            failure.content = self._response.text
            return failure
        if answered:
            return None
        return TurnInterrupted(
            f"Interrupted after {self._elapsed_s():.1f} s.",
            session_id=self._response.session_id,
            content=self._response.text,
        )

    def _elapsed_s(self) -> float:
        return time.monotonic() - self._began


async def run_async(state: KernelState, frontend: Frontend, prompt: str, options: Options) -> SessionAwareResponse:
    """Run a turn and show it; other callbacks of the kernel's loop run meanwhile.

    :raises ClaudeError: why the turn failed; what had arrived stays in the cell.
    """
    cell = TurnInCell(state, frontend, prompt, options, buttons=True)
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


def run(state: KernelState, frontend: Frontend, prompt: str, options: Options) -> SessionAwareResponse:
    """Run a turn and show it, blocking the main thread.

    :raises ClaudeError: why the turn failed; what had arrived stays in the cell.
    """
    cell = TurnInCell(state, frontend, prompt, options, buttons=False)
    with cell.open():
        while True:
            try:
                for batch in cell.stream.batches():
                    cell.take(batch)
            except KeyboardInterrupt:
                cell.stop()
                for batch in cell.stream.batches():
                    cell.take_rest(batch)
            if not cell.begin_again():
                return cell.finish()
