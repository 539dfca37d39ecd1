"""`asyncio.run(...)` in cells, where a loop already runs: apply nest_asyncio2 when a cell needs it, and undo it.

nest_asyncio2 replaces parts of asyncio, of the loop's class and of tornado, and cannot undo that. So this module compares
them before and after, and restores what was replaced. A part that other code has replaced since then stays as it is.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from IPython.core.interactiveshell import ExecutionInfo, ExecutionResult, InteractiveShell

from claude_magic._kernel.loop_calls import runs_a_loop
from claude_magic._kernel.options.settings import Settings

_REFUSALS: Final = ("asyncio.run() cannot be called from a running event loop", "This event loop is already running")

_ABSENT: Final = object()


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

        owners = list(_owners(nest_asyncio2))
        before = [(owner, dict(vars(owner))) for owner in owners]
        self._loop = _running_loop()
        try:
            nest_asyncio2.apply()
        except ValueError:  # a loop that is not asyncio's own, such as uvloop's, cannot be made to nest
            self._replaced = list(_differences(before))
            self.undo()
            return
        self._replaced = list(_differences(before))

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
