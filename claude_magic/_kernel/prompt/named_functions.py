"""The functions that Claude may call in a cell: named after `--tool`, passed to `ask()`, or configured."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import reduce
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell

from claude_magic._kernel.tools.kernel_tools import TOOLS
from claude_magic._kernel.values.shown_value import type_name
from claude_magic.errors import ConfigError

if TYPE_CHECKING:
    from claude_magic.sdk._tools.function_tool import FunctionTool


def own_tools(
    shell: InteractiveShell, chosen: Iterable[object], configured: Iterable[object] = ()
) -> tuple[tuple[FunctionTool, ...], tuple[str, ...]]:
    """Return the tools of a cell, and remarks about configured functions that do not exist yet.

    :param chosen: functions, or names of functions in the person's namespace.
    :raises UsageError: a name is unknown, or names no function that can be a tool; the message is one line.
    :raises ConfigError: a function cannot be a tool.
    """
    if not (chosen := tuple(dict.fromkeys(chosen))) and not configured:
        return (), ()
    from claude_magic.sdk._tools.function_tool import FunctionTool, function_tools

    found, missing = [], []
    for one in dict.fromkeys((*configured, *chosen)):
        if not isinstance(one, str):
            found.append(FunctionTool.of(one))  # type: ignore[arg-type] # it raises for anything but a function
            continue
        try:
            found.append(_named(shell, one))
        except UsageError:
            if one in chosen:
                raise
            missing.append(f"Claude cannot call {one}, which ClaudeMagics.tools names: there is no such function yet.")
    return function_tools(found, TOOLS), tuple(missing)


def _named(shell: InteractiveShell, name: str) -> FunctionTool:
    from claude_magic.sdk._tools.function_tool import FunctionTool

    found = looked_up(name, shell.user_ns, option="--tool", kind="function")
    if not callable(found):
        raise UsageError(f"%claude: --tool: {name} is not a function: its type is {type_name(found)}; nothing was sent")
    try:
        return FunctionTool.of(found, name.rpartition(".")[2])
    except ConfigError as error:
        raise UsageError(f"%claude: --tool: {error.message} {error.next_step}".rstrip()) from error


def looked_up(name: str, namespace: Mapping[str, Any], *, option: str, kind: str) -> Any:
    """Return what a name in the person's namespace stands for, such as `load_prices` or `prices.load`.

    :param option: the option that names it, for the error.
    :param kind: what it should be, for the error.
    :raises UsageError: there is no such name; the message is one line.
    """
    first, *rest = name.split(".")
    try:
        return reduce(getattr, rest, namespace[first])
    except (KeyError, AttributeError) as error:
        raise UsageError(f"%claude: {option}: there is no {kind} {name}; nothing was sent") from error
