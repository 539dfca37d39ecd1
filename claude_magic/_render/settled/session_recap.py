"""The last exchanges of a session, shortened, to remind a person of it: as HTML, Markdown and text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from claude_magic._render.parts import safe_markdown
from claude_magic._render.parts.markdown_html import escape, running_text
from claude_magic._render.parts.redacted_reply import clean_line
from claude_magic._render.parts.reply_wording import one_line
from claude_magic._render.parts.style_sheet import styled_html
from claude_magic.sdk._history.transcripts import Exchange

SHOWN: Final = 3
"""How many exchanges are shown."""

_PROMPT_LENGTH: Final = 120
_REPLY_LENGTH: Final = 280
_READ_LENGTH: Final = 20_000


def recap_bundle(exchanges: Sequence[Exchange]) -> dict[str, str]:
    """Return the last exchanges in the three forms that a notebook stores."""
    lines = _lines(exchanges)
    html = (f"<p><b>{escape(prompt)}</b><br>{escape(reply)}</p>\n" for prompt, reply in lines)
    return {
        "text/html": styled_html("".join(html)),
        "text/markdown": "\n\n".join(
            f"**{safe_markdown.escape(prompt)}**\n\n{safe_markdown.paragraph(reply)}" for prompt, reply in lines
        ),
        "text/plain": recap_text(exchanges),
    }


def recap_text(exchanges: Sequence[Exchange]) -> str:
    """Write the last exchanges as plain text."""
    return "\n\n".join(f"> {prompt}\n{reply}" for prompt, reply in _lines(exchanges))


def _lines(exchanges: Sequence[Exchange]) -> list[tuple[str, str]]:
    # Cleaned before the cut, because half a credential is not recognised.
    return [(one_line(clean_line(exchange.prompt), _PROMPT_LENGTH), _gist(exchange)) for exchange in exchanges[-SHOWN:]]


def _gist(exchange: Exchange) -> str:
    reply = clean_line(exchange.reply or exchange.trouble or "No reply.")
    # A reply may be nothing but code.
    return one_line(running_text(reply[:_READ_LENGTH]) or reply, _REPLY_LENGTH)
