"""A turn in a cell: take its events as they come, paint them, and leave settled output.

Runs on the main thread, in an async cell (`run_async`) or a blocking one (`run`). What can be seen is the view's business,
which session is continued the state's.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator

from claude_magic.errors import ClaudeError, SessionNotFoundError, TurnInterrupted
from claude_magic.kernel.frontend import Frontend
from claude_magic.kernel.options import Options
from claude_magic.kernel.state import KernelState
from claude_magic.sdk.events import Event, Notice
from claude_magic.sdk.response import SessionAwareResponse, fold


class TurnInCell:
    """One prompt of one cell, until it is answered; a lost session makes it two turns."""

    def __init__(self, state: KernelState, frontend: Frontend, prompt: str, options: Options) -> None:
        self._state = state
        self._prompt = prompt
        self._options = options
        self._cell_id = frontend.cell_id()
        self._began = time.monotonic()
        self._begin(options)
        self._view = frontend.view(quiet=options.quiet, on_stop=self.stop)

    @contextlib.contextmanager
    def open(self) -> Iterator[None]:
        """Leave nothing running and no widget open, whatever happens inside."""
        try:
            yield
        finally:
            self.stop()
            self._view.close()

    def stop(self) -> None:
        """Interrupt the turn; called by the Stop button, too."""
        self.stream.stop()

    def take(self, batch: list[Event]) -> None:
        """Add what has come and paint it; what came with the end is left to the settled output."""
        for event in batch:
            fold(self._response, event)
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
    cell = TurnInCell(state, frontend, prompt, options)
    with cell.open():
        while True:
            try:
                async for batch in cell.stream.abatches():
                    cell.take(batch)
            except asyncio.CancelledError:
                cell.stop()
                async for batch in cell.stream.abatches():
                    cell.take(batch)
            if not cell.begin_again():
                return cell.finish()


def run(state: KernelState, frontend: Frontend, prompt: str, options: Options) -> SessionAwareResponse:
    """Run a turn and show it, blocking the main thread.

    :raises ClaudeError: why the turn failed; what had arrived stays in the cell.
    """
    cell = TurnInCell(state, frontend, prompt, options)
    with cell.open():
        while True:
            try:
                for batch in cell.stream.batches():
                    cell.take(batch)
            except KeyboardInterrupt:
                cell.stop()
                for batch in cell.stream.batches():
                    cell.take(batch)
            if not cell.begin_again():
                return cell.finish()
