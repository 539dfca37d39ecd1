"""Anybody's code that says what an object is, such as a `__repr__`: for a bounded time only, and in silence."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType
from typing import Final

from IPython.utils.capture import capture_output

INSPECT_TIMEOUT_S: Final = 3.0
"""How long one object may take to show itself: its `__repr__` is anybody's code."""


class TookTooLong(BaseException):
    """An object did not show itself in time; no `Exception`, so that its code does not take it for one of its own."""


FAILURES: Final = (Exception, SystemExit, TookTooLong)
"""What such code may raise without being the person's interrupt."""


@contextlib.contextmanager
def bounded() -> Iterator[None]:
    """Break off what takes longer than `INSPECT_TIMEOUT_S`, and swallow what it prints or displays.

    There must be alarms to break it off, and it must be the main thread.

    :raises TookTooLong: when the time is over.
    """
    with capture_output(), _alarm():
        yield


@contextlib.contextmanager
def _alarm() -> Iterator[None]:
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise TookTooLong(f"it took longer than {INSPECT_TIMEOUT_S:g} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, INSPECT_TIMEOUT_S, 0.2)  # again and again: some code catches everything
    try:
        yield
    finally:
        try:
            signal.setitimer(signal.ITIMER_REAL, 0)
        finally:  # one alarm may have come just before
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
