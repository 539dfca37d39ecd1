"""The tree of a kernel's turns: as text, as output that a notebook keeps, and with buttons to continue from a turn.

A turn is drawn below the turn that it continues, at the same indent. Only a turn that was continued more than once has
branches. So a long conversation does not run off the page. The caller acts on a click.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from ipywidgets import HTML, Box, HBox, VBox, Widget
from rich.cells import cell_len, chop_cells

from claude_magic._render.live.interactive_output import InteractiveOutput
from claude_magic._render.parts import safe_markdown
from claude_magic._render.parts.markdown_html import escape
from claude_magic._render.parts.redacted_reply import clean_line
from claude_magic._render.parts.reply_wording import one_line
from claude_magic._render.parts.style_sheet import styled_html

TURNS_SHOWN: Final = 200

_TURN_WIDTH: Final = 42  # of branches, number and prompt
_PROMPT_WIDTH: Final = 20  # of a prompt after many branches
_SHORTEST: Final = 12  # of a prompt on a narrow screen
_BRANCHES_WIDTH: Final = 30
_HOW_WIDTH: Final = 16
_NO_TURNS: Final = "No turns yet: the next %%claude cell makes the first."


@dataclass(frozen=True, slots=True)
class TurnRow:
    """One turn, as a line of the tree. `left`: not in the current conversation; `how`: the options by which the turn began.

    `can_continue`: the turn has an answer, or a part of one, that another turn can continue from.
    """

    number: int
    parent: int | None
    prompt: str
    session_id: str | None
    how: str = ""
    current: bool = False
    left: bool = False
    failed: bool = False
    can_continue: bool = True


@dataclass(frozen=True, slots=True)
class _DrawnTurn:
    """A turn as it is drawn: `branches` are the lines before its number; a root (`is_root`) continues no other turn."""

    row: TurnRow
    branches: str
    is_root: bool
    session: str


class TurnTree(InteractiveOutput[int]):
    """The tree with a Continue button for each turn that can be continued and is not current; main thread only.

    :param on_continue: called with a turn's number when its button is clicked; afterwards `update` shows the change.
    """

    section = "tree"

    def __init__(self, rows: Sequence[TurnRow], on_continue: Callable[[int], None]) -> None:
        super().__init__(on_continue)
        self._rows = tuple(rows)

    def update(self, rows: Sequence[TurnRow]) -> None:
        """Show these turns instead."""
        self._rows = tuple(rows)
        self._repaint()

    def _build(self) -> Sequence[Widget]:
        make = self._maker.make
        self._text, self._spacer, self._beside = make(HTML), make(Box), make(VBox, css_class="claude-go")
        return [make(HBox, [self._text, self._beside], css_class="claude-tree")]

    def _paint(self) -> None:
        lines = _lines(self._rows)[-TURNS_SHOWN:]
        self._text.value = _tree_html(lines, len(self._rows) - len(lines))
        beside = [self._spacer] if len(lines) < len(self._rows) else []
        for index, line in enumerate(lines):
            beside += [self._spacer] if line.is_root and index else []
            beside.append(self._beside_line(line.row))
        self._beside.children = beside

    def _beside_line(self, row: TurnRow) -> Widget:
        if row.current or not row.can_continue:
            return self._spacer
        return self._button(row.number, "Continue", f"Continue from turn {row.number} · {_prompt(row)}")

    def _plain_bundle(self) -> dict[str, Any]:
        return tree_bundle(self._rows)


def tree_bundle(rows: Sequence[TurnRow]) -> dict[str, str]:
    """Return the tree as HTML, Markdown and plain text, for a notebook to keep; at most its last `TURNS_SHOWN` lines."""
    lines = _lines(rows)[-TURNS_SHOWN:]
    text = "\n".join(_texts(lines, len(rows) - len(lines)))
    inside = _tree_html(lines, len(rows) - len(lines))
    return {"text/html": styled_html(inside), "text/markdown": safe_markdown.fence(text), "text/plain": text}


def tree_text(rows: Sequence[TurnRow], columns: int | None = None) -> str:
    """Draw all turns as plain text, in lines of at most `columns` if that leaves room for the start of a prompt."""
    return "\n".join(_texts(_lines(rows), columns=columns))


def _lines(rows: Sequence[TurnRow]) -> list[_DrawnTurn]:
    """Return the turns in the order of the tree, each with its branches. A turn whose parent is not listed is a root."""
    children: dict[int | None, list[TurnRow]] = {}
    listed: dict[int, TurnRow] = {}
    for row in rows:
        # A parent must come before its children, so there can be no cycle.
        parent = row.parent if row.parent in listed else None
        children.setdefault(parent, []).append(row)
        listed[row.number] = row
    lines: list[_DrawnTurn] = []
    # Rows to draw, the next one last; each with its own branches, the branches of its children, and whether it is a root.
    waiting = [(row, "", "", True) for row in reversed(children.get(None, []))]
    while waiting:
        row, branches, below, is_root = waiting.pop()
        before = None if is_root or row.parent is None else listed[row.parent].session_id
        session = one_line((row.session_id or "")[:8]) if row.session_id != before else ""
        lines.append(_DrawnTurn(row, branches, is_root, session))
        ways = children.get(row.number, [])
        if len(ways) == 1:
            waiting.append((ways[0], below, below, False))
        else:
            last, *others = reversed(ways) if ways else (None,)
            waiting += [(last, f"{below}└─ ", f"{below}   ", False)] if last else []
            waiting += [(way, f"{below}├─ ", f"{below}│  ", False) for way in others]
    return lines


def _texts(lines: Sequence[_DrawnTurn], earlier: int = 0, columns: int | None = None) -> list[str]:
    """Write each line as a text in columns, with an empty text between trees; columns that do not fit are not aligned."""
    if not lines:
        return [_NO_TURNS]
    digits = max(len(str(line.row.number)) for line in lines)
    starts = [f"{_narrow(line.branches)}{line.row.number:<{digits}}  " for line in lines]
    cells = [
        (
            start + _cut(_prompt(line.row), max(_PROMPT_WIDTH, _TURN_WIDTH - len(start))),
            _cut(one_line(clean_line(line.row.how[:200]), _HOW_WIDTH), _HOW_WIDTH),
            line.session,
            _mark(line.row),
        )
        for start, line in zip(starts, lines, strict=True)
    ]
    widths = [max(cell_len(row[column]) for row in cells) for column in range(4)]
    texts = [f"… {earlier:,} earlier {'line is' if earlier == 1 else 'lines are'} not shown"] if earlier else []
    for index, (line, row) in enumerate(zip(lines, cells, strict=True)):
        texts += [""] if line.is_root and index else []
        if columns is not None and sum(width + 2 for width in widths if width) - 2 > columns:
            start, behind = starts[index], "".join(f"  {cell}" for cell in row[1:] if cell)
            room = columns - cell_len(start) - cell_len(behind)
            texts.append(start + _cut(_prompt(line.row), max(_SHORTEST, room)) + behind)
            continue
        padded = (cell + " " * (width - cell_len(cell)) for cell, width in zip(row, widths, strict=True) if width)
        texts.append("  ".join(padded).rstrip())
    return texts


def _tree_html(lines: Sequence[_DrawnTurn], earlier: int) -> str:
    texts = iter(_texts(lines, earlier))
    marked = [f'<span class="claude-left">{escape(next(texts))}</span>'] if earlier or not lines else []
    for index, line in enumerate(lines):
        marked += [next(texts)] if line.is_root and index else []
        text = next(texts)
        branches = _narrow(line.branches)
        marked.append(escape(branches) + _emphasised(line.row, escape(text.removeprefix(branches))))
    # Without `code`, the pages of nbconvert show no fixed-width font.
    return f'<pre class="claude-drawing"><code>{chr(10).join(marked)}</code></pre>\n'


def _emphasised(row: TurnRow, html: str) -> str:
    if row.current:
        return f"<b>{html}</b>"
    kind = "claude-bad" if row.failed else "claude-left" if row.left else ""
    return f'<span class="{kind}">{html}</span>' if kind else html


def _mark(row: TurnRow) -> str:
    came_to = ("stopped" if row.can_continue else "failed") if row.failed else ""
    return " ".join(filter(None, (came_to, "(left)" if row.left else "", "current" if row.current else "")))


def _prompt(row: TurnRow) -> str:
    # Redacting costs a millisecond for each 2,000 characters. What is cut off here would not be shown.
    return one_line(clean_line(" ".join(row.prompt[:4000].split())[:640]))


def _narrow(branches: str) -> str:
    """Leave out the outermost branches if there are many."""
    return branches if len(branches) <= _BRANCHES_WIDTH else f"…  {branches[3 - _BRANCHES_WIDTH :]}"


def _cut(text: str, width: int) -> str:
    """Cut a line to a width in cells of a terminal; Chinese characters and emoji are two cells wide."""
    return text if cell_len(text) <= width else f"{chop_cells(text, width - 1)[0].rstrip()}…"
