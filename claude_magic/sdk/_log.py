"""A client's log: the command line of each turn, and each event, if the config says so.

Credentials in a prompt, a reply or a tool's result are masked.
"""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Mapping

from claude_magic._paths import private
from claude_magic._redaction import redact
from claude_magic.sdk._cli.command_line import Command
from claude_magic.sdk.config import ClaudeConfig
from claude_magic.sdk.events import Event

_OURS = ("claude_magic", "claude_magic.sdk")


class _Formatter(logging.Formatter):
    def __init__(self, env: Mapping[str, str]) -> None:
        super().__init__("%(asctime)s claude_magic %(levelname)s %(message)s")
        self._env = env

    def format(self, record: logging.LogRecord) -> str:
        return redact(super().format(record), {**os.environ, **self._env})


class _PrivateFile(logging.FileHandler):
    """A log file that only its owner can read, because commands and events contain prompts."""

    def emit(self, record: logging.LogRecord) -> None:
        if self.stream is None:
            with contextlib.suppress(OSError):  # `logging` reports why it cannot be written
                os.close(private(self.baseFilename, os.O_CREAT | os.O_APPEND | os.O_WRONLY))
        super().emit(record)


class ClientLog:
    """The log of one client, below the logger `claude_magic.sdk`, which applications configure as usual.

    `debug_mode` or a `log_file` logs the command of every turn, `verbose_logging` every event as well. Without `log_file`, and
    if the application has not configured logging, they go to standard error. A debug level of the root logger alone logs no
    commands, because these contain whole prompts; a level for `claude_magic` or `claude_magic.sdk` does.
    """

    def __init__(self, config: ClaudeConfig) -> None:
        self.logger = logging.getLogger("claude_magic.sdk").getChild(f"{id(self):x}")
        self._verbose = config.verbose_logging
        self._env = config.env
        self._handler: logging.Handler | None = None
        if config.debug_mode or config.verbose_logging or config.log_file:
            self.logger.setLevel(logging.DEBUG)
        if config.log_file:
            self._handler = _PrivateFile(config.log_file, encoding="utf-8", delay=True)
        elif (config.debug_mode or config.verbose_logging) and not self.logger.hasHandlers():
            self._handler = logging.StreamHandler()
        if self._handler is not None:
            self._handler.setFormatter(_Formatter(config.env))
            self.logger.addHandler(self._handler)

    def turn(self, command: Command) -> None:
        """Log the command line of a turn."""
        if any(logger.level for logger in (self.logger, *map(logging.getLogger, _OURS))):
            self._write("turn: %s", command.text)

    def event(self, event: Event) -> None:
        """Log an event, if the config says so."""
        if self._verbose:
            self._write("event: %s", repr(event))

    def _write(self, message: str, text: str) -> None:
        if self.logger.isEnabledFor(logging.DEBUG):
            # An application's own handlers get the record unchanged, so secrets are masked here.
            self.logger.debug(message, redact(text, {**os.environ, **self._env}))

    def close(self) -> None:
        """Close the log file."""
        if self._handler is not None:
            self.logger.removeHandler(self._handler)
            self._handler.close()
