"""Sections of a turn that an interrupt must not cut in two: its beginning, and its end."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def held_back(*, drop: bool = False) -> Iterator[None]:
    """Let an interrupt wait until the block has ended; nothing in it may take longer than a person would wait.

    :param drop: whether it is then forgotten, as the turn that it was meant for is being stopped already.
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
