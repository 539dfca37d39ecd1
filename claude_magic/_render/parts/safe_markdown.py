r"""A model's Markdown -> Markdown that is harmless in a frontend that runs the HTML it finds there.

The text is parsed and rewritten, so safety needs no guess about what another parser reads as code. Characters that
begin HTML, links or code become entities, which no parser reads as structure. `*`, `_`, `~`, `$` and `#` get a backslash: if a
parser misreads that, the worst result is emphasis. The marks that MathJax looks for in the finished page are each put into a
`<span>`. So outside fences, only this module writes `<` and `](`. Fences begin at column 0, also those in lists and quotes:
frontends disagree on where an indented fence ends.
"""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from markdown_it.token import Token

from claude_magic._characters import spelled_controls, strip_controls
from claude_magic._markdown import language_of
from claude_magic._render.parts.highlighting import is_coloured
from claude_magic._render.parts.markdown_html import is_too_much, parser
from claude_magic._written_html import plain_tokens

# An underscore inside a word is no emphasis.
_SPECIAL: Final = re.compile(r"[&<>`\[\]{}|\\*~$#]|(?<![^\W_])_|_(?![^\W_])")
# What JupyterLab typesets in the text of a page, escaped or not, besides the text between two dollars.
_MATHEMATICAL: Final = re.compile(r"\\(?=[(\[$]|begin|(?:eq)?ref)")
# Frontends make links of bare addresses, and of texts that only look like one: JupyterLab then puts formulas back into the
# `href`, which their quotes would end.
_BARE_URL: Final = re.compile(r":(?=//)|(?<=www)\.", re.IGNORECASE)
_BLANKS: Final = re.compile(r"[\s\x00-\x1f\x7f-\x9f]+")
_LINE_START: Final = re.compile(r"^([-+=:%]|~(?=~~))|^(\d{1,9})([.)])", re.MULTILINE)
_UNSAFE_IN_URL: Final = re.compile(r"[^A-Za-z0-9/:?#@!,;=%+.~&_-]")
_MARKS: Final = {"em": "*", "strong": "**", "s": "~~"}
_ALIGNMENTS: Final = {"text-align:left": ":--", "text-align:right": "--:", "text-align:center": ":-:"}


def text_markdown(markdown: str) -> str:
    """Rewrite a model's Markdown, so that it is harmless in a frontend that runs raw HTML."""
    if is_too_much(markdown):
        return fence(strip_controls(markdown))
    return _Writer().write(parser().parse(markdown))


def paragraph(text: str) -> str:
    """Write plain text as Markdown that reads the same."""
    return _started(escape(text))


def escape(text: str, *, dollars: int | None = None) -> str:
    """Write plain text as inline Markdown that reads the same, on one line.

    :param dollars: the number of dollar signs in the paragraph that this text becomes part of.
    """
    line = _BLANKS.sub(" ", text)
    apart = [match.start() for match in _MATHEMATICAL.finditer(line)]
    if (line.count("$") if dollars is None else dollars) > 1:
        apart += [match.start() for match in re.finditer(r"\$", line)]
    pieces, begin = [], 0
    for index in sorted(apart):
        pieces += [_SPECIAL.sub(_escaped, line[begin:index]), f"<span>&#{ord(line[index])};</span>"]
        begin = index + 1
    line = "".join([*pieces, _SPECIAL.sub(_escaped, line[begin:])])
    return _BARE_URL.sub(lambda match: f"&#{ord(match[0])};", line)


def code_span(code: str, *, in_table: bool = False) -> str:
    """Write a code span; or plain text, if it would be unsafe when a parser ends the span elsewhere."""
    code = re.sub(r"[\n\x00-\x1f\x7f-\x9f\u2028\u2029]", " ", code)
    # The parser `marked`, for example, splits a span at `~~` or a bare address; HTML in the span would then be run.
    if re.search(r"<|``|]\(" + (r"|\|" if in_table else ""), code) or not code.strip():
        return escape(code)
    ticks = "``" if "`" in code else "`"
    pad = " " if code[0] in "` " or code[-1] in "` " else ""
    return f"{ticks}{pad}{code}{pad}{ticks}"


def fence(code: str, language: str = "") -> str:
    """Write a fenced block whose fence is longer than any run of backticks inside; controls of a terminal are spelled out."""
    code = spelled_controls(code.replace("\r\n", "\n").replace("\r", "\n").removesuffix("\n"))
    longest = max(map(len, re.findall("`+", code)), default=0)
    ticks = "`" * max(3, longest + 1)
    # Only languages that are coloured here: frontends run some other words (`mermaid`, `math`, MyST), or hang on them.
    info = language if language.isascii() and language.isalnum() and is_coloured(language) else ""
    return f"{ticks}{info}\n{code}\n{ticks}"


def _escaped(match: re.Match[str]) -> str:
    char = match[0]
    return f"\\{char}" if char in "*_~$#" else html.escape(char) if char in "&<>" else f"&#{ord(char)};"


def _started(text: str) -> str:
    """Escape first characters of lines that would start a list, a rule, a fence, or pandoc's title block (`%`)."""
    return _LINE_START.sub(lambda match: f"\\{match[1]}" if match[1] else f"{match[2]}\\{match[3]}", text)


def _formula(token: Token, *, in_table: bool = False) -> str | None:
    """Write a formula for MathJax; return `None` if it may not be typeset, or another parser could misread it."""
    if token.meta["tex"] is None:
        return None
    formula = " ".join(token.meta["tex"].split())
    if re.search(r"[`$\"]" + (r"|\|" if in_table else ""), formula) or _BARE_URL.search(formula):
        return None
    formula = formula.replace("<", r"\lt ").replace(">", r"\gt ")
    mark = "$$" if token.meta["display"] else "$"
    return f"{mark}{re.sub(r'](?=[(:[])', '] ', formula)}{mark}"


def _inline(tokens: Sequence[Token], *, in_table: bool = False, one_line: bool = False) -> str:
    pieces: list[str] = []
    targets: list[str] = []
    tokens = list(plain_tokens(tokens))
    dollars = sum(token.content.count("$") if token.type == "text" else 2 * (token.type == "formula") for token in tokens)
    for token in tokens:
        match token.type:
            case _ if token.tag in _MARKS:
                pieces.append(_MARKS[token.tag])
            case "code_inline":
                alone = not pieces or not pieces[-1].endswith("`")
                pieces.append(code_span(token.content, in_table=in_table) if alone else escape(token.content))
            case "link_open":
                targets.append(str(token.attrs.get("href", "")))
                if pieces and pieces[-1].endswith("!"):  # it would turn the link into an image
                    pieces[-1] = f"{pieces[-1][:-1]}&#33;"
                pieces.append("[")
            case "link_close":
                url = _UNSAFE_IN_URL.sub(lambda match: quote(match[0], safe=""), targets.pop())
                pieces.append(f"]({url.replace('&', '&amp;')})")
            case "softbreak" | "hardbreak" if one_line or in_table:
                pieces.append(" ")
            case "softbreak":
                pieces.append("\n")
            case "hardbreak":
                pieces.append("\\\n")
            case "formula":
                written = _formula(token, in_table=in_table)
                pieces.append(code_span(token.content, in_table=in_table) if written is None else written)
            case _ if token.content:
                pieces.append(escape(token.content, dollars=dollars))
    return "".join(pieces)


@dataclass(slots=True)
class _Container:
    """An open quote or list item, and what it puts in front of each line."""

    indent: str
    marker: str = ""

    def prefix(self) -> str:
        marker, self.marker = self.marker, ""
        return marker or self.indent


class _Writer:
    """Writes the parser's tokens. They are a flat list, so deep nesting, which a model may produce, needs no recursion."""

    def __init__(self) -> None:
        self._lines: list[str] = []
        self._containers: list[_Container] = []
        self._numbers: list[int | None] = []  # of the next item of each open list; `None` in a bullet list
        self._tight = False
        self._broken = False  # a fence at column 0 has ended the lists around it

    def write(self, tokens: Sequence[Token]) -> str:
        rows: list[list[Token]] = []
        alignments: list[str] = []
        for index, token in enumerate(tokens):
            match token.type:
                case "paragraph_open":
                    self._paragraph(tokens[index + 1], tight=token.hidden)
                case "summary_open":
                    title = [part for part in tokens[index + 1].children or [] if part.tag != "strong"]
                    self._put(f"**{_inline(title, one_line=True)}**")
                case "heading_open":
                    self._put(f"{'#' * int(token.tag[1:])} {_inline(tokens[index + 1].children or [], one_line=True)}")
                case "blockquote_open":
                    self._gap()
                    self._containers.append(_Container("> ", "> "))
                case "bullet_list_open" | "ordered_list_open":
                    if not self._tight:
                        self._gap()
                    ordered = token.type == "ordered_list_open"
                    self._numbers.append(int(token.attrs.get("start", 1)) if ordered else None)
                case "list_item_open":
                    self._open_item()
                case "blockquote_close" | "list_item_close":
                    if self._containers[-1].marker:
                        self._put("", tight=True)
                    self._containers.pop()
                case "bullet_list_close" | "ordered_list_close":
                    self._numbers.pop()
                    self._tight = bool(self._numbers) and self._tight
                    self._broken = bool(self._numbers) and self._broken
                case "fence" | "code_block":
                    self._put_fence(fence(token.content, language_of(token.info)))
                case "formula_block":
                    written = _formula(token)
                    self._put_fence(fence(token.content)) if written is None else self._put(written)
                case "hr":
                    self._put("***")
                case "table_open":
                    rows, alignments = [], []
                case "tr_open":
                    rows.append([])
                case "th_open" | "td_open":
                    rows[-1].append(tokens[index + 1])
                    if token.type == "th_open":
                        alignments.append(_ALIGNMENTS.get(str(token.attrs.get("style")), "---"))
                case "table_close":
                    cells = [[_inline(cell.children or [], in_table=True) for cell in row] for row in rows]
                    self._put("\n".join(f"| {' | '.join(row)} |" for row in (cells[0], alignments, *cells[1:])))
                case _:
                    pass  # closing tokens, and inline tokens, which are read with their opening token
        return "\n".join(self._lines).strip("\n")

    def _paragraph(self, inline: Token, *, tight: bool) -> None:
        lines = (line.strip(" \t") for line in _inline(inline.children or []).split("\n"))
        # A hard break at the end would leave a backslash. One that the model wrote is an entity by now, so it stays.
        self._put(_started("\n".join(line for line in lines if line).rstrip("\\\n")), tight=tight)

    def _put(self, text: str, *, tight: bool = False) -> None:
        if not tight:
            self._gap()
        self._tight = tight
        for line in text.split("\n"):
            self._lines.append(("".join(container.prefix() for container in self._containers) + line).rstrip())

    def _put_fence(self, text: str) -> None:
        if any(container.marker for container in self._containers):
            self._put("", tight=True)
        self._lines += [*([""] if self._lines and self._lines[-1] else []), text, ""]
        self._tight, self._broken = False, bool(self._numbers)
        for container in self._containers:
            container.indent = container.indent.lstrip(" ")

    def _open_item(self) -> None:
        number = self._numbers[-1]
        marker = "- " if number is None else f"{number}. "
        if number is not None:
            self._numbers[-1] = number + 1
        if self._broken:
            self._gap()
        self._containers.append(_Container(" " * len(marker), marker))

    def _gap(self) -> None:
        """Leave an empty line, unless the next text belongs on the line of a list's marker or a quote's first `>`."""
        if any(container.marker for container in self._containers):
            return
        line = "".join(container.indent for container in self._containers).rstrip()
        if self._lines and (self._lines[-1] or line):
            self._lines.append(line)
