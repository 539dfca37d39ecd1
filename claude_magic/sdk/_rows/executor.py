"""Runs rows in an executor's workers: chunks of prompts go out, and the replies come back.

An executor can only call a function and wait. A lost worker loses its chunk, and a busy API is reported only at a chunk's end,
so chunks are short. Prompts, options and the config with its `env` are sent; rows, checkpoint, budget and order stay with the
run.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import pickle
import pkgutil
import uuid
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future
from dataclasses import replace
from typing import Any, Final, TypeVar

import anyio

from claude_magic._version import __version__
from claude_magic.errors import APIError, ClaudeError, ConfigError, ExecutorError
from claude_magic.sdk._rows.limits import Brake
from claude_magic.sdk._rows.warm_pool import ChunkReply, WorkerID, answer_chunk, close_pool, other_version, own_id
from claude_magic.sdk._rows.workers import Again, Busy, RowWork, Settle

R = TypeVar("R")

START_CHUNKS: Final = 4
"""How many chunks are out at first. The number grows until a chunk has to wait for a worker."""

ROWS_OF_A_SLICE: Final = 4
"""About how many rows of a chunk one process runs: its slice."""

SLICE_S: Final = (1.0, 10.0)
"""The least and the most seconds after which a chunk starts no more rows."""

MAX_CHUNK: Final = 250
"""The most rows of a chunk."""

LOST_CHUNKS: Final = 10
"""The run ends when this many chunks, one after another, were lost because their workers failed."""

STOP_S: Final = 5.0
"""How long a stopped run waits for chunks that run: their answers have been paid for."""

CLOSE_S: Final = 5.0
"""How long the end of a run waits for workers to end their processes. A worker that is not reached ends them by itself."""


class ExecutorAsker:
    """The workers of an executor, each with a pool of warm processes of its own.

    :param executor: an executor of `concurrent.futures`, or a client of Dask.
    :param works: the common settings of each model's rows; a worker has one pool for each model.
    :raises ConfigError: if it is not an executor, or the work cannot be sent to it.
    """

    def __init__(self, executor: Executor | Any, works: Mapping[str | None, RowWork]) -> None:
        self._executor = _executor_of(executor)
        self._concurrency = next(iter(works.values())).concurrency
        try:
            self._packed = {model: pickle.dumps(replace(work, gives_back=True)) for model, work in works.items()}
        except (pickle.PicklingError, TypeError, AttributeError) as error:
            raise ConfigError(
                f"The config cannot be sent to the executor's workers: {error}.",
                next_step="Give plain values; nothing was sent.",
            ) from error
        run = uuid.uuid4().hex
        self._runs = {model: f"{run} {number}" for number, model in enumerate(works)}
        """By model: the name that its pool has in every worker."""
        self._brake = Brake()
        self._users = 1
        """How many tasks send chunks; `_most_users` is how many may."""
        self._most_users = START_CHUNKS
        self._row_s: float | None = None
        """How many seconds a row takes in one process, on average."""
        self._lost = 0
        """How many chunks, one after another, have been lost."""
        self._calls = itertools.count()
        self._out: list[Future[ChunkReply]] = []
        """The chunks that are out, oldest first."""
        self._workers: set[WorkerID] = set()
        self._threads: set[tuple[WorkerID, int]] = set()
        """The worker threads that have been seen; each can run one call at a time."""

    async def check(self) -> None:
        """Raise `ExecutorError` if a worker lacks this package or has another version; nothing was sent."""
        # A function of the standard library, which every worker has.
        future = self._submit(pkgutil.resolve_name, "claude_magic:__version__")
        try:
            await _ended(future)
        except asyncio.CancelledError:
            future.cancel()
            raise
        if (failure := _failure_of(future)) is not None:
            raise failure
        version = future.result()
        if version != __version__:
            raise other_version(version, __version__)

    @property
    def room(self) -> int:
        if self._row_s is None:
            return self._concurrency
        return min(MAX_CHUNK, max(1, round(self._slice_s / self._row_s)) * self._concurrency)

    def wants_another(self) -> bool:
        if self._users >= self._most_users:
            return False
        self._users += 1
        return True

    async def ask(self, prompts: Sequence[str], model: str | None, settle: Settle) -> None:
        await self._brake.wait()
        began = anyio.current_time()
        call = next(self._calls)
        future = self._submit(
            answer_chunk, __version__, self._runs[model], call, self._packed[model], tuple(prompts), self._slice_s
        )
        self._out.append(future)
        try:
            await _ended(future)
        except asyncio.CancelledError:
            # Dask does not report which calls run; we assume the oldest.
            begun = self._out[: max(1, len(self._threads))]
            if future in begun or not future.cancel():
                with anyio.move_on_after(STOP_S, shield=True), contextlib.suppress(ClaudeError):
                    # If workers are threads of this process, this stops them at once.
                    await asyncio.to_thread(close_pool, self._runs.values())
                    await _ended(future)
                    if _failure_of(future) is None:
                        await self._hand_over(future.result(), settle)
            raise
        finally:
            self._out.remove(future)
        if (failure := _failure_of(future)) is not None:
            self._lost += 1
            if self._lost == LOST_CHUNKS:
                raise failure
            for place in range(len(prompts)):
                await settle(place, Again(failure))
            return
        self._lost = 0
        self._learn(future.result(), anyio.current_time() - began)
        await self._hand_over(future.result(), settle)

    async def aclose(self) -> None:
        left = self._workers - {own_id()}
        with anyio.move_on_after(CLOSE_S), contextlib.suppress(ExecutorError):
            await asyncio.to_thread(close_pool, self._runs.values())
            while left:
                # An executor cannot choose a worker. One that was just called is busy, so the next call reaches another one.
                futures = [self._submit(close_pool, tuple(self._runs.values()), next(self._calls)) for _ in self._workers]
                for future in futures:
                    await _ended(future)
                found = {future.result() for future in futures if _failure_of(future) is None}
                if not found & left:
                    return
                left -= found

    async def _hand_over(self, reply: ChunkReply, settle: Settle) -> None:
        self._brake.hold(reply.hold_s)
        for place, one in enumerate(reply.replies):
            if isinstance(one, Busy):
                message = f"The API has too much to do: {one.status}."
                await settle(place, Again(APIError(message, status=one.status, next_step="Ask again for this row later.")))
            elif one is not None:
                await settle(place, one)

    def _learn(self, reply: ChunkReply, elapsed_s: float) -> None:
        self._workers.add(reply.worker)
        self._threads.add((reply.worker, reply.thread))
        if answered := sum(one is not None for one in reply.replies):
            row_s = max(reply.took_s, 1e-3) * min(self._concurrency, answered) / answered
            self._row_s = row_s if self._row_s is None else (self._row_s + row_s) / 2
        if elapsed_s < 1.25 * reply.took_s and self._users == self._most_users:
            self._most_users += 1

    @property
    def _slice_s(self) -> float:
        least, most = SLICE_S
        return min(most, max(least, ROWS_OF_A_SLICE * (self._row_s or 0.0)))

    def _submit(self, function: Callable[..., R], *args: Any) -> Future[R]:
        try:
            future = self._executor.submit(function, *args)
        except Exception as error:  # any executor may raise anything: it accepts no more work
            raise _takes_no_work(error) from error
        if not isinstance(future, Future):
            raise ConfigError(
                f"The executor's submit() returned a {type(future).__name__}, not a future of concurrent.futures.",
                next_step="Give an executor of concurrent.futures, or a synchronous client of Dask.",
            )
        return future


def _executor_of(given: Any) -> Any:
    try:
        executor = given.get_executor() if hasattr(given, "get_executor") else given
    except Exception as error:  # for an asynchronous client, Dask raises a plain Exception
        raise ConfigError(f"The client gives no executor: {error}.", next_step="Make a synchronous client.") from error
    if not callable(getattr(executor, "submit", None)):
        raise ConfigError(
            f"The executor cannot be of type {type(executor).__name__}.",
            next_step="Give one of concurrent.futures, or a client of Dask; nothing was sent.",
        )
    return executor


def _takes_no_work(error: BaseException) -> ExecutorError:
    return ExecutorError(
        f"The executor takes no more work: {type(error).__name__}: {error}.",
        next_step="Make a new one and ask again; with a checkpoint, the new run goes on where this one ended.",
    )


async def _ended(future: Future[Any]) -> None:
    """Return when the future is done. If it were awaited itself, its cancellation would look like this task's."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()

    def wake(_: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
            loop.call_soon_threadsafe(ended.set)

    future.add_done_callback(wake)
    await ended.wait()


def _failure_of(future: Future[Any]) -> ExecutorError | None:
    """Return why a worker did not do its work, `None` if it did.

    :raises ClaudeError: if the same would happen to every worker.
    """
    error = None if future.cancelled() else future.exception()
    match error:
        case None if not future.cancelled():
            return None
        case ClaudeError():
            raise error
        case BrokenExecutor():
            raise _takes_no_work(error) from error
        case ImportError() | AttributeError():
            raise ExecutorError(
                f"The executor's workers cannot use claude_magic: {type(error).__name__}: {error}.",
                next_step=f"Install it where they run: pip install claude_magic=={__version__}",
            ) from error
    said = "its work was cancelled" if error is None else f"{type(error).__name__}: {error}"
    failure = ExecutorError(f"A worker of the executor did not answer: {said}.", next_step="Look at its log, and ask again.")
    failure.__cause__ = error
    return failure
