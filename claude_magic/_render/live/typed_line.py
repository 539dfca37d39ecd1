"""A question that is answered by typing a line: printed so that no text of Claude's looks like a line of ours."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
import sys
import time
from collections.abc import Sequence
from typing import Final

from claude_magic._render.parts.tool_call import RIGHT_TO_LEFT
from claude_magic._text import terminal_rows

ARM_S: Final = 0.8
"""How long a card is at its place before its buttons work: longer than the time between the clicks of a double click."""

_LEAST_COLUMNS: Final = 60
"""The width of a row where the terminal is unknown, as for `jupyter console`; a wider row could be broken at the margin."""


def ask_line(title: str, lines: Sequence[str], asked: str) -> str:
    """Print lines and a question, and return what the person types.

    :param title: who asks for what; said again below many lines, whose beginning may be out of sight.
    :raises EOFError: the input has ended (Ctrl+D).
    :raises KeyboardInterrupt: the person interrupts instead of answering.
    """
    lines = [row for line in lines for row in rows_of(line)]
    if len(lines) > 10:
        lines.append(f"{title} ({len(lines):,} lines above):")
    asked = "\n".join(row for line in asked.split("\n") for row in rows_of(line))
    if isinstance(sys.stdout, io.StringIO):  # printed lines are captured, so the person would not see the question
        asked = "\n".join([*lines, asked])
    elif lines:
        sys.stdout.write("\n".join(lines) + "\n")
        sys.stdout.flush()
    try:
        if sys.stdin.isatty():
            _forget_typed()
        return input(asked).strip()
    except (KeyboardInterrupt, EOFError):
        print()  # the cursor is still on the line of the question
        raise


def rows_of(text: str) -> list[str]:
    """Divide a text into rows. Only the first begins at the margin; on a page, words from right to left stand alone."""
    if sys.stdin.isatty():
        return [*terminal_rows(text, min(shutil.get_terminal_size().columns, _terminal_columns()))]
    return [RIGHT_TO_LEFT.sub("\u2068\\g<0>\u2069", row) for row in terminal_rows(text, _LEAST_COLUMNS)]


def _terminal_columns() -> int:
    """Return the width of the terminal itself: the variable `COLUMNS`, which `shutil` believes, may be older."""
    try:
        return os.get_terminal_size(sys.stdin.fileno()).columns
    except (OSError, ValueError):
        return _LEAST_COLUMNS


def _forget_typed() -> None:
    """Wait a moment, then forget what was typed: it was not meant for a question that nobody had seen."""
    time.sleep(ARM_S)
    if sys.platform == "win32":
        import msvcrt

        while msvcrt.kbhit():
            msvcrt.getwch()
    else:
        import termios

        with contextlib.suppress(termios.error, OSError, ValueError):
            termios.tcflush(sys.stdin.fileno(), termios.TCIFLUSH)
