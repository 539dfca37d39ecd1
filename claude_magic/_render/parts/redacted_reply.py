"""A reply without what a saved notebook must not give away: credentials, and the name of the home directory.

Only what is shown is cleaned; the reply that `--output` binds stays as it is.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, assert_never

from claude_magic._markdown import code_in, split_lines
from claude_magic._paths import shorten_home
from claude_magic._redaction import redact
from claude_magic.sdk.response import Block, Growing, Remark, SessionAwareResponse, Text, Thinking, ToolCall


def cleaned(response: SessionAwareResponse) -> SessionAwareResponse:
    """Return a copy to be shown: credentials are left out, and the home directory is `~` but in code, which can be run."""
    return replace(
        response,
        blocks=[_cleaned(block) for block in response.blocks],
        content=_prose(response.content),
        structured=_everywhere(response.structured),
    )


def clean_line(text: str) -> str:
    """Return a text without credentials, and with `~` for the home directory."""
    return shorten_home(redact(text))


def _cleaned(block: Block) -> Block:
    match block:
        case Text() | Thinking():
            return replace(block, growing=Growing(_prose(block.text)))
        case ToolCall():
            # A rule that was allowed, or the words of a denial, may name them as well.
            said, permission = clean_line(block.result), clean_line(block.permission)
            return replace(block, input=_everywhere(block.input), result=said, permission=permission)
        case Remark():
            return replace(block, text=clean_line(block.text))
        case _:
            assert_never(block)


def _prose(markdown: str) -> str:
    text = redact(markdown)
    if shorten_home(text) == text:
        return text
    lines = split_lines(text)
    of_code = {number for code in code_in(text) for number in range(code.first_line, code.end_line)}
    return "".join(line if number in of_code else _shortened(line) for number, line in enumerate(lines))


def _shortened(line: str) -> str:
    shorter = shorten_home(line)
    # A home directory before two tildes must not become a fence, with the rest of the text in it.
    return shorter if "~~~" in line else shorter.replace("~~~", r"\~~~")


def _everywhere(value: Any) -> Any:
    match value:
        case str():
            return clean_line(value)
        case dict():
            return {_everywhere(key): _everywhere(part) for key, part in value.items()}
        case list():
            return [_everywhere(part) for part in value]
    return value
