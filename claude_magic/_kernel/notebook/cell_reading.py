"""The result of the tool `read_cells`: a line for each cell of the notebook, or some cells in full.

A cell that has run is shown as this kernel knows it; any other cell as the notebook's file has it. Every type in
the file is checked, because anybody may have written it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from claude_magic._characters import strip_controls
from claude_magic._kernel.notebook.cell_words import LINE, LONGEST, beginning, in_full, in_line
from claude_magic._kernel.notebook.ran_cells import RanCells, is_conversation
from claude_magic._kernel.values.bundles import image_in, text_in
from claude_magic._paths import file_bytes
from claude_magic._text import parse_json
from claude_magic.sdk.content import fenced
from claude_magic.sdk.events import Image

MAX_CHARACTERS: Final = 40_000
"""The most characters of one result; the CLI (2.1.332) refuses a result of more than 25,000 tokens."""

MAX_IMAGES: Final = 8

_LINES: Final = 300
Found = tuple[str, tuple[Image, ...]]

MAX_FILE_BYTES: Final = 50_000_000
"""The largest notebook that is read: it needs about half a second."""

_MAX_OUTPUTS: Final = 50


@dataclass(frozen=True, slots=True)
class SavedCell:
    """A cell of the file: its position, counted from 1, and its saved content."""

    position: int
    kind: str
    code: str
    cell_id: str | None = None
    outputs: tuple[Mapping[str, Any], ...] = ()
    attachments: tuple[Mapping[str, Any], ...] = ()

    def output_texts(self, limit: int) -> Iterator[str]:
        """Yield the text of each output, cut to one character more than `limit`; a traceback is yielded whole."""
        for output in self.outputs:
            match output:
                case {"output_type": "stream", "text": text}:
                    yield _source(text)[: limit + 1]
                case {"output_type": "error"}:
                    lines = output.get("traceback") or [f"{output.get('ename')}: {output.get('evalue')}"]
                    yield strip_controls("\n".join(map(str, lines if isinstance(lines, list) else [lines])))
                case {"data": dict(bundle)}:
                    yield "figure" if image_in(bundle) else text_in(bundle, 10 * limit)[: limit + 1]

    @property
    def images(self) -> tuple[Image, ...]:
        """The figures of the outputs, and the images that are pasted into a Markdown cell."""
        bundles = [output["data"] for output in self.outputs if isinstance(output.get("data"), dict)]
        return tuple(image for bundle in (*bundles, *self.attachments) if (image := image_in(bundle)))


@dataclass(frozen=True, slots=True)
class SavedNotebook:
    """The notebook's file as it was last saved: its cells, or in `trouble` a sentence that says why they cannot be read."""

    name: str
    cells: tuple[SavedCell, ...] = field(default=())
    trouble: str = ""


def read_notebook(path: Path) -> SavedNotebook:
    """Read the notebook. This never raises: `trouble` says why a file cannot be read."""
    name = path.name
    try:
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            return SavedNotebook(name, trouble=f"{name} has {size / 1e6:,.0f} MB, more than is read here.")
        notebook = parse_json(file_bytes(path).decode("utf-8-sig"))
    except OSError as error:
        return SavedNotebook(name, trouble=f"{name} cannot be read: {error.strerror or error}.")
    except (ValueError, RecursionError):
        return SavedNotebook(name, trouble=f"{name} is not a notebook, or is being written just now.")
    match notebook:
        case {"cells": list(cells)}:
            return SavedNotebook(name, tuple(_cell(position, cell) for position, cell in enumerate(cells, 1)))
    return SavedNotebook(name, trouble=f"{name} is not a notebook of today's format.")


def _cell(position: int, cell: object) -> SavedCell:
    if not isinstance(cell, dict):
        return SavedCell(position, "unknown", "")
    outputs, attachments, cell_id = cell.get("outputs"), cell.get("attachments"), cell.get("id")
    return SavedCell(
        position,
        str(cell.get("cell_type")),
        _source(cell.get("source")).rstrip("\n"),
        cell_id if isinstance(cell_id, str) else None,
        tuple(output for output in outputs if isinstance(output, dict))[:_MAX_OUTPUTS] if isinstance(outputs, list) else (),
        tuple(bundle for bundle in attachments.values() if isinstance(bundle, dict)) if isinstance(attachments, dict) else (),
    )


def _source(value: object) -> str:
    return "".join(map(str, value)) if isinstance(value, list) else value if isinstance(value, str) else ""


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
    """Return a line for each cell: first the cells of the file in order, then earlier runs and other cells."""
    lines = [] if saved is None else [f"{saved.name}, as saved: # is a cell's position."]
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
        lines += ["Earlier runs, and cells that are not in the file:"] if numbers else []
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
