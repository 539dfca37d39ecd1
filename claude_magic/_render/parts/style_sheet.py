"""The style sheet, `style.css`: as `style=` in the elements of what a notebook keeps, and as rules for what is live.

Owns the element around everything that is shown as HTML. What the rules say is the file's business.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Final

AUDIENCE_CLASS: Final = "claude-audience"
"""Of a reply that is shown to a room: larger, and what is not the answer smaller than that."""

_SECTION: Final = re.compile(r"^/\* == (\w+) == .*\*/$", re.MULTILINE)
_COMMENT: Final = re.compile(r"/\*.*?\*/", re.DOTALL)
_RULE: Final = re.compile(r"([^{}]+)\{([^{}]*)\}")
_SPACES: Final = re.compile(r" ?([{};,]) ?")
_OURS: Final = ".claude-magic"
_HOOK: Final = "claude-text"
"""The class of what a model said, by which pages and tests find it; it has no style of its own."""
_PLAIN: Final = re.compile(r"\.?[\w-]+")
# A `<` in a text is escaped. Our own elements have the class first; one with other attributes alone keeps them as they are.
_ELEMENT: Final = re.compile(r'<([a-z][a-z0-9]*)(?: class="([^"]*)"|(?=>))')


def styled_html(inside: str, *, failed: bool = False, for_audience: bool = False) -> str:
    """Wrap safe HTML in the element that the style sheet is about, and give every element its style.

    :param failed: whether it is what had arrived of a turn that failed.
    :param for_audience: whether it is shown to a room: the texts are larger.
    """
    if for_audience:
        inside = inside.replace('<div class="claude-text">', '<div class="claude-text claude-large">')
    classes = f"claude-magic {AUDIENCE_CLASS}" if for_audience else "claude-magic"
    around = _style("claude-magic claude-failed" if failed else "claude-magic")
    return f'<div class="{classes}"{around}>{_ELEMENT.sub(_styled, inside)}</div>'


@cache
def live_style(*sections: str) -> str:
    """Return the element with the rules for what is live: those of saved outputs, below our element, and these sections."""
    return f"<style>{_RULE.sub(_below_ours, _sheet()['settled'])}</style>{added_style('live', *sections)}"


def added_style(*sections: str) -> str:
    """Return the element with the rules of these sections, for what comes to the others later."""
    return f"<style>{''.join(map(_sheet().__getitem__, sections))}</style>"


def _below_ours(rule: re.Match[str]) -> str:
    selectors, declarations = rule[1].strip(), rule[2]
    # Our class named more than once comes before what the page says of elements below classes of its own.
    ours = 3 * _OURS if selectors == _OURS else f"{_OURS}{_OURS} :is({selectors})"
    return f"{ours}{{{declarations}}}"


def _styled(element: re.Match[str]) -> str:
    tag, classes = element[1], element[2] or ""
    return f"<{tag}{_style(classes, tag)}" if classes != _HOOK else element[0]


@cache
def _style(classes: str, tag: str = "") -> str:
    """Return the attribute for an element of these classes, empty when the sheet says nothing about it."""
    rules = settled_rules()
    named = [rules.get(tag, ""), *(rules.get(f".{name}", "") for name in classes.split())]
    declarations = ";".join(filter(None, named))
    return f' style="{declarations}"' if declarations else ""


@cache
def settled_rules() -> Mapping[str, str]:
    """Return what the section of saved outputs declares, by class or element."""
    found: dict[str, str] = {}
    for selectors, body in _RULE.findall(_sheet()["settled"]):
        declarations = ";".join(re.sub(r"\s*([:,])\s+", r"\1", part.strip()) for part in body.split(";") if part.strip())
        for selector in map(str.strip, selectors.split(",")):
            if not _PLAIN.fullmatch(selector):
                raise ValueError(f"{selector!r} in style.css is neither one class nor one element")
            found[selector] = ";".join(filter(None, (found.get(selector, ""), declarations)))
    return found


@cache
def _sheet() -> dict[str, str]:
    text = files(__package__).joinpath("style.css").read_text("utf-8")
    _, *parts = _SECTION.split(text)
    return {name: _bare(section) for name, section in zip(parts[::2], parts[1::2], strict=True)}


def _bare(section: str) -> str:
    """Leave out comments and what only makes it readable: a page is sent it with each reply."""
    return _SPACES.sub(r"\1", " ".join(_COMMENT.sub("", section).split()))
