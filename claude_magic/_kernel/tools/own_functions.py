"""The person's own functions, called by Claude. They run on the thread of the turn: in a cell, an interrupt reaches them.

Their output appears in the cell. Claude reads the returned value as `show_value` shows it. If that text is not the whole value,
the value is also kept in the namespace, under a name that Claude can pass to another tool.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import threading
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final

from anyio.from_thread import start_blocking_portal
from IPython.core.interactiveshell import InteractiveShell

from claude_magic._kernel.tools.run_code import Capture, Stopped, captured, figures_shown, interruptible, until_stopped
from claude_magic._kernel.values.shown_value import Shown, show_value, type_name
from claude_magic._kernel.values.tracebacks import error_text
from claude_magic.errors import ConfigError
from claude_magic.sdk.host import ToolResult

if TYPE_CHECKING:
    from claude_magic.sdk._tools.function_tool import FunctionTool

_OURS: Final = f"{__name__.partition('.')[0]}."

MAX_VALUE_CHARACTERS: Final = 4_000
"""The most characters of a returned value that Claude reads."""

_PLAIN: Final = (str, bytes, int, float, complex, bool, type(None), list, tuple, dict, set, frozenset)
"""Types whose short values need no name: the text says everything."""


async def call(
    shell: InteractiveShell, tool: FunctionTool, arguments: Mapping[str, Any], stopped: Stopped | None, capture: Capture
) -> ToolResult:
    """Call a function, and await its result if necessary.

    :param stopped: whether the person has stopped the turn meanwhile; `None` in a blocking cell, or in a thread that the person
        started: this never suspends then, and a coroutine runs on a new loop.
    :param capture: collects what the function prints and displays.
    :raises KeyboardInterrupt: the person interrupted the function.
    """
    run = _Call(shell, tool, arguments, capture)
    with run:
        with interruptible() if stopped else contextlib.nullcontext():
            value = run.function()
        if inspect.isawaitable(value):
            if stopped:
                value = await until_stopped(asyncio.ensure_future(value), stopped)
            else:
                with start_blocking_portal() as portal:
                    value = portal.call(lambda: value)
        run.value = value
    return run.result


class _Call:
    """One call, used as a context. Its exit sets `result` from what was returned, printed, displayed or raised."""

    def __init__(self, shell: InteractiveShell, tool: FunctionTool, arguments: Mapping[str, Any], capture: Capture) -> None:
        self._shell = shell
        self._tool = tool
        self._arguments = arguments
        self._capture = capture
        self._kept = contextlib.ExitStack()
        self.value: Any = None
        self.result = ToolResult("")

    def function(self) -> Any:
        """Call the function; the result may have to be awaited."""
        return self._tool.bind(self._arguments, self._shell.user_ns)()

    def __enter__(self) -> None:
        # On another thread this would also capture what the cell prints meanwhile.
        if threading.current_thread() is threading.main_thread():
            self._kept.enter_context(captured(self._shell, self._capture))
            self._kept.enter_context(figures_shown(self._shell))

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: object) -> bool:
        from claude_magic.sdk._tools.function_tool import MisfitError

        self._kept.close()
        match error:
            case None:
                self.result = self._returned()
            case MisfitError():
                self.result = ToolResult(str(error), is_error=True)
            case Exception() | SystemExit() | GeneratorExit():
                self._capture.texts.append(error_text(error.with_traceback(_behind_ours(error.__traceback__))))
                self.result = self._capture.result(failed=True)
            case _:
                return False
        return True

    def _returned(self) -> ToolResult:
        if self.value is None and (self._capture.texts or self._capture.images):
            return self._capture.result(failed=False)
        try:
            shown = show_value(self._shell, self.value, MAX_VALUE_CHARACTERS, quoted=False, mask=self._capture.mask)
        except ConfigError as failure:
            shown = Shown(failure.message, left_out=1)
        if self._needs_name(shown):
            from claude_magic.sdk._tools.results import kept, kept_words

            name = kept(self.value, self._tool.name, self._shell.user_ns)
            self._capture.texts.append(f"{kept_words(name, self.value, type_name(self.value))}\n\n")
        self._capture.texts.append(f"{shown.told}\n")
        self._capture.images += shown.images
        return self._capture.result(failed=False)

    def _needs_name(self, shown: Shown) -> bool:
        if shown.left_out or self._capture.mask or type(self.value) not in _PLAIN:
            return True
        return isinstance(self.value, Sequence | Mapping | set | frozenset) and len(self.value) > len(shown.text)


def _behind_ours(traceback: TracebackType | None) -> TracebackType | None:
    """Return a traceback without the frames of this package at its top."""
    while traceback is not None and traceback.tb_next and traceback.tb_frame.f_globals.get("__name__", "").startswith(_OURS):
        traceback = traceback.tb_next
    return traceback
