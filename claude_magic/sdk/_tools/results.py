"""Turns a function's result into text for Claude. A large result is kept as a variable, and Claude gets its name."""

from __future__ import annotations

import asyncio
import inspect
import json
import reprlib
import traceback
from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any, Final

from claude_magic.sdk._tools.function_tool import FunctionTool, MisfitError
from claude_magic.sdk.events import Event
from claude_magic.sdk.host import Listener, ToolResult

MAX_RESULT_CHARACTERS: Final = 4_000
"""The limit of one result's text. A longer result is kept as a variable; Claude gets the name and the beginning."""

_MANY: Final = 1_000
"""Lists with more items are not written out."""


class FunctionHost(Listener):
    """A host that runs the person's functions: coroutines in its event loop, other functions in a thread.

    :param variables: keeps large results, and is where arguments are found by name.
    """

    def __init__(
        self,
        tools: Sequence[FunctionTool],
        variables: MutableMapping[str, Any],
        emit: Callable[[Event], None] = lambda event: None,
    ) -> None:
        super().__init__(emit)
        self._functions = {tool.name: tool for tool in tools}
        self._variables = variables

    async def call(self, tool: str, arguments: dict[str, Any]) -> ToolResult:
        """Call a function. If it raises an exception, Claude gets the traceback."""
        if (function := self._functions.get(tool)) is None:
            return await super().call(tool, arguments)
        try:
            call = function.bind(arguments, self._variables)
            value = await asyncio.to_thread(call) if not function.is_async else call()
            if inspect.isawaitable(value):
                value = await value
        except MisfitError as error:
            return ToolResult(str(error), is_error=True)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - anybody's code
            return ToolResult("".join(traceback.format_exception(error)[-20:]), is_error=True)
        return self._result(tool, value)

    def _result(self, tool: str, value: object) -> ToolResult:
        text = _as_text(value)
        if text is not None and len(text) <= MAX_RESULT_CHARACTERS:
            return ToolResult(text)
        name = kept(value, tool, self._variables)
        shown = text or reprlib.repr(value)
        return ToolResult(f"{kept_words(name, value)}\n\n{shown[:MAX_RESULT_CHARACTERS]}")


def kept(value: object, tool: str, variables: MutableMapping[str, Any]) -> str:
    """Keep a tool's result under an unused name and return that name. A value that has a name already keeps it."""
    named = (name for name, other in variables.items() if other is value and type(name) is str and name[:1] != "_")
    if (name := next(named, None)) is not None:
        return name
    stem = tool.replace("-", "_")
    number = next(number for number in range(1, len(variables) + 2) if f"{stem}_{number}" not in variables)
    variables[f"{stem}_{number}"] = value
    return f"{stem}_{number}"


def kept_words(name: str, value: object, about: str = "") -> str:
    """Tell Claude the name of a kept result, and how to use it."""
    return f"It is kept as the variable {name} ({about or type(value).__name__}): give that name to other tools."


def _as_text(value: object) -> str | None:
    """Return a value as JSON, a text as it is; `None` if JSON cannot hold it or it has too many items."""
    if value is None:
        return "It returned nothing."
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping | Sequence) and len(value) > _MANY:
        return None
    from pydantic_core import PydanticSerializationError, to_jsonable_python

    try:
        return json.dumps(to_jsonable_python(value), ensure_ascii=False)
    except (PydanticSerializationError, TypeError, ValueError, RecursionError):
        return None
