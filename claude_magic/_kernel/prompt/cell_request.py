"""The request of one cell, checked and ready to be sent: the prompt, its options, and the type of the reply."""

from __future__ import annotations

import contextlib
import traceback
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell

from claude_magic._kernel.options.cell_options import Options
from claude_magic._render.parts.reply_wording import one_line
from claude_magic._text import parse_json
from claude_magic.errors import ClaudeError, ConfigError
from claude_magic.sdk.content import Prompt
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
    remarks: tuple[str, ...] = ()
    schema: Schema | None = None
    tools: tuple[FunctionTool, ...] = ()
    notebook: Outline | None = None

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
        if _is_json_of(response.content, response.structured):
            response.content = as_json(data)
        response.structured = data
        return value


def _is_json_of(text: str, data: object) -> bool:
    with contextlib.suppress(ValueError, RecursionError):
        return bool(parse_json(text) == data)
    return False


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
    """Return the schema of a type.

    :raises ConfigError: a reply cannot have this type.
    """
    from claude_magic.sdk.schema import Schema  # pydantic takes a while to import

    return Schema.of(kind)
