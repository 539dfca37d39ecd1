"""From what a person typed to what is sent: templates, variables, files, the last error.

What data holds expands nothing, while what was typed still does: the CLI looks for `@path` and `/command` in a message's last
text block only, and nowhere in a verbatim message. How one value looks is `values`' business.
"""

from __future__ import annotations

import builtins
import glob
import os
import re
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jinja2
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell

from claude_magic.errors import AttachmentError, ClaudeError
from claude_magic.kernel.options import Options
from claude_magic.kernel.values import Shown, show_value
from claude_magic.paths import shorten_home
from claude_magic.sdk.attachments import Prompt, content_blocks, fenced

EXPLAIN = "Explain this error, and how to mend it."
"""The prompt of `%claude --error` when nothing else is asked."""

_TEMPLATE = re.compile(r"\{\{|\{%")
_BUILTINS = {name: value for name, value in vars(builtins).items() if not name.startswith("_")}


@dataclass(frozen=True, slots=True)
class Composed:
    """What is sent, and what the person should know of it: values that were cut."""

    prompt: Prompt
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _LastError:
    error: BaseException


@dataclass
class _Values:
    """The values of one prompt, as they come up in it."""

    show: Callable[[object], Shown]
    mark: str = field(default_factory=lambda: secrets.token_hex(8))
    shown: list[tuple[Shown, bool]] = field(default_factory=list)

    def put(self, value: object) -> str:
        """Take a value and return what stands for it until the template is done."""
        if isinstance(value, jinja2.Undefined):
            return str(value)  # raises, with the name
        self.shown.append((self.show(value), isinstance(value, str)))
        return f"<{self.mark} {len(self.shown) - 1}>"

    def replaced(self, text: str, replacement: Callable[[int, re.Match[str]], str]) -> str:
        """Return the text with something in the place of each value."""
        return re.sub(rf"<{self.mark} (\d+)>", lambda match: replacement(int(match[1]), match), text)


def compose(
    shell: InteractiveShell, typed: str, options: Options, *, limit: int, last_error: BaseException | None = None
) -> Composed:
    """Return what is sent for a prompt as typed.

    :param limit: characters of one value; what is longer is cut.
    :param last_error: what `--error` and `{{ error }}` show.
    :raises UsageError: for a template that cannot be filled; nothing was sent.
    :raises ConfigError: for a value or a file that cannot be sent.
    """
    cut: list[str] = []

    def show(value: object, name: str = "A value") -> Shown:
        shown = show_value(shell, value.error if isinstance(value, _LastError) else value, limit)
        if shown.left_out:
            cut.append(f"{name} was cut: {shown.left_out:,} characters left out (ClaudeMagics.value_limit is {limit:,}).")
        return shown

    blocks = content_blocks(_paths(options.file), os.getcwd())
    if options.error:
        blocks += _value_blocks("The last error", show(_required(last_error)))
    for name in options.input:
        if name not in shell.user_ns:
            raise UsageError(f"%claude: --input: there is no variable {name}; nothing was sent")
        blocks += _value_blocks(name, show(shell.user_ns[name], name))
    values = _Values(show)
    text = typed if options.raw or not _TEMPLATE.search(typed) else _filled(typed, shell, values, last_error)
    prompt = _prompt(blocks, text, values)
    return Composed(prompt, tuple(cut))


def _filled(typed: str, shell: InteractiveShell, values: _Values, last_error: BaseException | None) -> str:
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined,
        finalize=values.put,
        keep_trailing_newline=True,
        autoescape=False,
        # A prompt may hold {#: what Jinja takes for a comment would be gone without a word.
        comment_start_string=f"<{values.mark} comment",
        comment_end_string=f"comment {values.mark}>",
    )
    environment.globals.update(_BUILTINS)
    if last_error is not None:
        environment.globals["error"] = _LastError(last_error)
    try:
        filled: str = environment.from_string(typed).render(shell.user_ns)
    except jinja2.UndefinedError as error:
        message = str(error.message).rstrip(".")
        if message == "'error' is undefined":
            message = "no cell has failed yet, so there is no error"
        raise _template_error(message) from error
    except jinja2.TemplateSyntaxError as error:
        raise _template_error(f"line {error.lineno} of the prompt: {str(error.message).rstrip('.')}") from error
    except ClaudeError:
        raise  # a value that cannot be sent
    except Exception as error:
        # An expression is the person's own code, which may raise anything.
        raise _template_error(f"an expression failed: {type(error).__name__}: {error}") from error
    return filled


def _template_error(what: str) -> UsageError:
    return UsageError(f"%claude: {what}; nothing was sent (--raw leaves braces alone)")


def _prompt(blocks: list[dict[str, Any]], text: str, values: _Values) -> Prompt:
    whole = values.replaced(text, lambda number, match: _placed(*values.shown[number], match))
    images = [block for shown, _ in values.shown for block in _image_blocks(shown)]
    typed = values.replaced(text, lambda number, match: "")
    expands = any("@" in shown.text for shown, _ in values.shown) or (whole.lstrip()[:1] == "/" != typed.lstrip()[:1])
    if expands and ("@" in typed or typed.lstrip().startswith("/")):
        # Both what was typed and what is data could expand: the data goes before the last text block.
        for number, (shown, _) in enumerate(values.shown, 1):
            blocks = [*blocks, _text(f"Value {number}:\n{shown.text}")]
        return Prompt([*blocks, *images, _text(values.replaced(text, lambda number, match: f"(value {number + 1} above)"))])
    content: Any = [*blocks, *images, _text(whole)] if blocks or images else whole
    return Prompt(content, verbatim=expands)


def _placed(shown: Shown, is_text: bool, match: re.Match[str]) -> str:
    """Give a table or the like, which runs over several lines, lines of its own."""
    if is_text or "\n" not in shown.text:
        return shown.text
    before, after = match.string[: match.start()], match.string[match.end() :]
    start = "" if not before or before.endswith("\n\n") else "\n" if before.endswith("\n") else "\n\n"
    end = "" if not after or after.startswith("\n\n") else "\n" if after.startswith("\n") else "\n\n"
    return f"{start}{shown.text}{end}"


def _value_blocks(name: str, shown: Shown) -> list[dict[str, Any]]:
    text = [_text(fenced(name, shown.text))] if shown.text or not shown.images else [_text(f"{name}:")]
    return [*text, *_image_blocks(shown)]


def _image_blocks(shown: Shown) -> list[dict[str, Any]]:
    return [
        {"type": "image", "source": {"type": "base64", "media_type": image.media_type, "data": image.data}}
        for image in shown.images
    ]


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def _paths(patterns: tuple[str, ...]) -> list[str]:
    return [path for pattern in patterns for path in _matching(pattern)]


def _matching(pattern: str) -> list[str]:
    expanded = os.path.expanduser(pattern)
    if not glob.has_magic(expanded) or os.path.exists(expanded):
        return [expanded]
    found = sorted(path for path in glob.glob(expanded, recursive=True) if os.path.isfile(path))
    if not found:
        raise AttachmentError(f"No file matches {shorten_home(pattern)}.", next_step="Check the pattern; nothing was sent.")
    return found


def _required(error: BaseException | None) -> _LastError:
    if error is None:
        raise UsageError("%claude: --error: no cell has failed yet; nothing was sent")
    return _LastError(error)
