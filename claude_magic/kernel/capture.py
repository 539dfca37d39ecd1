"""Run code in the person's kernel: its output appears as always, and is kept for Claude to read."""

from __future__ import annotations

import asyncio
import contextlib
import io
import signal
import sys
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, TextIO

from IPython.core.interactiveshell import ExecutionResult, InteractiveShell
from IPython.lib.pretty import pretty

from claude_magic.kernel.background import TICK_S
from claude_magic.render.blocks import clip, strip_controls
from claude_magic.sdk.events import Image
from claude_magic.sdk.host import ToolResult

MAX_OUTPUT_CHARACTERS = 20_000
"""Of the text that goes back to Claude; what is longer is cut in the middle."""


def base64_of(image: object) -> str:
    """Return an image of a display bundle as base64 without line breaks."""
    return b64encode(image).decode() if isinstance(image, bytes) else "".join(str(image).split())


_IMAGES = ("image/png", "image/jpeg", "image/gif", "image/webp")


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
class _Capture:
    texts: list[str] = field(default_factory=list)
    images: list[Image] = field(default_factory=list)
    has_value: bool = False
    """Whether the value of the last line is among the texts."""

    def add_bundle(self, data: dict[str, Any]) -> None:
        """Keep an output as Claude can read it: the image if it has one, and its text."""
        for media_type in _IMAGES:
            if media_type in data:
                self.images.append(Image(media_type, base64_of(data[media_type])))
                break
        text = data.get("text/markdown") or data.get("text/plain")
        if text:
            self.texts.append(f"{text}\n")

    def result(self, *, failed: bool) -> ToolResult:
        text = clip(strip_controls("".join(self.texts)), MAX_OUTPUT_CHARACTERS).strip()
        return ToolResult(text or "(no output)", tuple(self.images), is_error=failed)


async def run_code(shell: InteractiveShell, code: str, stopped: Callable[[], bool]) -> ToolResult:
    """Run a cell's worth of code in the person's namespace, from an async cell.

    :param stopped: whether the person has stopped the turn meanwhile.
    :raises KeyboardInterrupt: when the person interrupted it.
    """
    capture = _Capture()
    transformed = shell.transform_cell(code)
    with _captured(shell, capture):
        if shell.should_run_async(code, transformed_cell=transformed):
            done = await _awaited(shell, code, transformed, stopped)
        else:
            with interruptible():
                done = shell.run_cell(code, store_history=False)
    return _finished(shell, capture, done)


def run_code_blocking(shell: InteractiveShell, code: str) -> ToolResult:
    """Run a cell's worth of code in the person's namespace, from a blocking cell.

    :raises KeyboardInterrupt: when the person interrupted it.
    """
    capture = _Capture()
    with _captured(shell, capture):
        done = shell.run_cell(code, store_history=False)
    return _finished(shell, capture, done)


async def _awaited(shell: InteractiveShell, code: str, transformed: str, stopped: Callable[[], bool]) -> ExecutionResult:
    shell.events.trigger("pre_execute")
    running = asyncio.ensure_future(shell.run_cell_async(code, store_history=False, transformed_cell=transformed))
    try:
        # An interrupt cancels us without waking the loop (ipykernel 7.4): something must come due.
        while not running.done() and not stopped():
            await asyncio.wait([running], timeout=TICK_S)
    except asyncio.CancelledError as interrupt:
        raise KeyboardInterrupt from interrupt
    finally:
        if not running.done():
            running.cancel()
            await asyncio.wait([running])
        shell.events.trigger("post_execute")  # figures are shown then
    if stopped():
        raise KeyboardInterrupt
    return running.result()


def _finished(shell: InteractiveShell, capture: _Capture, done: ExecutionResult) -> ToolResult:
    error = done.error_before_exec or done.error_in_exec
    if isinstance(error, KeyboardInterrupt):
        raise error
    if done.result is not None and not capture.has_value:
        # It could not be shown, or this ipykernel does not tell what it shows (7.3 and before).
        try:
            text, png = shown(shell, done.result)
        except Exception as failure:  # noqa: BLE001 - a `__repr__` may raise anything; the cell has shown it already
            text, png = f"The value cannot be shown: {type(failure).__name__}: {failure}", None
        capture.add_bundle({"text/plain": text, **({"image/png": png} if png else {})})
    if error is not None:
        kind = type(error)
        lines = shell.InteractiveTB.structured_traceback(kind, error, error.__traceback__)
        capture.texts.append("\n".join(lines))
    return capture.result(failed=error is not None)


@contextlib.contextmanager
def _captured(shell: InteractiveShell, capture: _Capture) -> Iterator[None]:
    def hook(message: dict[str, Any]) -> dict[str, Any]:
        kind = message["header"]["msg_type"]
        if kind in ("display_data", "update_display_data", "execute_result"):
            capture.add_bundle(message["content"]["data"])
            capture.has_value |= kind == "execute_result"
        return message

    publishers: tuple[Any, ...] = (shell.display_pub, shell.displayhook)
    hooked = [publisher for publisher in publishers if hasattr(publisher, "register_hook")]
    capture.has_value = not hasattr(shell, "kernel")  # a terminal prints it, which the streams keep
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


def shown(shell: InteractiveShell, value: object) -> tuple[str, object]:
    """Return an object's text, as Markdown where it has that, and its PNG; raise what the object raises.

    The notebook's own formatters would print that into the cell.
    """
    give_bundle = getattr(value, "_repr_mimebundle_", None)
    if callable(give_bundle) and not issubclass(type(value), type):
        given = give_bundle(include=None, exclude=None)
        bundle = given[0] if isinstance(given, tuple) else given
        if text := bundle.get("text/markdown") or bundle.get("text/plain"):
            return str(text), bundle.get("image/png")
    return str(_formatted(shell, "text/markdown", value) or pretty(value)), _formatted(shell, "image/png", value)


def _formatted(shell: InteractiveShell, media_type: str, value: object) -> object:
    display_formatter = shell.display_formatter
    assert display_formatter is not None  # a shell has one from its start
    formatter = display_formatter.formatters[media_type]
    try:
        return formatter.lookup(value)(value)
    except KeyError:
        method = getattr(value, formatter.print_method, None)
        found = method() if callable(method) and not issubclass(type(value), type) else None
        return found[0] if isinstance(found, tuple) else found


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Let an interrupt raise in the code: during an async cell ipykernel only cancels the cell, when its turn comes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
