"""A real pseudo-terminal with a program in it, and the screen that a person would see.

It owns the program and what it has written. What scrolls out at the top is kept, as terminals do. The screen answers where
its cursor is, which prompt_toolkit asks.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import pexpect
import psutil
import pyte

from rig import TIMEOUT_S
from rig.environment import require_isolated
from rig.leaks import assert_ended, tree

KEPT_LINES = 5_000


class Terminal:
    """One program in a pseudo-terminal.

    :param environment: from `isolated_environment()`; anything else is refused.
    """

    def __init__(
        self, command: Sequence[str], directory: Path, environment: Mapping[str, str], *, rows: int = 40, columns: int = 120
    ) -> None:
        require_isolated(environment)
        self._command = list(command)
        self._directory = directory
        self._size = (rows, columns)
        self._environment = {**environment, "TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8"}
        self._screen: Any = pyte.HistoryScreen(columns, rows, history=KEPT_LINES, ratio=0.5)
        self._stream: Any = pyte.Stream(self._screen)
        self.written = ""
        """All that the program has written, as it came."""

    def __enter__(self) -> Self:
        self._child: Any = pexpect.spawn(
            self._command[0],
            self._command[1:],
            cwd=str(self._directory),
            env=self._environment,
            encoding="utf-8",
            codec_errors="replace",
            timeout=TIMEOUT_S,
            dimensions=self._size,
        )
        self._child.delaybeforesend = None
        self._screen.write_process_input = self._child.send
        return self

    def __exit__(self, *exc_info: object) -> None:
        processes = tree(self._child.pid)
        self._child.close(force=True)
        psutil.wait_procs(processes, timeout=TIMEOUT_S)
        assert_ended(processes)

    @property
    def pid(self) -> int:
        return int(self._child.pid)

    @property
    def lines(self) -> list[str]:
        """What stands on the screen and above it, without the blank end of each line."""
        width = self._screen.columns
        above = ["".join(line[column].data for column in range(width)) for line in self._screen.history.top]
        return [line.rstrip() for line in (*above, *self._screen.display)]

    @property
    def text(self) -> str:
        return "\n".join(self.lines).rstrip()

    @property
    def shown(self) -> str:
        """What stands on the screen now."""
        return "\n".join(line.rstrip() for line in self._screen.display)

    @property
    def line(self) -> str:
        """The line of the cursor, up to it."""
        cursor = self._screen.cursor
        return str(self._screen.display[cursor.y][: cursor.x])

    @property
    def memory(self) -> int:
        """The bytes of memory that the program holds."""
        return int(psutil.Process(self.pid).memory_info().rss)

    def type(self, keys: str) -> None:
        """Type keys; `\\r` is Enter."""
        self._child.send(keys)

    def wait_for(self, happened: Callable[[], bool], about: object = "", timeout_s: float = TIMEOUT_S) -> None:
        """Read what is written until something holds."""
        deadline = time.monotonic() + timeout_s
        while not happened():
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                raise TimeoutError(f"not within {timeout_s:g} s: {about}\n{self.text[-4000:]}")
            try:
                self._read(min(left_s, 1.0))
            except pexpect.EOF:
                if not happened():
                    raise AssertionError(f"the program has ended: {about}\n{self.text[-4000:]}") from None

    def end(self, timeout_s: float = TIMEOUT_S) -> int:
        """Read until the program has ended; return its exit status."""
        deadline = time.monotonic() + timeout_s
        while time.monotonic() < deadline:
            try:
                self._read(1.0)
            except pexpect.EOF:
                self._child.wait()
                return int(self._child.exitstatus if self._child.exitstatus is not None else -self._child.signalstatus)
        raise TimeoutError(f"the program has not ended within {timeout_s:g} s\n{self.text[-4000:]}")

    def _read(self, timeout_s: float) -> None:
        try:
            text = self._child.read_nonblocking(size=65536, timeout=timeout_s)
        except pexpect.TIMEOUT:
            return
        self.written += text
        self._stream.feed(text)
