"""Run the code by which an object shows itself, such as its `__repr__`, for a limited time and without output."""

from __future__ import annotations

import contextlib
import signal
import threading
from asyncio import CancelledError
from collections.abc import Iterator
from types import FrameType
from typing import Final

from IPython.utils.capture import capture_output

INSPECT_TIMEOUT_S: Final = 3.0
"""How long one object may take to show itself: its `__repr__` may run any code."""


class TookTooLong(BaseException):
    """An object did not show itself in time. This is no `Exception`, so that the object's code does not catch it."""


FAILURES: Final = (Exception, SystemExit, GeneratorExit, CancelledError, TookTooLong)
"""What the code of an object may raise. The person's interrupt is not among them."""


@contextlib.contextmanager
def bounded() -> Iterator[None]:
    """Stop the `with` block after `INSPECT_TIMEOUT_S`, and discard what it prints or displays.

    There is no time limit on Windows, which has no alarm signal, and outside the main thread. The alarm comes again and again,
    but the code in the block may go on: by blocking or ignoring the signal, or by catching everything in a loop.

    :raises TookTooLong: the time is over.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        raise TookTooLong(f"it took longer than {INSPECT_TIMEOUT_S:g} s")

    with capture_output():
        if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
            yield
            return
        before = signal.signal(signal.SIGALRM, stop)
        signal.setitimer(signal.ITIMER_REAL, INSPECT_TIMEOUT_S, 0.2)  # repeated, because some code catches everything
        try:
            yield
        finally:
            try:
                signal.setitimer(signal.ITIMER_REAL, 0)
            finally:  # an alarm may have interrupted the line above
                signal.setitimer(signal.ITIMER_REAL, 0)
                signal.signal(signal.SIGALRM, before)
