"""The style sheet, `style.css`, as outputs carry it: the sections that one needs, without comments.

Owns the element around everything that is shown as HTML. What the rules say is the file's business.
"""

from __future__ import annotations

import re
from functools import cache
from importlib.resources import files
from typing import Final

AUDIENCE_CLASS: Final = "claude-audience"
"""Of a reply that is shown to a room: larger, and what is not the answer smaller than that."""

_SECTION: Final = re.compile(r"^/\* == (\w+) == .*\*/$", re.MULTILINE)
_COMMENT: Final = re.compile(r"/\*.*?\*/", re.DOTALL)


def styled_html(inside: str, *sections: str, classes: str = "") -> str:
    """Wrap safe HTML in the element that the style sheet is about, with the sheet in it.

    :param sections: of the style sheet, besides `reply`.
    :param classes: more classes of the element.
    """
    return f'<div class="{f"claude-magic {classes}".rstrip()}">{style_element(*sections)}\n{inside}</div>'


def style_element(*sections: str) -> str:
    """Return a `<style>` with these sections of the style sheet after `reply`, which everything needs."""
    return f"<style>{rules('reply', *sections)}</style>"


def rules(*sections: str) -> str:
    """Return the rules of these sections."""
    sheet = _sheet()
    return "\n".join(sheet[section] for section in sections)


@cache
def _sheet() -> dict[str, str]:
    text = files(__package__).joinpath("style.css").read_text("utf-8")
    _, *parts = _SECTION.split(text)
    return {name: _bare(section) for name, section in zip(parts[::2], parts[1::2], strict=True)}


def _bare(section: str) -> str:
    """Leave out comments and empty lines: each output carries the rest of its sections."""
    return "\n".join(line for line in _COMMENT.sub("", section).splitlines() if line.strip())
