"""The source of functions and classes, also of those that were defined in cells; an error as text, with the cell that failed.

IPython keeps the source of each compiled cell in `linecache`. Long runs of frames in a traceback are shortened: those of
libraries after 4 frames, the person's own after 100.
"""

from __future__ import annotations

import ast
import contextlib
import inspect
import linecache
import sysconfig
import textwrap
import traceback
from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import PurePath
from types import FunctionType
from typing import Any, Final

from IPython.core.getipython import get_ipython

from claude_magic._characters import strip_controls
from claude_magic._render.parts.reply_wording import clip
from claude_magic.sdk.content import fenced

MAX_TRACEBACK_CHARACTERS: Final = 20_000

MAX_CELL_LINES: Final = 200
"""The most lines of a cell's source; of a longer cell the lines around the failing one are shown."""

MAX_CELL_CHARACTERS: Final = 20_000

_LIBRARY_FRAMES: Final = (4, 1, 2)
"""Up to 4 frames of libraries in a row are all shown; of more, the first 1 and the last 2."""

_OWN_FRAMES: Final = (100, 10, 10)

_LIBRARIES: Final = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})


def source_of(value: Callable[..., object] | type) -> str:
    """Return the source of a function or class; if it has none, its signature and docstring."""
    # `inspect` looks for a class in the file of its module, and `__main__` has no file in a notebook.
    if isinstance(value, type) and value.__module__ == "__main__" and (source := _class_in_cells(value)):
        return source
    with contextlib.suppress(OSError, TypeError):
        return textwrap.dedent(inspect.getsource(value)).rstrip()
    return "\n\n".join(part for part in (_signature(value), inspect.getdoc(value) or "") if part)


def is_cell(filename: str) -> bool:
    """Tell whether code with this file name was compiled from a cell."""
    # Neither cells nor generated code have a modification time. In angle brackets, only `<ipython-input-` is a cell.
    entry = linecache.cache.get(filename)
    is_generated = filename.startswith("<") and not filename.startswith("<ipython-input-")
    return entry is not None and len(entry) == 4 and entry[1] is None and not is_generated


def cell_label(filename: str) -> str:
    """Return the name of a cell as IPython's tracebacks write it: `Cell In[3]`."""
    compiler = getattr(get_ipython(), "compile", None)
    named = compiler.format_code_name(filename) if compiler is not None else None
    return " ".join(named) if named else "Cell"


def _class_in_cells(kind: type) -> str | None:
    """Find the source of a class in the cells by its methods, else by its name; `None` if several match."""
    codes = [
        function.__code__
        for member in vars(kind).values()
        for function in (getattr(member, "__func__", None), getattr(member, "fget", None), member)
        if isinstance(function, FunctionType) and function.__qualname__.startswith(f"{kind.__qualname__}.")
    ]
    places = {(code.co_filename, code.co_firstlineno) for code in codes if is_cell(code.co_filename)}
    files = {file for file, _ in places} or {file for file in list(linecache.cache) if is_cell(file)}
    path = [name for name in kind.__qualname__.split(".") if name != "<locals>"]
    found = set()
    for file in files:
        lines = linecache.getlines(file)
        text = "".join(lines)
        if path[-1] not in text:
            continue
        with contextlib.suppress(SyntaxError):
            for node in _classes(ast.parse(text), path):
                first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
                last = node.end_lineno or first
                if not places or any(file == at and first <= line <= last for at, line in places):
                    found.add(textwrap.dedent("".join(lines[first - 1 : last])).rstrip())
    return found.pop() if len(found) == 1 else None


def _classes(node: ast.AST, path: list[str]) -> Iterator[ast.ClassDef]:
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _classes(child, path)
        elif child.name == path[0] and len(path) > 1:
            yield from _classes(child, path[1:])
        elif child.name == path[0] and isinstance(child, ast.ClassDef):
            yield child


def _signature(value: Callable[..., object] | type) -> str:
    name = f"{'class ' if isinstance(value, type) else ''}{getattr(value, '__qualname__', repr(value))}"
    try:
        return f"{name}{inspect.signature(value)}"
    except (TypeError, ValueError):  # some builtins have none
        return name


def error_text(error: BaseException) -> str:
    """Return the traceback in plain text, below the source of the failing cell if the error comes from one.

    This calls the error's `__str__`, which may run any code; `show_value` limits its time.
    """
    told = traceback.TracebackException.from_exception(error)
    place, errors = _place(told), list(_all(told))
    for each in errors:
        each.stack = _Stack(_without_machinery(each))
    text = "".join(told.format())
    files = {frame.filename for each in errors for frame in each.stack} | set(map(_file_of_syntax_error, errors))
    for filename in filter(is_cell, files):
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
