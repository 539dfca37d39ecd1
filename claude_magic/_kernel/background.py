"""One thread with an event loop, and the way into it and out of it.

The CLI processes live on that loop, so that they go on while a cell blocks. The main thread calls in, and iterates out of it
in batches: a stream can be read with `for` (the cell blocks) or with `async for` (the kernel stays responsive).
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

import anyio
from anyio.from_thread import BlockingPortal, start_blocking_portal

from claude_magic._forks import OwnProcess
from claude_magic._quiet_library import quiet_library
from claude_magic.errors import ClaudeError

T = TypeVar("T")
R = TypeVar("R")

_FORKED = "Claude is at work for the kernel's own process, and this one was forked from it."
_USE_THREADS = (
    "Use threads: ThreadPoolExecutor, or joblib with prefer='threads'. "
    "A worker process can make a ClaudeClient (claude_magic.sdk) of its own."
)

BATCH_INTERVAL_S = 0.05
"""At most 20 batches a second: browsers paint smoothly at that rate, and the server drops more than 1,000 messages a second."""

TICK_S = 0.1
"""An interrupt cancels an async cell but does not wake the kernel's loop (ipykernel 7.4): something must come due."""


class Background:
    """A thread whose event loop runs until `close`. A forked child has no such thread, and is told so instead of waiting.

    :raises ClaudeError: when the system has no room for it.
    """

    def __init__(self) -> None:
        self._process = OwnProcess()
        self._exit = contextlib.ExitStack()
        # Under the policy that ipykernel 6 and 7.1 set on Windows a loop could start no process.
        options: dict[str, Any] = {}
        if sys.platform == "win32":
            options["loop_factory"] = asyncio.ProactorEventLoop
        portal = start_blocking_portal(backend_options=options, name="claude-magic")
        try:
            with quiet_library("asyncio"):  # which says of each loop what it selects with
                self._portal: BlockingPortal = self._exit.enter_context(portal)
        except OSError as error:
            raise ClaudeError(
                f"The thread for Claude could not be started: {error.strerror or error}.",
                next_step="Close files or processes, or allow more: `ulimit -n 4096` in the shell that starts Jupyter.",
            ) from error

    def check_process(self) -> None:
        """Refuse to go on in a forked child of the process that the thread runs in.

        :raises ConfigError: there.
        """
        self._process.check(_FORKED, _USE_THREADS)

    @property
    def is_forked(self) -> bool:
        """Whether this is a forked child of the process that the thread runs in."""
        return self._process.is_forked

    def call(self, function: Callable[..., Awaitable[R]], *args: Any) -> R:
        """Run a coroutine function over there, block until it returns, and return what it returns."""
        self.check_process()
        return self._portal.call(function, *args)

    def start(self, function: Callable[..., Awaitable[R]], *args: Any) -> Future[R]:
        """Run a coroutine function over there and return its future at once."""
        self.check_process()
        return self._portal.start_task_soon(function, *args)

    def stream(self, work: Callable[[Callable[[T], None]], Awaitable[R]]) -> Stream[T, R]:
        """Run `work(put)` over there; what it puts comes out of the stream."""
        self.check_process()
        return Stream(self._portal, work)

    def close(self) -> None:
        """End the loop and the thread; everything on it must have been closed before. In a forked child both are another's."""
        if not self.is_forked:
            self._exit.close()


class Stream(Generic[T, R]):
    """What a task on the background thread puts, in batches, and in the end what it returns."""

    def __init__(self, portal: BlockingPortal, work: Callable[[Callable[[T], None]], Awaitable[R]]) -> None:
        self._portal = portal
        self._items: deque[T] = deque()
        self._changed = threading.Event()
        self._ended = threading.Event()
        self._wake: Callable[[], object] = self._changed.set
        self._scope: anyio.CancelScope | None = None
        self._stopped = False
        self._future: Future[R | None] = portal.start_task_soon(self._run, work)
        self._future.add_done_callback(lambda _: self._end())

    def stop(self) -> None:
        """Cancel the task; the stream ends when it has cleaned up. Callable from any thread, more than once."""
        self._stopped = True
        with contextlib.suppress(RuntimeError):  # the thread has ended, and the task with it
            self._portal.start_task_soon(self._cancel)

    @property
    def stopped(self) -> bool:
        """Whether somebody asked it to stop."""
        return self._stopped

    def result(self) -> R | None:
        """Return what the task returned, once the stream has ended; `None` when it was stopped before.

        :raises Exception: what the task raised.
        """
        return self._future.result()

    def batches(self) -> Iterator[list[T]]:
        """Yield what has come, block in between; an empty batch now and then lets the caller look at the clock."""
        while True:
            finished = self._future.done()
            yield self._drain()
            if finished:
                return
            began = time.monotonic()
            self._changed.wait(TICK_S)
            self._changed.clear()
            self._ended.wait(BATCH_INTERVAL_S - (time.monotonic() - began))

    async def abatches(self) -> AsyncIterator[list[T]]:
        """Yield what has come, and let the loop of this thread go on in between."""
        loop = asyncio.get_running_loop()
        changed, ended = asyncio.Event(), asyncio.Event()
        self._future.add_done_callback(lambda _: loop.call_soon_threadsafe(ended.set))
        self._wake = lambda: loop.call_soon_threadsafe(changed.set)
        while True:
            finished = self._future.done()
            yield self._drain()
            if finished:
                return
            began = time.monotonic()
            await _set_or_due(changed, TICK_S)
            changed.clear()
            await _set_or_due(ended, BATCH_INTERVAL_S - (time.monotonic() - began))
            ended.clear()

    def _end(self) -> None:
        self._ended.set()
        self._wake()

    def _drain(self) -> list[T]:
        return [self._items.popleft() for _ in range(len(self._items))]

    def _put(self, item: T) -> None:
        first = not self._items
        self._items.append(item)
        if first:
            self._wake()

    async def _run(self, work: Callable[[Callable[[T], None]], Awaitable[R]]) -> R | None:
        with anyio.CancelScope() as self._scope:
            if self._stopped:
                self._scope.cancel()
            return await work(self._put)
        return None

    def _cancel(self) -> None:
        if self._scope is not None:
            self._scope.cancel()


async def _set_or_due(event: asyncio.Event, delay_s: float) -> None:
    """Wait for the event, or set it after the delay.

    Cancelling the wait instead would leave its `CancelledError` as the context of whatever the cell raises next.
    """
    timer = asyncio.get_running_loop().call_later(max(0.0, delay_s), event.set)
    try:
        await event.wait()
    finally:
        timer.cancel()
