"""Parses a model's Markdown into blocks, for the SDK and every view alike.

Owns the parser's rules, finds code and its language, and tells how much of a growing text is final. Views make the HTML, and
parse what is inside a line. Importing this module imports the parser, so the SDK imports it only when needed.
"""

from __future__ import annotations

import re
from collections.abc import MutableMapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from markdown_it import MarkdownIt
from markdown_it.common.utils import unescapeAll
from markdown_it.ruler import RuleOptionsType
from markdown_it.rules_block import StateBlock
from markdown_it.token import Token

from claude_magic._libraries import quiet_library
from claude_magic._mathematics import FORMULA_LENGTH, mathematics_plugin, opens_formula
from claude_magic._written_html import written_html_plugin

_WEB: Final = re.compile(r"(?:https?://|mailto:)[^\s/]", re.IGNORECASE)

# Where the parser starts a new line; `str.splitlines` knows more line ends.
_LINE_START: Final = re.compile(r"(?<=\n)|(?<=\r)(?!\n)")

# `title="a plot"`, `linenos=1`: parts of an info string that are not the language.
_ATTRIBUTE: Final = re.compile(r"""(?<![\w.-])[\w.-]++=(?:"[^"]*"|'[^']*'|[^\s,}]+)""")
_BETWEEN_WORDS: Final = re.compile(r"[\s,;:{}()\[\]]+")
# Pandoc's class for line numbers, and MyST's directives, which come before the language.
_NO_LANGUAGES: Final = frozenset({"numberlines", "code-block", "code-cell", "sourcecode"})
# Python 2 is left out, and so is `pycon`: code with `>>>` prompts and output cannot be run.
_PYTHON: Final = re.compile(r"(?:jupyter-)?python(?:3(?:\.\d+)*)?|py3?")
# A fence of Markdown can contain fences with a language of their own.
_NESTING: Final = frozenset({"markdown", "md", "mdx", "qmd", "rmd", "mdown"})
_FENCE: Final = re.compile(r"(`{3,}|~{3,})[ \t]*(.*)")
_RUN_BY_IPYTHON: Final = frozenset({"python", "ipython", "ipython3"})


@dataclass(frozen=True, slots=True)
class Code:
    """One code block as it is shown: a fence, or lines that are indented as code.

    `text` is the code without the marks of a list or quote around it; each line ends with a newline. `language` is empty if
    none is named. `first_line` is the code's first line in the Markdown, from 0; `end_line` is the line after the whole block.
    """

    text: str
    language: str
    first_line: int
    end_line: int

    @property
    def is_python(self) -> bool:
        """Whether an IPython kernel can run it."""
        return self.language in _RUN_BY_IPYTHON


class _QuietParser(MarkdownIt):
    """Silences markdown-it 4.3, which logs each rule that it tries at each line."""

    def parse(self, src: str, env: MutableMapping[str, Any] | None = None) -> list[Token]:
        with quiet_library("markdown_it"):
            return super().parse(src, env)


def make_parser() -> MarkdownIt:
    """Make a parser: CommonMark, tables, strikethrough, mathematics and a few tags, without raw HTML."""
    markdown = _QuietParser("commonmark", {"html": False, "linkify": False}).enable(["table", "strikethrough"])
    markdown.use(mathematics_plugin).use(written_html_plugin)
    anywhere: RuleOptionsType = {"alt": ["paragraph", "reference", "blockquote", "list"]}
    markdown.block.ruler.before("fence", "fence_of_markdown", _fence_of_markdown, anywhere)
    # This rule affects blocks, too: the definition of a refused link becomes a paragraph.
    markdown.validateLink = is_web_link  # type: ignore[method-assign]  # the documented way to change the rule
    return markdown


def is_web_link(url: str) -> bool:
    """Whether a link may be followed from a notebook: it is absolute and has an allowed scheme."""
    return _WEB.match(url) is not None


def code_in(markdown: str) -> list[Code]:
    """Return the code blocks of a text in order, including those in lists and quotes."""
    return [_code(token) for token in _blocks().parse(markdown) if token.type in ("fence", "code_block")]


def language_of(info: str) -> str:
    """Return the language in a fence's info string, in lower case; `python` for all its spellings, empty for none."""
    for word in _BETWEEN_WORDS.split(_ATTRIBUTE.sub(" ", unescapeAll(info))):
        name = word.strip(".=").lower()
        if name and not name.startswith("#") and name not in _NO_LANGUAGES:
            return "python" if _PYTHON.fullmatch(name) else name
    return ""


def split_lines(markdown: str) -> list[str]:
    """Split a text into the lines that the parser counts, each with its end."""
    return _LINE_START.split(markdown)


def finished_length(markdown: str) -> int:
    """Return how many characters of a growing Markdown text form blocks that later text cannot change.

    A view renders these once and only the rest again. A line starts a new block only once it is complete, so that `2` is not
    separated from the list that `2. ` continues. After `$$` everything up to the next empty line may be a formula, and a fold
    (`<details>`) lasts until it is closed.
    """
    lines = _whole_lines(markdown)
    tokens = _blocks().parse("".join(lines))
    starts = [token.map[0] for token in tokens if token.level == 0 and token.map and token.nesting >= 0]
    last = min(_first_open_formula(lines), _first_open_fold(tokens, len(lines)))
    starts = [start for start in starts if start <= last]
    return len("".join(lines[: starts[-1]])) if len(starts) > 1 else 0


def open_fence(markdown: str) -> str:
    """If one open fence contains the whole growing text, return what is before its first line of code; else "".

    Only whole lines count. Text after what is returned is code of this fence, until a line closes the fence.
    """
    lines = _whole_lines(markdown)
    blocks = [token for token in _blocks().parse("".join(lines)) if token.level == 0]
    if len(blocks) != 1 or blocks[0].type != "fence":
        return ""
    code = _code(blocks[0])
    # In a fence of Markdown, the depth of the next line depends on the whole text.
    is_open = code.text.count("\n") == code.end_line - code.first_line and code.language not in _NESTING
    return "".join(lines[: code.first_line]) if is_open else ""


def whole_lines_length(markdown: str) -> int:
    """Return how many characters of a growing text belong to whole lines."""
    return len("".join(_whole_lines(markdown)))


@cache
def _blocks() -> MarkdownIt:
    markdown = make_parser()
    markdown.core.ruler.disable(["inline", "text_join"])
    return markdown


def _code(token: Token) -> Code:
    assert token.map is not None  # both kinds of code blocks have their lines
    first, end = token.map
    is_fence = token.type == "fence"
    return Code(token.content, language_of(token.info) if is_fence else "", first + is_fence, end)


def _whole_lines(markdown: str) -> list[str]:
    # After a carriage return at the end, the newline that belongs to it may still come.
    return split_lines(markdown.removesuffix("\r"))[:-1]


def _first_open_formula(lines: Sequence[str]) -> int:
    """Return the first line in which an unfinished formula may start, as no empty line has come since; or the end."""
    begin = found = len(lines)
    length = 0
    while begin and lines[begin - 1].strip() and length < FORMULA_LENGTH:
        begin -= 1
        length += len(lines[begin])
        found = begin if opens_formula(lines[begin]) else found
    return found


def _first_open_fold(tokens: Sequence[Token], end: int) -> int:
    """Return the line where the outermost block around the first unclosed fold starts; `end` if there is none."""
    top = 0
    for token in tokens:
        if token.level == 0 and token.map:
            top = token.map[0]
        if token.meta.get("unclosed"):
            return top
    return end


def _fence_of_markdown(reader: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    """Read a fence of Markdown as one block. A fence inside it that names a language ends at the next bare one."""
    first = reader.bMarks[start_line] + reader.tShift[start_line]
    if not reader.src.startswith(("```", "~~~"), first) or reader.is_code_block(start_line):
        return False
    opening = _FENCE.fullmatch(reader.src, first, reader.eMarks[start_line])
    if opening is None or ("`" in opening[1] and "`" in opening[2]) or language_of(opening[2]) not in _NESTING:
        return False
    if silent:
        return True
    depth, line = 1, start_line + 1
    while line < end_line:
        first, last = reader.bMarks[line] + reader.tShift[line], reader.eMarks[line]
        if first < last and reader.sCount[line] < reader.blkIndent:
            break
        mark = None if reader.is_code_block(line) else _FENCE.fullmatch(reader.src, first, last)
        if mark and mark[1].startswith(opening[1]) and "`" not in mark[2]:
            depth += 1 if mark[2].strip() else -1
            if not depth:
                break
        line += 1
    token = reader.push("fence", "code", 0)
    token.info, token.markup = opening[2].strip(), opening[1]
    token.content = reader.getLines(start_line + 1, line, reader.sCount[start_line], True)
    reader.line = line + (not depth)
    token.map = [start_line, reader.line]
    return True
