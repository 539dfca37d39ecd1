"""A model's Markdown -> HTML that is safe to show, and code -> highlighted HTML.

Owns the HTML of what `claude_magic._markdown` reads. Trust is settled twice: the parser knows no raw HTML and no link but
http, https and mailto (others stay as they were written), and what it emits is cleaned against short lists. Mathematics
passes through as `$...$` text for the frontend's MathJax; every other dollar sign stands in an element of its own, so two
prices are not taken for a formula.
"""

from __future__ import annotations

import html
from collections.abc import Sequence
from functools import cache, lru_cache
from typing import Any, Final

import nh3
from markdown_it import MarkdownIt
from markdown_it.renderer import RendererHTML
from markdown_it.rules_core import StateCore
from markdown_it.token import Token
from markdown_it.utils import OptionsDict
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name
from pygments.token import STANDARD_TYPES
from pygments.util import ClassNotFound

from claude_magic._characters import strip_controls
from claude_magic._markdown import is_web_link, language_of, make_parser

# Longer code is shown plain: colouring costs about a millisecond a kilobyte.
HIGHLIGHT_LIMIT: Final = 30_000

# Longer text is shown as it was written: parsing and cleaning it would hold up the kernel for seconds.
MARKDOWN_LIMIT: Final = 200_000

_BREAKS: Final = ("softbreak", "hardbreak")
# No img: a remote image tells its server that the cell was opened.
_TAGS: Final = "a blockquote br code em h1 h2 h3 h4 h5 h6 hr li ol p pre s span strong table tbody td th thead tr ul"


def text_html(markdown: str) -> str:
    """Render a model's Markdown as HTML that is safe to show; a text over `MARKDOWN_LIMIT` as it was written."""
    if len(markdown) > MARKDOWN_LIMIT:
        return f'<pre class="claude-plain">{html.escape(strip_controls(markdown))}</pre>'
    rendered: str = parser().render(markdown)
    return _cleaner().clean(rendered)


def running_text(markdown: str) -> str:
    """Return what a text says in sentences: without marks, code blocks and tables."""
    tokens = iter(parser(mathematics=False).parse(markdown))
    pieces = []
    for token in tokens:
        if token.type == "table_open":
            next(inner for inner in tokens if inner.type == "table_close")
        pieces += ["".join(part.content or " " * (part.type in _BREAKS) for part in token.children or ())]
    return " ".join(filter(None, pieces))


def code_html(code: str, language: str = "") -> str:
    """Render code as one `<pre>`, highlighted when Pygments knows the language."""
    return f"<pre><code>{_highlighted(code, language)}</code></pre>\n"


def code_lines(code: str, language: str = "") -> list[str]:
    """Do as `code_html` does, and return the lines without the `<pre>`; no element reaches over the end of a line."""
    return _highlighted(code, language).split("\n")


def escape(text: str) -> str:
    """Escape text for HTML outside of code, dollar signs kept from MathJax."""
    return html.escape(text).replace("$", "<span>$</span>")


@cache
def parser(*, mathematics: bool = True) -> MarkdownIt:
    """Give the one parser with what makes HTML of its blocks: links that lead nowhere and images are settled."""
    markdown = make_parser(mathematics=mathematics)
    markdown.core.ruler.push("settle_links", _settle_links)
    for name, rule in _RULES.items():
        markdown.add_render_rule(name, rule)
    return markdown


@lru_cache(maxsize=256)
def lexer(language: str) -> Lexer | None:
    """Find Pygments' lexer for a fence's language, `None` when it has none."""
    try:
        return get_lexer_by_name(language, stripnl=False)
    except ClassNotFound:
        return None


@cache
def _cleaner() -> nh3.Cleaner:
    return nh3.Cleaner(
        tags=set(_TAGS.split()),
        attributes={"a": {"href", "title"}, "ol": {"start"}, "td": {"style"}, "th": {"style"}},
        allowed_classes={"span": {name for name in STANDARD_TYPES.values() if name}},
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


@lru_cache(maxsize=128)
def _highlighted(code: str, language: str) -> str:
    # Cached: a growing block is rendered again and again, with the same finished fences in it.
    found = lexer(language) if language and len(code) <= HIGHLIGHT_LIMIT else None
    if found is None:
        return html.escape(code)
    coloured = highlight(code, found, HtmlFormatter(nowrap=True))
    # Pygments ends the last line; the code of a fence that is still open may end within one.
    return coloured if code.endswith("\n") else coloured.removesuffix("\n")


def _text(_: RendererHTML, tokens: Sequence[Token], index: int, __: OptionsDict, ___: Any) -> str:
    return escape(tokens[index].content)


def _code(_: RendererHTML, tokens: Sequence[Token], index: int, __: OptionsDict, ___: Any) -> str:
    token = tokens[index]
    return code_html(token.content, language_of(token.info))


def _math(_: RendererHTML, tokens: Sequence[Token], index: int, __: OptionsDict, ___: Any) -> str:
    token = tokens[index]
    formula = html.escape(f"{token.markup}{token.content}{token.markup}")
    return f"<p>{formula}</p>\n" if token.block else formula


_RULES: Final = {
    "text": _text,
    "fence": _code,
    "code_block": _code,
    "math_inline": _math,
    "math_inline_double": _math,
    "math_block": _math,
}
