"""The cells of the notebook's file, in order, as they were last saved: also Markdown, and code that has not run here.

Only reads. Every type in the file is checked, because anybody may have written it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from claude_magic._characters import strip_controls
from claude_magic._kernel.values.bundles import image_in, text_in
from claude_magic._paths import file_bytes
from claude_magic._text import parse_json
from claude_magic.sdk.events import Image

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
    """The cells of the file, or in `trouble` a sentence that says why they cannot be read."""

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
