"""The functions that an executor calls in its workers. They send a chunk of rows to the warm processes of the worker.

A worker has a pool for each model of a run, on the event loop of a separate thread. The pool ends when the run says so, when
it has not been used for a while, and with the worker: no CLI outlives the process that started it.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import pickle
import socket
import sys
import threading
from collections.abc import AsyncIterator, Iterable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, Final

import anyio

from claude_magic._version import __version__
from claude_magic.errors import ClaudeError, ExecutorError
from claude_magic.sdk._rows.checkpoint import Answer
from claude_magic.sdk._rows.limits import Brake
from claude_magic.sdk._rows.workers import ENDS_THE_RUN, Busy, RowWork, Worker, workers

IDLE_S: Final = 20.0
"""A pool ends after this time without a row, as its run may have ended without telling it."""

WorkerID = tuple[str, int]
"""The machine and the process ID of a worker."""


@dataclass(frozen=True, slots=True)
class ChunkReply:
    """The result of a chunk: for each prompt an answer, an error, `Busy`, or `None` if it was not sent."""

    replies: tuple[Answer | ClaudeError | Busy | None, ...]
    took_s: float
    """Seconds from the start of the first row to the end of the last."""
    hold_s: float
    """For how many seconds the API wants no requests."""
    worker: WorkerID
    thread: int
    """The worker's thread that was called."""


def answer_chunk(version: str, run: str, call: int, packed: bytes, prompts: Sequence[str], slice_s: float) -> ChunkReply:
    """Run these rows and return the result; start none after `slice_s` seconds.

    :param run: names a run and one of its models, and so the pool.
    :param call: differs for each call, because Dask may reuse the result of an equal call.
    :param packed: the `RowWork` of that run and model, pickled.
    :raises ExecutorError: if this worker has another version of this package.
    """
    if version != __version__:
        raise other_version(__version__, version)
    while True:
        # Both steps are atomic, so no lock is needed. A lock would stay locked in a process that is forked meanwhile.
        key = (os.getpid(), run)
        pool = _pools.get(key) or _pools.setdefault(key, WarmPool(packed))
        if pool.enter():
            break
        if _pools.get(key) is pool:
            _pools.pop(key, None)
    try:
        return pool.answer(prompts, slice_s)
    finally:
        pool.leave()


def close_pool(runs: Iterable[str], call: int = 0) -> WorkerID:
    """End the pools with these names in this worker, if there are any. `call` is as in `answer_chunk`."""
    for run in runs:
        if pool := _pools.pop((os.getpid(), run), None):
            pool.close()
    return own_id()


def own_id() -> WorkerID:
    """Return a value that identifies this process."""
    return socket.gethostname(), os.getpid()


def other_version(there: str, here: str) -> ExecutorError:
    """Return the error for a worker with another version of this package."""
    return ExecutorError(
        f"A worker of the executor has claude_magic {there}, and here it is {here}.",
        next_step=f"Install the same version there: pip install claude_magic=={here}",
    )


class _Chunk:
    def __init__(self, prompts: Sequence[str], slice_s: float) -> None:
        self.prompts = prompts
        self.slice_s = slice_s
        self.replies: list[Answer | ClaudeError | Busy | None] = [None] * len(prompts)
        self._scope: anyio.CancelScope | None = None
        self._stopped = False

    def stop(self) -> None:
        """End the chunk with the replies so far. Call this in its event loop."""
        self._stopped = True
        if self._scope is not None:
            self._scope.cancel()

    @contextlib.asynccontextmanager
    async def stoppable(self) -> AsyncIterator[None]:
        """Leave this context when the chunk is stopped."""
        with anyio.CancelScope() as self._scope:
            if self._stopped:
                self._scope.cancel()
            yield


class WarmPool:
    """The warm processes for one model of a run, in this process. Several threads may use them at once.

    :param packed: the `RowWork`, pickled.
    """

    def __init__(self, packed: bytes) -> None:
        self._work: RowWork = pickle.loads(packed)
        self._lock = threading.Lock()
        self._users = 0
        self._uses = 0
        self._closed = False
        self._thread: threading.Thread | None = None
        self._loop: Future[asyncio.AbstractEventLoop] = Future()
        self._brake = Brake()
        self._idle: list[Worker] = []
        self._chunks: dict[asyncio.Task[Any], _Chunk] = {}

    def enter(self) -> bool:
        """Keep the pool open until `leave`; return False if it is closed already."""
        with self._lock:
            if self._closed:
                return False
            self._users += 1
            self._uses += 1
            if self._thread is None:
                # A daemon: the end of the process must not wait for a thread that its owner does not know.
                self._thread = threading.Thread(target=self._run, name="claude-rows", daemon=True)
                self._thread.start()
            return True

    def leave(self) -> None:
        """Let the pool end if it is not used for a while."""
        with self._lock:
            self._users -= 1
            if not self._closed and self._loop.exception() is None:
                loop = self._loop.result()
                loop.call_soon_threadsafe(loop.call_later, IDLE_S, self._end_if_unused, self._uses)

    def answer(self, prompts: Sequence[str], slice_s: float) -> ChunkReply:
        """Run these rows and return the result; start none after `slice_s` seconds. Blocks the thread."""
        loop, chunk = self._loop.result(), _Chunk(prompts, slice_s)
        asked = asyncio.run_coroutine_threadsafe(self._answer(chunk), loop)
        try:
            took_s, hold_s = asked.result()
        except KeyboardInterrupt:
            # A notebook's interrupt reaches all processes of its group. Replies that have come are passed on.
            loop.call_soon_threadsafe(chunk.stop)
            took_s, hold_s = asked.result()
        return ChunkReply(tuple(chunk.replies), took_s, hold_s, own_id(), threading.get_ident())

    def close(self) -> None:
        """End its processes and its thread. Running chunks return the replies so far."""
        with self._lock:
            self._closed = True
            thread = self._thread
        if thread is not None:
            if self._loop.exception() is None:
                self._loop.result().call_soon_threadsafe(self._ending.set)
            thread.join()

    def _run(self) -> None:
        factory = None
        if sys.platform == "win32":  # some programs set an event loop policy that cannot start processes
            factory = asyncio.ProactorEventLoop
        try:
            with asyncio.Runner(loop_factory=factory) as runner:
                runner.run(self._serve())
        except BaseException as error:
            if self._loop.done():
                raise
            self._loop.set_exception(error)  # for threads that wait for the loop

    async def _serve(self) -> None:
        self._ending = asyncio.Event()
        self._free = asyncio.Semaphore(self._work.concurrency)
        with workers(self._work, self._brake) as self._new_worker:
            self._loop.set_result(asyncio.get_running_loop())
            await self._ending.wait()
            for chunk in self._chunks.values():
                chunk.stop()
            if self._chunks:
                await asyncio.wait(self._chunks)
            await asyncio.gather(*(worker.aclose() for worker in self._idle))

    def _end_if_unused(self, uses: int) -> None:
        with self._lock:
            if self._users or self._uses != uses or self._closed:
                return
            self._closed = True
        self._ending.set()

    async def _answer(self, chunk: _Chunk) -> tuple[float, float]:
        task = asyncio.current_task()
        assert task is not None
        self._chunks[task] = chunk
        waiting = iter(enumerate(chunk.prompts))
        began: float | None = None

        async def lane() -> None:
            nonlocal began
            async with self._free:
                began = began or anyio.current_time()
                worker = self._idle.pop() if self._idle else self._new_worker()
                try:
                    for place, prompt in waiting:
                        chunk.replies[place] = reply = await self._reply(worker, prompt)
                        if anyio.current_time() > began + chunk.slice_s or isinstance(reply, (Busy, *ENDS_THE_RUN)):
                            return
                finally:
                    self._idle.append(worker)

        try:
            async with chunk.stoppable(), anyio.create_task_group() as group:
                for _ in range(min(self._work.concurrency, len(chunk.prompts))):
                    group.start_soon(lane)
        finally:
            del self._chunks[task]
        return anyio.current_time() - (began or anyio.current_time()), self._brake.left_s

    async def _reply(self, worker: Worker, prompt: str) -> Answer | ClaudeError | Busy | None:
        if self._brake.left_s:
            return None
        try:
            return await worker.ask(prompt)
        except (ClaudeError, Busy) as error:
            return error


_pools: dict[tuple[int, str], WarmPool] = {}
"""Keyed by process, because a forked one inherits it, and by run. A worker has no other state that outlives a call."""
