"""What a test left behind: processes, threads, widgets.

It owns the comparison of before and after, and waiting for what is on its way out. A process counts as ours when it
descends from pytest or carries the run's mark in its environment, so an orphan is found as well. Looking at all processes
takes time, so it is done only where there can be a new one: Python tells when this process starts another.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import psutil

from rig.environment import OWNER

if TYPE_CHECKING:
    from rig.kernel import Kernel

PATIENCE_S = 30.0
"""How long something may take to end after its owner let go of it."""


STARTING = frozenset({"subprocess.Popen", "os.posix_spawn", "os.fork", "os.forkpty", "os.system", "os.spawn"})
"""Python's audit events for every way in which this process can start another one."""


class LeakError(AssertionError):
    """Something outlived the test that started it."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What existed when a test began."""

    processes: frozenset[psutil.Process]
    threads: frozenset[threading.Thread]


class Ledger:
    """Take snapshots, and tell what came after them and stayed; `adopt` what is meant to outlive single tests."""

    def __init__(self) -> None:
        self._adopted: list[Callable[[], int]] = []
        self._quiet_since: int | None = None

    @contextmanager
    def adopt(self, pid: Callable[[], int]) -> Iterator[None]:
        """Let a process and all below it live while the context is open; `pid` is asked each time: it may restart."""
        self._adopted.append(pid)
        try:
            yield
        finally:
            self._adopted.remove(pid)

    @contextmanager
    def adopt_all(self, pids: Iterable[int]) -> Iterator[None]:
        """Let several processes, and all below them, live while the context is open."""
        with ExitStack() as stack:
            for pid in pids:
                stack.enter_context(self.adopt(partial(int, pid)))
            yield

    def snapshot(self) -> Snapshot:
        return Snapshot(self._processes(), frozenset(threading.enumerate()))

    def look_anew(self) -> None:
        """Look at the processes next time in any case: `multiprocessing` spawns some without telling."""
        self._quiet_since = None

    def check(self, before: Snapshot, patience_s: float = PATIENCE_S) -> None:
        """Raise `LeakError` for what is new since the snapshot and does not end by itself; kill such processes."""
        deadline = time.monotonic() + patience_s
        extra = self._processes() - before.processes
        # Only then what belongs to the adopted: a process that starts in between must not count as left behind.
        extra -= {process for pid in self._adopted for process in tree(pid())}
        leaks = [f"process {line}" for line in end_of(extra, patience_s)]
        for thread in set(threading.enumerate()) - before.threads:
            if not is_exempt(thread):
                thread.join(max(deadline - time.monotonic(), 0.0))
                if thread.is_alive():
                    leaks.append(f"thread {thread.name}")
        if leaks:
            raise LeakError("left behind: " + "; ".join(leaks))

    def _processes(self) -> frozenset[psutil.Process]:
        """Return the processes of this test run; do not look where none was left, and none has been started since."""
        starts = _starts.count
        if self._quiet_since == starts:
            return frozenset()
        found = frozenset(own_processes())
        self._quiet_since = None if found else starts
        return found


class _Starts:
    """Count how often this process has started another one."""

    def __init__(self) -> None:
        self.count = 0
        sys.addaudithook(self._hear)

    def _hear(self, event: str, _: object) -> None:
        if event in STARTING:
            self.count += 1


_starts = _Starts()


def is_exempt(thread: threading.Thread) -> bool:
    # The scripted API's connections last as long as the CLI keeps them open, a <<hang>> until the server closes; pyzmq
    # keeps one collector for the life of its context. Neither belongs to the code under test.
    return "(process_request_thread)" in thread.name or type(thread).__module__ == "zmq.utils.garbage"


def tree(pid: int) -> set[psutil.Process]:
    """Return a process and everything below it, empty when it is gone."""
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        return {process, *process.children(recursive=True)}
    return set()


def running(processes: Iterable[psutil.Process], word: str) -> list[psutil.Process]:
    """Return those of the processes that are called so, or have the word in their command line, and still run."""
    found = []
    for process in processes:
        with suppress(psutil.NoSuchProcess):  # it may have ended since it was listed
            if process.status() != psutil.STATUS_ZOMBIE and (process.name() == word or word in process.cmdline()):
                found.append(process)
    return found


def own_processes() -> set[psutil.Process]:
    """Return the live processes of this test run, without pytest itself."""
    this = psutil.Process()
    return {*this.children(recursive=True), *(process for process in marked() if process != this)}


def marked() -> Iterator[psutil.Process]:
    for process in psutil.process_iter():
        with suppress(psutil.Error, OSError):
            if process.environ().get(OWNER) == str(os.getpid()):
                yield process


def end_of(processes: Iterable[psutil.Process], patience_s: float = PATIENCE_S) -> list[str]:
    """Wait for processes to end; kill those that do not and return a line about each."""
    lines = []
    _, alive = psutil.wait_procs(list(processes), timeout=patience_s)
    for process in alive:
        with suppress(psutil.NoSuchProcess):
            lines.append(f"{process.pid}: {' '.join(process.cmdline())[:160]}")
            process.kill()
    psutil.wait_procs(alive, timeout=patience_s)
    return lines


def assert_ended(processes: Iterable[psutil.Process], patience_s: float = PATIENCE_S) -> None:
    """Assert that these processes end by themselves, e.g. the CLIs after an unload."""
    if lines := end_of(processes, patience_s):
        raise LeakError("still alive: " + "; ".join(lines))


def assert_no_widgets(kernel: Kernel, ignoring: Collection[str] = ()) -> None:
    """Assert that no widget model is open in the frontend.

    ipywidgets opens a layout and a style model with each widget, and closing the widget leaves them: close them too.

    :param ignoring: model names that may stay.
    """
    kernel.sync()
    left = {model_id: state for model_id, state in kernel.widgets.items() if state.get("_model_name") not in ignoring}
    if left:
        names = sorted(f"{state.get('_model_name')} {state.get('description', '')}".strip() for state in left.values())
        raise LeakError(f"{len(left)} widget models left open: {', '.join(names)}")
