"""A run over many rows: which row is asked next, what becomes of its answer, and when the run ends.

Leaves to `asking` and `executor` who asks. Rows are numbered, looked up in the checkpoint and paid for here.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import anyio

from claude_magic.errors import CheckpointError, ClaudeError, ConfigError
from claude_magic.sdk._rows.asking import Again, Asker, OneWorker, Reply
from claude_magic.sdk._rows.checkpoint import Answer, Checkpoint
from claude_magic.sdk._rows.executor import ExecutorAsker
from claude_magic.sdk._rows.limits import Brake, Progress, Purse
from claude_magic.sdk._rows.request import RowsRequest
from claude_magic.sdk._rows.results import RowOutcome
from claude_magic.sdk._rows.work import Rows, Template, no_rows
from claude_magic.sdk._rows.workers import ENDS_THE_RUN, RowWork, Workers
from claude_magic.sdk.config import ClaudeConfig

_LATER_OPTIONS: Final = ("style", "mcp")

MISFITS: Final = 10
"""After how many rows that do not fill the template it is the template's fault."""

Take = Callable[[RowOutcome], Awaitable[object]]


@dataclass(slots=True)
class _Row:
    outcome: RowOutcome
    """What is known of it before it is asked: all there is, where it need not be asked."""
    prompt: str = ""
    key: bytes = b""
    attempts: int = 0
    """How often it was asked in vain."""

    @property
    def is_settled(self) -> bool:
        return self.outcome.error is not None or self.outcome.from_checkpoint


class RowRun:
    """A run over many rows, made ready: what cannot be meant is said before anything is sent.

    :param config: how the CLI is found and started.
    :raises ConfigError: for a template, rows or a schema that cannot be meant.
    """

    def __init__(self, request: RowsRequest, config: ClaudeConfig | None = None) -> None:
        self._request = request
        self._template = Template(request.template)
        self._schema = request.schema
        config = config or ClaudeConfig()
        # The CLI asks again itself, and then waits as long as the API says.
        env = {**config.env, "CLAUDE_CODE_MAX_RETRIES": str(request.max_retries)}
        self._config = replace(config, env=env, tools=())
        schema = self._schema.text if self._schema else None
        self._work = RowWork(
            self._config,
            self._config.options(replace(request.options, schema=schema)),
            request.concurrency,
            request.max_retries,
            request.timeout_s or self._config.default_timeout,
        )
        self.rows = Rows.of(request.rows)
        self.progress = Progress(self.rows.total)
        self.stopped = ""
        """Why the run ended before its last row."""
        self.remarks: list[str] = []
        self._waiting = enumerate(self.rows.items)
        self._has_filled = False
        """Whether a row has filled the template."""
        self._again: deque[_Row] = deque()
        """Rows that were handed out and have come back."""
        self._under_way = 0
        self._came_back = asyncio.Event()
        self._failure: ClaudeError | None = None
        self._pulling = asyncio.Lock()
        self._purse = Purse(request.budget_usd)
        self._checkpoint: Checkpoint | None = None

    async def run(self, take: Take) -> None:
        """Ask every row, and hand over the outcome of each as it comes; cancelling it stops the run.

        :raises ClaudeError: why the run could not go on, or why a row failed where `on_error` is `raise`.
        """
        request = self._request
        with contextlib.ExitStack() as stack:
            if request.checkpoint is not None:
                options = asdict(self._work.options)
                # Checkpoints from before these options existed have keys without them.
                known = {name: own for name, own in options.items() if own is not None or name not in _LATER_OPTIONS}
                work = (request.template, known)
                self._checkpoint = stack.enter_context(contextlib.closing(Checkpoint(request.checkpoint, work)))
                if others := self._checkpoint.others():
                    self.remarks.append(f"The checkpoint also holds {others:,} rows of other work; they stay.")
            askers = await self._askers(stack)
            try:
                async with anyio.create_task_group() as group:
                    for asker in askers:
                        group.start_soon(self._use, asker, take, group)
            finally:
                with anyio.CancelScope(shield=True):
                    await asyncio.gather(*(asker.aclose() for asker in set(askers)))
        if self._failure is not None:
            raise self._failure

    async def _askers(self, stack: contextlib.ExitStack) -> Sequence[Asker]:
        """Return who asks, once for each task that uses him."""
        if self._request.executor is not None:
            asker = ExecutorAsker(self._request.executor, self._work)
            await asker.check()
            return [asker]
        workers = stack.enter_context(Workers(self._work, Brake()))
        # One worker for each row that there is, at most.
        count = min(self._work.concurrency, self.rows.total or self._work.concurrency)
        return [OneWorker(workers.new()) for _ in range(count)]

    async def _use(self, asker: Asker, take: Take, group: anyio.abc.TaskGroup) -> None:
        try:
            while rows := await self._pull(asker.room, take):
                if asker.wants_another():
                    group.start_soon(self._use, asker, take, group)
                await self._ask(asker, rows, take)
        except ClaudeError as error:
            self._fail(error)

    async def _ask(self, asker: Asker, rows: list[_Row], take: Take) -> None:
        left = dict(enumerate(rows))

        async def settle(place: int, reply: Reply) -> None:
            await self._settle(left.pop(place), reply, take)

        try:
            await asker.ask([row.prompt for row in rows], settle)
        finally:
            with anyio.CancelScope(shield=True):
                await self._give_back(list(left.values()))

    async def _settle(self, row: _Row, reply: Reply, take: Take) -> None:
        row.attempts += isinstance(reply, Again)
        if isinstance(reply, Again) and row.attempts <= self._request.max_retries:
            await self._give_back([row])
            return
        if isinstance(reply, Answer):
            outcome = self._outcome(row.outcome, reply)
            if self._checkpoint is not None and outcome.error is None:
                try:
                    self._checkpoint.put(row.key, reply)
                except CheckpointError as full:  # the answer has been paid for: it is handed over
                    self._fail(full)
        else:
            error = reply.error if isinstance(reply, Again) else reply
            error.leave_out(self._config.env)
            outcome = replace(row.outcome, error=error)
        await self._purse.pay(outcome.cost_usd)
        self._count_back()
        await self._finish(outcome, take)

    async def _finish(self, outcome: RowOutcome, take: Take) -> None:
        self.progress.add(outcome)
        await take(outcome)
        if outcome.error is not None and (self._request.on_error == "raise" or isinstance(outcome.error, ENDS_THE_RUN)):
            self._fail(outcome.error)

    def _fail(self, error: ClaudeError | None) -> None:
        self._failure = self._failure or error
        self._came_back.set()

    async def _give_back(self, rows: Sequence[_Row]) -> None:
        self._again.extendleft(reversed(rows))
        for _ in rows:
            await self._purse.give_back()
            self._count_back()

    def _count_back(self) -> None:
        self._under_way -= 1
        self._came_back.set()

    async def _pull(self, room: int, take: Take) -> list[_Row]:
        """Return the next rows that are to be asked; none when the run ends."""
        rows: list[_Row] = []
        async with self._pulling:  # rows are numbered, and found in the checkpoint, in their order
            while len(rows) < room and not self.stopped and self._failure is None:
                row = self._next()
                if row is None:
                    if rows or not self._under_way or self._failure:
                        break
                    # It may come back unanswered.
                    self._came_back.clear()
                    await self._came_back.wait()
                elif row.is_settled:
                    await self._finish(row.outcome, take)
                elif self._purse.take_now() if rows else await self._purse.take():
                    rows.append(row)
                    self._under_way += 1
                else:
                    self._again.appendleft(row)
                    if not rows:
                        self.stopped = f"the next row would exceed the budget of ${self._request.budget_usd:g}"
                    break
            if self._failure is not None:
                await self._give_back(rows)
                rows.clear()
            return rows

    def _next(self) -> _Row | None:
        """Return the next row; with an outcome already, where it need not be asked."""
        misfits: list[_Row] = []
        while not self._again:
            try:
                position, row = next(self._waiting)
            except StopIteration:
                if not self._has_filled:
                    self._fail(misfits[0].outcome.error if misfits else no_rows())
                return None
            except Exception as error:  # noqa: BLE001 - the rows may be computed by any code of the person's
                failure = ConfigError(
                    f"The rows ended after {self.progress.done:,} with {type(error).__name__}: {error}.",
                    next_step="What was answered is in the error's `results`, and in the checkpoint where there is one.",
                )
                failure.__cause__ = error
                self._fail(failure)
                return None
            try:
                prompt = self._template.fill(row)
            except ConfigError as error:
                misfit = _Row(RowOutcome(position, row, error=error, asked=False))
                if self._has_filled:
                    return misfit
                misfits.append(misfit)
                if len(misfits) == MISFITS:  # it is the template then, not the row
                    self._fail(misfits[0].outcome.error)
                    return None
                continue
            self._has_filled = True
            self._again.extend([*misfits, self._known(position, row, prompt)])
        return self._again.popleft()

    def _known(self, position: int, row: Any, prompt: str) -> _Row:
        key = self._checkpoint.key(prompt) if self._checkpoint else b""
        outcome = RowOutcome(position, row)
        answer = self._checkpoint.get(key) if self._checkpoint else None
        if answer is not None:
            outcome = replace(self._outcome(outcome, answer), from_checkpoint=True)
        return _Row(outcome, prompt, key)

    def _outcome(self, outcome: RowOutcome, answer: Answer) -> RowOutcome:
        error: ClaudeError | None = None
        value: Any = answer.content
        if self._schema is not None:
            try:
                value = self._schema.load(answer.structured)
            except ClaudeError as misfit:
                value, error = None, misfit
        return replace(outcome, value=value, error=error, usage=answer.usage, cost_usd=answer.cost_usd)
