"""Which live process serves which turn.

Turns of one session run in order. Different sessions run side by side up to a limit. A few idle processes stay warm, so that
the next turn need not start one. Only the pool starts and closes processes.
"""

from __future__ import annotations

import asyncio
import contextlib
import weakref
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

from claude_magic.errors import ClaudeError, ConfigError
from claude_magic.sdk._cli.command_line import Launch
from claude_magic.sdk._cli.process import LiveProcess
from claude_magic.sdk.host import BackgroundWork

FOREIGN_LOOP_S = 1.0
"""How long another loop may take to start work that we hand to it."""


class ProcessPool:
    """Lend processes to turns.

    :param make: makes a process for a launch, without starting it.
    :param max_processes: how many may be busy at once.
    :param max_warm: how many idle processes stay alive, for `idle_timeout_s` seconds after a turn.
    """

    def __init__(
        self, make: Callable[[Launch], LiveProcess], *, max_processes: int, max_warm: int, idle_timeout_s: float
    ) -> None:
        self._make = make
        self._max_processes = max_processes
        self._max_warm = max_warm
        self._idle_timeout_s = idle_timeout_s
        self._closed = False
        self._loop: asyncio.AbstractEventLoop | None = None
        """The event loop that its processes live in."""
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._busy = asyncio.Semaphore(self._max_processes)
        self._queues: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()
        self._processes: list[LiveProcess] = []
        """Least recently used first."""
        self._lent: set[LiveProcess] = set()
        self._expiries: dict[LiveProcess, asyncio.TimerHandle] = {}
        self._making_room = asyncio.Lock()
        self._closing: dict[LiveProcess, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @contextlib.asynccontextmanager
    async def lease(self, launch: Launch) -> AsyncIterator[LiveProcess]:
        """Lend a started process that continues `launch.resume`, or begins a session; wait until one is free.

        :raises CLINotFoundError: if the CLI does not start.
        :raises CLIDiedError: if the CLI ends before it listens.
        :raises ConfigError: if the pool is closed, or its processes live in another event loop.
        """
        await self._enter()
        async with self._queue(launch), self._busy:
            if self._closed:
                raise ConfigError("The client is closed.", next_step="Make a new one, or use this one inside its context.")
            process = await self._take(launch)
            try:
                yield process
            finally:
                self._give_back(process)

    def prepare(self, launch: Launch) -> None:
        """Start a process in the background for a turn that will probably come. Only that turn reports a failure.

        An idle one of that session is closed if it does not fit.
        """
        # The turn itself will make its own process and raise the error.
        with contextlib.suppress(ClaudeError):
            self._bind()
            for process in list(self._processes):
                if process not in self._lent and process not in self._closing and _continues(process, launch):
                    if process.launch.serves(launch):
                        return
                    self._close(process)
            process = self._make(launch)
            process.is_prepared = True
            self._processes.append(process)
            self._spawn(self._start_ahead(process))
            self._close_surplus()

    def warm(self, session_id: str) -> LiveProcess | None:
        """Return the live process of a session, if there is one."""
        return next((process for process in self._processes if process.alive and process.session_id == session_id), None)

    def keeps(self, launch: Launch) -> bool:
        """Whether a live process of the session can serve this launch, so that the session is not resumed from disk."""
        return any(
            process.alive and process not in self._closing and _continues(process, launch) and _serves(process, launch)
            for process in self._processes
        )

    def is_busy(self, session_id: str) -> bool:
        """Whether a turn of this session is running."""
        return any(process.session_id == session_id for process in self._lent)

    def must_wait(self, launch: Launch) -> bool:
        """Whether a lease would wait: another turn of the session runs, or the limit of busy processes is reached."""
        queue = None if launch.fork else self._queues.get(launch.resume or "")
        return self._busy.locked() or (queue is not None and queue.locked())

    async def close_session(self, session_id: str) -> None:
        """End the live process of a session, if there is one.

        :raises ConfigError: if the pool's processes live in another event loop.
        """
        await self._enter()
        if ending := [self._close(process) for process in self._processes if process.session_id == session_id]:
            await asyncio.wait(ending)

    async def aclose(self) -> None:
        """End every process for good, within their own closing time; from another loop, it may take longer."""
        self._closed = True
        processes = list(self._processes)
        if self._loop in (None, asyncio.get_running_loop()):
            await self._end_all()
        elif processes:
            assert self._loop is not None
            if self._loop.is_running():
                ending = asyncio.run_coroutine_threadsafe(self._end_all(), self._loop)
                limit_s = max(process.close_timeout_s for process in processes) + FOREIGN_LOOP_S
                await asyncio.wait([asyncio.wrap_future(ending)], timeout=limit_s)
            # A blocked or stopped loop has not ended them.
            await asyncio.gather(*(process.abandon() for process in processes))

    async def _end_all(self) -> None:
        for process in list(self._processes):
            self._close(process)
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _enter(self) -> None:
        """Bind the pool to the running loop. Processes of a closed loop are ended; new ones resume their sessions.

        :raises ConfigError: if there are processes in another loop.
        """
        if self._loop is not None and self._loop.is_closed():
            processes, self._processes = self._processes, []
            await asyncio.gather(*(process.abandon() for process in processes))
        self._bind()

    def _bind(self) -> None:
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            if self._processes:
                raise ConfigError(
                    "This client is in use in another event loop.",
                    next_step="Make a client for each loop, or hand work to that loop by asyncio.run_coroutine_threadsafe.",
                )
            self._begin_anew()
            self._loop = loop

    def _is_in_loop(self) -> bool:
        """Whether this runs in the pool's loop. A turn of a closed loop can be finalized anywhere by the garbage collector."""
        try:
            return asyncio.get_running_loop() is self._loop
        except RuntimeError:
            return False

    def _queue(self, launch: Launch) -> contextlib.AbstractAsyncContextManager[None]:
        """Return the lock that a turn takes first, that of its session; none if it begins a session or a branch."""
        if launch.resume is None or launch.fork:
            return contextlib.nullcontext()
        return self._queues.setdefault(launch.resume, asyncio.Lock())

    async def _take(self, launch: Launch) -> LiveProcess:
        replaced_work: tuple[BackgroundWork, ...] = ()
        for process in list(self._processes):
            if process in self._lent or not _continues(process, launch):
                continue
            if process not in self._closing and process.alive and _serves(process, launch):
                return await self._lend(process)
            # Two processes on one session would each write a continuation of their own, so the old one ends first.
            replaced_work = process.work
            await asyncio.wait([self._close(process)])
        async with self._making_room:
            idle = [process for process in self._processes if process not in self._lent]
            surplus = len(self._processes) - self._max_processes + 1
            if closing := [self._close(process) for process in idle[: max(0, surplus)]]:
                await asyncio.wait(closing)
            process = self._make(launch)
            process.replaced_work = replaced_work
            self._processes.append(process)
            self._lent.add(process)
        return await self._lend(process)

    async def _lend(self, process: LiveProcess) -> LiveProcess:
        self._lent.add(process)
        if handle := self._expiries.pop(process, None):
            handle.cancel()
        try:
            await process.start()
        except BaseException:  # also when cancelled: nobody else gives it back
            self._give_back(process)
            raise
        return process

    def _give_back(self, process: LiveProcess) -> None:
        if process not in self._lent or not self._is_in_loop():  # the process's loop was closed
            return
        self._lent.discard(process)
        self._processes.remove(process)
        self._processes.append(process)
        if not process.alive:
            self._close(process)
            return
        self._expire(process)
        self._close_surplus()

    def _close_surplus(self) -> None:
        idle = [process for process in self._processes if process not in self._lent and process not in self._closing]
        for surplus in idle[: max(0, len(idle) - self._max_warm)]:
            if not surplus.must_stay:
                self._close(surplus)

    def _close(self, process: LiveProcess) -> asyncio.Task[None]:
        if process not in self._closing:
            if handle := self._expiries.pop(process, None):
                handle.cancel()
            self._closing[process] = self._spawn(self._end(process))
        return self._closing[process]

    async def _end(self, process: LiveProcess) -> None:
        await process.aclose()
        self._processes.remove(process)
        del self._closing[process]

    async def _start_ahead(self, process: LiveProcess) -> None:
        with contextlib.suppress(ClaudeError):
            await process.start()
        # Only a branch's process expires unused; any other waits for its first turn, unless it is surplus.
        if process.launch.fork and process not in self._lent and process not in self._closing:
            self._expire(process)

    def _expire(self, process: LiveProcess) -> None:
        loop = asyncio.get_running_loop()
        self._expiries[process] = loop.call_later(self._idle_timeout_s, self._close_idle, process)

    def _close_idle(self, process: LiveProcess) -> None:
        """Close an idle process. If something would be lost with it, wait for another `idle_timeout_s` instead."""
        if process.must_stay and process.alive:
            self._expire(process)
        else:
            self._close(process)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _serves(process: LiveProcess, launch: Launch) -> bool:
    # The CLI (2.1.331) counts a budget over the life of a process, so a turn with a budget needs a process that spent nothing.
    spent = process.turns > 0 and launch.options.max_budget_usd is not None
    return process.launch.serves(launch) and not spent and not process.login_refused


def _continues(process: LiveProcess, launch: Launch) -> bool:
    """Whether the process is in the launch's session. For a new session or branch: whether it is unused and began alike."""
    if launch.resume is None or launch.fork:
        begun = process.launch
        same_start = (begun.resume, begun.at) == (launch.resume, launch.at)
        # The end of a session may have moved since the process started; a message given by its ID has not.
        return process.turns == 0 and begun.fork == launch.fork and same_start and (launch.at is not None or not launch.fork)
    return process.session_id == launch.resume
