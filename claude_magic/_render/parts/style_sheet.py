"""The style sheet `style.css`: as `style=` attributes in the HTML that a notebook keeps, and as rules for live widgets.

This module also writes the element around everything that is shown as HTML. The rules themselves are in the file.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from typing import Final

AUDIENCE_CLASS: Final = "claude-audience"
"""The class of a reply that is shown to an audience: the answer is larger, everything else smaller than the answer."""

_SECTION: Final = re.compile(r"^/\* == (\w+) == .*\*/$", re.MULTILINE)
_COMMENT: Final = re.compile(r"/\*.*?\*/", re.DOTALL)
_RULE: Final = re.compile(r"([^{}]+)\{([^{}]*)\}")
_SPACES: Final = re.compile(r" ?([{};,]) ?")
_OURS: Final = ".claude-magic"
_HOOK: Final = "claude-text"
"""The class of a model's text, by which pages and tests find it; it has no style."""
_PLAIN: Final = re.compile(r"\.?[\w-]+")
# In Markdown a blank line ends the HTML, and what follows is read as Markdown: `nbconvert --to markdown` puts our HTML there.
_BLANK_LINE: Final = re.compile(r"\n(?=[^\S\n]*\n)")
# In a text, `<` is escaped, so each match is an element: with its class first, or without attributes. Others stay as they are.
_ELEMENT: Final = re.compile(r'<([a-z][a-z0-9]*)(?: class="([^"]*)"|(?=>))')


def styled_html(inside: str, *, failed: bool = False, for_audience: bool = False) -> str:
    """Wrap safe HTML in the package's element, and give every element inside its style.

    :param failed: whether this is the part of a reply that had arrived when its turn failed.
    :param for_audience: whether it is shown to an audience: the texts are larger.
    """
    if for_audience:
        inside = inside.replace('<div class="claude-text">', '<div class="claude-text claude-large">')
    classes = f"claude-magic {AUDIENCE_CLASS}" if for_audience else "claude-magic"
    around = _style("claude-magic claude-failed" if failed else "claude-magic")
    return f'<div class="{classes}"{around}>{_BLANK_LINE.sub("&#10;", _ELEMENT.sub(_styled, inside))}</div>'


@cache
def live_style(*sections: str) -> str:
    """Return a `<style>` element for live widgets: the rules of saved outputs, limited to our element, and these sections."""
    return f"<style>{_RULE.sub(_below_ours, _sheet()['settled'])}</style>{added_style('live', *sections)}"


def added_style(*sections: str) -> str:
    """Return a `<style>` element with the rules of these sections, for widgets that are added later."""
    return f"<style>{''.join(map(_sheet().__getitem__, sections))}</style>"


def _below_ours(rule: re.Match[str]) -> str:
    selectors, declarations = rule[1].strip(), rule[2]
    # Repeating our class raises the specificity above that of the page's own rules.
    ours = 3 * _OURS if selectors == _OURS else f"{_OURS}{_OURS} :is({selectors})"
    return f"{ours}{{{declarations}}}"


def _styled(element: re.Match[str]) -> str:
    tag, classes = element[1], element[2] or ""
    return f"<{tag}{_style(classes, tag)}" if classes != _HOOK else element[0]


@cache
def _style(classes: str, tag: str = "") -> str:
    """Return the `style` attribute of an element with these classes; empty if the sheet has no rule for it."""
    rules = settled_rules()
    named = [rules.get(tag, ""), *(rules.get(f".{name}", "") for name in classes.split())]
    # What a class says of a property replaces what the element or an earlier class says.
    declared = dict(part.partition(":")[::2] for rule in named for part in rule.split(";") if part)
    return f' style="{";".join(map(":".join, declared.items()))}"' if declared else ""


@cache
def settled_rules() -> Mapping[str, str]:
    """Return the declarations for saved outputs, by class or element."""
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
    sections = zip(parts[::2], parts[1::2], strict=True)
    # Without comments and spaces, because the rules are sent to the page with each reply.
    return {name: _SPACES.sub(r"\1", " ".join(_COMMENT.sub("", section).split())) for name, section in sections}
