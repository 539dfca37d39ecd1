"""A prompt's template, filled piece by piece, so that what a person typed can be told from what is data.

Data is whatever is no literal part of the prompt: a value, and also what a macro or a filter made of it and of words around.
How a value looks is for the caller's `show` to say, what becomes of the pieces for `prompt`.
"""

from __future__ import annotations

import builtins
import contextlib
import re
import secrets
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import jinja2
from IPython.core.error import UsageError
from jinja2.ext import Extension
from jinja2.lexer import Token, TokenStream

from claude_magic._kernel.tools.run_code import interruptible
from claude_magic._render.parts.reply_wording import one_line
from claude_magic.errors import ClaudeError

_TEMPLATE = re.compile(r"\{\{|\{%")
_EXPRESSION = re.compile(r"\{\{(?P<expression>.*?)\}\}", re.DOTALL)
_NO_FILTER = re.compile(r"No filter named '(?P<name>\w+)'")
_BUILTINS = {name: value for name, value in vars(builtins).items() if not name.startswith("_")}


class Typed(str):
    """Text as it stands in the prompt."""

    __slots__ = ()

    def __str__(self) -> str:
        return self


class Data(str):
    """What stands in the place of an expression; `is_text` when its value is text itself."""

    is_text = True

    def __str__(self) -> str:
        # Jinja takes the `str` of what it puts out, and that must still be recognised.
        return self


def fill(
    typed: str, namespace: Mapping[str, Any], show: Callable[[object], str], last_error: BaseException | None = None
) -> list[Typed | Data]:
    """Return the pieces of a prompt.

    :param last_error: what `{{ error }}` is, unless the namespace has a variable of that name.
    :raises UsageError: in one line, for a template that cannot be filled.
    :raises ClaudeError: what `show` raises.
    """
    if not _TEMPLATE.search(typed):
        return [Typed(typed)]
    environment = _environment(show)
    if last_error is not None:
        environment.globals["error"] = last_error
    try:
        with interruptible():
            template, values = _with_python(typed, namespace)
            pieces: Iterable[str] = environment.from_string(template).generate({**namespace, **values})
            return [piece if isinstance(piece, Typed | Data) else Data(piece) for piece in pieces]
    except jinja2.UndefinedError as error:
        message = str(error.message)
        if message == "'error' is undefined":
            message = "no cell has failed yet, so there is no error"
        raise _failed(message) from error
    except jinja2.TemplateSyntaxError as error:
        raise _failed(f"line {error.lineno} of the prompt: {error.message}") from error
    except ClaudeError:
        raise  # a value that cannot be sent
    except Exception as error:
        # An expression is the person's own code, which may raise anything, also where it says what was wrong.
        raise _failed(f"an expression failed: {''.join(traceback.format_exception_only(error)[-1:])}") from error


def _with_python(typed: str, namespace: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Put a name in the place of each expression that is Python and not Jinja's, and return the names' values.

    So a comparison in brackets, a slice, an f-string work as in a cell. Where the template has statements everything is
    Jinja's: they make names of their own.
    """
    values: dict[str, Any] = {}
    jinja = jinja2.Environment(autoescape=False)  # that only tells what it can read
    with contextlib.suppress(jinja2.TemplateSyntaxError):
        jinja.from_string(typed)
        return typed, values
    own = f"python_{secrets.token_hex(4)}"

    def replaced(match: re.Match[str]) -> str:
        try:
            jinja.from_string(match[0])
        except jinja2.TemplateSyntaxError as error:
            missing = _NO_FILTER.match(str(error.message))
            if not (missing and missing["name"] not in namespace):
                with contextlib.suppress(SyntaxError):
                    code = compile(match["expression"].strip(), "<prompt>", "eval")
                    name = f"{own}_{len(values)}"
                    values[name] = eval(code, dict(namespace))  # as the person typed it
                    return f"{{{{ {name} }}}}"
        return match[0]

    if "{%" in typed:
        return typed, values
    # Behind the last end no expression is whole; to look for its end from each beginning would take long.
    end = typed.rfind("}}") + 2 if "}}" in typed else 0
    return _EXPRESSION.sub(replaced, typed[:end]) + typed[end:], values


class _KeepTyped(Extension):
    """Puts a name in the place of each text between the tags; its value is that text, as typed.

    Jinja joins what it is sure of to plain strings. A text that did not go this way would be data, which expands nothing.
    """

    def filter_stream(self, stream: TokenStream) -> Iterator[Token]:
        own = f"typed_{secrets.token_hex(4)}"
        for number, token in enumerate(stream):
            if token.type != "data":
                yield token
                continue
            name = f"{own}_{number}"
            self.environment.globals[name] = Typed(token.value)
            for kind, value in (("variable_begin", "{{"), ("name", name), ("variable_end", "}}")):
                yield Token(token.lineno, kind, value)


def _environment(show: Callable[[object], str]) -> jinja2.Environment:
    # Given the context, Jinja calls it for constants, too, when the template is filled.
    @jinja2.pass_context
    def put(context: jinja2.runtime.Context, value: object) -> Typed | Data:
        if isinstance(value, Typed):
            return value
        if isinstance(value, jinja2.Undefined):
            str(value)  # raises, with the name
        data = Data(show(value))
        data.is_text = isinstance(value, str)
        return data

    never = secrets.token_hex(8)
    environment = jinja2.Environment(
        extensions=[_KeepTyped],
        undefined=jinja2.StrictUndefined,
        finalize=put,
        keep_trailing_newline=True,
        autoescape=False,
        # A prompt may hold {#: what Jinja takes for a comment would be gone without a word.
        comment_start_string=f"<{never} comment",
        comment_end_string=f"comment {never}>",
    )
    environment.globals.update(_BUILTINS)
    return environment


def _failed(what: str) -> UsageError:
    return UsageError(f"%claude: {one_line(what, 300).rstrip('.')}; nothing was sent (--raw leaves braces alone)")
