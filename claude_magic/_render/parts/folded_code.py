"""Long code: only the beginning is shown at first, above a line that says how much more there is.

Decides which code is long. The rest is folded and not scrolled, because a scrolled box may look as if its text ended there.
"""

from __future__ import annotations

from itertools import accumulate
from typing import Final

from claude_magic._render.parts.markdown_html import code_lines

SHOWN_ROWS: Final = 14
ROW_LENGTH: Final = 100
_WORTH_A_FOLD: Final = 4


def folded_html(code: str, language: str = "") -> str:
    """Render code as `code_html` does. Of long code, all but the first rows are folded, and the fold says how much it holds."""
    lines = code.removesuffix("\n").split("\n")
    ends = list(accumulate(-(-len(line) // ROW_LENGTH) or 1 for line in lines))
    if ends[-1] <= SHOWN_ROWS + _WORTH_A_FOLD:
        return _box(code_lines(code, language))
    count = sum(end <= SHOWN_ROWS for end in ends)
    if not count:  # the first line alone is too long: it is cut, and not highlighted
        cut = SHOWN_ROWS * ROW_LENGTH
        head, rest = code_lines(code[:cut]), code_lines(code[cut:])
        more = f"{len(code) - cut:,} more characters"
    else:
        html = code_lines(code, language)
        head, rest = html[:count], html[count:]
        hidden = len(lines) - count
        more = f"{hidden:,} more {'line' if hidden == 1 else 'lines'}"
    return f'<div class="claude-folded">{_box(head)}<details><summary>{more}</summary>{_box(rest)}</details></div>\n'


def _box(lines: list[str]) -> str:
    inside = "\n".join(lines)
    return f"<pre><code>{inside}</code></pre>\n"
