"""A model's Markdown as blocks: the one reading that the SDK and every view share.

Owns the parser's rules, what of a text is code and in which language, and how much of a growing text is settled. It leaves
HTML, and what is inside a line, to those who show them. Importing it imports the parser, so the SDK does that when it must.
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

from claude_magic._mathematics import FORMULA_LENGTH, mathematics_plugin, opens_formula
from claude_magic._quiet_library import quiet_library
from claude_magic._written_html import written_html_plugin

_WEB: Final = re.compile(r"(?:https?://|mailto:)[^\s/]", re.IGNORECASE)

# Where the parser begins a new line; `str.splitlines` knows more ends.
_LINE_START: Final = re.compile(r"(?<=\n)|(?<=\r)(?!\n)")

# `title="a plot"`, `linenos=1`: what an info string says beside the language.
_ATTRIBUTE: Final = re.compile(r"""(?<![\w.-])[\w.-]++=(?:"[^"]*"|'[^']*'|[^\s,}]+)""")
_BETWEEN_WORDS: Final = re.compile(r"[\s,;:{}()\[\]]+")
# Pandoc's class for line numbers, and MyST's directives, whose language comes next.
_NO_LANGUAGES: Final = frozenset({"numberlines", "code-block", "code-cell", "sourcecode"})
# Python 2 is not meant, and neither is `pycon`: a session with its prompts and output is nothing to run.
_PYTHON: Final = re.compile(r"(?:jupyter-)?python(?:3(?:\.\d+)*)?|py3?")
# A fence of Markdown holds fences that have a language of their own.
_NESTING: Final = frozenset({"markdown", "md", "mdx", "qmd", "rmd", "mdown"})
_FENCE: Final = re.compile(r"(`{3,}|~{3,})[ \t]*(.*)")
_RUN_BY_IPYTHON: Final = frozenset({"python", "ipython", "ipython3"})


@dataclass(frozen=True, slots=True)
class Code:
    """One code block, as it is shown: a fence, or lines that are indented as code.

    `text` is the code without the marks of a list or quote around it, its lines ended by a newline. `language` is empty
    where none is named. `first_line` and `end_line` are the lines of the Markdown that hold it, from 0, the end excluded.
    """

    text: str
    language: str
    first_line: int
    end_line: int

    @property
    def is_python(self) -> bool:
        """Say whether a kernel of IPython runs it."""
        return self.language in _RUN_BY_IPYTHON


class _QuietParser(MarkdownIt):
    """markdown-it 4.3 logs each rule that it tries at each line."""

    def parse(self, src: str, env: MutableMapping[str, Any] | None = None) -> list[Token]:
        with quiet_library("markdown_it"):
            return super().parse(src, env)


def make_parser() -> MarkdownIt:
    """Make a parser: CommonMark, tables, strikethrough, mathematics and a few tags, without raw HTML."""
    markdown = _QuietParser("commonmark", {"html": False, "linkify": False}).enable(["table", "strikethrough"])
    markdown.use(mathematics_plugin).use(written_html_plugin)
    anywhere: RuleOptionsType = {"alt": ["paragraph", "reference", "blockquote", "list"]}
    markdown.block.ruler.before("fence", "fence_of_markdown", _fence_of_markdown, anywhere)
    # It decides about blocks, too: what defines a link that may not be followed is a paragraph.
    markdown.validateLink = is_web_link  # type: ignore[method-assign]  # the documented way to change the rule
    return markdown


def is_web_link(url: str) -> bool:
    """Say whether a link may be followed from a notebook: absolute, and of a listed scheme."""
    return _WEB.match(url) is not None


def code_in(markdown: str) -> list[Code]:
    """Return the code blocks of a text in order, those in lists and quotes among them."""
    return [_code(token) for token in _blocks().parse(markdown) if token.type in ("fence", "code_block")]


def language_of(info: str) -> str:
    """Read the language out of a fence's info string, in lower case: `python` for each way to write that; empty for none."""
    for word in _BETWEEN_WORDS.split(_ATTRIBUTE.sub(" ", unescapeAll(info))):
        name = word.strip(".=").lower()
        if name and not name.startswith("#") and name not in _NO_LANGUAGES:
            return "python" if _PYTHON.fullmatch(name) else name
    return ""


def split_lines(markdown: str) -> list[str]:
    """Split a text into the lines that the parser counts, each with its end."""
    return _LINE_START.split(markdown)


def finished_length(markdown: str) -> int:
    """Say how many characters of a growing Markdown text make blocks that nothing coming after can change.

    A view renders these once and only the rest again. Whether a line begins a new block is judged when it is complete,
    so that `2` is not cut off from the list that `2. ` goes on with; what a `$$` begins may be a formula up to the next line
    without text, and a fold goes on until it is closed.
    """
    lines = _whole_lines(markdown)
    tokens = _blocks().parse("".join(lines))
    starts = [token.map[0] for token in tokens if token.level == 0 and token.map and token.nesting >= 0]
    last = min(
        (line for line in (_first_open_formula(lines), _first_open_fold(tokens)) if line is not None), default=len(lines)
    )
    starts = [start for start in starts if start <= last]
    return len("".join(lines[: starts[-1]])) if len(starts) > 1 else 0


def open_fence(markdown: str) -> str:
    """Return how the fence begins, up to its first line of code, that all of a growing text is in; empty if there is none.

    Only whole lines count. What is put behind the beginning is code of this fence, until a line closes it.
    """
    lines = _whole_lines(markdown)
    blocks = [token for token in _blocks().parse("".join(lines)) if token.level == 0]
    if len(blocks) != 1 or blocks[0].type != "fence":
        return ""
    code = _code(blocks[0])
    # In one of Markdown, how deep the next line stands depends on all of it.
    is_open = code.text.count("\n") == code.end_line - code.first_line and code.language not in _NESTING
    return "".join(lines[: code.first_line]) if is_open else ""


def whole_lines_length(markdown: str) -> int:
    """Say how many characters of a growing text are whole lines."""
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
    # Behind a return at the end, the newline that belongs to it may still come.
    return split_lines(markdown.removesuffix("\r"))[:-1]


def _first_open_formula(lines: Sequence[str]) -> int | None:
    """Find the first line that a formula may begin in which is not over: no line without text has come since."""
    begin = len(lines)
    length = 0
    found = None
    while begin and lines[begin - 1].strip() and length < FORMULA_LENGTH:
        begin -= 1
        length += len(lines[begin])
        found = begin if opens_formula(lines[begin]) else found
    return found


def _first_open_fold(tokens: Sequence[Token]) -> int | None:
    """Find the first fold that has not ended; return where its outermost block begins."""
    top = 0
    for token in tokens:
        if token.level == 0 and token.map:
            top = token.map[0]
        if token.meta.get("unclosed"):
            return top
    return None


def _fence_of_markdown(reader: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    """Read a fence of Markdown as one block: a fence inside that names a language ends with the next bare one."""
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
