"""Which process an object belongs to: after a fork the child holds a copy of it, and none of the threads that serve it.

Whoever owns a loop, a thread or a CLI has an `OwnProcess` and asks it before it lets anybody wait for them.
"""

from __future__ import annotations

import os

from claude_magic.errors import ConfigError


class OwnProcess:
    """The process that this was made in."""

    def __init__(self) -> None:
        self._pid = os.getpid()

    @property
    def is_forked(self) -> bool:
        """Whether this is a forked child of that process."""
        return os.getpid() != self._pid

    def check(self, message: str, next_step: str) -> None:
        """Refuse work in a forked child, where nobody would ever answer.

        :param message: what does not work there, and why.
        :param next_step: what does.
        :raises ConfigError: in a forked child of the process.
        """
        if self.is_forked:
            raise ConfigError(message, next_step=next_step)
