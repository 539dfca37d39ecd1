"""Which process an object belongs to. After a fork the child has a copy of it, but not the threads that serve it.

An object that owns an event loop, a thread or a CLI has an `OwnProcess`, and calls `check` before anybody waits for these.
"""

from __future__ import annotations

import os

from claude_magic.errors import ConfigError


class OwnProcess:
    """The process in which this object was made."""

    def __init__(self) -> None:
        self._pid = os.getpid()

    @property
    def is_forked(self) -> bool:
        """Whether this is a forked child of that process."""
        return os.getpid() != self._pid

    def check(self, message: str, next_step: str) -> None:
        """Refuse work in a forked child, where no answer would ever come.

        :param message: what does not work there, and why.
        :param next_step: what to do instead.
        :raises ConfigError: in a forked child of the process.
        """
        if self.is_forked:
            raise ConfigError(message, next_step=next_step)
