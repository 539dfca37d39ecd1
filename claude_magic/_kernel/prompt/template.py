"""Fill a prompt's template piece by piece, so that typed text and data can be told apart.

Data is every part that is not literally in the prompt: a value, and also the result of a macro or a filter. The caller's `show`
turns a value into text; `composition` joins the pieces.

`{x}` and `$x` on the line of `%claude`: other line magics replace them by a value, but a prompt needs `{{ x }}`. If `x` is a
variable, that is an error. In a `%%claude` cell nothing is checked, because pasted code is full of `{x}` and `$x`.
"""

from __future__ import annotations

import builtins
import contextlib
import re
import secrets
import traceback
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from typing import Any, Final

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
_BRACED: Final = re.compile(r"(?<!\{)\{(?P<inside>(?P<name>[^\W\d]\w*)[^{}]*)\}(?!\})")
_DOLLAR: Final = re.compile(r"(?<![\\$\w])\$(?P<inside>(?P<name>[^\W\d]\w*))(?![\w$])")
_FORMULA: Final = re.compile(r"\$[^\s$](?:[^$]{0,500}[^\s$])?\$(?!\w)")
_TEX: Final = re.compile(r"\\[A-Za-z]+(?:\{[^{}]*\}|\[[^][]*\])*\Z")
_BY_ITSELF: Final = re.compile(r"(?:\A|[\s(\[\"'`])\Z")
_NEAR: Final = 200
"""The number of characters before a brace that are read to see whether it belongs to TeX."""

_BUILTINS = {name: value for name, value in vars(builtins).items() if not name.startswith("_")}


class Typed(str):
    """A literal part of the prompt."""

    __slots__ = ()

    def __str__(self) -> str:
        return self


class Data(str):
    """The text that replaces an expression; `is_text`: whether the value itself is a text."""

    is_text = True

    def __str__(self) -> str:
        # Jinja calls `str` on what it puts out; the result must still be a `Data`.
        return self


def fill(
    typed: str, namespace: Mapping[str, Any], show: Callable[[object], str], last_error: BaseException | None = None
) -> list[Typed | Data]:
    """Return the pieces of a prompt.

    :param last_error: the value of `{{ error }}`, unless the namespace has a variable of that name.
    :raises UsageError: the template cannot be filled; the message is one line.
    :raises ClaudeError: `show` has raised it.
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
            message = "no code of yours has failed yet, so there is no error"
        raise _failed(message) from error
    except jinja2.TemplateSyntaxError as error:
        raise _failed(f"line {error.lineno} of the prompt: {error.message}") from error
    except ClaudeError:
        raise  # a value that cannot be sent
    except Exception as error:
        # An expression is the person's own code, which may raise anything, also from the error's own `__str__`.
        raise _failed(f"an expression failed: {''.join(traceback.format_exception_only(error)[-1:])}") from error


def _with_python(typed: str, namespace: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Evaluate each expression that is Python but not Jinja; return the template with a name for each, and their values.

    So a comparison in brackets, a slice or an f-string works as in a cell. A template with statements is left to Jinja,
    because its statements may define names.
    """
    values: dict[str, Any] = {}
    jinja = jinja2.Environment(autoescape=False)  # used only to see what Jinja can parse
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
    # Nothing after the last `}}` can be an expression; to seek an end there from each `{{` would take long.
    end = typed.rfind("}}") + 2 if "}}" in typed else 0
    return _EXPRESSION.sub(replaced, typed[:end]) + typed[end:], values


class _KeepTyped(Extension):
    """Replaces each literal text of a template by a name whose value is that text, as a `Typed`.

    Otherwise Jinja would join literal texts into plain strings, which could not be told from data.
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
    # With `pass_context`, Jinja calls this when the template is filled, never when it is compiled, even for constants.
    @jinja2.pass_context
    def put(context: jinja2.runtime.Context, value: object) -> Typed | Data:
        if isinstance(value, Typed):
            return value
        if isinstance(value, jinja2.Undefined):
            str(value)  # raises an error with the name
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
        # A prompt may contain {#, from which on Jinja would silently drop the text as a comment.
        comment_start_string=f"<{never} comment",
        comment_end_string=f"comment {never}>",
    )
    environment.globals.update(_BUILTINS)
    return environment


def _failed(what: str) -> UsageError:
    return UsageError(f"%claude: {one_line(what, 300).rstrip('.')}; nothing was sent (--raw leaves braces alone)")


def unfilled(typed: str, namespace: Container[str]) -> list[str]:
    """Return remarks about names in single braces on a line, which are sent as they are.

    :param namespace: the variables that a prompt can name.
    :raises UsageError: `{x}` or `$x` names a variable, so its value was meant.
    """
    text = _FORMULA.sub(lambda match: " " * len(match[0]), typed)
    left = []
    for match in (*_BRACED.finditer(text), *_DOLLAR.finditer(text)):
        before = text[max(0, match.start() - _NEAR) : match.start()]
        if _TEX.search(before):
            continue
        if match["name"] in namespace:
            raise UsageError(
                f"%claude: {match[0]} is not filled in; write {{{{ {match['inside'].strip()} }}}} for its value, or --raw to "
                "send it as it stands; nothing was sent"
            )
        if match[0].startswith("{") and match["inside"] == match["name"] and _BY_ITSELF.search(before):
            left.append(f"{match[0]} was sent as it stands: there is no variable {match['name']}.")
    return left
