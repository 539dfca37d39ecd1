"""A question that is unanswered when a cell ends. It is shown in that cell's output until the next cell begins."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from ipywidgets import Widget

from claude_magic._render.live.choices import card_of
from claude_magic._render.live.interactive_output import InteractiveOutput
from claude_magic._render.parts.markdown_html import escape
from claude_magic._render.parts.redacted_reply import clean_line
from claude_magic._render.parts.reply_wording import in_quotes, tool_argument, tool_name
from claude_magic._render.parts.style_sheet import styled_html
from claude_magic.sdk.host import PermissionAnswer, PermissionRequest
from claude_magic.sdk.response import ToolCall

TICK_S: Final = 0.1
"""How often the card checks whether its buttons may be enabled; no turn runs that would do it."""


class OpenQuestion(InteractiveOutput[str]):
    """A permission request of background work, which goes on after its cell; main thread only.

    :param on_answer: called once, with the answer; the card becomes plain output then.
    """

    section = "card"

    def __init__(self, request: PermissionRequest, on_answer: Callable[[PermissionAnswer], None]) -> None:
        super().__init__(lambda key: None)
        self._request = request
        self._tell = on_answer
        self._said = "it waits for the next %%claude cell"
        self._card = card_of(request, self._answer)

    def show(self) -> None:
        super().show()
        self._tick()

    def moved(self) -> None:
        """Disable the buttons for a moment, as the output above has changed its height."""
        self._card.moved()
        self._tick()

    def _tick(self) -> None:
        if self._box is not None and not self._card.tick(time.monotonic()):
            asyncio.get_running_loop().call_later(TICK_S, self._tick)

    def _answer(self, answer: PermissionAnswer) -> None:
        self._said = answer.decision.value
        self._tell(answer)
        self.close()

    def _build(self) -> Sequence[Widget]:
        return [self._card.box]

    def _paint(self) -> None:
        """Do nothing: the card paints itself."""

    def _plain_bundle(self) -> dict[str, Any]:
        call = ToolCall(0, self._request.call_id, self._request.tool, self._request.input)
        text = clean_line(f"Claude's question ({self._said}): {tool_name(call)} {in_quotes(tool_argument(call))}".rstrip())
        return {"text/html": styled_html(f'<p class="claude-remark">{escape(text)}</p>'), "text/plain": text}
