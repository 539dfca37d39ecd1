"""The interface through which a run sends rows to Claude, and warm processes that answer them, each in a new conversation.

`/clear` in a warm process is the fastest way to keep rows apart. Measured on 2 busy cores against an API that replies at once,
as multiples of a shell loop over `claude -p` (0.40 rows per second): a process for each row 2; one warm process with `/clear`
before each row 19; with `/clear` sent while the last reply is still being read 35; without clearing, so that the requests grow,
22. A whole run (`tests/bench/rows.py`): 12 with one row at once, 25 with two, 37 with four. A fork needs a process of its own,
and so is as slow as a process for each row. The CLI's `side_question`, which keeps nothing, wraps each prompt in 1.3 kB of
instructions. `--no-session-persistence` leaves no transcript on disk.

`/clear` puts 0.5 kB of notes before the next prompt (CLI 2.1.332). It is sent before the first row, too, so that the requests
of all rows are alike.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

import anyio

from claude_magic.errors import ClaudeError, CLIDiedError, CLINotFoundError, CLITooOldError, NotLoggedInError, TurnTimeoutError
from claude_magic.sdk import events
from claude_magic.sdk._cli.process import LiveProcess
from claude_magic.sdk._log import ClientLog
from claude_magic.sdk._rows.checkpoint import Answer
from claude_magic.sdk._rows.limits import Brake
from claude_magic.sdk._turn.runner import TurnRunner
from claude_magic.sdk._workspaces import working_directory
from claude_magic.sdk.config import ClaudeConfig, TurnOptions
from claude_magic.sdk.content import Prompt
from claude_magic.sdk.host import Listener, nobody_answers
from claude_magic.sdk.response import SessionAwareResponse, fold
from claude_magic.sdk.turn_request import TurnRequest

ROWS_PER_PROCESS: Final = 1_000
"""After this number of rows a process is replaced: in 900 rows it grows by 60 MB (CLI 2.1.332), while our process does not."""

ENDS_THE_RUN: Final = (NotLoggedInError, CLINotFoundError, CLITooOldError)
"""After one of these errors all other rows would fail, too."""

_BUSY: Final = (429, 529)
"""The API's statuses that tell us to wait."""

_CLEAR: Final = Prompt("/clear")


@dataclass(frozen=True, slots=True)
class RowWork:
    """The common settings of all rows of a run. It is also sent to workers elsewhere.

    `concurrency` is the number of processes in one pool. `retries` is how often a row is tried again after its process died.
    The CLI repeats requests that the API refuses; with `gives_back`, a row is given back instead if the API is overloaded.
    """

    config: ClaudeConfig
    options: TurnOptions
    concurrency: int
    retries: int
    timeout_s: float | None
    gives_back: bool = False


class Busy(Exception):
    """The API is overloaded, and the row has no reply."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


@dataclass(frozen=True, slots=True)
class Again:
    """A row got no answer for a reason outside it. If it is not tried again, `error` is its outcome."""

    error: ClaudeError


Reply = Answer | ClaudeError | Again

Settle = Callable[[int, Reply], Awaitable[None]]
"""Called with the position of a prompt among those given, and its reply."""


class Asker(Protocol):
    """Sends some rows at once. Several tasks may use it."""

    @property
    def room(self) -> int:
        """How many rows it can be given at once."""

    def wants_another(self) -> bool:
        """Return whether another task should use it as well. That task is then counted."""

    async def ask(self, prompts: Sequence[str], model: str | None, settle: Settle) -> None:
        """Send these prompts to a model, and settle each that was sent. It can return or fail before all are sent.

        :raises ClaudeError: if it can send no more rows.
        """

    async def aclose(self) -> None:
        """Close everything that it has started."""


@contextlib.contextmanager
def workers(work: RowWork, brake: Brake) -> Iterator[Callable[[], Worker]]:
    """Yield a function that makes (does not start) workers for a run. The run's log is open in the block."""
    with contextlib.closing(ClientLog(work.config)) as log:
        runner = TurnRunner(
            work.config, log, tools=(), asks=False, on_own_turn=lambda response: None, on_own_question=nobody_answers
        )
        turn = TurnRequest(
            prompt=Prompt(""), directory=working_directory(), options=work.options, trusted=work.config.trusted, use_tools=False
        )
        yield lambda: Worker(lambda: runner.unkept(turn), work, brake)


class Worker:
    """Answers rows one after the other in a warm process, which is replaced when it has ended.

    :param make: makes a process, not yet started.
    """

    def __init__(self, make: Callable[[], LiveProcess], work: RowWork, brake: Brake) -> None:
        self._make = make
        self._work = work
        self._brake = brake
        self._process: LiveProcess | None = None
        self._clearing: asyncio.Task[bool] | None = None

    async def ask(self, prompt: str) -> Answer:
        """Send the prompt in an empty conversation and return the reply.

        :raises TurnTimeoutError: if it took too long.
        :raises ClaudeError: why there is no reply.
        :raises Busy: if the API is overloaded and rows are then given back.
        """
        for left in reversed(range(self._work.retries + 1)):
            await self._brake.wait()
            try:
                response = await self._ask(prompt)
            except CLIDiedError:
                await self.aclose()
                if left == 0:
                    raise
            else:
                figures = response.usage, response.cost_usd or 0.0, response.duration_s
                return Answer(response.content, response.structured, *figures)
        raise AssertionError("a row is asked at least once")

    async def aclose(self) -> None:
        """End the process."""
        if self._process is not None:
            process, self._process = self._process, None
            await process.aclose()
        if self._clearing is not None:
            await asyncio.wait([self._clearing])
            self._clearing = None

    async def _ask(self, prompt: str) -> SessionAwareResponse:
        process = await self._cleared()
        response, timeout_s = SessionAwareResponse(), self._work.timeout_s
        busy: Busy | None = None
        scope = anyio.CancelScope()

        def take(event: events.Event) -> None:
            nonlocal busy
            if isinstance(event, events.Retrying) and event.status in _BUSY:
                self._brake.hold(event.delay_s)
                if self._work.gives_back:
                    busy = Busy(event.status)
                    scope.cancel()
            fold(response, event)

        try:
            with anyio.fail_after(timeout_s), scope:
                # The row is sent verbatim, whatever it contains.
                await process.run_turn(Prompt(prompt, verbatim=True), self._work.options, Listener(take))
        except TimeoutError as error:
            await self.aclose()
            raise TurnTimeoutError(f"The row took longer than {timeout_s:g} s.", content=response.arrived) from error
        except ClaudeError as error:
            error.cost_usd = response.cost_usd
            raise
        finally:
            # While the caller reads this reply, the process gets ready for the next row.
            if self._process is not None and process.alive:
                self._clearing = asyncio.create_task(self._clear(process))
        if busy is not None:
            raise busy
        return response

    async def _cleared(self) -> LiveProcess:
        if self._process is not None and self._clearing is not None:
            is_empty = await asyncio.shield(self._clearing)
            if is_empty and self._process.turns < 2 * ROWS_PER_PROCESS:
                return self._process
        await self.aclose()
        self._process = process = self._make()
        await process.start()
        if not await self._clear(process):
            raise CLIDiedError("The Claude CLI does not begin an empty conversation.")
        return process

    async def _clear(self, process: LiveProcess) -> bool:
        """Let the process begin an empty conversation; return whether it confirms that."""
        said: list[events.Event] = []
        try:
            await process.run_turn(_CLEAR, replace(self._work.options, schema=None), Listener(said.append))
        except ClaudeError:  # the process has ended, or was told to end
            return False
        return any(isinstance(event, events.SessionReplaced) for event in said)


class OneWorker:
    """Asks one row at a time in this process, by one worker per model; `make` holds what makes each."""

    room = 1

    def __init__(self, make: Mapping[str | None, Callable[[], Worker]]) -> None:
        self._make = make
        self._workers: dict[str | None, Worker] = {}

    def wants_another(self) -> bool:
        return False

    async def ask(self, prompts: Sequence[str], model: str | None, settle: Settle) -> None:
        if model not in self._workers:
            self._workers[model] = self._make[model]()
        for place, prompt in enumerate(prompts):
            try:
                reply: Reply = await self._workers[model].ask(prompt)
            except ClaudeError as error:
                reply = error
            await settle(place, reply)

    async def aclose(self) -> None:
        for worker in self._workers.values():
            await worker.aclose()
