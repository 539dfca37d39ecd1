"""Turns on the main thread run one at a time. An `ask.stream()` that was left open counts as running until it is closed."""

from __future__ import annotations

import contextlib
import inspect
import weakref
from collections.abc import Callable, Generator, Iterator

from IPython.core.error import UsageError

Stream = Generator[str, None, None]


class InCell:
    """The turn that runs on the main thread of one kernel.

    :param tell: adds a remark to the next reply.
    """

    def __init__(self, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self.is_running = False
        """Whether a turn runs on the main thread."""
        self._stream: weakref.ref[Stream] | None = None
        self._is_of_earlier_cell = False

    @contextlib.contextmanager
    def running(self, stream: weakref.ref[Stream] | None) -> Iterator[None]:
        """Mark that a turn runs on the main thread, after closing a stream that an earlier cell left open.

        :param stream: the generator that reads the turn, if there is one. Weak: if code drops the generator, Python closes it.
        :raises UsageError: if a turn runs already.
        """
        if self.end_stream(of_earlier_cell=True):
            self._tell("An ask.stream() that was left open has been closed.")
        if self.is_running:
            raise UsageError(
                "%claude: a turn is running: code that Claude runs cannot start another; "
                "a cell with an open ask.stream() must first read it to its end or close it"
            )
        self.is_running, self._stream, self._is_of_earlier_cell = True, stream, False
        try:
            yield
        finally:
            self.is_running, self._stream = False, None

    def note_cell(self) -> None:
        """Note that a cell begins: a stream that is open now belongs to an earlier cell."""
        self._is_of_earlier_cell = self._paused() is not None

    def end_stream(self, *, of_earlier_cell: bool) -> bool:
        """Close the stream that this cell (with `of_earlier_cell`, an earlier one) left open; return whether there was one."""
        stream = self._paused()
        if stream is None or self._is_of_earlier_cell != of_earlier_cell:
            return False
        stream.close()
        return True

    def _paused(self) -> Stream | None:
        """Return the stream if it is open and waits for its reader, else `None`."""
        stream = self._stream() if self._stream else None
        return stream if stream is not None and inspect.getgeneratorstate(stream) == inspect.GEN_SUSPENDED else None
