"""An error as text: the source of the cell that failed, and the traceback without colours.

The person's own frames stay, unless they recurse endlessly. Many frames of libraries in a row are shortened.
"""

from __future__ import annotations

import linecache
import sysconfig
import traceback
from collections.abc import Iterator
from itertools import groupby
from pathlib import PurePath
from typing import Any, Final

from claude_magic._characters import strip_controls
from claude_magic._kernel.values.source_code import cell_label, is_cell
from claude_magic._render.parts.reply_wording import clip
from claude_magic.sdk.content import fenced

MAX_TRACEBACK_CHARACTERS: Final = 20_000

MAX_CELL_LINES: Final = 200
"""The most lines of a cell's source; of a longer cell the lines around the failing one are shown."""

MAX_CELL_CHARACTERS: Final = 20_000

_LIBRARY_FRAMES: Final = (4, 1, 2)
"""How many frames of libraries in a row are all shown (4); of more, how many first (1) and last ones (2) are."""

_OWN_FRAMES: Final = (100, 10, 10)

_LIBRARIES: Final = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})


def error_text(error: BaseException) -> str:
    """Return the traceback in plain text, below the source of the failing cell if the error comes from one.

    This calls the error's `__str__`, which may run any code; `show_value` limits its time.
    """
    told = traceback.TracebackException.from_exception(error)
    place = _place(told)
    for each in _all(told):
        each.stack = _Stack(_without_machinery(each))
    text = "".join(told.format())
    for filename in _cells(told):
        text = text.replace(f'File "{filename}"', cell_label(filename))
    text = clip(strip_controls(text).rstrip(), MAX_TRACEBACK_CHARACTERS)
    return f"{_source(*place)}\n\n{text}" if place else text


class _Stack(traceback.StackSummary):
    """Frames of a traceback; long runs of frames of a library, or of the person's, are shortened when formatted."""

    def format(self, **options: Any) -> list[str]:
        lines: list[str] = []
        for of_library, group in groupby(self, lambda frame: is_library(frame.filename)):
            frames = list(group)
            texts = traceback.StackSummary.from_list(frames).format(**options)  # joins repeated frames into one line
            limit, first, last = _LIBRARY_FRAMES if of_library else _OWN_FRAMES
            if len(texts) > limit:
                owners = ", ".join(sorted({_library(frame.filename) for frame in frames[first:-last]}))
                note = f"  … {len(texts) - first - last:,} frames{f' in {owners}' if of_library else ''} left out …\n"
                texts = [*texts[:first], note, *texts[-last:]]
            lines += texts
        return lines


def _cells(told: traceback.TracebackException) -> set[str]:
    files = {frame.filename for each in _all(told) for frame in each.stack}
    return {file for file in files | {_file_of_syntax_error(each) for each in _all(told)} if is_cell(file)}


def _all(told: traceback.TracebackException) -> Iterator[traceback.TracebackException]:
    """Yield the exceptions of a chain or group. `traceback` has removed cycles: each exception is there once."""
    waiting = [told]
    while waiting:
        each = waiting.pop()
        yield each
        waiting += [other for other in (each.__cause__, each.__context__, *(each.exceptions or ())) if other is not None]


def _without_machinery(told: traceback.TracebackException) -> list[traceback.FrameSummary]:
    """Return the frames of an error without those of IPython that lead to the cell."""
    first = next((number for number, frame in enumerate(told.stack) if is_cell(frame.filename)), None)
    if first is None and is_cell(_file_of_syntax_error(told)):
        return []
    return told.stack[first or 0 :]


def _place(told: traceback.TracebackException) -> tuple[str, int] | None:
    """Return the failed cell's file name and line. The outermost frame counts: inner ones may be in other cells."""
    for frame in told.stack:
        if is_cell(frame.filename):
            return frame.filename, frame.lineno or 1
    filename = _file_of_syntax_error(told)
    return (filename, int(told.lineno or 1)) if is_cell(filename) else None


def _file_of_syntax_error(told: traceback.TracebackException) -> str:
    return getattr(told, "filename", None) or ""


def _source(filename: str, line: int) -> str:
    lines = linecache.getlines(filename)
    begin = max(0, min(line - MAX_CELL_LINES // 2, len(lines) - MAX_CELL_LINES))
    shown = lines[begin : begin + MAX_CELL_LINES]
    after = len(lines) - begin - len(shown)
    above = f"… {begin:,} lines above left out …\n" if begin else ""
    below = f"… {after:,} lines below left out …\n" if after else ""
    return fenced(cell_label(filename), clip(strip_controls(f"{above}{''.join(shown)}{below}"), MAX_CELL_CHARACTERS))


def is_library(filename: str) -> bool:
    """Whether code with this file name belongs to a library or to Python."""
    path = PurePath(filename)
    return (
        filename.startswith(("<frozen ", *_LIBRARIES)) or "site-packages" in path.parts or "dist-packages" in path.parts
    ) and not is_cell(filename)


def _library(filename: str) -> str:
    parts = PurePath(filename).parts
    for folder in ("site-packages", "dist-packages"):
        if folder in parts[:-1]:
            return parts[parts.index(folder) + 1].removesuffix(".py")
    return "the standard library"
