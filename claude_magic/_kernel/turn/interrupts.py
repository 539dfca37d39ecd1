"""Delay an interrupt over a section that must run as a whole, such as the beginning or the end of a turn."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
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
