"""From what a person typed to what is sent: templates, variables, files, the last error.

`@path` and `/command` are expanded in the text that was typed, but not in data. The CLI looks for them only in the last text
block of a message, and not at all in a verbatim message. `show_value` shows one value.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell

from claude_magic._kernel.options.cell_options import Options
from claude_magic._kernel.prompt.cell_request import files_matching
from claude_magic._kernel.prompt.template import Data, Typed, fill
from claude_magic._kernel.values.shown_value import Shown, show_value
from claude_magic.sdk._workspaces import working_directory
from claude_magic.sdk.content import Prompt, content_blocks, fenced
from claude_magic.sdk.events import Image

EXPLAIN = "Explain this error, and how to mend it."
"""The prompt of `%claude --error` if none is typed."""

_OPEN_PATH = re.compile(r"""@(?:"[^"]*|\S*)\Z""")
_PATH_LENGTH = 1_000  # limits the search, which starts at each `@`
_OPEN_COMMAND = re.compile(r"\s*/\S*")
# So many characters before a value are read: more than a path can have.
_TAIL = 5_000


@dataclass(frozen=True, slots=True)
class Composed:
    """What is sent, and remarks for the person: values that were cut, images that were shrunk."""

    prompt: Prompt
    remarks: tuple[str, ...] = ()


def compose(
    shell: InteractiveShell,
    typed: str,
    options: Options,
    *,
    limit: int,
    namespace: Mapping[str, Any],
    last_error: BaseException | None = None,
) -> Composed:
    """Return what is sent for a typed prompt.

    :param namespace: the variables that it can name.
    :param limit: the most characters of one value; a longer one is cut.
    :param last_error: the error that `--error` and `{{ error }}` show.
    :raises UsageError: the template cannot be filled; nothing was sent.
    :raises ConfigError: a value or a file cannot be sent.
    """
    said: list[str] = []
    images: list[Image] = []

    def show(value: object, name: str = "A value") -> Shown:
        shown = show_value(shell, value, limit)
        if shown.left_out:
            said.append(f"{name} was cut: {shown.left_out:,} characters left out (ClaudeMagics.value_limit is {limit:,}).")
        said.extend(shown.remarks)
        return shown

    def put(value: object) -> str:
        shown = show(value)
        images.extend(shown.images)
        return shown.text or ("(image)" if shown.images else "")

    blocks = content_blocks(files_matching(options.file), working_directory(), said.append)
    if options.error:
        if last_error is None:
            raise UsageError("%claude: --error: no code of yours has failed yet; nothing was sent")
        blocks += _value_blocks("The last error", show(last_error))
    for name in options.input:
        if name not in namespace:
            raise UsageError(f"%claude: --input: there is no variable {name}; nothing was sent")
        blocks += _value_blocks(name, show(namespace[name], name))
    pieces: list[Typed | Data] = [Typed(typed)] if options.raw else fill(typed, namespace, put, last_error)
    if not "".join(pieces).strip():
        raise UsageError("%claude: the prompt is empty once its template is filled; nothing was sent")
    return Composed(_prompt([*blocks, *map(_image_block, images)], pieces), tuple(said))


def _prompt(blocks: list[dict[str, Any]], pieces: list[Typed | Data]) -> Prompt:
    expanding = _expanding(pieces)
    typed = "".join(
        _without_open_end(piece) if number + 1 in expanding else piece
        for number, piece in enumerate(pieces)
        if isinstance(piece, Typed)
    )
    if not expanding or not ("@" in typed or typed.lstrip().startswith("/")):
        text = _joined(pieces)
        content: Any = [*blocks, _text(text)] if blocks else text
        return Prompt(content, verbatim=bool(expanding))
    # Typed text and data could both expand, so the data is moved in front of the last text block.
    pieces = list(pieces)
    for number, index in enumerate(sorted(expanding), 1):
        blocks = [*blocks, _text(f"Value {number}:\n{pieces[index]}")]
        pieces[index] = Data(f"(value {number} above)")
    return Prompt([*blocks, _text(_joined(pieces))])


def _expanding(pieces: list[Typed | Data]) -> set[int]:
    """Return the indexes of data that the CLI would expand, or that would continue a typed path or command."""
    found, before = set(), ""
    for index, piece in enumerate(pieces):
        if isinstance(piece, Data):
            starts = not before.strip() and piece.lstrip().startswith("/")
            if starts or "@" in piece or _without_open_end(before[-_TAIL:]) != before[-_TAIL:]:
                found.add(index)
        before += piece
    return found


def _without_open_end(text: str) -> str:
    """Remove a path or a command at the end of a text, which the following text would continue."""
    if _OPEN_COMMAND.fullmatch(text):
        return ""
    before, end = text[:-_PATH_LENGTH], text[-_PATH_LENGTH:]
    return before + _OPEN_PATH.sub("", end)


def _joined(pieces: list[Typed | Data]) -> str:
    """Join the pieces. Data of several lines, such as a table, is put on lines of its own."""
    text = ""
    for index, piece in enumerate(pieces):
        if isinstance(piece, Typed) or piece.is_text or "\n" not in piece:
            text += piece
            continue
        after = next(filter(None, pieces[index + 1 :]), "")
        start = "" if not text or text.endswith("\n\n") else "\n" if text.endswith("\n") else "\n\n"
        end = "" if not after or after.startswith("\n\n") else "\n" if after.startswith("\n") else "\n\n"
        text += f"{start}{piece}{end}"
    return text


def _value_blocks(name: str, shown: Shown) -> list[dict[str, Any]]:
    text = [_text(fenced(name, shown.text))] if shown.text or not shown.images else [_text(f"{name}:")]
    return [*text, *map(_image_block, shown.images)]


def _image_block(image: Image) -> dict[str, Any]:
    return {"type": "image", "source": {"type": "base64", "media_type": image.media_type, "data": image.data}}


def _text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}
