"""A small process between us and the CLI. It starts the CLI, and when we are gone, it ends the CLI and all that it started.

It runs as a script, by path and with the standard library alone: `python -I -S supervisor.py SOCKET PARENT`. It reads one line
of JSON from the socket, the command, and answers with one: the CLI's process ID, or why it did not start. After that each byte
is a request: `T` tells the CLI to end, `K` kills everything. The CLI inherits the standard streams; this process drops them.

The end of a pipe does not show that we are gone: our forked children hold its other end, and a CLI in the middle of a turn does
not look at it (2.1.332). No signal to a process group reaches the CLI's tools, as they have groups of their own. On Linux every
orphan becomes a child of this process; elsewhere only tools whose parents are alive can be found.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import socket
import sys
import time
from typing import Any, NoReturn

LOOK_S = 0.25
"""How often it checks that its parent is alive, on systems that do not report a death."""

GRACE_S = 0.4
"""How long the CLI may take to write its transcript when we are gone."""

_DIE_WITH_PARENT, _TAKE_ORPHANS = 1, 36
"""PR_SET_PDEATHSIG and PR_SET_CHILD_SUBREAPER of Linux's prctl."""

_IGNORED = (signal.SIGINT, signal.SIGHUP, signal.SIGTERM)


class Supervisor:
    """The CLI and everything below it, for the process with the ID `parent` at the other end of the `channel`."""

    def __init__(self, channel: socket.socket, parent: int) -> None:
        self._channel = channel
        self._parent = parent
        self._cli = 0
        self._status: int | None = None

    def run(self) -> NoReturn:
        """Start the CLI and obey requests. When the CLI has ended or `parent` is gone, kill the rest; exit as the CLI did."""
        woken, wakeup = os.pipe()
        os.set_blocking(wakeup, False)
        os.set_blocking(woken, False)
        signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        for number in _IGNORED:
            signal.signal(number, signal.SIG_IGN)
        _prctl(_TAKE_ORPHANS, 1)
        self._start()
        watched = [woken, self._channel, *_end_of(self._parent)]
        while self._status is None and os.getppid() == self._parent:
            readable = select.select(watched, [], [], LOOK_S)[0]
            with contextlib.suppress(BlockingIOError):
                os.read(woken, 512)
            self._reap()
            if self._channel in readable:
                match self._channel.recv(1):
                    case b"T":
                        self._signal(self._cli, signal.SIGTERM)
                    case b"K":
                        self._kill_all()
                    case _:
                        break
            elif len(watched) > 2 and watched[2] in readable:
                break
        if self._status is None:
            self._end_gently()
        self._kill_all()
        self._leave()

    def _start(self) -> None:
        command = json.loads(self._channel.makefile("r", encoding="utf-8").readline())
        told, failed = os.pipe()
        self._cli = os.fork()
        if self._cli == 0:
            try:
                for number in (*_IGNORED, signal.SIGCHLD, signal.SIGPIPE):
                    signal.signal(number, signal.SIG_DFL)
                _prctl(_DIE_WITH_PARENT, signal.SIGKILL)
                os.execvpe(command[0], command, os.environ)
            except OSError as error:
                os.write(failed, str(error.errno).encode())
            finally:
                os._exit(127)
        os.close(failed)
        refused = os.read(told, 32).decode()
        self._channel.sendall(json.dumps({"errno": int(refused)} if refused else {"pid": self._cli}).encode() + b"\n")
        # Only the CLI may hold the streams, so that their reader sees when it has ended.
        nowhere = os.open(os.devnull, os.O_RDWR)
        for stream in (0, 1, 2):
            os.dup2(nowhere, stream)

    def _reap(self) -> None:
        """Collect the exit status of each child that has ended, including orphans."""
        with contextlib.suppress(ChildProcessError):
            while (found := os.waitpid(-1, os.WNOHANG))[0]:
                if found[0] == self._cli:
                    self._status = found[1]

    def _end_gently(self) -> None:
        """Kill the tools, and give the CLI a moment to write its transcript."""
        for process in _below(os.getpid()) - {self._cli}:
            self._signal(process, signal.SIGKILL)
        self._signal(self._cli, signal.SIGTERM)
        until = time.monotonic() + GRACE_S
        while self._status is None and time.monotonic() < until:
            time.sleep(0.02)
            self._reap()

    def _kill_all(self) -> None:
        """Kill all descendants of this process, including those that start meanwhile."""
        while processes := _below(os.getpid()):
            for process in processes:
                self._signal(process, signal.SIGKILL)
            time.sleep(0.005)
            self._reap()

    def _signal(self, process: int, number: int) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(process, number)

    def _leave(self) -> NoReturn:
        self._reap()
        status = self._status or 0
        if os.WIFSIGNALED(status):
            number = os.WTERMSIG(status)
            if number != signal.SIGKILL:
                signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def _prctl(option: int, value: int) -> None:
    """Call Linux's prctl, which the standard library does not offer. Other systems have none."""
    if sys.platform == "linux":
        import ctypes

        ctypes.CDLL(None).prctl(option, value, 0, 0, 0)


def _end_of(process: int) -> list[Any]:
    """Return an object that becomes readable when a process ends, if this system has one."""
    with contextlib.suppress(OSError, AttributeError):
        if sys.platform == "linux":
            return [os.pidfd_open(process)]
        queue = select.kqueue()
        queue.control([select.kevent(process, select.KQ_FILTER_PROC, select.KQ_EV_ADD, select.KQ_NOTE_EXIT)], 0)
        return [queue]
    return []


def _below(process: int) -> set[int]:
    """Return the live descendants of a process."""
    children: dict[int, list[int]] = {}
    for child, parent in _processes():
        children.setdefault(parent, []).append(child)
    found: set[int] = set()
    waiting = [process]
    while waiting:
        waiting += (new := [child for child in children.get(waiting.pop(), []) if child not in found])
        found.update(new)
    return found


def _processes() -> list[tuple[int, int]]:
    """Return every live process with its parent."""
    if sys.platform != "linux":
        with os.popen("ps -axo pid=,ppid=,stat=") as lines:
            rows = [line.split() for line in lines]
        return [(int(pid), int(parent)) for pid, parent, state in rows if not state.startswith("Z")]
    found = []
    for name in filter(str.isdecimal, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{name}/stat", encoding="utf-8", errors="replace") as file:
            state, parent = file.read().rpartition(")")[2].split()[:2]
            if state != "Z":
                found.append((int(name), int(parent)))
    return found


if __name__ == "__main__":
    Supervisor(socket.socket(fileno=int(sys.argv[1])), int(sys.argv[2])).run()
