"""The turns of one cell: open the view, send the prompt, read events as they arrive, paint them, and leave the saved output.

A cell has one turn; a comparison has several, side by side. This runs in the cell's thread: async (`run_async`), blocking
(`run`), or blocking piece by piece (`stream`); only `_run_all` runs on the background thread. Any thread may call `stop`. The
view decides what is seen. The state decides where a turn begins and which session is current after it.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
import weakref
from collections import deque
from collections.abc import Callable, Generator, Iterator
from functools import partial
from typing import TYPE_CHECKING

import anyio

from claude_magic._kernel.advice import in_a_notebook
from claude_magic._kernel.background import Stream, held_back
from claude_magic._kernel.frontend import Frontend
from claude_magic._kernel.prompt.cell_request import CellRequest
from claude_magic._kernel.queue import Errand, Numbered, Question, QueueHost, deliver
from claude_magic._kernel.state.kernel_state import Comparison, KernelState
from claude_magic._kernel.state.turns import Outcome, Turn
from claude_magic._kernel.tools.kernel_tools import KernelTools
from claude_magic._kernel.turn.permission_answers import Questions
from claude_magic._kernel.turn.running_turn import RunningTurn, prepared_turns
from claude_magic.errors import ClaudeError, SessionLostError, SessionNotFoundError
from claude_magic.sdk.events import Event, Notice, TextDelta
from claude_magic.sdk.response import SessionAwareResponse, fold

if TYPE_CHECKING:
    from claude_magic._render.settled.reply import SettledReply
    from claude_magic._render.views import View
    from claude_magic.sdk.client import ClaudeClient


class CellTurns:
    """The turns of one cell. Use it as `with turns.open(): ...`.

    If the session is lost, the prompt is sent again, unless the cell compares or says where to begin, as by `--resume`.

    :param buttons: whether clicks are handled while the cell runs.
    """

    def __init__(self, state: KernelState, frontend: Frontend, cell: CellRequest, *, buttons: bool) -> None:
        self._state = state
        self._frontend = frontend
        self._cell = cell
        self._buttons = buttons
        self._choices = cell.options.alternatives()
        self._cell_id = frontend.cell_id()
        self._main = frontend.on_main_thread()
        self._tools = KernelTools(frontend.shell, cell.tools, cell.notebook)
        self._waiting: deque[Numbered] = deque()
        self._texts: deque[str] = deque()
        """The text that `texts` has not yielded yet."""
        self._view: View
        self._questions: list[Questions]
        self._client: ClaudeClient
        self._stream: Stream[Numbered, None]
        self._running: list[RunningTurn] = []
        """The turns that were sent; empty before that."""
        self._is_settling = False
        self._began = time.monotonic()
        self.stream: weakref.ref[Generator[str]] | None = None
        """The generator of `stream`, if there is one."""

    @contextlib.contextmanager
    def open(self) -> Iterator[None]:
        """Open the view, then send the prompt. On the way out, stop every turn; after an error, close the view, too."""
        self._state.client.background.check_process()  # raises in a process that was forked from the kernel
        with self._state.in_cell.running(self.stream) if self._main else contextlib.nullcontext():
            with in_a_notebook():
                if self._main:
                    self._state.take_own_turns()
                attended = self._frontend.can_answer()
                start = self._state.start(self._cell.options, self._cell_id, self._cell.typed, attended=attended)
            turns = prepared_turns(self._state, self._frontend, self._cell, start)
            opened = contextlib.ExitStack()
            try:
                with held_back():  # delays an interrupt: a half-opened view could not be closed
                    self._make_view()
                    opened.callback(self._view.close)
                self._client = self._state.client.get()  # the first cell may have to wait until the client is open
                with held_back():
                    self._send(turns)
                yield
            except BaseException:
                # Without an exception the view stays open: a comparison keeps its buttons.
                with held_back(drop=True), opened:
                    self._let_go()
                raise
            else:
                self._let_go()

    async def run_async(self) -> list[SessionAwareResponse]:
        """Process events until the turns have ended, then `finish`. The kernel's loop runs other callbacks meanwhile."""
        while True:
            try:
                async for batch in self._stream.abatches():
                    for errand in self._process(batch):
                        result = await self._tools.call_async(errand.tool, errand.arguments, lambda: self._stream.stopped)
                        deliver(errand.result, result)
            except (asyncio.CancelledError, KeyboardInterrupt):
                # The cell was interrupted: `finish` raises an error, unless the turn had just ended. A second
                # interrupt ends this wait, and `open` cleans up.
                self.stop()
                async for batch in self._stream.abatches():
                    self._fold_rest(batch)
                    self._paint()
            if not self._sent_again():
                return self.finish()

    def texts(self) -> Iterator[str]:
        """Process events until the turns have ended, and yield the answer's text as it arrives. Blocks the thread."""
        while True:
            try:
                for batch in self._stream.batches():
                    for errand in self._process(batch):
                        deliver(errand.result, self._tools.call(errand.tool, errand.arguments))
                    # A kernel that shuts down waits for its threads, so a turn in a thread must stop. `run_async`
                    # need not: the main thread has ended by then.
                    if self._frontend.is_ending():
                        self.stop()
                    while self._texts:
                        yield self._texts.popleft()
            except KeyboardInterrupt:
                with held_back(drop=True):
                    self.stop_and_wait()
            if not self._sent_again():
                return

    def stop(self) -> None:
        """Interrupt every turn. The Stop button calls this, too."""
        self._stream.stop()

    def stop_and_wait(self) -> None:
        """Interrupt every turn and process the last events. Blocks the thread until the turns have ended."""
        self.stop()
        for batch in self._stream.batches():
            self._fold_rest(batch)
            self._paint()

    def finish(self) -> list[SessionAwareResponse]:
        """Settle the output and return the replies; called when the turns have ended.

        :raises ClaudeError: the turn failed; in a comparison, every turn failed. What had arrived stays in the cell.
        """
        with held_back():
            self._stream.result()
            failure = self._settle()
        if failure is not None:
            raise failure
        self._state.prepare_again(self._running[0].request, self._running[0].start)
        return [running.response for running in self._running]

    def _settle(self) -> ClaudeError | None:
        """Record how the turns ended and show the output that stays; return the error when there is no answer."""
        for questions in self._questions:
            self._state.client.own_questions.extend(questions.release())  # a helper may still wait for them
        elapsed_s = time.monotonic() - self._began
        outcomes = [running.outcome(self._cell, elapsed_s) for running in self._running]
        self._is_settling = True
        ended, chosen, is_current = self._state.end(outcomes)
        for running in self._running:
            if running.was_played:
                # Claude has not read the context of a played turn: the next live one must send it.
                self._cell.notebook.not_sent(running.turn.number)
        current = chosen + 1 if is_current else 0
        replies = [*map(_settled, self._running, ended, outcomes)]
        if len(replies) > 1:
            self._state.keep_comparison(Comparison(replies, self._view))
        response, failure = outcomes[chosen].response, outcomes[chosen].failure
        put = self._state.code_cells.put
        if self._cell.options.code and failure is None and (said := put(response, self._cell_id, self._tools.add_cell)):
            fold(response, Notice(said))
        self._view.settle(replies, current=current, on_pick=self._pick)
        if self._main:
            self._state.own_turns.has_output(ended[chosen], self._frontend.adds_to(self._view))
        for running in self._running:
            running.response.structured = running.value  # only now: the view shows the JSON, not the value made from it
        return failure

    def _make_view(self) -> None:
        """Open the view and its questions. This comes before anything is sent, so that every event can be seen."""
        self._view = self._frontend.view(
            [choice.label for choice in self._choices],
            quiet=self._cell.options.quiet,
            for_audience=self._state.settings.presentation,
            on_stop=self.stop,
        )
        options = self._cell.options
        can = {"buttons": self._buttons, "adds_cells": not (options.no_kernel or options.bare)}
        self._questions = [Questions(self._frontend, self._view, number, **can) for number, _ in enumerate(self._choices, 1)]

    def _send(self, turns: list[RunningTurn]) -> None:
        for running in turns:
            running.turn = self._state.begin(self._cell, running.request.prompt, running.start, self._cell_id)
            if running.request.prompt.context:
                self._cell.notebook.sent(running.turn.number)
        self._stream = self._state.client.background.stream(partial(self._run_all, turns))
        self._running = turns

    async def _run_all(self, turns: list[RunningTurn], put: Callable[[Numbered], None]) -> None:
        """Run the turns side by side; called on the background thread."""
        async with anyio.create_task_group() as group:
            for index, running in enumerate(turns):
                group.start_soon(running.run, self._client, QueueHost(index, put), self._state.sessions)

    def _sent_again(self) -> bool:
        """If the session is gone, send the prompt again from the last turn that still exists, or in a new session.

        :returns: whether it was sent again.
        """
        first = self._running[0]  # in a comparison `is_default` is false, so nothing is sent again
        origin, lost = first.start.origin, first.answer
        if origin is None or not first.start.is_default or not isinstance(lost, SessionNotFoundError):
            return False
        self._state.take_back(first.turn)
        self._cell.notebook.not_sent(first.turn.number)
        session = self._state.sessions.get(origin.session_id)
        if session and self._state.sessions.is_played(session):
            was = f"The session {origin.session_id[:8]} was only played from a recording here"
        elif isinstance(lost, SessionLostError):
            was = lost.message.rstrip(".")
        else:
            was = f"The session {origin.session_id[:8]} is gone"
        start = self._state.instead_of(origin.session_id)
        self._state.forget(origin.session_id)
        turns = prepared_turns(self._state, self._frontend, self._cell, start, first.remarks)
        now = f"this goes on from turn {start.parent}" if start.origin else "this is a new one, without the earlier turns"
        for running in turns:
            fold(running.response, Notice(f"{was}; {now}."))
        self._send(turns)
        return True

    def _let_go(self) -> None:
        """Stop the turns, and settle them if an error prevented `finish` from doing it."""
        if self._running:
            self.stop()
            if not self._is_settling:
                for batch in self._stream.batches():
                    self._fold_rest(batch)
                # The error that ended the cell is already being raised; a second one would hide it.
                with contextlib.suppress(Exception):
                    self._settle()
        if self._main:
            self._frontend.forget_failed_display()

    def _process(self, batch: list[Numbered]) -> Iterator[Errand]:
        """Process a batch and paint it; yield each tool call, in order, for the caller to run."""
        # What the CLI asked between turns, or what the last cell left unanswered, is asked in the first turn of this cell.
        while self._state.client.own_questions and self._main:
            self._waiting.append((0, self._state.client.own_questions.popleft()))
        self._waiting.extend(batch)
        while self._waiting:
            index, item = self._waiting.popleft()
            if isinstance(item, Errand):
                self._paint()
                with held_back():
                    self._view.make_room()
                yield item
                if self._tools.has_shown:
                    self._view.go_on_below(self._running[index].response)
            else:
                self._take(index, item)
        for running, questions in zip(self._running, self._questions, strict=True):
            for remark in questions.put_unheard():
                fold(running.response, Notice(remark))
        self._paint()

    def _take(self, index: int, item: Event | Question) -> None:
        match item:
            case Question():
                self._paint()
                if remark := self._questions[index].put(item):
                    fold(self._running[index].response, Notice(remark))
            case event:
                # The client folds it, too, into its own response on its own thread. The view reads the cell's response.
                fold(self._running[index].response, event)
                if isinstance(event, TextDelta) and self.stream is not None:
                    self._texts.append(event.text)

    def _fold_rest(self, batch: list[Numbered]) -> None:
        """Fold events after an interrupt or an error. Questions and tool calls are dropped."""
        self._waiting.extend(batch)
        while self._waiting:
            index, item = self._waiting.popleft()
            if not isinstance(item, Errand | Question):
                self._take(index, item)

    def _paint(self) -> None:
        with held_back():  # a half-drawn view could not be drawn again
            for questions in self._questions:
                questions.tidy()
            for number, running in enumerate(self._running, 1):
                if isinstance(running.answer, ClaudeError):
                    self._view.fail(number, running.answer)
            # Once all turns have ended, the settled output shows the last events.
            responses = [running.response for running in self._running]
            if any(response.ended is None for response in responses):
                self._view.update(responses, time.monotonic() - self._began)

    def _pick(self, number: int) -> None:
        # The picked session may have been deleted: then the current session stays as it is.
        with contextlib.suppress(SessionNotFoundError):
            self._state.pick(number)


def _settled(running: RunningTurn, turn: Turn, outcome: Outcome) -> SettledReply:
    from claude_magic._render.settled.reply import SettledReply

    number = turn.number if turn.end else None
    return SettledReply(outcome.response, number, outcome.failure, note=running.note, about=turn.about(), label=running.label)


async def run_async(state: KernelState, frontend: Frontend, cell: CellRequest) -> list[SessionAwareResponse]:
    """Run the turns of an async cell and show them.

    :raises ClaudeError: the turn failed; in a comparison, every turn failed. What had arrived stays in the cell.
    """
    turns = CellTurns(state, frontend, cell, buttons=True)
    with turns.open():
        return await turns.run_async()


def run(state: KernelState, frontend: Frontend, cell: CellRequest) -> list[SessionAwareResponse]:
    """Run the turns of a cell and show them. Blocks the thread.

    :raises ClaudeError: the turn failed; in a comparison, every turn failed. What had arrived stays in the cell.
    """
    turns = CellTurns(state, frontend, cell, buttons=False)
    with turns.open():
        for _ in turns.texts():
            pass
        return turns.finish()


def stream(state: KernelState, frontend: Frontend, cell: CellRequest) -> Iterator[str]:
    """Run the turn of a cell and yield the answer's text as it arrives. Closing the generator early stops the turn.

    :raises ClaudeError: the turn failed.
    """
    turns = CellTurns(state, frontend, cell, buttons=False)
    generator = _texts(turns)
    turns.stream = weakref.ref(generator)
    return generator


def _texts(turns: CellTurns) -> Generator[str]:
    with turns.open():
        try:
            yield from turns.texts()
        except GeneratorExit:
            turns.stop_and_wait()
            with contextlib.suppress(ClaudeError):  # it says that the turn was stopped
                turns.finish()
            raise
        turns.finish()
