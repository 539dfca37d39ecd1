"""A reply without what a saved notebook must not give away: credentials, and the name of the home directory.

Only what is shown is cleaned; the reply that `--output` binds stays as it is.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, Final, assert_never

from claude_magic._paths import shorten_home
from claude_magic._redaction import redact
from claude_magic.sdk.response import Block, Growing, Remark, SessionAwareResponse, Text, Thinking, ToolCall

# A fence and what is in it, up to the end of the text where nothing ends it: code stays as it can be run.
_FENCED: Final = re.compile(r"(^ {0,3}(?P<fence>`{3,}|~{3,})[^\n]*$.*?(?:^ {0,3}(?P=fence)|\Z))", re.M | re.S)


def cleaned(response: SessionAwareResponse) -> SessionAwareResponse:
    """Return a copy to be shown: credentials are left out, and the home directory is `~` but in fenced code."""
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
    pieces = _FENCED.split(redact(markdown))
    # Text, fence, the fence's own mark, text, ...
    pieces[::3] = map(shorten_home, pieces[::3])
    del pieces[2::3]
    return "".join(pieces)


def _everywhere(value: Any) -> Any:
    match value:
        case str():
            return clean_line(value)
        case dict():
            return {_everywhere(key): _everywhere(part) for key, part in value.items()}
        case list():
            return [_everywhere(part) for part in value]
    return value
