r"""A model's Markdown -> HTML that is safe to show, and code -> highlighted HTML.

Owns the HTML of what `claude_magic._markdown` reads. Trust is settled twice: the parser knows no raw HTML and no link but
http, https and mailto (others stay as they were written), and what it emits is cleaned against short lists. Formulas that
`claude_magic._mathematics` lets pass are text between `\( \)` or `\[ \]` for the frontend's MathJax. Every other dollar sign
and backslash outside of code stands in an element of its own: MathJax looks for its marks in one stretch of text, so nothing
else is mathematics to it.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from functools import cache
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

# As many signs that mean something make the parser work for half a second, in whichever order they come.
_SIGNS_LIMIT: Final = 12_000
_SIGNS: Final = "[]!*_`$\\~<&"
_TABLE_WEIGHT: Final = 4  # each sign of a table makes a cell

_ALLOWANCE: Final = "claude_allowance"
"""Where the parser's environment holds the time for colours."""

_BREAKS: Final = ("softbreak", "hardbreak")
# No img: a remote image tells its server that the cell was opened.
_TAGS: Final = (
    "a b blockquote br code details em h1 h2 h3 h4 h5 h6 hr i kbd li ol p pre s span strong sub summary sup table tbody td th "
    "thead tr ul"
)
_MARKS_OF_MATHEMATICS: Final = re.compile(r"[$\\]")


def text_html(markdown: str) -> str:
    """Render a model's Markdown as HTML that is safe to show; a text that is too much as it was written."""
    if is_too_much(markdown):
        return f'<pre class="claude-plain">{html.escape(strip_controls(markdown))}</pre>'
    rendered: str = parser().render(markdown, {_ALLOWANCE: Allowance()})
    return _cleaner().clean(rendered)


def is_too_much(markdown: str) -> bool:
    """Whether a text would hold up the kernel, by its length or by the signs in it."""
    signs = sum(map(markdown.count, _SIGNS)) + _TABLE_WEIGHT * markdown.count("|") + markdown.count("\n") // 2
    return len(markdown) > MARKDOWN_LIMIT or signs > _SIGNS_LIMIT


def running_text(markdown: str) -> str:
    """Return what a text says in sentences: without marks, code blocks and tables."""
    tokens = iter(parser().parse(markdown))
    pieces = []
    for token in tokens:
        if token.type == "table_open":
            next(inner for inner in tokens if inner.type == "table_close")
        pieces += ["".join(part.content or " " * (part.type in _BREAKS) for part in token.children or ())]
    return " ".join(filter(None, pieces))


def code_html(code: str, language: str = "", allowance: Allowance | None = None) -> str:
    """Render code as one `<pre>`, coloured where that is known to take little time."""
    return f"<pre><code>{(allowance or Allowance()).coloured(code, language)}</code></pre>\n"


def code_lines(code: str, language: str = "") -> list[str]:
    """Do as `code_html` does, and return the lines without the `<pre>`; no element reaches over the end of a line."""
    return Allowance().coloured(code, language).split("\n")


def escape(text: str) -> str:
    """Escape text for HTML outside of code, so that it is no mathematics either."""
    return _MARKS_OF_MATHEMATICS.sub(r"<span>\g<0></span>", html.escape(text))


@cache
def parser() -> MarkdownIt:
    """Give the one parser with what makes HTML of its blocks: links that lead nowhere and images are settled."""
    markdown = make_parser()
    markdown.core.ruler.push("settle_links", _settle_links)
    for name, rule in _RULES.items():
        markdown.add_render_rule(name, rule)
    return markdown


@cache
def _cleaner() -> nh3.Cleaner:
    return nh3.Cleaner(
        tags=set(_TAGS.split()),
        attributes={"a": {"href", "title"}, "ol": {"start"}, "td": {"style"}, "th": {"style"}},
        allowed_classes={"span": {"gi", "gd"}},
        filter_style_properties={"text-align"},
        url_schemes={"http", "https", "mailto"},
    )


def _settle_links(state: StateCore) -> None:
    """Make every image a link to it, and keep the text alone where a link leads nowhere (`[text]()`)."""
    for block in state.tokens:
        if block.children:
            block.children = _settled_links(block.children)


def _settled_links(tokens: Sequence[Token]) -> list[Token]:
    kept: list[Token] = []
    inside = False  # links hold no links, so there is one at most
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
                kept += _image_link(token.content or source, "" if inside else source)
            case _:
                kept.append(token)
    return kept


def _image_link(text: str, source: str) -> list[Token]:
    inner = Token("text", "", 0, content=text)
    if not is_web_link(source):
        return [inner]
    return [Token("link_open", "a", 1, attrs={"href": source}), inner, Token("link_close", "a", -1)]


def _text(_: RendererHTML, tokens: Sequence[Token], index: int, __: OptionsDict, ___: Any) -> str:
    return escape(tokens[index].content)


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


def _footnote(_: RendererHTML, tokens: Sequence[Token], index: int, __: OptionsDict, ___: Any) -> str:
    return f"<sup>{escape(tokens[index].content)}</sup>"


_RULES: Final = {
    "text": _text,
    "fence": _code,
    "code_block": _code,
    "formula": _formula,
    "formula_block": _formula,
    "footnote_ref": _footnote,
}
