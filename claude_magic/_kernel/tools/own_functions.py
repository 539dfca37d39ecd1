"""The person's own functions, called by Claude. They run on the thread of the turn: in a cell, an interrupt reaches them.

Their output appears in the cell. Claude reads the returned value as `show_value` shows it. If that text is not the whole value,
the value is also kept in the namespace, under a name that Claude can pass to another tool.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import threading
from collections.abc import Iterator, Mapping, Sequence
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
    from claude_magic.sdk._tools.function_tool import MisfitError

    try:
        with _seen(shell, capture):
            with interruptible() if stopped else contextlib.nullcontext():
                value = tool.bind(arguments, shell.user_ns)()
            if inspect.isawaitable(value):
                if stopped:
                    value = await until_stopped(asyncio.ensure_future(value), stopped)
                else:
                    with start_blocking_portal() as portal:
                        value = portal.call(lambda: value)
    except MisfitError as error:
        return ToolResult(str(error), is_error=True)
    except (Exception, SystemExit, GeneratorExit) as error:  # noqa: BLE001 - anybody's code
        capture.texts.append(error_text(error.with_traceback(_behind_ours(error.__traceback__))))
        return capture.result(failed=True)
    return _returned(shell, tool.name, value, capture)


@contextlib.contextmanager
def _seen(shell: InteractiveShell, capture: Capture) -> Iterator[None]:
    """Capture what the block prints and displays; not on another thread, as the cell may print meanwhile."""
    kept = contextlib.ExitStack()
    if threading.current_thread() is threading.main_thread():
        kept.enter_context(captured(shell, capture))
        kept.enter_context(figures_shown(shell))
    try:
        yield
    finally:
        kept.close()  # as without an error: `captured` then ends the last line of a terminal


def _returned(shell: InteractiveShell, tool: str, value: Any, capture: Capture) -> ToolResult:
    if value is None and (capture.texts or capture.images):
        return capture.result(failed=False)
    try:
        shown = show_value(shell, value, MAX_VALUE_CHARACTERS, quoted=False, mask=capture.mask)
    except ConfigError as failure:
        shown = Shown(failure.message, left_out=1)
    says_all = not shown.left_out and not capture.mask and type(value) in _PLAIN
    if says_all and isinstance(value, Sequence | Mapping | set | frozenset):
        says_all = len(value) <= len(shown.text)
    if not says_all:
        from claude_magic.sdk._tools.results import kept, kept_words

        name = kept(value, tool, shell.user_ns)
        capture.texts.append(f"{kept_words(name, value, type_name(value))}\n\n")
    capture.texts.append(f"{shown.told}\n")
    capture.images += shown.images
    return capture.result(failed=False)


def _behind_ours(traceback: TracebackType | None) -> TracebackType | None:
    """Return a traceback without the frames of this package at its top."""
    while traceback is not None and traceback.tb_next and traceback.tb_frame.f_globals.get("__name__", "").startswith(_OURS):
        traceback = traceback.tb_next
    return traceback
