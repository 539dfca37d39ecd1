"""A CLI as a child process: start it below its supervisor, end it, and know how it ended.

Leaves to `transport` what goes over its streams. Windows has no supervisor: there the CLI is our own child, and what it has
started may outlive it.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import signal
import socket
import sys
import tempfile
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping, Sequence
from typing import Self

from claude_magic.sdk._cli import supervisor

KILL_LIMIT_S = 1.0
"""How long a supervisor may take to kill everything before it is killed itself."""


LONG_BYTES = 100_000
"""Linux takes no word of a command line that is longer than 128 KiB."""

_BY_FILE = {"--append-system-prompt": "--append-system-prompt-file"}
"""Flags whose value the CLI also takes from a file."""


class Child:
    """A running CLI. `start` makes one."""

    def __init__(self, process: Process, pid: int, channel: socket.socket | None) -> None:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        self.stdin, self.stdout, self.stderr = process.stdin, process.stdout, process.stderr
        self.pid = pid
        """The process ID of the CLI itself."""
        self._process = process
        self._channel = channel

    @classmethod
    async def start(cls, command: Sequence[str], *, directory: str, env: Mapping[str, str]) -> Self:
        """Start a CLI in a session of its own: an interrupt that is meant for us does not reach it.

        :raises OSError: when it cannot be started.
        """
        if sys.platform == "win32":
            process = await asyncio.create_subprocess_exec(
                *command, stdin=PIPE, stdout=PIPE, stderr=PIPE, cwd=directory, env=dict(env)
            )
            return cls(process, process.pid, None)
        with contextlib.ExitStack() as stack:
            command, files = _with_files(command, stack)
            ours, theirs = socket.socketpair()
            stack.enter_context(theirs)
            try:
                process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-I", "-S", supervisor.__file__, str(theirs.fileno()), str(os.getpid())),
                    stdin=PIPE,
                    stdout=PIPE,
                    stderr=PIPE,
                    cwd=directory,
                    env=dict(env),
                    start_new_session=True,
                    pass_fds=[theirs.fileno(), *files],
                )
            except BaseException:
                ours.close()
                raise
        ours.setblocking(False)
        loop = asyncio.get_running_loop()
        try:
            await loop.sock_sendall(ours, json.dumps(list(command)).encode() + b"\n")
            answer = json.loads(await loop.sock_recv(ours, 1024) or b'{"errno": 3}')
        except BaseException:
            ours.close()  # which ends the supervisor, and the CLI if it has begun
            await asyncio.shield(process.wait())
            raise
        if "errno" in answer:
            ours.close()
            await process.wait()
            raise OSError(answer["errno"], os.strerror(answer["errno"]), command[0])
        return cls(process, answer["pid"], ours)

    @property
    def returncode(self) -> int | None:
        """How the CLI ended, negative for a signal; `None` while it or something that it has started runs."""
        return self._process.returncode

    async def wait(self) -> None:
        """Return when the CLI has ended, and all that it has started."""
        await self._process.wait()
        if self._channel is not None:
            self._channel.close()

    def terminate(self) -> None:
        """Ask the CLI to end."""
        if self._channel is None:
            self._process.terminate()
        else:
            self._wish(b"T")

    def kill(self) -> None:
        """Kill the CLI and all that it has started, at once."""
        if self._channel is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        else:
            self._wish(b"K")
            asyncio.get_running_loop().call_later(KILL_LIMIT_S, self._kill_supervisor)

    def _wish(self, what: bytes) -> None:
        assert self._channel is not None
        with contextlib.suppress(OSError):  # it has ended
            self._channel.send(what)

    def _kill_supervisor(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            if self._process.returncode is None:
                os.killpg(self._process.pid, signal.SIGKILL)


def _with_files(command: Sequence[str], stack: contextlib.ExitStack) -> tuple[list[str], list[int]]:
    """Put long values into files without a name, which the child inherits: nothing is left of them when it has ended."""
    words, files = list(command), []
    for place, (flag, value) in enumerate(itertools.pairwise(command)):
        text = value.encode()
        if flag in _BY_FILE and len(text) > LONG_BYTES:
            file = tempfile.TemporaryFile()  # noqa: SIM115 - the stack's
            stack.enter_context(file)
            file.write(text)
            file.seek(0)
            files.append(file.fileno())
            words[place : place + 2] = [_BY_FILE[flag], f"/dev/fd/{file.fileno()}"]
    return words, files
