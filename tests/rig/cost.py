"""What a call costs, for tests that compare two costs in one run."""

from __future__ import annotations

import time
from collections.abc import Callable


def cost_s(function: Callable[..., object], *arguments: object) -> float:
    """Return the processor time that a call takes in this thread, in seconds."""
    began = time.thread_time()
    function(*arguments)
    return time.thread_time() - began
