r"""A model's Markdown -> HTML that is safe to show, and code -> highlighted HTML.

`claude_magic._markdown` parses the text; this module makes the HTML. Safety has two layers: the parser accepts no HTML but
a few bare tags, and no links but http, https and mailto (others stay as written); its output is cleaned by short allowlists.
Formulas that `claude_magic._mathematics` allows are text between `\( \)` or `\[ \]`, for the frontend's MathJax. Any other `$`
or backslash outside code is in its own element: MathJax looks for marks within one piece of text, so it finds no more formulas.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from functools import cache
from itertools import accumulate
from typing import Any, Final

import nh3
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from markdown_it.utils import OptionsDict

from claude_magic._characters import strip_controls
from claude_magic._markdown import is_web_link, language_of, make_parser
from claude_magic._render.parts.highlighting import Allowance

# Longer text is shown as it was written: parsing and cleaning it would hold up the kernel for seconds.
MARKDOWN_LIMIT: Final = 200_000

# So many signs of Markdown keep the parser busy for half a second at most, whatever their order.
_SIGNS_LIMIT: Final = 12_000
_SIGNS: Final = "[]!*_`$\\~<&"
_TABLE_WEIGHT: Final = 4  # each sign of a table makes a cell

_ALLOWANCE: Final = "claude_allowance"
"""The key of the time for colouring in the parser's environment."""

_SHOWN_ROWS: Final = 14
_ROW_LENGTH: Final = 100
_WORTH_A_FOLD: Final = 4
"""Long code is folded behind its first rows. A scrolled box would look as if its text ended there."""

_BREAKS: Final = ("softbreak", "hardbreak")
# No img: loading a remote image would tell its server that the cell was opened.
_TAGS: Final = (
    "a b blockquote br code details em h1 h2 h3 h4 h5 h6 hr i kbd li ol p pre s span strong sub summary sup table tbody td th "
    "thead tr ul"
)
_RIGHT_TO_LEFT: Final = re.compile("[\u0590-\u08ff\ufb1d-\ufdff\ufe70-\ufefc]")
_DIRECTED: Final = ("h1", "h2", "h3", "h4", "h5", "h6", "li", "p")
_MARKS_OF_MATHEMATICS: Final = re.compile(r"[$\\]")


def text_html(markdown: str) -> str:
    """Render a model's Markdown as HTML that is safe to show. A text that is too much is shown as it was written."""
    if is_too_much(markdown):
        return f'<pre class="claude-plain">{html.escape(strip_controls(markdown))}</pre>'
    rendered: str = parser().render(markdown, {_ALLOWANCE: Allowance()})
    return _cleaner().clean(rendered)


def plain_html(text: str) -> str:
    """Render text as it was written, with its lines: what a person agrees to is shown whole, and Markdown can hide parts."""
    return f'<p class="claude-plain">{escape(text)}</p>\n'


def is_too_much(markdown: str) -> bool:
    """Whether rendering a text would block the kernel for too long: it is too long, or has too many signs of Markdown."""
    signs = sum(map(markdown.count, _SIGNS)) + _TABLE_WEIGHT * markdown.count("|") + markdown.count("\n") // 2
    return len(markdown) > MARKDOWN_LIMIT or signs > _SIGNS_LIMIT


def running_text(markdown: str) -> str:
    """Return the sentences of a text, without markup, code blocks and tables."""
    tokens = iter(parser().parse(markdown))
    pieces = []
    for token in tokens:
        if token.type == "table_open":
            next(inner for inner in tokens if inner.type == "table_close")
        pieces += ["".join(part.content or " " * (part.type in _BREAKS) for part in token.children or ())]
    return " ".join(filter(None, pieces))


def code_html(code: str, language: str = "", allowance: Allowance | None = None) -> str:
    """Render code as one `<pre>`, coloured if that takes little time."""
    return _box((allowance or Allowance()).coloured(code, language))


def folded_html(code: str, language: str = "") -> str:
    """Render code as `code_html` does. Of long code, all but the first rows are folded, and the fold says how much it holds."""
    lines = code.removesuffix("\n").split("\n")
    ends = list(accumulate(-(-len(line) // _ROW_LENGTH) or 1 for line in lines))
    if ends[-1] <= _SHOWN_ROWS + _WORTH_A_FOLD:
        return code_html(code, language)
    count = sum(end <= _SHOWN_ROWS for end in ends)
    if not count:  # the first line alone is too long: it is cut, and not highlighted
        cut = _SHOWN_ROWS * _ROW_LENGTH
        head, rest = code_html(code[:cut]), code_html(code[cut:])
        more = f"{len(code) - cut:,} more characters"
    else:
        coloured = Allowance().coloured(code, language).split("\n")  # no element spans two lines
        head, rest = (_box("\n".join(part)) for part in (coloured[:count], coloured[count:]))
        hidden = len(lines) - count
        more = f"{hidden:,} more {'line' if hidden == 1 else 'lines'}"
    return f'<div class="claude-folded">{head}<details><summary>{more}</summary>{rest}</details></div>\n'


def _box(inside: str) -> str:
    return f"<pre><code>{inside}</code></pre>\n"


def escape(text: str) -> str:
    """Escape text for HTML outside code, so that MathJax finds no formula in it either."""
    return _MARKS_OF_MATHEMATICS.sub(r"<span>\g<0></span>", html.escape(text))


@cache
def parser() -> MarkdownIt:
    """Return the one parser and renderer of this module; it makes links of images and drops empty links."""
    markdown = make_parser()
    markdown.core.ruler.push("settle_links", _settle_links)
    markdown.core.ruler.push("give_direction", _give_direction)
    for name, rule in _RULES.items():
        markdown.add_render_rule(name, rule)
    return markdown


@cache
def _cleaner() -> nh3.Cleaner:
    return nh3.Cleaner(
        tags=set(_TAGS.split()),
        attributes={name: {"dir"} for name in _DIRECTED}
        | {"a": {"href", "title"}, "ol": {"start"}, "td": {"style"}, "th": {"style"}},
        allowed_classes={"span": {"gi", "gd"}},
        filter_style_properties={"text-align"},
        url_schemes={"http", "https", "mailto"},
    )


def _give_direction(state: StateCore) -> None:
    """Let each piece with Hebrew or Arabic letters run as its first letter does; else a page in English mixes up its words."""
    opening = Token("", "", 0)
    for token in state.tokens:
        if token.type == "inline" and opening.tag in _DIRECTED and _RIGHT_TO_LEFT.search(token.content):
            opening.attrSet("dir", "auto")
        opening = opening if token.hidden else token  # the paragraphs of a tight list are hidden


def _settle_links(state: StateCore) -> None:
    """Replace every image by a link to it, and every link without a target (`[text]()`) by its text."""
    for block in state.tokens:
        if block.children:
            block.children = _settled_links(block.children)


def _settled_links(tokens: Sequence[Token]) -> list[Token]:
    kept: list[Token] = []
    inside = False  # links cannot be nested, so a bool is enough
    for token in tokens:
        match token.type:
            case "link_open":
                inside = is_web_link(str(token.attrs.get("href", "")))
                kept += [token] if inside else []
            case "link_close":
                kept += [token] if inside else []
                inside = False
            case "image":
                source = str(token.attrs.get("src", ""))
                text = Token("text", "", 0, content=token.content or source)
                link = Token("link_open", "a", 1, attrs={"href": source}), text, Token("link_close", "a", -1)
                kept += link if is_web_link(source) and not inside else [text]
            case _:
                kept.append(token)
    return kept


def _text(_: RendererHTML, tokens: Sequence[Token], index: int, __: OptionsDict, ___: Any) -> str:
    shown = escape(tokens[index].content)
    return f"<sup>{shown}</sup>" if tokens[index].type == "footnote_ref" else shown


def _code(_: RendererHTML, tokens: Sequence[Token], index: int, __: OptionsDict, env: Any) -> str:
    token = tokens[index]
    return code_html(token.content, language_of(token.info), env.get(_ALLOWANCE))


def _formula(_: RendererHTML, tokens: Sequence[Token], index: int, __: OptionsDict, ___: Any) -> str:
    token = tokens[index]
    tex = token.meta["tex"]
    if tex is None:
        formula = escape(token.content)
    else:
        left, right = (r"\[", r"\]") if token.meta["display"] else (r"\(", r"\)")
        formula = f"<span>{left}{html.escape(tex, quote=False)}{right}</span>"
    return f"<p>{formula}</p>\n" if token.block else formula


_RULES: Final = {
    "text": _text,
    "fence": _code,
    "code_block": _code,
    "formula": _formula,
    "formula_block": _formula,
    "footnote_ref": _text,
}
