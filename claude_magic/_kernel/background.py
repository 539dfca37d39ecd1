"""One background thread with an event loop, calls of functions on that thread, and streams of items from it.

The CLI processes run on that loop, so that they go on while a cell blocks. The cell's thread reads the items in batches: with
`for` (the cell blocks) or with `async for` (the kernel stays responsive).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import Future
from functools import partial
from queue import Empty, SimpleQueue
from types import FrameType
from typing import Any, Generic, TypeVar

import anyio
from anyio.from_thread import BlockingPortal, start_blocking_portal

from claude_magic._libraries import quiet_library
from claude_magic.errors import ClaudeError, ConfigError

T = TypeVar("T")
R = TypeVar("R")

_FORKED = "This process was forked from the kernel, and only the kernel can use its connection to Claude."
_USE_THREADS = (
    "Use threads: ThreadPoolExecutor, or joblib with prefer='threads'. "
    "A worker process can make a ClaudeClient (claude_magic.sdk) of its own."
)

BATCH_INTERVAL_S = 0.05
"""At most 20 batches a second: browsers paint smoothly at that rate, and the server drops messages above 1,000 a second."""

TICK_S = 0.1
"""An interrupt cancels an async cell, but does not wake the kernel's loop (ipykernel 7.4), so a timer must wake it."""


@contextlib.contextmanager
def held_back(*, drop: bool = False) -> Iterator[None]:
    """Delay an interrupt until the block has ended. The block must be short: the person waits for it.

    :param drop: whether to ignore the interrupt instead, because the turn is being stopped already.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came = False

    def note(number: int, frame: FrameType | None) -> None:
        nonlocal came
        came = True

    before = signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
        if came and not drop:
            signal.raise_signal(signal.SIGINT)


class Background:
    """A thread whose event loop runs until `close`. A forked child has no such thread: there, calls raise at once.

    :raises ClaudeError: the thread or its loop cannot be created, as when too many files are open.
    """

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._exit = contextlib.ExitStack()
        # On Windows ipykernel 6 and 7.1 set a policy whose loops cannot start processes.
        options: dict[str, Any] = {}
        if sys.platform == "win32":
            options["loop_factory"] = asyncio.ProactorEventLoop
        portal = start_blocking_portal(backend_options=options, name="claude-magic")
        try:
            with quiet_library("asyncio"):  # it logs the selector of each new loop
                self._portal: BlockingPortal = self._exit.enter_context(portal)
        except (OSError, RuntimeError) as error:  # Python raises RuntimeError if there can be no more threads
            raise ClaudeError(
                f"The thread for Claude could not be started: {getattr(error, 'strerror', '') or error}.",
                next_step="Close files or processes, or allow more: `ulimit -n 4096` in the shell that starts Jupyter.",
            ) from error

    def check_process(self) -> None:
        """Raise a `ConfigError` in a forked child of the process that has the thread."""
        if self.is_forked:
            raise ConfigError(_FORKED, next_step=_USE_THREADS)

    @property
    def is_forked(self) -> bool:
        """Whether this is a forked child of the process that has the thread."""
        return os.getpid() != self._pid

    def call(self, function: Callable[..., Awaitable[R]], *args: Any) -> R:
        """Run a coroutine function on the thread; block until it ends, and return its result."""
        self.check_process()
        return self._portal.call(function, *args)

    def start(self, function: Callable[..., Awaitable[R]], *args: Any) -> Future[R]:
        """Run a coroutine function on the thread; return its future at once."""
        self.check_process()
        return self._portal.start_task_soon(function, *args)

    def stream(self, work: Callable[[Callable[[T], None]], Awaitable[R]]) -> Stream[T, R]:
        """Run `work(put)` on the thread; the items that it puts come out of the stream."""
        self.check_process()
        return Stream(self._portal, work)

    def close(self) -> None:
        """End the loop and the thread; everything on it must be closed before. In a forked child this does nothing."""
        if not self.is_forked:
            self._exit.close()


class Stream(Generic[T, R]):
    """The items that a task on the background thread puts, in batches, and the result of the task."""

    def __init__(self, portal: BlockingPortal, work: Callable[[Callable[[T], None]], Awaitable[R]]) -> None:
        self._portal = portal
        self._items: deque[T] = deque()
        self._changed: SimpleQueue[None] = SimpleQueue()
        self._ended: SimpleQueue[None] = SimpleQueue()
        self._wake: Callable[[], object] = partial(self._changed.put, None)
        self._has_ended = False
        self._scope: anyio.CancelScope | None = None
        self.stopped = False
        """Whether `stop` was called."""
        self._future: Future[R | None] = portal.start_task_soon(self._run, work)
        self._future.add_done_callback(lambda _: self._end())

    def stop(self) -> None:
        """Cancel the task; the stream ends when the task has cleaned up. Callable from any thread, more than once."""
        self.stopped = True
        with contextlib.suppress(RuntimeError):  # the thread has ended, and the task with it
            self._portal.start_task_soon(self._cancel)

    def result(self) -> R | None:
        """Return the task's result after the stream has ended, or raise its exception; `None` if it was stopped."""
        return self._future.result()

    def batches(self) -> Iterator[list[T]]:
        """Yield the items so far, and block in between. Empty batches come, too, so that the caller can look at the clock."""
        while True:
            finished = self._has_ended
            yield self._drain()
            if finished:
                return
            began = time.monotonic()
            _wait(self._changed, TICK_S)
            _wait(self._ended, BATCH_INTERVAL_S - (time.monotonic() - began))

    async def abatches(self) -> AsyncIterator[list[T]]:
        """Yield the items so far; the loop of this thread runs in between."""
        loop = asyncio.get_running_loop()
        changed, ended = asyncio.Event(), asyncio.Event()
        self._future.add_done_callback(lambda _: loop.call_soon_threadsafe(ended.set))
        self._wake = lambda: loop.call_soon_threadsafe(changed.set)
        while True:
            finished = self._has_ended
            yield self._drain()
            if finished:
                return
            began = time.monotonic()
            await _set_or_due(changed, TICK_S)
            changed.clear()
            await _set_or_due(ended, BATCH_INTERVAL_S - (time.monotonic() - began))
            ended.clear()

    def _end(self) -> None:
        self._has_ended = True
        self._ended.put(None)
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
            if self.stopped:
                self._scope.cancel()
            return await work(self._put)
        return None

    def _cancel(self) -> None:
        if self._scope is not None:
            self._scope.cancel()


def _wait(tokens: SimpleQueue[None], limit_s: float) -> None:
    """Wait for a token, or until the limit.

    A queue, because `threading.Event` and a future's `done` are written in Python (3.11): an interrupt between two of their
    steps can leave their lock taken. The background thread would then wait for that lock for ever.
    """
    with contextlib.suppress(Empty):
        tokens.get(timeout=max(0.0, limit_s))


async def _set_or_due(event: asyncio.Event, delay_s: float) -> None:
    """Wait for the event, or set it after the delay.

    Not by `wait_for`, which cancels a wait: its `CancelledError` would be the context of the next exception in the cell.
    """
    timer = asyncio.get_running_loop().call_later(max(0.0, delay_s), event.set)
    try:
        await event.wait()
    finally:
        timer.cancel()
