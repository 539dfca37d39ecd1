"""A conversation as a file of its own, Markdown to read or a notebook to run again; and a recap of its last exchanges.

From exchanges to text: the caller chooses the conversation, and where the text goes. The notebook is in format 4.5, written
as JSON here: for this one shape the package does not need nbformat.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from claude_magic._paths import shorten_home
from claude_magic._redaction import redact
from claude_magic._render.parts import safe_markdown
from claude_magic._render.parts.markdown_html import escape, running_text
from claude_magic._render.parts.redacted_reply import clean_line
from claude_magic._render.parts.reply_wording import one_line
from claude_magic._render.parts.style_sheet import styled_html
from claude_magic._render.settled.reply import SettledReply, reply_bundle, reply_markdown
from claude_magic.sdk._history.transcripts import Exchange, reply_of

SHOWN: Final = 3
"""How many exchanges a recap shows."""

_PROMPT_LENGTH: Final = 120
_REPLY_LENGTH: Final = 280
_READ_LENGTH: Final = 20_000
_TITLE_LENGTH: Final = 80

# What begins a command, a path or a template. Runs match whole: a `{` left before the `{{` we write would merge with it.
_EXPANDED: Final = re.compile(r"\A\s*/[\s/]*|[{@]+")


@dataclass(frozen=True, slots=True)
class Conversation:
    """What is exported: a session and its exchanges, the oldest first."""

    session_id: str
    directory: str
    last_used: datetime
    exchanges: Sequence[Exchange]
    name: str | None = None

    @property
    def title(self) -> str:
        """The session's name, or the first prompt if it has none."""
        prompts = (exchange.prompt for exchange in self.exchanges if exchange.prompt)
        return one_line(redact(self.name or next(prompts, "A session with Claude")), _TITLE_LENGTH)


def to_markdown(conversation: Conversation) -> str:
    """Write a conversation as Markdown that is harmless, even where raw HTML in Markdown is run."""
    facts = (
        f"session {conversation.session_id}",
        shorten_home(conversation.directory),
        f"{conversation.last_used.astimezone():%Y-%m-%d %H:%M}",
    )
    pieces = [f"# {safe_markdown.escape(conversation.title)}", safe_markdown.escape(" · ".join(facts))]
    for number, exchange in enumerate(conversation.exchanges, 1):
        answer = reply_markdown(SettledReply(reply_of(exchange)).cleaned())
        prompt = "\n".join(f"> {line}" for line in redact(exchange.prompt).splitlines())
        pieces += [f"## Turn {number}", safe_markdown.text_markdown(prompt), answer]
    return "\n\n".join(piece for piece in pieces if piece) + "\n"


def to_notebook(conversation: Conversation) -> str:
    """Write a conversation as a notebook: a cell for each prompt, with the reply as its output."""
    cells = [_code_cell("load", "%load_ext claude_magic")]
    for number, exchange in enumerate(conversation.exchanges, 1):
        reply = SettledReply(reply_of(exchange, conversation.session_id), number)
        output = {
            "output_type": "display_data",
            "data": {kind: _lines(text) for kind, text in reply_bundle(reply).items()},
            "metadata": {"claude_magic": {"session_id": conversation.session_id, "turn": number}},
        }
        cells.append(_code_cell(f"turn-{number}", _prompt_cell(exchange.prompt), output))
    notebook = {
        "cells": cells,
        "metadata": {
            "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
            "title": conversation.title,
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    return json.dumps(notebook, indent=1, ensure_ascii=False) + "\n"


def _prompt_cell(prompt: str) -> str:
    """Write a prompt so that running the cell sends this text, expanding nothing: transcripts do not mark inserted data."""
    prompt = redact(prompt)
    if "@" not in prompt and not prompt.lstrip().startswith("/"):
        # Without `--raw` braces would be run as code now.
        return f"{'%%claude --raw' if '{{' in prompt or '{%' in prompt else '%%claude'}\n{prompt}"
    return f"%%claude\n{_EXPANDED.sub(_as_value, prompt)}"


def _as_value(match: re.Match[str]) -> str:
    if match[0] == "{" and not match.string.startswith("%", match.end()):
        return "{"
    # What a template puts out is data, in which no path and no command is expanded.
    return f'{{{{ "{match[0]}" }}}}'


def _code_cell(cell_id: str, source: str, *outputs: dict[str, Any]) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "execution_count": None,
        "id": cell_id,
        "metadata": {},
        "outputs": list(outputs),
        "source": _lines(source),
    }


def _lines(text: str) -> list[str]:
    # As lines, like Jupyter saves texts: a changed line is then a small change of the file.
    return text.splitlines(keepends=True)


def recap_bundle(exchanges: Sequence[Exchange]) -> dict[str, str]:
    """Return the last exchanges, shortened to remind a person of them, in the three forms that a notebook stores."""
    # Cleaned before the cut, because half a credential is not recognised.
    lines = [(one_line(clean_line(exchange.prompt), _PROMPT_LENGTH), _gist(exchange)) for exchange in exchanges[-SHOWN:]]
    html = (f"<p><b>{escape(prompt)}</b><br>{escape(reply)}</p>\n" for prompt, reply in lines)
    return {
        "text/html": styled_html("".join(html)),
        "text/markdown": "\n\n".join(
            f"**{safe_markdown.escape(prompt)}**\n\n{safe_markdown.paragraph(reply)}" for prompt, reply in lines
        ),
        "text/plain": "\n\n".join(f"> {prompt}\n{reply}" for prompt, reply in lines),
    }


def _gist(exchange: Exchange) -> str:
    reply = clean_line(exchange.reply or exchange.trouble or "No reply.")
    # A reply may be nothing but code.
    return one_line(running_text(reply[:_READ_LENGTH]) or reply, _REPLY_LENGTH)
