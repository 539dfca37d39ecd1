"""The request of one cell, checked and ready to be sent; and what its options name: the type of the reply, functions, files."""

from __future__ import annotations

import contextlib
import glob
import itertools
import os
import traceback
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import reduce
from pathlib import Path
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell

from claude_magic._kernel.options.cell_options import Options
from claude_magic._kernel.tools.kernel_tools import TOOLS
from claude_magic._kernel.values.shown_value import type_name
from claude_magic._paths import place_of, shorten_home, with_home
from claude_magic._render.parts.reply_wording import one_line
from claude_magic._text import parse_json
from claude_magic.errors import AttachmentError, ClaudeError, ConfigError
from claude_magic.sdk._workspaces import working_directory
from claude_magic.sdk.content import Prompt, refuse_outside
from claude_magic.sdk.response import SessionAwareResponse, as_json

if TYPE_CHECKING:
    from claude_magic._kernel.notebook.outline import Outline
    from claude_magic.sdk._tools.function_tool import FunctionTool
    from claude_magic.sdk.schema import Schema


@dataclass(frozen=True, slots=True)
class CellRequest:
    """`typed` is what the person wrote, `prompt` what is sent; `remarks` tell the person about differences.

    `tools` are the functions that Claude may call. `notebook` knows the cells that ran before.
    """

    typed: str
    prompt: Prompt
    options: Options
    remarks: tuple[str, ...]
    schema: Schema | None
    tools: tuple[FunctionTool, ...]
    notebook: Outline

    def load(self, response: SessionAwareResponse) -> Any:
        """Return the reply's data as an instance of the schema's type. The response keeps plain data, which is shown.

        :raises StructuredOutputError: the data does not fit the type.
        """
        if self.schema is None:
            return response.structured
        try:
            value = self.schema.load(response.structured)
        except ClaudeError as failure:
            failure.session_id, failure.content = response.session_id, response.content
            raise
        data = self.schema.unwrapped(response.structured)
        with contextlib.suppress(ValueError, RecursionError):
            if parse_json(response.content) == response.structured:
                response.content = as_json(data)
        response.structured = data
        return value


def schema_named(shell: InteractiveShell, name: str) -> Schema:
    """Return the schema of a type in the person's namespace, by its name or an expression such as `list[City]`.

    :raises UsageError: there is no such type, or a reply cannot have it; the message is one line.
    """
    try:
        kind = shell.ev(name)
    except Exception as error:  # the expression is the person's own code, which may raise anything
        reason = one_line("".join(traceback.format_exception_only(error)[-1:]), 300)
        raise UsageError(f"%claude: --schema: {name!r} cannot be used: {reason}; nothing was sent") from error
    try:
        return schema_of(kind)
    except ConfigError as error:
        raise UsageError(f"%claude: --schema: {name}: {error.message} {error.next_step}".rstrip()) from error


def schema_of(kind: object) -> Schema:
    """Return the schema of a type, or raise a `ConfigError` if a reply cannot have this type."""
    from claude_magic.sdk.schema import Schema  # pydantic takes a while to import

    return Schema.of(kind)


def own_tools(
    shell: InteractiveShell, chosen: Iterable[object], configured: Iterable[object] = ()
) -> tuple[tuple[FunctionTool, ...], tuple[str, ...]]:
    """Return the tools of a cell, and remarks about configured functions that cannot be used.

    :param chosen: functions, or names of functions in the person's namespace.
    :raises UsageError: a chosen name is unknown or no function that can be a tool; the message is one line.
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
            why = "it is no function that can be a tool" if one in shell.user_ns else "there is no such function yet"
            missing.append(f"Claude cannot call {one}, which ClaudeMagics.tools names: {why}.")
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


def files_matching(patterns: Iterable[str]) -> list[str]:
    """Return each path, and for each glob pattern its matches, in order. A file with exactly the pattern's name wins.

    :raises AttachmentError: no file matches a pattern, or a link leaves the working directory, or a pattern's folder elsewhere.
    """
    return [path for pattern in patterns for path in _matching(pattern)]


def _matching(pattern: str) -> list[str]:
    expanded = with_home(pattern)
    if not glob.has_magic(expanded) or os.path.exists(expanded):
        return [expanded]
    found = sorted(path for path in glob.glob(expanded, recursive=True) if os.path.isfile(path))
    if not found:
        raise AttachmentError(f"No file matches {shorten_home(pattern)}.", next_step="Check the pattern; nothing was sent.")
    directory, place = working_directory(), _literal(expanded)
    for path in found:
        refuse_outside(path, place if place_of(os.path.join(directory, path), directory) != directory else directory)
    return found


def _literal(pattern: str) -> str:
    """Return the directory that a pattern begins with, up to its first wildcard."""
    parts = Path(pattern).parts
    return os.path.join("", *itertools.takewhile(lambda part: not glob.has_magic(part), parts[:-1])) or os.curdir
