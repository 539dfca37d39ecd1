"""Small tables with a remark below each, and a line that sums them up: settled HTML, Markdown and text.

The caller cuts and cleans the texts of the cells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from claude_magic._render.parts import safe_markdown
from claude_magic._render.parts.markdown_html import escape
from claude_magic._render.parts.reply_wording import one_line
from claude_magic._render.parts.style_sheet import styled_html

WIDTH: Final = 24
"""The width of a column in plain text, in characters."""

_NAMELESS: Final = ("", "row", "session")
"""Columns whose cells need no name before them in a folded line."""


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


def text_table(lines: Sequence[Sequence[str]], limits: Sequence[int], columns: int | None = None) -> list[str]:
    """Write a head and lines in columns, none wider than its limit; in a table wider than `columns`, each line is folded."""
    widths = [min(limit, max(len(line[i]) for line in lines)) for i, limit in enumerate(limits)]
    if columns is not None and sum(widths) + 2 * (len(widths) - 1) > columns:
        head, *others = lines
        return [text for line in others for text in _folded(head, line, limits, columns)]
    written = (
        "  ".join(
            f"{one_line(cell, limit) if cell else '':<{width}}" for cell, limit, width in zip(line, limits, widths, strict=True)
        )
        for line in lines
    )
    return [line.rstrip() for line in written]


def _folded(head: Sequence[str], line: Sequence[str], limits: Sequence[int], columns: int) -> list[str]:
    """Write a line of a table as several lines of text: its cells in order, with the column's name if they need it."""
    texts: list[str] = []
    for name, cell, limit in zip(head, line, limits, strict=True):
        if not cell:
            continue
        told = one_line(cell, limit) if name in _NAMELESS else f"{name}: {one_line(cell, limit)}"
        if texts and len(texts[-1]) + 2 + len(told) <= columns:
            texts[-1] += f"  {told}"
        else:
            texts.append(one_line(told, columns) if not texts else f"   {one_line(told, columns - 3)}")
    return texts
