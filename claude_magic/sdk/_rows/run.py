"""Runs one prompt over many rows: decides which row is next, handles its answer, and ends the run.

Rows are numbered, looked up in the checkpoint and counted against the budget here. `workers` and `executor` send them.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import anyio

from claude_magic.errors import APIError, CheckpointError, ClaudeError, ConfigError
from claude_magic.sdk._rows.checkpoint import Answer, Checkpoint
from claude_magic.sdk._rows.executor import ExecutorAsker
from claude_magic.sdk._rows.limits import Brake, Progress, Purse
from claude_magic.sdk._rows.request import ONE_ARM, Arm, RowsRequest
from claude_magic.sdk._rows.results import RowOutcome
from claude_magic.sdk._rows.work import Rows, Template, no_rows
from claude_magic.sdk._rows.workers import ENDS_THE_RUN, Again, Asker, OneWorker, Reply, RowWork, workers
from claude_magic.sdk.config import ClaudeConfig, TurnOptions

_LATER_OPTIONS: Final = ("style", "mcp")
"""Options that were added after the first release of checkpoints."""

NOT_FOUND: Final = 404
"""The API's status for a model that it does not know."""

MISFITS: Final = 10
"""If this many prompts were tried and none could be filled, the run ends: the template is wrong."""

Take = Callable[[RowOutcome], Awaitable[object]]
"""Called with the outcome of each row as it comes."""


@dataclass(slots=True)
class _Row:
    """One row in one way: what is sent once."""

    outcome: RowOutcome
    """The outcome as known before sending; it is final if the row need not be sent."""
    prompt: str = ""
    key: bytes = b""
    """Its key in the checkpoint; empty without one."""
    attempts: int = 0
    """How often it was sent without an answer."""

    @property
    def is_settled(self) -> bool:
        return self.outcome.error is not None or self.outcome.from_checkpoint


class RowRun:
    """A run over many rows that is ready to start: its template and schema are valid. Each row is checked when it is read.

    :param config: the settings of the CLI and of all rows; `None` for the defaults.
    :param arms: the ways to send each row, each a variant with a model; the outcomes of one row have consecutive positions.
    :param check: looks at the first row before anything is sent, and raises `ConfigError` if the row does not fit.
    :param progress: the progress to continue, if this run follows others that are shown together with it.
    :raises ConfigError: for an invalid template, rows or schema.
    """

    def __init__(
        self,
        request: RowsRequest,
        config: ClaudeConfig | None = None,
        *,
        arms: tuple[Arm, ...] = ONE_ARM,
        check: Callable[[Any], object] = lambda row: None,
        progress: Progress | None = None,
    ) -> None:
        self._request = request
        self._arms = arms
        self._check = check
        self.template = Template(request.template)
        self._schema = request.schema
        config = config or ClaudeConfig()
        # The CLI repeats refused requests itself, after the delay that the API names.
        env = {**config.env, "CLAUDE_CODE_MAX_RETRIES": str(request.max_retries)}
        self._config = replace(config, env=env, tools=())
        schema = self._schema.text if self._schema else None
        options = self._config.options(replace(request.options, schema=schema))
        timeout_s = request.timeout_s or self._config.default_timeout
        self._works = {
            model: RowWork(
                self._config,
                replace(options, model=model) if model else options,
                request.concurrency,
                request.max_retries,
                timeout_s,
            )
            for model in dict.fromkeys(arm.model for arm in arms)
        }
        self._unknown_models: dict[str | None, APIError] = {}
        """The error of each model that the API does not know."""
        self.rows = Rows.of(request.rows)
        total = None if self.rows.total is None else self.rows.total * len(arms)
        self.progress = progress or Progress()
        self.progress.total = None if total is None else self.progress.done + total
        self.stopped = ""
        """Why the run ended before its last row."""
        self.remarks: list[str] = []
        self._waiting = enumerate((row, arm) for row in self.rows.items for arm in arms)
        self._has_filled = False
        """Whether a row has filled the template."""
        self._misfits: list[_Row] = []
        """The rows read before any has filled the template."""
        self._ready: deque[_Row] = deque()
        """Rows that were read and are not under way. Those to be sent again are in front."""
        self._under_way = 0
        """How many rows are sent and not yet answered."""
        self._came_back = asyncio.Event()
        """Set when a row under way was answered or must be sent again, and by `_fail`."""
        self._failure: ClaudeError | None = None
        self._pulling = asyncio.Lock()
        self._purse = Purse(request.budget_usd, self.progress.cost_usd)
        self._checkpoint: Checkpoint | None = None

    async def run(self, take: Take) -> None:
        """Run every row, and pass on the outcome of each as it comes. Cancelling this stops the run.

        :raises ClaudeError: why the run could not continue, or why a row failed if `on_error` is `raise`.
        """
        request = self._request
        with contextlib.ExitStack() as stack:
            if request.checkpoint is not None:
                works = [(request.template, _known_by(work.options)) for work in self._works.values()]
                self._checkpoint = stack.enter_context(contextlib.closing(Checkpoint(request.checkpoint, *works)))
                if others := self._checkpoint.others():
                    self.remarks.append(
                        f"The checkpoint also holds {others:,} replies to other prompts, models or schemas; they stay."
                    )
            askers = await self._askers(stack)
            try:
                async with anyio.create_task_group() as group:
                    for asker, model in zip(askers, itertools.cycle(self._works), strict=False):
                        group.start_soon(self._use, asker, model, take, group)
            finally:
                with anyio.CancelScope(shield=True):
                    await asyncio.gather(*(asker.aclose() for asker in set(askers)))
        if self._failure is not None:
            raise self._failure

    async def _askers(self, stack: contextlib.ExitStack) -> Sequence[Asker]:
        """Return an asker for each task that `run` starts. A task that is started later shares the asker of its starter."""
        if self._request.executor is not None:
            asker = ExecutorAsker(self._request.executor, self._works)
            await asker.check()
            return [asker]
        brake = Brake()
        make = {model: stack.enter_context(workers(work, brake)) for model, work in self._works.items()}
        # At most one worker for each prompt.
        concurrency = self._request.concurrency
        count = min(concurrency, (self.rows.total or concurrency) * len(self._arms))
        return [OneWorker(make) for _ in range(count)]

    async def _use(self, asker: Asker, model: str | None, take: Take, group: anyio.abc.TaskGroup) -> None:
        """Send a model's prompts through an asker; when none is at hand, those of another model."""
        models = list(self._works)
        try:
            while rows := await self._pull(model, asker.room, take):
                if asker.wants_another():  # another task, for the next model
                    another = models[(models.index(model) + 1) % len(models)]
                    group.start_soon(self._use, asker, another, take, group)
                await self._ask(asker, rows, take)
        except ClaudeError as error:
            self._fail(error)

    async def _ask(self, asker: Asker, rows: list[_Row], take: Take) -> None:
        left = dict(enumerate(rows))

        async def settle(place: int, reply: Reply) -> None:
            await self._settle(left.pop(place), reply, take)

        try:
            await asker.ask([row.prompt for row in rows], self._model_of(rows[0].outcome), settle)
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
                    self._checkpoint.put(row.key, reply, self._work_of(row.outcome))
                except CheckpointError as unwritten:  # the answer has been paid for, so it is passed on
                    self._fail(unwritten)
        else:
            error = reply.error if isinstance(reply, Again) else reply
            error.mask(self._config.env)
            if isinstance(error, APIError) and error.status == NOT_FOUND:  # every other row with this model would fail, too
                self._unknown_models.setdefault(self._model_of(row.outcome), error)
            outcome = replace(row.outcome, error=error, cost_usd=error.cost_usd or 0.0)
        await self._purse.pay(outcome.cost_usd)
        self._one_came_back()
        await self._finish(outcome, take)

    async def _finish(self, outcome: RowOutcome, take: Take) -> None:
        self.progress.add(outcome)
        await take(outcome)
        if outcome.error is not None and (self._request.on_error == "raise" or isinstance(outcome.error, ENDS_THE_RUN)):
            self._fail(outcome.error)

    def fail(self, error: ClaudeError) -> None:
        """If `on_error` is `raise`, end the run with this error, such as a missing score. Thread-safe."""
        if self._request.on_error == "raise":
            self._failure = self._failure or error

    def _fail(self, error: ClaudeError | None) -> None:
        self._failure = self._failure or error
        self._came_back.set()

    async def _give_back(self, rows: Sequence[_Row]) -> None:
        self._ready.extendleft(reversed(rows))
        for _ in rows:
            await self._purse.give_back()
            self._one_came_back()

    def _one_came_back(self) -> None:
        self._under_way -= 1
        self._came_back.set()

    async def _pull(self, model: str | None, room: int, take: Take) -> list[_Row]:
        """Return up to `room` rows to send, all for `model` or, if none is at hand, for one other model. `[]` ends the task.

        Rows that need not be sent are passed on here.
        """
        rows: list[_Row] = []
        async with self._pulling:  # rows are numbered and looked up in order
            while len(rows) < room and not self.stopped and self._failure is None:
                row = self._next(self._model_of(rows[0].outcome) if rows else model, only=bool(rows))
                if row is None:
                    if rows or not self._under_way or self._failure:
                        break
                    # A row under way may come back without an answer.
                    self._came_back.clear()
                    await self._came_back.wait()
                elif row.is_settled:
                    await self._finish(row.outcome, take)
                elif unknown := self._unknown_models.get(self._model_of(row.outcome)):
                    await self._finish(replace(row.outcome, error=unknown, asked=False), take)
                elif self._purse.take_now() if rows else await self._purse.take():  # waits only without a row in hand
                    rows.append(row)
                    self._under_way += 1
                else:
                    self._ready.appendleft(row)
                    if not rows:
                        self.stopped = f"the next row would exceed the budget of ${self._request.budget_usd:g}"
                    break
            if self._failure is not None:
                await self._give_back(rows)
                rows.clear()
            return rows

    def _next(self, model: str | None, *, only: bool) -> _Row | None:
        """Return the next row for a model; if there is none, and not `only`, one for another model. It may be settled already.

        A task keeps its process on one model: the CLI (2.1.332) can change the model, but sends the API an extra request for
        each name that is not an alias.
        """
        while True:
            for place, row in enumerate(self._ready):
                if row.is_settled or self._model_of(row.outcome) == model:
                    del self._ready[place]
                    return row
            if len(self._ready) >= 2 * self._request.concurrency * len(self._works) or not self._read_one():
                return self._ready.popleft() if self._ready and not only and self._failure is None else None

    def _read_one(self) -> bool:
        """Read one more row. Return False if there is none, or the run has failed."""
        try:
            position, (row, arm) = next(self._waiting)
        except StopIteration:
            if not self._has_filled:
                self._fail(self._misfits[0].outcome.error if self._misfits else no_rows())
            return False
        except Exception as error:  # noqa: BLE001 - the person's code may compute the rows
            failure = ConfigError(
                f"After {self.progress.done:,} replies, reading the rows failed with {type(error).__name__}: {error}.",
                next_step="The replies are in the error's `results`, and in the checkpoint if you named one.",
            )
            failure.__cause__ = error
            self._fail(failure)
            return False
        try:
            if position == 0:
                self._check(row)
        except ConfigError as error:  # the whole run would be useless, not just this row
            self._fail(error)
            return False
        try:
            prompt = self.template.fill(row, arm.variant)
        except ConfigError as error:
            misfit = _Row(RowOutcome(position, row, error=error, asked=False))
            if self._has_filled:
                self._ready.append(misfit)
                return True
            self._misfits.append(misfit)
            if len(self._misfits) == MISFITS:  # then the template is wrong, not the row
                self._fail(self._misfits[0].outcome.error)
            return self._failure is None
        self._has_filled = True
        self._ready.extend([*self._misfits, self._known(position, row, prompt)])
        self._misfits.clear()
        return True

    def _known(self, position: int, row: Any, prompt: str) -> _Row:
        outcome = RowOutcome(position, row)
        key = self._checkpoint.key(prompt, self._work_of(outcome)) if self._checkpoint else b""
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
        usage, cost_usd, duration_s = answer.usage, answer.cost_usd, answer.duration_s
        return replace(outcome, value=value, error=error, usage=usage, cost_usd=cost_usd, duration_s=duration_s)

    def _model_of(self, outcome: RowOutcome) -> str | None:
        return self._arms[outcome.position % len(self._arms)].model

    def _work_of(self, outcome: RowOutcome) -> int:
        return list(self._works).index(self._model_of(outcome))


async def stream_each(request: RowsRequest, config: ClaudeConfig | None = None) -> AsyncGenerator[RowOutcome, None]:
    """Yield the outcome of each row as it comes, in any order, and keep none: memory does not grow with the rows.

    Leaving early stops the run. Errors are those of `ask_each`, whose parameters `request` holds.
    """
    run = RowRun(request, config)
    # A slow reader slows down the run.
    send, receive = anyio.create_memory_object_stream[RowOutcome](request.concurrency)

    async def hand_on(outcome: RowOutcome) -> None:
        with contextlib.suppress(anyio.BrokenResourceError):  # nobody reads any more
            await send.send(outcome)

    async def feed() -> None:
        async with send:
            await run.run(hand_on)

    task = asyncio.create_task(feed())
    try:
        async with receive:
            async for outcome in receive:
                yield outcome
        await task
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait([task])


def _known_by(options: TurnOptions) -> dict[str, object]:
    """Return the options that are part of a checkpoint's keys. Later options count only if set, so older files still match."""
    return {name: own for name, own in asdict(options).items() if own is not None or name not in _LATER_OPTIONS}
