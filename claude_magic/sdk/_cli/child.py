"""The CLI as a child process: this module starts it, ends it, and knows how it ended.

The CLI is a child of a supervisor, a process that ends everything that the CLI has started. Windows has no supervisor: there
the CLI is our own child, and what it has started may outlive it. `transport` reads and writes the CLI's streams.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import signal
import socket
import subprocess
import sys
import weakref
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Self

KILL_LIMIT_S = 1.0
"""How long a supervisor may take to kill everything before it is killed itself."""

LONG_S = 10.0**8
"""Longer than any event loop runs."""

STARTS: Final = 3
"""How many times we try to start a process if an interrupt ends it: ours reach it until it has its own process group."""

# Started by its path, never imported: Windows lacks the signals that it names.
_SUPERVISOR: Final = str(Path(__file__).with_name("supervisor.py"))


def apart() -> dict[str, Any]:
    """Return the arguments of `create_subprocess_exec` for a process that our own interrupts do not reach."""
    if sys.platform == "win32":
        # A kernel without a console would open a window for it.
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP | subprocess.CREATE_NO_WINDOW}
    return {"start_new_session": True}


async def said_by(*command: str, env: Mapping[str, str], limit_s: float) -> tuple[bytes, int | None]:
    """Run a command that ends by itself; return what it writes to its standard output, and its exit code.

    :raises OSError: if it cannot be started.
    :raises TimeoutError: if it takes longer than `limit_s`; it is killed then.
    """
    for tries_left in reversed(range(STARTS)):
        process = await asyncio.create_subprocess_exec(
            *command, stdin=DEVNULL, stdout=PIPE, stderr=DEVNULL, env=dict(env), **apart()
        )
        try:
            said, _ = await asyncio.wait_for(process.communicate(), limit_s)
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if process.returncode != -signal.SIGINT or not tries_left:
            break
    return said, process.returncode


class Child:
    """A running CLI, made by `start`. It ends when the event loop that it was started in is closed (not on Windows)."""

    def __init__(self, process: Process, pid: int, channel: socket.socket | None) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self.stdin, self.stdout, self.stderr = process.stdin, process.stdout, process.stderr
        self.pid = pid
        """The process ID of the CLI itself."""
        self._process = process
        self._channel = channel
        self._mooring = None if channel is None else _closed_with_loop(channel)

    @classmethod
    async def start(cls, command: Sequence[str], *, directory: str, env: Mapping[str, str]) -> Self:
        """Start a CLI in another process group than ours, so that our own interrupts do not reach it.

        :raises OSError: if it cannot be started.
        """
        if sys.platform == "win32":
            process = await asyncio.create_subprocess_exec(
                *command, stdin=PIPE, stdout=PIPE, stderr=PIPE, cwd=directory, env=dict(env), **apart()
            )
            return cls(process, process.pid, None)
        loop = asyncio.get_running_loop()
        for tries_left in reversed(range(STARTS)):
            process, ours = await _supervisor(directory, env)
            answer = b""
            try:
                with contextlib.suppress(ConnectionError):  # it has ended
                    await loop.sock_sendall(ours, json.dumps(list(command)).encode() + b"\n")
                    answer = await loop.sock_recv(ours, 1024)
            except BaseException:
                ours.close()  # this ends the supervisor, and the CLI if it has started
                await asyncio.shield(process.wait())
                raise
            told = json.loads(answer) if answer else {"errno": errno.ESRCH}
            if "pid" in told:
                return cls(process, told["pid"], ours)
            ours.close()
            if await process.wait() != -signal.SIGINT or not tries_left:
                break
        raise OSError(told["errno"], os.strerror(told["errno"]), command[0])

    @property
    def returncode(self) -> int | None:
        """How the CLI ended, negative for a signal, as the supervisor reports; `None` while it or what it started runs."""
        return self._process.returncode

    async def wait(self) -> None:
        """Return when the CLI and every process that it started have ended."""
        await self._process.wait()
        if self._channel is not None:
            self._channel.close()
            if self._mooring is not None and (handle := self._mooring()):
                handle.cancel()

    def terminate(self) -> None:
        """Tell the CLI to end."""
        if self._channel is None:
            self._process.terminate()
        else:
            self._wish(b"T")

    def kill(self) -> None:
        """Kill the CLI and every process that it started, at once."""
        if self._channel is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        else:
            self._wish(b"K")
            asyncio.get_running_loop().call_later(KILL_LIMIT_S, self._kill_supervisor)

    def abandon(self) -> None:
        """End the CLI and every process that it started, even if its event loop does not run. Any thread may call this."""
        with contextlib.suppress(OSError):  # it has ended
            if self._channel is None:
                os.kill(self.pid, signal.SIGTERM)
            else:
                self._channel.shutdown(socket.SHUT_RDWR)

    async def wait_elsewhere(self) -> None:
        """Return when the CLI has ended, on Windows at once. It polls, as only the CLI's own event loop is told of the end."""
        with contextlib.suppress(ProcessLookupError):
            while sys.platform != "win32":
                os.kill(self.pid, 0)
                await asyncio.sleep(0.01)

    def _wish(self, what: bytes) -> None:
        assert self._channel is not None
        with contextlib.suppress(OSError):  # it has ended
            self._channel.send(what)

    def _kill_supervisor(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            if self._process.returncode is None:
                os.killpg(self._process.pid, signal.SIGKILL)


async def _supervisor(directory: str, env: Mapping[str, str]) -> tuple[Process, socket.socket]:
    """Start a supervisor and return it with the socket to it; raise `OSError` if it cannot be started."""
    ours, theirs = socket.socketpair()
    with theirs:
        try:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-I", "-S", _SUPERVISOR, str(theirs.fileno()), str(os.getpid())),
                stdin=PIPE,
                stdout=PIPE,
                stderr=PIPE,
                cwd=directory,
                env=dict(env),
                pass_fds=[theirs.fileno()],
                **apart(),
            )
        except BaseException:
            ours.close()
            raise
    ours.setblocking(False)
    return process, ours


class _Mooring:
    """An object that only a scheduled call holds."""


def _closed_with_loop(channel: socket.socket) -> weakref.ref[asyncio.TimerHandle]:
    """Close the channel when the running loop is closed, and return a scheduled call. Cancel that call if the CLI ends first.

    Closing the channel ends the CLI, as nobody could communicate with it any more.

    A loop does not report that it is closed, but it then drops its scheduled calls, and with them the object that they hold.
    """
    mooring = _Mooring()
    weakref.finalize(mooring, channel.close).atexit = False
    return weakref.ref(asyncio.get_running_loop().call_later(LONG_S, id, mooring))  # `id` does nothing
