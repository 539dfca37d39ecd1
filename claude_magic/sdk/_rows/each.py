"""One prompt over many rows: rows go to workers, what comes back goes to the checkpoint and to the caller.

`stream_each` hands the outcomes on as they come and keeps none; `_trials.asking` collects them.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, Literal

import anyio

from claude_magic.errors import APIError, CheckpointError, ClaudeError, ConfigError, NotLoggedInError
from claude_magic.sdk._log import ClientLog
from claude_magic.sdk._rows.arms import ONE_ARM, Arm
from claude_magic.sdk._rows.checkpoint import Answer, Checkpoint
from claude_magic.sdk._rows.results import RowOutcome
from claude_magic.sdk._rows.work import Rows, Template
from claude_magic.sdk._rows.workers import Brake, Worker
from claude_magic.sdk._turn.runner import TurnRunner
from claude_magic.sdk._workspaces import working_directory
from claude_magic.sdk.config import ClaudeConfig, TurnOptions
from claude_magic.sdk.content import Prompt
from claude_magic.sdk.host import nobody_answers
from claude_magic.sdk.response import SessionAwareResponse
from claude_magic.sdk.schema import Schema
from claude_magic.sdk.turn_request import TurnRequest

PROJECT_FROM_ROWS: Final = 20
"""After how many answered rows the cost of the whole is told."""

CONCURRENCY: Final = 4
"""How many rows are asked at once, unless another number is given."""

NOT_FOUND: Final = 404
"""What the API answers for a model that it does not know."""

OnError = Literal["return", "raise"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RowsRequest:
    """What is asked of which rows, and within what limits.

    `options` hold for every row, `timeout_s` bounds one. `budget_usd` bounds the whole run, in US dollars.

    :raises ConfigError: for what cannot be meant.
    """

    template: str
    rows: object
    options: TurnOptions = field(default_factory=lambda: TurnOptions(bare=True))
    schema: Schema | None = None
    timeout_s: float | None = None
    concurrency: int = CONCURRENCY
    checkpoint: str | os.PathLike[str] | None = None
    budget_usd: float | None = None
    max_retries: int = 3
    on_error: OnError = "return"

    def __post_init__(self) -> None:
        for name, least in (("concurrency", 1), ("max_retries", 0)):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < least:
                raise ConfigError(f"{name} is {value!r}; it must be a whole number, at least {least}.")
        if self.budget_usd is not None and not self.budget_usd > 0:
            raise ConfigError(f"budget_usd is {self.budget_usd}; it must be more than 0.")
        if self.on_error not in ("return", "raise"):
            raise ConfigError(f"on_error {self.on_error!r} is neither 'return' nor 'raise'.")
        if not isinstance(self.template, str):
            raise ConfigError(f"The template is no text, but of type {type(self.template).__name__}.")


@dataclass(slots=True)
class Progress:
    """How far a run is."""

    total: int | None = None
    done: int = 0
    failed: int = 0
    kept: int = 0
    """Rows that the checkpoint answered."""
    asked: int = 0
    """Rows that were answered or refused in this run."""
    cost_usd: float = 0.0

    def add(self, outcome: RowOutcome) -> None:
        """Count a row."""
        self.done += 1
        self.failed += outcome.error is not None
        self.kept += outcome.from_checkpoint
        if outcome.asked and not outcome.from_checkpoint:
            self.asked += 1
            self.cost_usd += outcome.cost_usd

    @property
    def projected_usd(self) -> float | None:
        """What the run will cost in all, as far as can be told; `None` before enough rows have been answered."""
        if self.total is None or self.asked < min(PROJECT_FROM_ROWS, self.total):
            return None
        return self.cost_usd / self.asked * (self.total - self.kept) if self.asked else 0.0


@dataclass(slots=True)
class _Purse:
    """The budget of a run: a row begins only when the dearest row so far would still fit in."""

    budget_usd: float | None
    spent_usd: float = 0.0
    dearest_usd: float | None = None
    under_way: int = 0
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)

    async def take(self) -> bool:
        """Wait until it is known whether one more row fits in, and return that."""
        if self.budget_usd is None:
            return True
        async with self.changed:
            while not self._fits():
                if self.under_way == 0:
                    return False
                await self.changed.wait()
            self.under_way += 1
        return True

    async def pay(self, cost_usd: float) -> None:
        """Take note of what a row has cost."""
        if self.budget_usd is None:
            return
        async with self.changed:
            self.under_way -= 1
            self.spent_usd += cost_usd
            self.dearest_usd = max(cost_usd, self.dearest_usd or 0.0)
            self.changed.notify_all()

    def _fits(self) -> bool:
        assert self.budget_usd is not None
        if self.dearest_usd is None:  # the first row goes alone: it tells what a row costs
            return self.under_way == 0 and self.spent_usd < self.budget_usd
        # A millionth for what binary fractions cannot say.
        return self.spent_usd + (self.under_way + 1) * self.dearest_usd <= self.budget_usd * (1 + 1e-6)


class RowRun:
    """A run over many rows, made ready: what cannot be meant is said before anything is sent.

    :param config: how the CLI is found and started.
    :param arms: in how many ways each row is asked; the outcomes of one row have places next to each other.
    :param check: looks at the first row before anything is sent, and raises `ConfigError` for one that does not fit.
    :param progress: of which this run is a later part.
    :raises ConfigError: for a template, rows or a schema that cannot be meant.
    :raises CheckpointError: when the checkpoint is something else.
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
        # The CLI asks again itself, and then waits as long as the API says.
        env = {**config.env, "CLAUDE_CODE_MAX_RETRIES": str(request.max_retries)}
        self._config = replace(config, env=env)
        schema = self._schema.text if self._schema else None
        self._options = self._config.options(replace(request.options, schema=schema))
        self._options_of = {
            arm.model: replace(self._options, model=arm.model) if arm.model else self._options for arm in self._arms
        }
        self._refused: dict[str | None, APIError] = {}
        self.rows = Rows.of(request.rows)
        total = None if self.rows.total is None else self.rows.total * len(arms)
        self.progress = progress or Progress()
        self.progress.total = None if total is None else self.progress.done + total
        self.stopped = ""
        """Why the run ended before its last row."""
        self.remarks: list[str] = []
        self._waiting = enumerate((row, arm) for row in self.rows.items for arm in arms)
        self._failure: ClaudeError | None = None
        self._pulling = asyncio.Lock()
        self._held: deque[tuple[bytes, str, RowOutcome]] = deque()
        self._checkpoint: Checkpoint | None = None

    async def run(self, take: Callable[[RowOutcome], Awaitable[object]]) -> None:
        """Ask every row, and hand over the outcome of each as it comes; cancelling it stops the run.

        :raises ClaudeError: why the run could not go on, or why a row failed where `on_error` is `raise`.
        """
        request = self._request
        log = ClientLog(self._config)
        runner = TurnRunner(
            self._config, log, tools=(), asks=False, on_own_turn=lambda response: None, on_own_question=nobody_answers
        )
        turn = TurnRequest(
            prompt=Prompt(""),
            directory=working_directory(),
            options=self._options,
            trusted=self._config.trusted,
            use_tools=False,
        )

        def make(options: TurnOptions) -> Worker:
            return Worker(
                lambda: runner.unkept(replace(turn, options=options)),
                options,
                brake,
                retries=request.max_retries,
                timeout_s=request.timeout_s or self._config.default_timeout,
            )

        brake, purse = Brake(), _Purse(request.budget_usd, self.progress.cost_usd)
        with contextlib.ExitStack() as stack:
            stack.callback(log.close)
            if request.checkpoint is not None:
                works = [(request.template, asdict(options)) for options in self._options_of.values()]
                self._checkpoint = stack.enter_context(contextlib.closing(Checkpoint(request.checkpoint, *works)))
                if others := self._checkpoint.others():
                    self.remarks.append(f"The checkpoint also holds {others:,} rows of other work; they stay.")
            # One worker for each row that there is, at most.
            count = min(request.concurrency, (self.rows.total or request.concurrency) * len(self._arms))
            async with anyio.create_task_group() as group:
                models = list(self._options_of)
                for number in range(count):
                    group.start_soon(self._work, make, models[number % len(models)], purse, take)
        if self._failure is not None:
            raise self._failure

    async def _work(
        self,
        make: Callable[[TurnOptions], Worker],
        preferred: str | None,
        purse: _Purse,
        take: Callable[[RowOutcome], Awaitable[object]],
    ) -> None:
        workers: dict[str | None, Worker] = {}
        try:
            while not self.stopped and self._failure is None:
                async with self._pulling:  # rows are numbered, and found in the checkpoint, in their order
                    found = self._next_for(preferred)
                    if found is None or self.stopped:
                        return
                    key, prompt, outcome = found
                    if outcome.error is None and not outcome.from_checkpoint and not await purse.take():
                        self.stopped = f"the next row would exceed the budget of ${self._request.budget_usd:g}"
                        return
                if outcome.error is None and not outcome.from_checkpoint:
                    model = self._model_of(outcome)
                    if model not in workers:
                        workers[model] = make(self._options_of[model])
                    outcome = await self._answered(workers[model], outcome, prompt, key)
                    await purse.pay(outcome.cost_usd)
                self.progress.add(outcome)
                await take(outcome)
                if outcome.error is not None and self._ends_the_run(outcome.error):
                    self._failure = self._failure or outcome.error
        except CheckpointError as error:
            self._failure = self._failure or error
        finally:
            with anyio.CancelScope(shield=True):
                for worker in workers.values():
                    await worker.aclose()

    def fail(self, error: ClaudeError) -> None:
        """End the run for what went wrong with an outcome afterwards, where `on_error` is `raise`; from any thread."""
        if self._request.on_error == "raise":
            self._failure = self._failure or error

    def _ends_the_run(self, error: ClaudeError) -> bool:
        # Without a login no other row would fare better.
        return self._request.on_error == "raise" or isinstance(error, NotLoggedInError)

    def _next_for(self, preferred: str | None) -> tuple[bytes, str, RowOutcome] | None:
        """Return a row that this model is to answer, soon or late another one: a process knows one model.

        The CLI (2.1.332) can change it, but asks the API about each name that is no alias, in a request of its own.
        """
        while self._failure is None:
            for place, (_, _, outcome) in enumerate(self._held):
                if self._model_of(outcome) == preferred or outcome.error is not None or outcome.from_checkpoint:
                    found = self._held[place]
                    del self._held[place]
                    return found
            pulled = self._next() if len(self._held) < 2 * self._request.concurrency else None
            if pulled is None:
                return self._held.popleft() if self._held and self._failure is None else None
            self._held.append(pulled)
        return None

    def _next(self) -> tuple[bytes, str, RowOutcome] | None:
        """Return the next row with its key and prompt; with an outcome already, where it needs not be asked."""
        try:
            position, (row, arm) = next(self._waiting, (-1, (None, ONE_ARM[0])))
        except Exception as error:  # noqa: BLE001 - the rows may be computed by any code of the person's
            self._failure = ConfigError(
                f"The rows ended after {self.progress.done:,} with {type(error).__name__}: {error}.",
                next_step="What was answered is in the error's `results`, and in the checkpoint where there is one.",
            )
            self._failure.__cause__ = error
            return None
        if position < 0:
            return None
        try:
            if position == 0:
                self._check(row)
            prompt = self.template.fill(row, arm.variant)
        except ConfigError as error:
            if position == 0:  # it is the template then, not the row
                self._failure = error
                return None
            return b"", "", RowOutcome(position, row, error=error, asked=False)
        key = self._checkpoint.key(prompt, self._work_of(RowOutcome(position, row))) if self._checkpoint else b""
        answer = self._checkpoint.get(key) if self._checkpoint else None
        if answer is None:
            return key, prompt, RowOutcome(position, row)
        return key, prompt, replace(self._outcome(position, row, answer), from_checkpoint=True)

    async def _answered(self, worker: Worker, outcome: RowOutcome, prompt: str, key: bytes) -> RowOutcome:
        if refused := self._refused.get(self._model_of(outcome)):
            return replace(outcome, error=refused, asked=False)
        try:
            response = await worker.ask(prompt)
        except ClaudeError as error:
            error.leave_out(self._config.env)
            if isinstance(error, APIError) and error.status == NOT_FOUND:  # no other row would fare better with this model
                self._refused.setdefault(self._model_of(outcome), error)
            return replace(outcome, error=error)
        found = self._outcome(outcome.position, outcome.row, answer := _answer(response))
        if self._checkpoint is not None and found.error is None:
            self._checkpoint.put(key, answer, self._work_of(outcome))
        return found

    def _model_of(self, outcome: RowOutcome) -> str | None:
        return self._arms[outcome.position % len(self._arms)].model

    def _work_of(self, outcome: RowOutcome) -> int:
        return list(self._options_of).index(self._model_of(outcome))

    def _outcome(self, position: int, row: Any, answer: Answer) -> RowOutcome:
        error: ClaudeError | None = None
        value: Any = answer.content
        if self._schema is not None:
            try:
                value = self._schema.load(answer.structured)
            except ClaudeError as misfit:
                value, error = None, misfit
        return RowOutcome(position, row, value, error, answer.usage, answer.cost_usd, answer.duration_s)


def _answer(response: SessionAwareResponse) -> Answer:
    return Answer(response.content, response.structured, response.usage, response.cost_usd or 0.0, response.duration_s)


async def stream_each(request: RowsRequest, config: ClaudeConfig | None = None) -> AsyncGenerator[RowOutcome, None]:
    """Yield the outcome of each row as it comes, not in order, and keep none: memory does not grow with the rows.

    Leaving early stops the run. Parameters and errors as of `ask_each`.
    """
    run = RowRun(request, config)
    # A slow reader holds the run back.
    send, receive = anyio.create_memory_object_stream[RowOutcome](request.concurrency)

    async def feed() -> None:
        async with send:
            await run.run(send.send)

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
