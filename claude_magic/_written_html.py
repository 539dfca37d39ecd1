"""What models write beyond Markdown: a few HTML tags, folds (`<details>`), task lists and footnotes.

Owns the parser's rules for them. Tags are known by name and have no attributes; a tag that is not closed where it was opened is
text. So none of a model's own HTML reaches a page: views make elements from tokens only. Views in text use `plain_tokens`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from markdown_it import MarkdownIt
from markdown_it.ruler import RuleOptionsType
from markdown_it.rules_block import StateBlock
from markdown_it.rules_core import StateCore
from markdown_it.rules_inline import StateInline
from markdown_it.token import Token

# The allowed tags, each with the element that it becomes.
_TAGS: Final = {"sub": "sub", "sup": "sup", "kbd": "kbd", "b": "strong", "strong": "strong", "i": "em", "em": "em"}
_TAG: Final = re.compile(rf"<(?:br\s{{0,9}}/?|(/?)({'|'.join(_TAGS)}))>", re.IGNORECASE)
_DEPTH: Final = 10

_FOLD: Final = re.compile(
    r"(<details(?: open)?>)?\s*(?:<summary>(.*?)</summary>)?\s*|(</details>)\s*", re.IGNORECASE | re.DOTALL
)
_FOOTNOTE: Final = re.compile(r"\[\^([\w-]{1,30})\]:[ \t]+(?=\S)")
_REFERENCE: Final = re.compile(r"\[\^([\w-]{1,30})\](?![(:])")
_TASK: Final = re.compile(r"\[([ xX])\](?=\s)")

_RAISED: Final = dict(zip("0123456789+-=()ni", "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁼⁽⁾ⁿⁱ", strict=True))
_LOWERED: Final = dict(zip("0123456789+-=()aeox", "₀₁₂₃₄₅₆₇₈₉₊₋₌₍₎ₐₑₒₓ", strict=True))
_SIGNS: Final = {"sup": ("^", _RAISED), "sub": ("_", _LOWERED)}


def written_html_plugin(markdown: MarkdownIt) -> None:
    """Teach a parser what models write beyond Markdown."""
    anywhere: RuleOptionsType = {"alt": ["paragraph", "reference", "blockquote", "list"]}
    markdown.block.ruler.before("reference", "fold", _fold_rule, anywhere)
    markdown.block.ruler.before("reference", "footnote", _footnote_rule, {"alt": ["paragraph"]})
    markdown.inline.ruler.before("link", "footnote", _reference_rule)
    markdown.inline.ruler.before("autolink", "written_tag", _tag_rule)
    markdown.core.ruler.after("block", "folds", _pair_folds)
    markdown.core.ruler.after("inline", "written_html", _settle)


def _tag_rule(reader: StateInline, silent: bool) -> bool:
    if (found := _TAG.match(reader.src, reader.pos, reader.posMax)) is None:
        return False
    if not silent and found[2]:
        reader.push("written_tag", _TAGS[found[2].lower()], 0).content = found[0]
        reader.tokens[-1].info = found[1]
    elif not silent:
        reader.push("hardbreak", "br", 0)
    reader.pos = found.end()
    return True


def _reference_rule(reader: StateInline, silent: bool) -> bool:
    found = _REFERENCE.match(reader.src, reader.pos, reader.posMax)
    if found is None or found[1] not in reader.env.get("footnotes", ()):
        return False
    if not silent:
        reader.push("footnote_ref", "", 0).content = f"[{found[1]}]"
    reader.pos = found.end()
    return True


def _footnote_rule(reader: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    first = reader.bMarks[start_line] + reader.tShift[start_line]
    if not reader.src.startswith("[^", first) or reader.is_code_block(start_line):
        return False
    if (found := _FOOTNOTE.match(reader.src, first, reader.eMarks[start_line])) is None:
        return False
    if silent:
        return True
    line, parent = start_line + 1, reader.parentType
    reader.parentType = "paragraph"
    rules = reader.md.block.ruler.getRules("paragraph")
    while line < end_line and not reader.isEmpty(line) and reader.sCount[line] >= reader.blkIndent:
        if any(rule(reader, line, end_line, True) for rule in rules):
            break
        line += 1
    reader.parentType = parent
    reader.env.setdefault("footnotes", set()).add(found[1])
    text = reader.getLines(start_line, line, reader.blkIndent, False).strip().partition("]:")[2].strip()
    _paragraph(reader, "paragraph", text, start_line, line).meta = {"footnote": f"[{found[1]}]"}
    reader.line = line
    return True


def _fold_rule(reader: StateBlock, start_line: int, end_line: int, silent: bool) -> bool:
    first, last = reader.bMarks[start_line] + reader.tShift[start_line], reader.eMarks[start_line]
    if not reader.src.startswith("<", first) or reader.is_code_block(start_line):
        return False
    if (found := _FOLD.fullmatch(reader.src, first, last)) is None:
        return False
    if silent:
        return True
    lines = [start_line, start_line + 1]
    source = reader.src[first:last]
    if found[1] or found[3]:
        token = reader.push("details_open" if found[1] else "details_close", "details", 0)
        token.map, token.content = lines, source
    if found[2] is not None:
        _paragraph(reader, "summary", found[2].strip(), *lines).meta = {"source": source}
    reader.line = start_line + 1
    return True


def _paragraph(reader: StateBlock, kind: str, text: str, start_line: int, end_line: int) -> Token:
    tag = "p" if kind == "paragraph" else kind
    reader.push(f"{kind}_open", tag, 1).map = [start_line, end_line]
    inline = reader.push("inline", "", 0)
    inline.content, inline.map, inline.children = text, [start_line, end_line], []
    reader.push(f"{kind}_close", tag, -1)
    return inline


def _pair_folds(reader: StateCore) -> None:
    """Pair the opening and closing tags of folds in the same container. A tag without a partner becomes text."""
    tokens = reader.tokens
    if not any(token.type in ("details_open", "details_close", "summary_open") for token in tokens):
        return
    partner: dict[int, int] = {}
    around: list[int] = []  # open here: folds, and containers that folds must not cross
    for index, token in enumerate(tokens):
        if token.type == "details_open" or token.type.endswith("_open"):
            around.append(index)
        elif token.type == "details_close":
            if around and tokens[around[-1]].type == "details_open":
                partner[around[-1]] = index
                partner[index] = around.pop()
        elif token.type.endswith("_close"):
            while tokens[around.pop()].type == "details_open":
                pass
    depth = 0
    settled: list[Token] = []
    for index, token in enumerate(tokens):
        if token.type in ("details_open", "details_close"):
            ends = token.type == "details_close"
            depth -= ends and index in partner
            if index in partner and depth < _DEPTH:
                token.nesting, token.block = (-1 if ends else 1), True
                token.level += depth
                settled.append(token)
            else:
                settled += _as_text(token, unclosed=not ends and index not in partner)
            depth += not ends and index in partner
            continue
        token.level += depth
        if token.type == "summary_open" and (not settled or settled[-1].type != "details_open"):
            token.type, token.tag = "paragraph_open", "p"
        elif token.type == "summary_close" and settled[-2].type == "paragraph_open":
            token.type, token.tag = "paragraph_close", "p"
            settled[-1].content = settled[-1].meta["source"]
        settled.append(token)
    reader.tokens = settled


def _as_text(token: Token, *, unclosed: bool) -> list[Token]:
    inline = Token("inline", "", 0, content=token.content, map=token.map, children=[], block=True, level=token.level + 1)
    opening = Token("paragraph_open", "p", 1, map=token.map, block=True, level=token.level, meta={"unclosed": unclosed})
    return [opening, inline, Token("paragraph_close", "p", -1, block=True, level=token.level)]


def _settle(reader: StateCore) -> None:
    for index, token in enumerate(reader.tokens):
        if token.type != "inline" or not token.children:
            continue
        if any(child.type == "written_tag" for child in token.children):
            _pair_tags(token.children)
        if label := token.meta.get("footnote"):
            token.children[:0] = [Token("footnote_ref", "", 0, content=label), Token("text", "", 0, content=" ")]
        first = token.children[0]
        begins_item = first.type == "text" and index > 1 and reader.tokens[index - 2].type == "list_item_open"
        if begins_item and (box := _TASK.match(first.content)):
            first.content = ("☐" if box[1] == " " else "☑") + first.content[box.end() :]


def _pair_tags(tokens: Sequence[Token]) -> None:
    """Make elements of tags that are closed where they were opened, and text of the others."""
    around: list[Token] = []
    for token in tokens:
        if token.type != "written_tag":
            if token.nesting == 1:
                around.append(token)
            elif token.nesting == -1:
                while around and around.pop().type == "written_tag":
                    pass
        elif not token.info:
            around.append(token)
        elif around and around[-1].content.lower() == token.content.lower().replace("/", ""):  # others have no content
            begin = around.pop()
            if len(around) < _DEPTH:
                begin.type, begin.nesting, begin.content = f"{begin.tag}_open", 1, ""
                token.type, token.nesting, token.content = f"{token.tag}_close", -1, ""
    for token in tokens:
        if token.type == "written_tag":
            token.type, token.tag = "text", ""


def plain_tokens(tokens: Sequence[Token]) -> Iterator[Token]:
    """Replace `<sub>`, `<sup>`, `<kbd>` and references to footnotes, for views that lack them: H₂O, x², e^(-x/2)."""
    ends: list[str] = []
    signs: dict[str, str] = {}
    for index, token in enumerate(tokens):
        match token.type:
            case "sub_open" | "sup_open":
                mark, known = _SIGNS[token.tag]
                inner = tokens[index + 1]
                alone = inner.type == "text" and tokens[index + 2].nesting == -1 and set(inner.content) <= known.keys()
                signs = known if alone else {}
                ends.append("" if alone else ")")
                yield from () if alone else (_text(f"{mark}("),)
            case "sub_close" | "sup_close":
                signs = {}
                end = ends.pop()
                yield from (_text(end),) if end else ()
            case "kbd_open" | "kbd_close":
                pass
            case "footnote_ref":
                yield _text(token.content)
            case "text" if signs:
                yield _text("".join(signs[char] for char in token.content))
            case _:
                yield token


def _text(content: str) -> Token:
    return Token("text", "", 0, content=content)
