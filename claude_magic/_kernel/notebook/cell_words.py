"""Describes a cell that has run: in one line, which is made of pieces, or in full. Values that `%env` sets are left out."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from claude_magic._kernel.values.described import described
from claude_magic._redaction import redact
from claude_magic._render.parts.reply_wording import clipped, one_line
from claude_magic.sdk.content import fenced
from claude_magic.sdk.events import Image

LONGEST: Final = 4_000
"""The longest secret expected, such as a key in PEM. A text is searched for secrets this far beyond what is shown."""

FIGURE: Final = "figure"
"""The text that replaces a figure."""

LINE: Final = 120
"""The most characters of one piece of a line."""

_BETWEEN: Final = "\n\x1e"
"""The separator between the pieces of a line, in the one text that is searched for secrets."""

_SET: Final = re.compile(r"^(\s*%(?:env|set_env)\s+\w+)(\s*=?\s*)\S.*$", re.MULTILINE)
_SAID: Final = re.compile(r"^(env: \w+=).*$", re.MULTILINE)
"""The line that IPython prints after `%env`."""


@dataclass(frozen=True, slots=True)
class RanCell:
    """A cell that has run. `printed` is the beginning of what it printed, `shown` the text of its value, if it `has_value`."""

    number: int
    code: str
    printed: str = ""
    shown: str = ""
    value: object = None
    has_value: bool = False
    displays: tuple[str, ...] = ()
    error: str = ""
    traceback: str = ""
    images: tuple[Image, ...] = ()


def in_pieces(cell: RanCell) -> list[str]:
    """Return the pieces of a line about a cell. Secrets are still in them: `in_line` masks them."""
    lines = [line for line in _code(cell).splitlines() if line.strip()]
    came = []
    if printed := _printed(cell).strip():
        first, *rest = printed.splitlines()
        came.append(f"printed {first!r}{' …' if rest else ''}")
    if cell.has_value:
        is_short = "\n" not in cell.shown and len(cell.shown) <= LINE // 2
        came.append(f"{described(cell.value)}{f': {cell.shown}' if is_short and cell.shown else ''}")
    came += cell.displays[:5]
    came += ["figure"] if len(cell.images) > cell.displays.count(FIGURE) else []
    came += [cell.error] if cell.error else []
    more = f"(+{len(lines) - 1} lines) ->" if len(lines) > 1 else "->"
    return [f"In [{cell.number}] {lines[0]}", more, *([f"{one};" for one in came] or ["no output"])]


def in_line(pieces: Iterable[str]) -> str:
    """Return the pieces as a line. Secrets are masked before the cut: half of one is not recognised."""
    return " ".join(one_line(piece, LINE) for piece in redact(_BETWEEN.join(pieces)).split(_BETWEEN))


def in_full(cell: RanCell, limit: int) -> str:
    """Return the code of a cell and its outputs, each cut to `limit` characters."""
    parts = [fenced(f"In [{cell.number}]", clipped(redact(_code(cell)), limit)[0])]
    parts += [fenced("Printed", beginning(_printed(cell), limit))] if cell.printed else []
    parts += [fenced("Out", beginning(cell.shown, limit))] if cell.shown else []
    for display in cell.displays:
        parts.append(f"Displayed: {FIGURE}" if display == FIGURE else fenced("Displayed", beginning(display, limit)))
    return "\n".join([*parts, *([cell.traceback or cell.error] if cell.error else [])])


def beginning(text: str, limit: int) -> str:
    """Return the beginning of a text. Secrets are masked before the cut, because half a secret is not recognised."""
    whole = redact(text)
    return clipped(whole if len(text) <= limit + LONGEST else whole[:-LONGEST][: limit + 1], limit)[0]


def _code(cell: RanCell) -> str:
    """Return the code without the values that it gives to environment variables."""
    return _SET.sub(r"\1\2…", cell.code) if "env" in cell.code else cell.code


def _printed(cell: RanCell) -> str:
    return _SAID.sub(r"\1…", cell.printed) if "env" in cell.code else cell.printed
