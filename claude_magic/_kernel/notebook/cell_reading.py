"""The result of the tool `read_cells`: a line for each cell of the notebook, or some cells in full.

A cell that has run is shown as this kernel knows it; any other cell as the notebook's file has it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Final

from claude_magic._kernel.notebook.cell_words import LINE, LONGEST, beginning, in_full, in_line
from claude_magic._kernel.notebook.ran_cells import RanCells, is_conversation
from claude_magic._kernel.notebook.saved_cells import SavedCell, SavedNotebook, read_notebook
from claude_magic.sdk.content import fenced
from claude_magic.sdk.events import Image

MAX_CHARACTERS: Final = 40_000
"""Of one result; the CLI (2.1.332) refuses a result of more than 25,000 tokens."""

MAX_IMAGES: Final = 8

_LINES: Final = 300
Found = tuple[str, tuple[Image, ...]]


def read_cells(cells: RanCells, path: Path | None, numbers: Sequence[int], positions: Sequence[int], limit: int) -> Found:
    """Return the named cells in full, with their figures. If none is named, return a line for each cell.

    :param path: the notebook's file, if it is known.
    :param numbers: of cells that have run, as in `In [5]`.
    :param positions: of cells in the file, counted from 1.
    :param limit: the most characters of each code and each output.
    """
    saved = read_notebook(path) if path is not None else None
    if not numbers and not positions:
        return _listed(cells, saved), ()
    found = [_ran(cells, number, limit) for number in dict.fromkeys(numbers)]
    found += [_placed(cells, saved, position, limit) for position in dict.fromkeys(positions)]
    return _bounded(found)


def _bounded(found: Iterable[Found]) -> Found:
    texts: list[str] = []
    images: list[Image] = []
    left = 0
    for text, own in found:
        if texts and sum(map(len, texts)) + len(text) > MAX_CHARACTERS:
            left += 1
            continue
        texts.append(text)
        images += own
    more = [f"… {left} more cells are left out; read them in a call of their own …"] if left else []
    if len(images) > MAX_IMAGES:
        more.append(f"… {len(images) - MAX_IMAGES} more figures are left out; read fewer cells at once …")
    return "\n\n".join([*texts, *more]), tuple(images[:MAX_IMAGES])


def _ran(cells: RanCells, number: int, limit: int) -> Found:
    cell = cells.find(number, limit + LONGEST)
    return (in_full(cell, limit), cell.images) if cell is not None else (f"In [{number}] is not known.", ())


def _placed(cells: RanCells, saved: SavedNotebook | None, position: int, limit: int) -> Found:
    if saved is None:
        return "Where the notebook is saved is not known: only cells that have run can be read, by number.", ()
    if saved.trouble:
        return saved.trouble, ()
    if not 1 <= position <= len(saved.cells):
        return f"There is no cell #{position}: {saved.name} has {len(saved.cells)} as saved.", ()
    cell = saved.cells[position - 1]
    number = _last_run(cells, cell)
    ran = cells.find(number, limit + LONGEST) if number is not None else None
    if ran is not None and ran.code == cell.code:
        return f"#{position}, {in_full(ran, limit)}", ran.images
    parts = [fenced(f"#{position}, {_kind(cell)}", beginning(cell.code, limit))]
    parts += [fenced("Saved output", beginning(text, limit)) for text in cell.output_texts(limit + LONGEST)]
    parts += [f"It was changed since it ran as In [{ran.number}]."] if ran is not None else []
    return "\n".join(parts), cell.images


def _listed(cells: RanCells, saved: SavedNotebook | None) -> str:
    """Return a line for each cell: first the cells of the file in order, then the cells that are not in it."""
    lines = [] if saved is None else [f"{saved.name}, as it is saved: # is the place there."]
    numbers: set[int] = set()
    if saved is not None and saved.trouble:
        lines = [f"{saved.trouble} These cells have run:"]
    elif saved is not None:
        for cell in saved.cells[:_LINES]:
            number = _last_run(cells, cell)
            numbers |= {number} if number is not None else set()
            has_changed = number is not None and cells.code(number) != cell.code
            if number is None or has_changed or is_conversation(cell.code):
                lines.append(in_line(_saved_pieces(cell, number if has_changed else None)))
            else:
                lines.append(f"#{cell.position} {cells.line(number)}")
        if len(saved.cells) > _LINES:
            lines.append(f"… {len(saved.cells) - _LINES:,} more; read them by their positions …")
    others = [number for number in cells.numbers_since(0) if number not in numbers]
    if others:
        lines += ["Have run, and are not in it so:"] if numbers else []
        lines += [f"… {len(others) - _LINES:,} older ones …"] if len(others) > _LINES else []
        lines += map(cells.line, reversed(others[:_LINES]))
    return "\n".join(lines) or "No cell has run yet."


def _saved_pieces(cell: SavedCell, changed_since: int | None) -> list[str]:
    is_ours = is_conversation(cell.code)
    lines = [line for line in cell.code.splitlines() if line.strip()]
    more = [f"(+{len(lines) - 1} lines)"] if len(lines) > 1 else []
    texts = [] if is_ours else [text for text in cell.output_texts(4 * LINE) if text.strip()]
    came = ["-> saved:", *(f"{text.strip()};" for text in texts[:5])] if texts else []
    changed = [f"(changed since In [{changed_since}])"] if changed_since is not None else []
    return [f"#{cell.position} {_kind(cell)}: {lines[0] if lines else '(empty)'}", *more, *changed, *came]


def _kind(cell: SavedCell) -> str:
    if cell.kind != "code":
        return cell.kind
    return "a prompt" if cell.code.lstrip().startswith("%%claude") else "code, not run in this kernel"


def _last_run(cells: RanCells, cell: SavedCell) -> int | None:
    number = cells.number_of(cell.cell_id, cell.code) if cell.kind == "code" else None
    return number if number is not None and cells.code(number) is not None else None
