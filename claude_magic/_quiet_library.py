"""Keeps other libraries' debug messages out of a person's log while we use these libraries.

With `logging.basicConfig(level=DEBUG)` the Markdown parser alone logs ten lines for each paragraph, again at each repaint.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

_uses: Counter[str] = Counter()
_guard = threading.Lock()


@contextmanager
def quiet_library(name: str) -> Iterator[None]:
    """Suppress a library's debug messages inside the block, unless somebody has given its logger a level.

    Afterwards its logger is as before. Messages from other threads are suppressed, too, so the block must be short.

    :param name: the name of the library's logger.
    """
    logger = logging.getLogger(name)
    with _guard:
        counts = _uses[name] > 0 or (logger.level == logging.NOTSET and logger.isEnabledFor(logging.DEBUG))
        if counts:
            _uses[name] += 1
            logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        if counts:
            with _guard:
                _uses[name] -= 1
                if not _uses[name]:
                    logger.setLevel(logging.NOTSET)
