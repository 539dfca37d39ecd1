"""A text that is still being written -> HTML in pieces, in a time that grows with the text and not with its square.

Decides where a growing text can be cut, and when its end is rendered again. A part that can no longer change becomes a piece
and is rendered one last time; a long fence is cut between its lines. The settled reply is rendered as a whole, elsewhere; on
the page, the pieces together take the same space.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from claude_magic._markdown import finished_length, open_fence, whole_lines_length
from claude_magic._render.parts.markdown_html import text_html
from claude_magic.sdk.response import Text, Thinking

PIECE_LENGTH: Final = 1_000  # no piece is cut off a tail of fewer characters
FENCE_LENGTH: Final = 1_500  # a fence of fewer characters is not cut
QUIET_S: Final = 0.5

# A tail of h characters of HTML must grow by h * h / CREDIT before it is rendered again: one character for a kilobyte. A
# long tail that cannot be cut (a table, an endless line) is rendered less and less often: n characters cost CREDIT * log(n).
CREDIT: Final = 2**20

# JupyterLab has special rules for a first and a last heading. With a sibling, a heading at the edge of a piece is neither.
_SIBLING: Final = "<i hidden></i>"


@dataclass(frozen=True, slots=True)
class Growth:
    """What to show now: `finished` replaces the former tail and is final, `tail` follows it; all of it is HTML."""

    finished: tuple[str, ...]
    tail: str


class GrowingText:
    """One text, or a block of thinking, while it is written."""

    def __init__(self, block: Text | Thinking) -> None:
        self._block = block
        self._cut = 0
        self._opening = ""  # the first line of the fence that the last cut went through
        self._seen = self._shown = self._html_length = 0
        self._grew_s = 0.0
        self._complete = False

    def advance(self, elapsed_s: float, *, cut: bool = True) -> Growth | None:
        """Render what has changed enough, or return `None`; without `cut` the text stays in one piece.

        :param elapsed_s: the turn's time, in seconds: a tail that has stopped growing is rendered after `QUIET_S`.
        """
        if self._complete or not self._due(elapsed_s):
            return None
        self._shown, self._complete = self._block.growing.length, self._block.complete
        source = self._opening + self._block.text[self._cut :]
        finished = []
        while cut and not self._complete:
            length, opening = self._finished(source)
            if not length:
                break
            finished.append(self._html(source[:length], "claude-open" if opening else "", after=_SIBLING))
            self._cut += length - len(self._opening)
            self._opening, source = opening, opening + source[length:]
        # Only finished formulas are typeset: in a tail they would change their shape with each rendering.
        tail = self._html(source, "" if self._complete else "mathjax_ignore tex2jax_ignore")
        self._html_length = len(tail)
        return Growth(tuple(finished), tail)

    def _finished(self, source: str) -> tuple[int, str]:
        """Return the length up to a cut (0: do not cut yet), and the first line of the fence that the cut goes through."""
        enough = PIECE_LENGTH + self._cut // 1000
        if len(source) < enough:
            return 0, ""
        if length := finished_length(source):
            return length, ""
        enough = max(enough, FENCE_LENGTH)
        # A fence in a list or a quote is not cut: the next piece would begin another list.
        opening = open_fence(source) if len(source) >= enough else ""
        cut = whole_lines_length(source)
        return (cut, opening) if opening and len(source) >= enough + len(opening) and cut > len(opening) else (0, "")

    def _due(self, elapsed_s: float) -> bool:
        length = self._block.growing.length
        if length != self._seen:
            self._seen, self._grew_s = length, elapsed_s
        if self._block.complete:
            return True
        grown = length - self._shown
        quiet = elapsed_s - self._grew_s >= QUIET_S
        return grown > 0 and (quiet or grown * CREDIT >= self._html_length**2)

    def _html(self, source: str, kind: str, after: str = "") -> str:
        names = " ".join(filter(None, ("claude-text", "claude-continued" if self._opening else "", kind)))
        before = _SIBLING if self._cut else ""
        return f'<div class="{names}">{before}{text_html(source)}{after}</div>\n'
