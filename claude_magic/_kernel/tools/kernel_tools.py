"""The tools of the MCP server `kernel`, by which Claude sees and changes the kernel. They run on the main thread."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from IPython.core.interactiveshell import InteractiveShell

from claude_magic._kernel.tools import run_code
from claude_magic._kernel.values.bundles import sendable
from claude_magic._kernel.values.described import described, own_variables
from claude_magic._kernel.values.masking import Masking
from claude_magic._kernel.values.shown_value import show_value
from claude_magic._kernel.values.time_limit import INSPECT_TIMEOUT_S
from claude_magic.errors import AttachmentError, ConfigError
from claude_magic.sdk.host import Tool, ToolResult
from claude_magic.sdk.response import SessionAwareResponse

if TYPE_CHECKING:
    from claude_magic._kernel.notebook.outline import Outline
    from claude_magic.sdk._tools.function_tool import FunctionTool

DEFAULT_MAX_CHARACTERS = 4_000
MAX_IMAGES = 20
"""The most in one result: with more, the API takes only smaller images."""

_REMEMBERED: Final = 200
"""The number of cells whose added code is remembered."""

_INTEGERS = {"type": "array", "items": {"type": "integer"}}

TOOLS = (
    Tool(
        "list_variables",
        "List the variables of the user's notebook: name and type, and the shape or length and size of plain data.",
        {"type": "object", "properties": {}},
        read_only=True,
    ),
    Tool(
        "inspect_variable",
        "Show a variable of the user's notebook as the notebook would: Markdown or text, and an image where it has one. "
        f"This runs its code, usually for {INSPECT_TIMEOUT_S:g} s at most.",
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
        "read_cells",
        "Read cells of the user's notebook: code, what they printed, returned and displayed, errors, figures; also Markdown "
        "and cells that have not run, as last saved. Without numbers and positions, a line for each cell, in order.",
        {
            "type": "object",
            "properties": {
                "numbers": _INTEGERS | {"description": "The numbers of cells that have run: 5 for In [5]"},
                "positions": _INTEGERS
                | {"description": "Positions in the saved notebook, Markdown included: 3 for the listed #3"},
                "max_chars": {
                    "type": "integer",
                    "description": f"Each code and output is cut to this; {DEFAULT_MAX_CHARACTERS} if not given",
                },
            },
        },
        read_only=True,
    ),
    Tool(
        "run_code",
        "Run Python code in the user's notebook kernel, in their namespace, with IPython's magics and top-level await. "
        "The user sees the output and is asked first.",
        {"type": "object", "properties": {"code": {"type": "string"}}, "required": ["code"]},
    ),
    Tool(
        "add_cell",
        "Put a code cell below the current one, for the user to review and run. The user is asked first.",
        {"type": "object", "properties": {"source": {"type": "string"}}, "required": ["source"]},
    ),
)


class KernelTools:
    """The tools of one shell, for one cell; `functions` are the person's own tools."""

    def __init__(self, shell: InteractiveShell, functions: Sequence[FunctionTool], notebook: Outline) -> None:
        self._shell = shell
        self._notebook = notebook
        self._functions = {tool.name: tool for tool in functions}
        self._added: list[str] = []
        self._capture = run_code.Capture()
        """What the last call has printed and displayed."""

    @property
    def has_shown(self) -> bool:
        """Whether the last call has shown something in the cell."""
        return self._capture.has_shown

    async def call_async(self, tool: str, arguments: dict[str, Any], stopped: run_code.Stopped | None) -> ToolResult:
        """Run a tool from an async cell; with `None` for `stopped` from a blocking cell, where this never suspends.

        :raises KeyboardInterrupt: the person interrupted the code.
        """
        self._capture = run_code.Capture()
        if tool == "run_code":
            result = await run_code.run_code(self._shell, str(arguments.get("code", "")), stopped, self._capture)
        elif function := self._functions.get(tool):
            result = await run_code.call_function(self._shell, function, arguments, stopped, self._capture)
        else:
            result = self._look_or_add(tool, arguments)
        return _with_fitting_images(result)

    def call(self, tool: str, arguments: dict[str, Any]) -> ToolResult:
        """Do what `call_async` does, from a blocking cell."""
        running = self.call_async(tool, arguments, None)
        try:
            running.send(None)
        except StopIteration as ended:
            result: ToolResult = ended.value
            return result
        raise AssertionError("without an event loop, a tool must not suspend")

    def _look_or_add(self, tool: str, arguments: dict[str, Any]) -> ToolResult:
        match tool:
            case "list_variables":
                lines = [f"{name}: {described(value)}" for name, value in own_variables(self._shell).items()]
                return ToolResult("\n".join(lines) or "There are no variables yet.")
            case "inspect_variable":
                return self._inspect(str(arguments.get("name", "")), arguments.get("max_chars"))
            case "read_cells":
                numbers, positions = _integers(arguments.get("numbers")), _integers(arguments.get("positions"))
                return ToolResult(*self._notebook.read(numbers, _limit(arguments.get("max_chars")), positions))
            case "add_cell":
                return self.add_cell(str(arguments.get("source", "")))
        return ToolResult(f"There is no tool {tool}.", is_error=True)

    def _inspect(self, name: str, max_chars: object) -> ToolResult:
        if name not in self._shell.user_ns or name in self._shell.user_ns_hidden:
            return ToolResult(f"There is no variable {name!r}; list_variables shows those there are.", is_error=True)
        mask = Masking(name)
        try:
            shown = show_value(self._shell, self._shell.user_ns[name], _limit(max_chars), quoted=True, mask=mask)
        except ConfigError as error:
            return ToolResult(f"{name}: {error.message}", is_error=True)
        return ToolResult(shown.told + mask.said, shown.images)

    def add_cell(self, source: str) -> ToolResult:
        """Put code into a cell below, for the person to review and run."""
        # A frontend keeps only the last `set_next_input` of a run, so several become one cell, with separators.
        self._added.append(source.rstrip())
        self._shell.set_next_input("\n\n# ---\n\n".join(self._added))
        return ToolResult("The cell appears below the current one when this turn has ended; the user decides about it.")


def _integers(given: object) -> list[int]:
    return [number for number in given if isinstance(number, int)] if isinstance(given, list) else []


def _limit(given: object) -> int:
    return given if isinstance(given, int) and given > 0 else DEFAULT_MAX_CHARACTERS


def _with_fitting_images(result: ToolResult) -> ToolResult:
    """Return a result with images that the API accepts. The text says which ones were changed or left out."""
    images, said = [], []
    for image in result.images[:MAX_IMAGES]:
        try:
            fitting, remark = sendable(image, "An image")
        except AttachmentError as error:
            said.append(f"({error.message.rstrip('.')}: it is left out.)")
        else:
            images.append(fitting)
            said += [f"({remark})"] if remark else []
    if len(result.images) > MAX_IMAGES:
        said.append(f"({len(result.images) - MAX_IMAGES} more images are left out.)")
    return replace(result, text="\n".join([result.text, *said]), images=tuple(images))


def python_in(reply: SessionAwareResponse, block: int | None = None) -> str:
    """Return the Python code of a reply, or of one code block of it, counted from 1; empty if there is none."""
    blocks = reply.python_blocks if block is None else reply.python_blocks[block - 1 : block]
    return "\n\n".join(code.rstrip() for code in blocks).strip("\n")


class CodeCells:
    """What `--code` has put below the cells of one kernel.

    A kernel can add a cell, but cannot change or remove it. So a cell that runs again does not add the same code twice.
    """

    def __init__(self) -> None:
        self._put: dict[str, str] = {}

    def put(self, reply: SessionAwareResponse, cell_id: str | None, add: Callable[[str], object]) -> str:
        """Put the Python of a reply into a new cell below, by `add`; return a notice, or an empty text."""
        code = python_in(reply)
        if not code.strip():
            return "--code: there is no Python in the reply."
        before = self._put.pop(cell_id, None) if cell_id else None
        if cell_id:
            self._put[cell_id] = code
            if len(self._put) > _REMEMBERED:
                del self._put[next(iter(self._put))]
        if before == code:
            return (
                "--code: the same code as before, which is in a cell below already; %claude_session code puts it there again."
            )
        add(code)
        return "--code: the cell that was made before stays, as a kernel cannot replace it." if before else ""
