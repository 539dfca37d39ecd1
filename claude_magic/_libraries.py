"""Imports libraries that need not be installed, and keeps other libraries' debug messages out of a person's log.

With `logging.basicConfig(level=DEBUG)` the Markdown parser alone logs ten lines for each paragraph, again at each repaint.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from claude_magic.errors import ConfigError

_uses: Counter[str] = Counter()
_guard = threading.Lock()


def library(name: str, needed_for: str, *, next_step: str | None = None) -> Any:
    """Return a module of a library that need not be installed.

    :param needed_for: the beginning of the sentence that says so, such as `A plot needs`.
    :raises ConfigError: if it is not installed.
    """
    try:
        return import_module(name)
    except ImportError as error:
        project = name.partition(".")[0]
        raise ConfigError(
            f"{needed_for} {project}, which is not installed here.", next_step=next_step or f"pip install {project}"
        ) from error


@contextmanager
def quiet_library(name: str) -> Iterator[None]:
    """Suppress a library's debug messages inside the block, unless somebody has given its logger a level.

    Afterwards its logger is as before. Messages from other threads are suppressed, too, so the block must be short.
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
