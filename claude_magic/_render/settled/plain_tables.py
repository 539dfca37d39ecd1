"""Small tables with a remark below each, and a line that sums them up: settled HTML, Markdown and text.

The caller cuts and cleans the texts of the cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from claude_magic._render.parts import safe_markdown
from claude_magic._render.parts.markdown_html import escape
from claude_magic._render.parts.style_sheet import styled_html
from claude_magic._render.settled.session_list import text_table

WIDTH: Final = 24
"""The width of a column in plain text, in characters."""


@dataclass(frozen=True, slots=True)
class Table:
    """A table: names of columns, lines of cells, and a remark below them. Without lines only the remark is shown."""

    head: Sequence[str]
    lines: Sequence[Sequence[str]]
    remark: str = ""
    width: int = WIDTH

    def html(self) -> str:
        """Write it as HTML."""
        rows = "".join(f"<tr>{''.join(f'<td>{escape(cell)}</td>' for cell in line)}</tr>\n" for line in self.lines)
        heads = "".join(f"<th>{escape(name)}</th>" for name in self.head)
        table = f"<table><thead><tr>{heads}</tr></thead>\n<tbody>\n{rows}</tbody></table>\n" if self.lines else ""
        return table + (f'<p class="claude-remark">{escape(self.remark)}</p>\n' if self.remark else "")

    def markdown(self) -> str:
        """Write it as Markdown that is harmless wherever it is rendered."""
        marked = [f"| {' | '.join(map(safe_markdown.escape, line))} |" for line in (self.head, *self.lines)]
        marked.insert(1, f"| {' | '.join(['---'] * len(self.head))} |")
        return "\n\n".join(filter(None, ["\n".join(marked) if self.lines else "", safe_markdown.escape(self.remark)]))

    def plain(self) -> str:
        """Write it as text."""
        rows = text_table((self.head, *self.lines), [self.width] * len(self.head)) if self.lines else ()
        return "\n".join(filter(None, [*rows, self.remark]))


def tables_bundle(tables: Sequence[Table], summary: str) -> dict[str, str]:
    """Return tables and their summary in the three forms that a notebook stores."""
    html = "".join(table.html() for table in tables)
    gap = "\n\n" if sum(bool(table.lines) for table in tables) > 1 else "\n"
    return {
        "text/html": styled_html(f'{html}<p class="claude-footer">{escape(summary)}</p>'),
        "text/markdown": "\n\n".join(filter(None, [*(table.markdown() for table in tables), safe_markdown.escape(summary)])),
        "text/plain": gap.join(filter(None, [*(table.plain() for table in tables), summary])),
    }
