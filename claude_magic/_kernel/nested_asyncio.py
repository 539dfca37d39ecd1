"""`asyncio.run(...)` in cells, where a loop already runs: apply nest_asyncio2 when a cell needs it, and undo it.

nest_asyncio2 replaces parts of asyncio, of the loop's class and of tornado, and cannot undo that. So this module compares
them before and after, and restores what was replaced. A part that other code has replaced since then stays as it is.

Whether a cell runs a loop, in its own text or in the person's own code that it calls, is a guess from reading the code; nothing
is run. Library code is not read: it is long, and only running it would show which of it is called.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import re
import sys
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import CellType, CodeType, FunctionType, MappingProxyType, MethodType, ModuleType
from typing import Any, Final

from IPython.core.interactiveshell import ExecutionInfo, ExecutionResult, InteractiveShell

from claude_magic._kernel.options.settings import Settings
from claude_magic._kernel.values.source_code import is_library
from claude_magic._paths import file_bytes

_REFUSALS: Final = ("asyncio.run() cannot be called from a running event loop", "This event loop is already running")

_ABSENT: Final = object()

_PACKAGE: Final = str(Path(__file__).parents[1])

MAX_READ: Final = 2_000
"""The most functions and other objects that are read for one cell."""

_METHOD: Final = "run_until_complete"
_CALLS: Final = re.compile(rf"\b{_METHOD}\b|\bfrom\s+asyncio\s+import\b(?P<names>.*)")
_RUN: Final = re.compile(r"\brun\b")
_CALLS_OF: Final = re.compile(r"\b(?P<module>\w+)\s*\.\s*run\b")
_ALIAS: Final = re.compile(r"\bimport\s+asyncio\s+as\s+(?P<alias>\w+)")
_SCRIPT: Final = re.compile(r"^[ \t]*+%run[ \t]++(?:-\S++[ \t]++)*+(?P<path>\S++)", re.MULTILINE)
_IMPORT: Final = re.compile(r"^[ \t]*+(?:import|from)[ \t]++(?P<module>\w++)", re.MULTILINE)
_WORD: Final = re.compile(r"[^\W\d]\w*")
_NAME: Final = re.compile(r"(?<![\w.%!])[^\W\d]\w*")
_PROMPT: Final = re.compile(r"(?:[ \t\r\f]*+(?:#.*)?\n)*+%%claude\b")

_MODULE: Final = type.__dict__["__module__"].__get__
_MEMBERS: Final = type.__dict__["__dict__"].__get__
_GLOBALS: Final = vars(ModuleType)["__dict__"].__get__
"""These read attributes and run no code of the person's, such as `__getattribute__` of a metaclass or a module's class."""

_BY_THEMSELVES: Final = frozenset({"__init__", "__call__", "__enter__", "__iter__", "__next__", "__getitem__"})
"""Methods that are called without being named."""

_EMPTY: Final = CellType()
"""A closure cell without a value. Comparing another closure cell with it does not call the `__eq__` of a value."""


@dataclass(frozen=True, slots=True)
class _Replaced:
    """A name in a module or class whose value was replaced; `_ABSENT`: there was none before."""

    owner: Any
    name: str
    before: object
    after: object

    def undo(self) -> None:
        if vars(self.owner).get(self.name, _ABSENT) is not self.after:
            return  # other code has replaced it since
        if self.before is _ABSENT:
            delattr(self.owner, self.name)
        else:
            setattr(self.owner, self.name, self.before)


class NestedAsyncio:
    """Applies nest_asyncio2 when a cell needs it, and undoes it.

    :param settings: `nest_asyncio` says whether it may be applied. When that becomes false, it is undone.
    """

    def __init__(self, shell: InteractiveShell, settings: Settings) -> None:
        self._shell = shell
        self._settings = settings
        self._replaced: list[_Replaced] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        settings.observe(self._on_setting, "nest_asyncio")

    def before_cell(self, info: ExecutionInfo) -> None:
        """Apply it if the cell contains a call that needs it, or leads to one."""
        self.before_code(info.raw_cell or "")

    def before_code(self, code: str) -> None:
        """Apply it if this code contains a call that needs it, or leads to one."""
        if self._may_apply() and runs_a_loop(code, self._shell.user_ns):
            self._apply()

    def after_cell(self, result: ExecutionResult) -> None:
        """Apply it, with a message, after a cell that failed without it: `before_cell` sees no calls in library code."""
        error = result.error_in_exec
        if not (isinstance(error, RuntimeError) and str(error) in _REFUSALS and self._may_apply()):
            return
        self._apply()
        if self._replaced:
            print(
                "asyncio.run() works in cells from now on (nest_asyncio2 was applied): run this cell again. "
                "%config ClaudeMagics.nest_asyncio = False undoes it.",
                file=sys.stderr,
            )

    def undo(self) -> None:
        """Restore everything that was replaced."""
        own = {replaced.name for replaced in self._replaced if isinstance(replaced.owner, type)}
        for replaced in self._replaced:
            replaced.undo()
        self._replaced = []
        if self._loop is not None:
            # A nested run has left counters on the loop itself.
            for name in own & vars(self._loop).keys():
                delattr(self._loop, name)
            self._loop = None

    def close(self) -> None:
        """Undo it, and stop observing the settings."""
        self._settings.unobserve(self._on_setting, "nest_asyncio")
        self.undo()

    def _may_apply(self) -> bool:
        return bool(self._settings.nest_asyncio) and not self._replaced and _running_loop() is not None

    def _apply(self) -> None:
        import nest_asyncio2

        before = [(owner, dict(vars(owner))) for owner in _owners(nest_asyncio2)]
        self._loop = _running_loop()
        try:
            nest_asyncio2.apply()
            self._replaced = list(_differences(before))
        except ValueError:  # a loop that is not asyncio's own, such as uvloop's, cannot be made to nest
            self._replaced = list(_differences(before))
            self.undo()

    def _on_setting(self, change: Mapping[str, Any]) -> None:
        if not change["new"]:
            self.undo()


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _owners(nest_asyncio2: Any) -> Iterator[Any]:
    """Yield the modules and classes in which nest_asyncio2 (1.7) replaces names."""
    yield from (nest_asyncio2, asyncio, asyncio.events, asyncio.tasks, asyncio.futures)
    if tornado := sys.modules.get("tornado.concurrent"):
        yield tornado
    if sys.version_info < (3, 14):
        yield type(asyncio.get_event_loop_policy())
    yield type(asyncio.get_running_loop())


def _differences(before: list[tuple[Any, dict[str, Any]]]) -> Iterator[_Replaced]:
    for owner, names in before:
        for name, value in dict(vars(owner)).items():
            if (old := names.get(name, _ABSENT)) is not value:
                yield _Replaced(owner, name, old, value)


def runs_a_loop(code: str, namespace: Mapping[str, Any]) -> bool:
    """Whether a cell contains a call that runs a loop, or leads to one through the person's variables, the `namespace`."""
    # A prompt without expressions is only text.
    if _PROMPT.match(code) and "{{" not in code and "{%" not in code:
        return False
    if any(_says_so(text) for text in (code, *_files(code))):
        return True
    roots = _named(namespace, frozenset(_NAME.findall(code)))
    return _leads_to_run(roots, frozenset(_WORD.findall(code)))


def _says_so(code: str) -> bool:
    # By regular expressions and not by syntax: a call may follow `%timeit` or `%%time`.
    modules = {"asyncio", *_ALIAS.findall(code)}
    if any(match["names"] is None or _RUN.search(match["names"]) for match in _CALLS.finditer(code)):
        return True
    return any(match["module"] in modules for match in _CALLS_OF.finditer(code))


def _files(code: str) -> Iterator[str]:
    """Yield the text of the scripts that a cell runs, and of the person's own modules that it imports."""
    paths = [match["path"].strip("'\"") for match in _SCRIPT.finditer(code)]
    for match in _IMPORT.finditer(code):
        with contextlib.suppress(ImportError, ValueError):
            spec = importlib.util.find_spec(match["module"])
            if spec is not None and spec.origin is not None and _is_own_file(spec.origin):
                paths.append(spec.origin)
    for path in paths:
        with contextlib.suppress(OSError, ValueError):
            yield file_bytes(Path(path).expanduser()).decode()


def _leads_to_run(roots: Iterable[Any], names: frozenset[str]) -> bool:
    waiting = deque((root, names) for root in roots)
    seen: set[tuple[int, frozenset[str]]] = set()
    while waiting and len(seen) < MAX_READ:
        value, names = waiting.popleft()
        if value is asyncio.run:
            return True
        if (id(value), names) in seen:
            continue
        seen.add((id(value), names))
        if type(value) is FunctionType:
            if not _is_own_file(str.__str__(value.__code__.co_filename)):
                continue
            names = frozenset(_names(value.__code__))
            if _METHOD in names:
                return True
        waiting += [(found, names) for found in _reached(value, names)]
    return False


def _reached(value: Any, names: frozenset[str]) -> Iterable[Any]:
    """Return what code with these names may reach through a value. None of the value's own code is run."""
    # `is`, not `isinstance`: a subclass of `property` or `staticmethod` may run code when it is read.
    kind = type(value)
    if kind is FunctionType:
        enclosed = [cell.cell_contents for cell in value.__closure__ or () if cell != _EMPTY]
        return [*_named(value.__globals__, names), *enclosed]
    if kind is MethodType or kind is staticmethod or kind is classmethod:
        return [value.__func__]
    if kind is property:
        return [value.fget]
    if issubclass(kind, ModuleType):
        return _named(_GLOBALS(value), names)
    if issubclass(kind, type) and _is_own(value):
        members = [_MEMBERS(base) for base in type.mro(value) if _is_own(base)]
        return [member for each in members for member in _named(each, names | _BY_THEMSELVES)]
    return [kind] if _is_own(kind) else ()


def _named(members: Mapping[str, Any], names: frozenset[str]) -> list[Any]:
    # A subclass of `dict`, or a key that is a subclass of `str`, could run code when it is looked up.
    if not (type(members) is dict or type(members) is MappingProxyType):
        return []
    return [value for key, value in members.items() if type(key) is str and key in names]


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if type(constant) is CodeType:
            yield from _names(constant)


def _is_own_file(path: str) -> bool:
    return not (is_library(path) or path.startswith(_PACKAGE))


def _is_own(kind: type) -> bool:
    """Whether the person wrote a class: in a cell, or in a file outside all libraries."""
    module = _MODULE(kind)
    if type(module) is not str:
        return False
    found = sys.modules.get(module)
    file = _GLOBALS(found).get("__file__") if issubclass(type(found), ModuleType) else None
    return module == "__main__" or (type(file) is str and _is_own_file(file))
