"""What Claude may see and do in the kernel: the tools of the MCP server `kernel`, done on the main thread."""

from __future__ import annotations

import contextlib
import io
import reprlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType, FunctionType, ModuleType
from typing import Any

from IPython.core.interactiveshell import InteractiveShell

from claude_magic.kernel import capture
from claude_magic.render.blocks import clip, strip_controls
from claude_magic.sdk.events import Image
from claude_magic.sdk.host import Tool, ToolResult
from claude_magic.sdk.response import SessionAwareResponse

INSPECT_TIMEOUT_S = 3.0
"""How long one object may take to show itself: its `__repr__` is anybody's code."""

DEFAULT_MAX_CHARACTERS = 4_000

TOOLS = (
    Tool(
        "list_variables",
        "List the variables of the user's notebook: name, type, shape or length, size in bytes.",
        {"type": "object", "properties": {}},
        read_only=True,
    ),
    Tool(
        "inspect_variable",
        "Show a variable of the user's notebook as the notebook would: Markdown or text, and an image where it has one.",
        {
            "type": "object",
            "properties": {
                "name": {"type": "string", "description": "The variable's name"},
                "max_chars": {"type": "integer", "description": f"Text is cut to this; {DEFAULT_MAX_CHARACTERS} if not given"},
            },
            "required": ["name"],
        },
        read_only=True,
    ),
    Tool(
        "run_code",
        "Run Python code in the user's notebook kernel, in their namespace, with IPython's magics and top-level await. "
        "The user sees the output and is asked before.",
        {"type": "object", "properties": {"code": {"type": "string"}}, "required": ["code"]},
    ),
    Tool(
        "add_cell",
        "Put a code cell below the current one, for the user to review and run.",
        {"type": "object", "properties": {"source": {"type": "string"}}, "required": ["source"]},
    ),
)


class TookTooLong(BaseException):
    """An object did not show itself in time; no `Exception`, so that its code does not take it for one of its own."""


class KernelTools:
    """The tools of one shell, for one cell."""

    def __init__(self, shell: InteractiveShell) -> None:
        self._shell = shell
        self._added: list[str] = []

    async def call_async(self, tool: str, arguments: dict[str, Any], stopped: Callable[[], bool]) -> ToolResult:
        """Do a tool's work from an async cell; `stopped` tells whether the person has stopped the turn meanwhile.

        :raises KeyboardInterrupt: when the person interrupted the code.
        """
        if tool == "run_code":
            return await capture.run_code(self._shell, str(arguments.get("code", "")), stopped)
        return self._look_or_add(tool, arguments)

    def call(self, tool: str, arguments: dict[str, Any]) -> ToolResult:
        """Do a tool's work from a blocking cell.

        :raises KeyboardInterrupt: when the person interrupted the code.
        """
        if tool == "run_code":
            return capture.run_code_blocking(self._shell, str(arguments.get("code", "")))
        return self._look_or_add(tool, arguments)

    def _look_or_add(self, tool: str, arguments: dict[str, Any]) -> ToolResult:
        match tool:
            case "list_variables":
                return self._list_variables()
            case "inspect_variable":
                return self._inspect(str(arguments.get("name", "")), arguments.get("max_chars"))
            case "add_cell":
                return self._add_cell(str(arguments.get("source", "")))
        return ToolResult(f"There is no tool {tool}.", is_error=True)

    def _list_variables(self) -> ToolResult:
        names = [
            name
            for name, value in self._shell.user_ns.items()
            if not name.startswith("_") and name not in self._shell.user_ns_hidden and not issubclass(type(value), ModuleType)
        ]
        lines = [_described(name, self._shell.user_ns[name]) for name in names]
        return ToolResult("\n".join(lines) or "There are no variables yet.")

    def _inspect(self, name: str, max_chars: object) -> ToolResult:
        if name not in self._shell.user_ns or name in self._shell.user_ns_hidden:
            return ToolResult(f"There is no variable {name!r}; list_variables shows those there are.", is_error=True)
        limit = max_chars if isinstance(max_chars, int) and max_chars > 0 else DEFAULT_MAX_CHARACTERS
        value = self._shell.user_ns[name]
        try:
            with _bounded(), contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
                text, png = capture.shown(self._shell, value)
        except (Exception, SystemExit, TookTooLong) as error:  # noqa: BLE001 - a `__repr__` may raise anything, and the turn goes on
            return ToolResult(f"{name} ({_type_name(value)}) cannot be shown: {type(error).__name__}: {error}", is_error=True)
        images = (Image("image/png", capture.base64_of(png)),) if png else ()
        return ToolResult(clip(strip_controls(text), limit), images)

    def add_code(self, reply: SessionAwareResponse) -> None:
        """Put the Python code of a reply into a cell below."""
        if code := "\n\n".join(block.rstrip() for block in reply.python_blocks):
            self._add_cell(code)

    def _add_cell(self, source: str) -> ToolResult:
        # A frontend makes one cell a run, of the last call: several become one, with separators.
        self._added.append(source.rstrip())
        self._shell.set_next_input("\n\n# ---\n\n".join(self._added))
        return ToolResult("The cell appears below the current one when this turn has ended; the user decides about it.")


def _described(name: str, value: object) -> str:
    kind = _type_name(value)
    about = [kind]
    with contextlib.suppress(Exception, SystemExit, TookTooLong), _bounded():
        shape = getattr(value, "shape", None)
        if isinstance(shape, tuple):
            about.append(f"shape {reprlib.repr(shape)}")
        elif not issubclass(type(value), FunctionType | type):
            about.append(f"length {len(value)}")  # type: ignore[arg-type]
    with contextlib.suppress(Exception, SystemExit, TookTooLong), _bounded():
        size = getattr(value, "nbytes", None)
        about.append(f"{size if isinstance(size, int) else sys.getsizeof(value)} bytes")
    return f"{name}: {', '.join(about)}"


def _type_name(value: object) -> str:
    kind = type(value)
    return kind.__name__ if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}.{kind.__name__}"


@contextlib.contextmanager
def _bounded() -> Iterator[None]:
    """Break off what takes longer than `INSPECT_TIMEOUT_S`; only where there are alarms, and on the main thread."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, frame: FrameType | None) -> None:
        raise TookTooLong(f"it took longer than {INSPECT_TIMEOUT_S:g} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, INSPECT_TIMEOUT_S, 0.2)  # again and again: some code catches everything
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
