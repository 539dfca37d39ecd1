"""Run code in the person's kernel, and call the person's functions. Output appears in the cell, and is captured for Claude.

Both run on the thread of the turn: in a cell, an interrupt reaches them. Claude reads the value that a function returns as
`show_value` shows it. If that text is not the whole value, the value is also kept in the namespace, under a name that Claude
can pass to another tool.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import io
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, TextIO, TypeVar

from anyio.from_thread import start_blocking_portal
from IPython.core.interactiveshell import ExecutionResult, InteractiveShell

from claude_magic._characters import strip_controls
from claude_magic._kernel.background import TICK_S
from claude_magic._kernel.values.bundles import image_in, text_in
from claude_magic._kernel.values.masking import Masking
from claude_magic._kernel.values.shown_value import Shown, show_value, type_name
from claude_magic._kernel.values.source_code import error_text
from claude_magic._render.parts.reply_wording import clip
from claude_magic.errors import ConfigError
from claude_magic.sdk.events import Image
from claude_magic.sdk.host import ToolResult

if TYPE_CHECKING:
    from claude_magic.sdk._tools.function_tool import FunctionTool

T = TypeVar("T")

Stopped = Callable[[], bool]
"""Returns whether the person has stopped the turn of an async cell meanwhile."""

MAX_OUTPUT_CHARACTERS = 20_000
"""The most characters that go back to Claude; a longer text is cut in the middle."""

MAX_VALUE_CHARACTERS: Final = 4_000
"""The most characters of a function's value that Claude reads."""

_OURS: Final = f"{__name__.partition('.')[0]}."

_PLAIN: Final = (str, bytes, int, float, complex, bool, type(None), list, tuple, dict, set, frozenset)
"""Types whose short values need no name: the text says everything."""


class _Tee(io.TextIOBase):
    """Write to a stream and keep what was written."""

    def __init__(self, stream: TextIO, kept: list[str]) -> None:
        self._stream = stream
        self._kept = kept

    def write(self, text: str) -> int:
        self._kept.append(text)
        return self._stream.write(text)

    def flush(self) -> None:
        self._stream.flush()

    def isatty(self) -> bool:
        return self._stream.isatty()

    @property
    def encoding(self) -> str:  # type: ignore[override]
        return self._stream.encoding


@dataclass
class Capture:
    """Collects what code printed and displayed, as Claude reads it."""

    texts: list[str] = field(default_factory=list)
    images: list[Image] = field(default_factory=list)
    has_value: bool = False
    """Whether the value of the last line is among the texts."""
    has_shown: bool = False
    """Whether the code has shown something in the cell."""
    mask: Masking = field(default_factory=Masking)

    def add_bundle(self, data: dict[str, Any]) -> None:
        """Add an output: its text, and its image if it has one."""
        if image := image_in(data):
            self.images.append(image)
        if text := text_in(data):
            self.texts.append(f"{text}\n")

    def result(self, *, failed: bool) -> ToolResult:
        text = clip(self.mask(strip_controls("".join(self.texts))), MAX_OUTPUT_CHARACTERS).strip()
        return ToolResult((text or "(no output)") + self.mask.said, tuple(self.images), is_error=failed)


async def run_code(shell: InteractiveShell, code: str, stopped: Stopped | None, capture: Capture) -> ToolResult:
    """Run code as a cell in the person's namespace.

    :param stopped: whether the person has stopped the turn meanwhile; `None` in a blocking cell, where nothing is awaited.
    :param capture: collects what the code prints and displays.
    :raises KeyboardInterrupt: the person interrupted the code.
    """
    transformed = shell.transform_cell(code) if stopped else code
    with captured(shell, capture):
        if stopped is None:
            done = shell.run_cell(code, store_history=False)
        elif shell.should_run_async(code, transformed_cell=transformed):
            with figures_shown(shell):
                running = asyncio.ensure_future(shell.run_cell_async(code, store_history=False, transformed_cell=transformed))
                done = await until_stopped(running, stopped)
        else:
            with interruptible():
                done = shell.run_cell(code, store_history=False)
    return _finished(shell, capture, done)


async def call_function(
    shell: InteractiveShell, tool: FunctionTool, arguments: Mapping[str, Any], stopped: Stopped | None, capture: Capture
) -> ToolResult:
    """Call a function, and await its result if necessary.

    :param stopped: whether the person has stopped the turn meanwhile; `None` in a blocking cell, or in a thread that the person
        started: nothing is awaited then; a coroutine runs on a new loop.
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


async def until_stopped(running: asyncio.Future[T], stopped: Stopped) -> T:
    """Wait for a task of an async cell and return its result.

    :raises KeyboardInterrupt: the person has interrupted or stopped the turn; the task is cancelled.
    """
    try:
        # An interrupt cancels the cell's task but does not wake the event loop (ipykernel 7.4); a timeout does.
        while not running.done() and not stopped():
            await asyncio.wait([running], timeout=TICK_S)
    except asyncio.CancelledError as interrupt:
        raise KeyboardInterrupt from interrupt
    finally:
        if not running.done():
            running.cancel()
            await asyncio.wait([running])
    if stopped():
        raise KeyboardInterrupt
    return running.result()


def _finished(shell: InteractiveShell, capture: Capture, done: ExecutionResult) -> ToolResult:
    error = done.error_before_exec or done.error_in_exec
    if isinstance(error, KeyboardInterrupt):
        raise error
    capture.has_shown |= done.result is not None or error is not None
    if done.result is not None and not capture.has_value:
        # The value could not be shown, or ipykernel (7.3 and before) does not call the hook for it.
        try:
            shown = show_value(shell, done.result, MAX_OUTPUT_CHARACTERS, quoted=True, mask=capture.mask)
        except ConfigError as failure:
            shown = Shown(failure.message)
        capture.texts.append(f"{shown.told}\n")
        capture.images += shown.images
    if error is not None and hasattr(shell, "kernel"):  # a terminal prints the error, so it is captured already
        lines = shell.InteractiveTB.structured_traceback(type(error), error, error.__traceback__)
        capture.texts.append("\n".join(lines))
    return capture.result(failed=error is not None)


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
        kept.close()  # `captured` is told of no error, so it ends a terminal's last line


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


@contextlib.contextmanager
def captured(shell: InteractiveShell, capture: Capture) -> Iterator[None]:
    """Capture what the block prints and displays; the person still sees it."""

    def hook(message: dict[str, Any]) -> dict[str, Any]:
        kind = message["header"]["msg_type"]
        if kind in ("display_data", "update_display_data", "execute_result"):
            capture.add_bundle(message["content"]["data"])
            capture.has_value |= kind == "execute_result"
        return message

    publishers: tuple[Any, ...] = (shell.display_pub, shell.displayhook)
    hooked = [publisher for publisher in publishers if hasattr(publisher, "register_hook")]
    capture.has_value = not hasattr(shell, "kernel")  # a terminal prints the value, so it will be captured
    with (
        contextlib.redirect_stdout(_Tee(sys.stdout, capture.texts)),
        contextlib.redirect_stderr(_Tee(sys.stderr, capture.texts)),
    ):
        for publisher in hooked:
            publisher.register_hook(hook)
        try:
            yield
        finally:
            for publisher in hooked:
                publisher.unregister_hook(hook)
            capture.has_shown = bool(capture.texts or capture.images)
    if not hasattr(shell, "kernel") and not "".join(capture.texts[-2:] or "\n").endswith("\n"):
        print()  # otherwise the reply would be drawn over the last line


@contextlib.contextmanager
def figures_shown(shell: InteractiveShell) -> Iterator[None]:
    """Show open figures after the block, as matplotlib does at the end of a cell."""
    shell.events.trigger("pre_execute")
    try:
        yield
    finally:
        shell.events.trigger("post_execute")


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Let an interrupt raise in the block at once. In an async cell ipykernel would only cancel the cell's task, later."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
