"""A reply without what a saved notebook must not reveal: credentials, and the name of the home directory.

Only the shown copy is cleaned, and it says what was masked. The reply that `--output` binds stays as it is.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Any, assert_never

from claude_magic._markdown import code_in, split_lines
from claude_magic._paths import shorten_home
from claude_magic._redaction import UNNAMED, masked, redact
from claude_magic._text import with_texts
from claude_magic.sdk.response import Block, Growing, Remark, SessionAwareResponse, Text, Thinking, ToolCall, plain_data


def cleaned(response: SessionAwareResponse) -> SessionAwareResponse:
    """Return a copy to be shown: credentials are masked, and the home directory is `~`, except in a text's code blocks.

    A remark at the end says what was masked.
    """
    cleaning = _Cleaning()
    blocks = [cleaning.block(block) for block in response.blocks]
    structured = cleaning.data(plain_data(response.structured))
    shown = replace(response, blocks=blocks, structured=structured, content=cleaning.prose(response.content))
    if said := masked_line(cleaning.names):
        shown.blocks.append(Remark(said))
    return shown


def clean_line(text: str) -> str:
    """Return a text without credentials, and with `~` for the home directory."""
    return shorten_home(redact(text))


def masked_line(names: Collection[str]) -> str:
    """Return a line about what was masked: variables by name, and whether there were others; empty if there were none."""
    variables = sorted({name for name in names if name != UNNAMED})
    others = [] if UNNAMED not in names else ["credentials" if not variables else "other credentials"]
    return f"Masked here: {', '.join([*variables, *others])}." if variables or others else ""


class _Cleaning:
    """Cleans the texts of one reply and remembers what it masked."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def block(self, block: Block) -> Block:
        match block:
            case Text() | Thinking():
                return replace(block, growing=Growing(self.prose(block.text)))
            case ToolCall():
                # The permission's text may hold credentials, too: a rule that was allowed, or the reason of a denial.
                said, permission = self._line(block.result), self._line(block.permission)
                return replace(block, input=self.data(block.input), result=said, permission=permission)
            case Remark():
                return replace(block, text=self._line(block.text))
            case _:
                assert_never(block)

    def prose(self, markdown: str) -> str:
        text = self._masked(markdown)
        if shorten_home(text) == text:
            return text
        lines = split_lines(text)
        of_code = {number for code in code_in(text) for number in range(code.first_line, code.end_line)}
        return "".join(line if number in of_code else _shortened(line) for number, line in enumerate(lines))

    def data(self, value: Any) -> Any:
        return with_texts(value, self._line)

    def _line(self, text: str, name: str = "") -> str:
        return shorten_home(self._masked(text, name))

    def _masked(self, text: str, name: str = "") -> str:
        found = masked(text, name=name)
        self.names.update(found.names)
        return found.text


def _shortened(line: str) -> str:
    shorter = shorten_home(line)
    # A home directory before two tildes would become `~~~`, which opens a fence around the rest of the text.
    return shorter if "~~~" in line else shorter.replace("~~~", r"\~~~")
