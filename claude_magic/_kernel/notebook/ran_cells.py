"""The cells of this kernel that have run, with their outputs, as far as IPython remembers them.

IPython 9 keeps what a cell printed and returned, and in a terminal what it displayed. This module keeps the other displays, and
why a cell failed. Before IPython 9, what was printed is lost.
"""

from __future__ import annotations

import contextlib
import re
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Final, NamedTuple

from IPython.core.interactiveshell import ExecutionResult, InteractiveShell

from claude_magic._kernel.notebook.cell_words import FIGURE, LINE, RanCell, in_line, in_pieces
from claude_magic._kernel.values.bundles import image_in, readable, text_in
from claude_magic._kernel.values.shown_value import show_value
from claude_magic._kernel.values.source_code import error_text
from claude_magic._kernel.values.time_limit import FAILURES, bounded
from claude_magic._redaction import redact
from claude_magic._render.parts.reply_wording import clip, one_line
from claude_magic.errors import ConfigError

_REMEMBERED: Final = 500
"""For how many of the latest cells errors, displays and lines are remembered."""

_DISPLAYS: Final = 20
"""How many displays of a cell are kept."""

_MAX_TRACEBACK: Final = 4_000
"""The most characters of a traceback."""

_MAX_FORMS: Final = 8_000_000
"""The most characters kept of all displays together; figures are in base64. The newest is always kept whole."""

_LINE: Final = 4 * LINE
"""How many characters of an output the line about its cell needs."""

_MAX_PIECES: Final = 2_000
"""At most this many pieces of a cell's printed output are read."""

_PROMPT: Final = re.compile(r"\s*%%claude\b")
_CONVERSATION: Final = re.compile(
    r"\s*(#|$|%%?claude(?!\w)|%claude_session\b|%(re)?load_ext\s+claude_magic\b|%config\s+ClaudeMagics\b)"
)
"""A line of a cell that is no code of the person's: blank, a comment, or about the conversation."""


@dataclass(slots=True, eq=False)
class _Display:
    """Something that a cell displayed: its data by media type."""

    forms: dict[str, str]

    def text(self, limit: int) -> str:
        return FIGURE if image_in(self.forms) else text_in(self.forms, 10 * limit)[: limit + 1]


class _Place(NamedTuple):
    """A point in a cell's output, as three counts: outputs in the history, pieces of the last one, displays."""

    outputs: int = 0
    pieces: int = 0
    displays: int = 0


def is_conversation(code: str) -> bool:
    """Whether a cell with this code only prompts Claude, sets up the session, or has nothing but comments."""
    return _PROMPT.match(code) is not None or all(map(_CONVERSATION.match, code.splitlines()))


class RanCells:
    """What is known of the cells of one shell."""

    def __init__(self, shell: InteractiveShell) -> None:
        self._shell = shell
        self.number = 0
        """The number of the cell that runs."""
        self._is_counted = False
        self._is_noted = False
        self._errors: dict[int, tuple[str, str]] = {}
        """By cell: the line about its error, and the traceback."""
        self._displays: dict[int, list[_Display]] = {}
        self._by_id: dict[str, tuple[int, _Display]] = {}
        """By display ID: the number of the cell, and its display."""
        self._sizes: dict[_Display, int] = {}
        self._cleared: dict[int, tuple[_Place, _Place | None]] = {}
        """By cell: where its output was cleared; if the clear waits for new output, also where the visible part begins now."""
        self._lines: dict[int, tuple[str, _Place, str]] = {}
        """By cell: its code, the end of its output, and the line about both."""
        self._numbers: dict[str, int] = {}
        self._publisher: Any = shell.display_pub
        self._has_hooks = False  # a terminal's publisher has none; there the history holds the displays
        if hasattr(self._publisher, "register_hook"):
            self._publisher.register_hook(self._displayed)
            self._has_hooks = True

    def close(self) -> None:
        """Stop recording what cells display."""
        if self._has_hooks:
            self._publisher.unregister_hook(self._displayed)

    def begin(self, code: str = "", *, cell_id: str | None = None, is_counted: bool = True) -> None:
        """Note that a cell begins: `cell_id` is its ID in the notebook, and `is_counted` says that it goes into the history."""
        # Not the shell's `execution_count`: IPython 9.18 has already incremented it here, before the cell runs.
        self.number = len(self._codes())
        # Counted: the cell is in the history. Noted: its displays are kept, too; those of conversation cells are not.
        self._is_counted = is_counted
        self._is_noted = is_counted and not (code and is_conversation(code))
        if cell_id and is_counted:
            self._numbers.pop(cell_id, None)
            self._numbers[cell_id] = self.number
            _forget_oldest(self._numbers)

    def end(self, result: ExecutionResult) -> None:
        """Note why a cell failed, if it did. Make its line now, as the value that it returned may change later."""
        error = result.error_before_exec or result.error_in_exec
        if error is not None and self._is_counted:
            self._note_error(error)
        if self._is_noted and self.number < len(self._codes()):
            self._lines.pop(self.number, None)
            self.line(self.number)

    def _note_error(self, error: BaseException) -> None:
        said = text = type(error).__name__
        try:
            with bounded():
                # Masked before it is cut: a part of a secret is not recognised.
                text = clip(redact(error_text(error)), _MAX_TRACEBACK)
                said = one_line(redact("".join(traceback.format_exception_only(error)[-1:])), 200)
        except FAILURES:  # the error's `__str__` may run any code
            pass
        self._errors[self.number] = said, text
        _forget_oldest(self._errors)

    def line(self, number: int) -> str:
        """Return a line about a cell. It is made when the cell ends, and again after its output has changed."""
        code, end = self._codes()[number], self._place(number)
        kept = self._lines.get(number)
        if kept is None or kept[:2] != (code, end):
            kept = code, end, in_line(in_pieces(self._cell(number, code, _LINE)))
            self._lines[number] = kept
            _forget_oldest(self._lines)
        return kept[2]

    def since(self, number: int, limit: int) -> Iterator[RanCell]:
        """Yield the cells of `numbers_since`. An output longer than `limit` has one character more, to show that it was cut."""
        for each in self.numbers_since(number):
            yield self._cell(each, self._codes()[each], limit)

    def numbers_since(self, number: int) -> Iterator[int]:
        """Yield the numbers of the cells after the one with this number, the newest first.

        The cell that runs now, and those of the conversation, are not among them.
        """
        codes = self._codes()
        for each in range(min(self.number, len(codes)) - 1, max(number, 0), -1):
            if not is_conversation(codes[each]):
                yield each

    def find(self, number: int, limit: int) -> RanCell | None:
        """Return the cell with this number, or `None` if no known cell has it."""
        code = self.code(number)
        if code is None:
            return None
        cell = self._cell(number, code, limit)
        if cell.has_value and not cell.images and not self._has_hooks:  # a terminal displayed no image: make it of the value
            with contextlib.suppress(ConfigError):
                return replace(cell, images=show_value(self._shell, cell.value, limit).images)
        return cell

    def code(self, number: int) -> str | None:
        """Return the code of the cell with this number, or `None` if no known cell has it."""
        codes = self._codes()
        return codes[number] if 0 < number < min(self.number, len(codes)) else None

    def number_of(self, cell_id: str | None, code: str) -> int | None:
        """Return the number of the last run of a notebook cell, found by its ID, else by its code; `None` if there is none."""
        codes = self._codes()
        if cell_id in self._numbers:
            return self._numbers[cell_id]
        return next((number for number in range(min(self.number, len(codes)) - 1, 0, -1) if codes[number] == code), None)

    def _codes(self) -> Sequence[str]:
        history = self._shell.history_manager
        return history.input_hist_raw if history is not None else []

    def _cell(self, number: int, code: str, limit: int) -> RanCell:
        history: Any = self._shell.history_manager
        begin = self._begin_of(number)
        outputs = _behind(getattr(history, "outputs", {}).get(number, ()), begin)
        displays = self._displays.get(number, [])[begin.displays :]
        printed, shown = "", ""
        bundles: list[Mapping[str, Any]] = [display.forms for display in displays]
        texts = [display.text(limit) for display in displays]
        for output in outputs:
            if output.output_type in ("out_stream", "err_stream"):
                pieces = islice(output.bundle.get("stream", ()), _MAX_PIECES)
                printed += "".join(str(piece)[: limit + 1] for piece in pieces)[: limit + 1 - len(printed)]
            elif output.output_type == "execute_result":
                bundles.append(output.bundle)
                shown = text_in(output.bundle, 10 * limit)[: limit + 1]
            elif not self._has_hooks and len(texts) < _DISPLAYS:
                bundles.append(output.bundle)
                texts.append(_Display(readable(output.bundle)).text(limit))
        values: Mapping[int, object] = history.output_hist
        return RanCell(
            number,
            code,
            printed,
            shown,
            values.get(number),
            number in values,
            tuple(texts),
            *self._errors.get(number, ("", "")),
            tuple(image for bundle in bundles if (image := image_in(bundle))),
        )

    def _displayed(self, message: dict[str, Any]) -> dict[str, Any]:
        kind, content = message["header"]["msg_type"], message["content"]
        display_id = content.get("transient", {}).get("display_id")
        if not self._is_noted:
            return message
        if kind == "clear_output":
            self._clear(waits=bool(content.get("wait")))
        elif kind == "update_display_data" and display_id in self._by_id:
            number, display = self._by_id[display_id]
            self._lines.pop(number, None)
            self._keep(display, readable(content["data"]))
        elif kind == "display_data":
            displays = self._displays.setdefault(self.number, [])
            if len(displays) - self._begin_of(self.number).displays < _DISPLAYS:
                displays.append(_Display({}))
                self._keep(displays[-1], readable(content["data"]))
                if display_id:
                    self._by_id[display_id] = self.number, displays[-1]
                    _forget_oldest(self._by_id)
            _forget_oldest(self._displays)
        return message

    def _clear(self, *, waits: bool) -> None:
        """Note that the cell clears its output now or, with `waits`, at its next output."""
        begin, displays = self._begin_of(self.number), self._displays.setdefault(self.number, [])
        self._lines.pop(self.number, None)
        gone = begin.displays if waits else len(displays)
        for display in displays[:gone]:
            self._sizes.pop(display, None)
        del displays[:gone]
        self._cleared[self.number] = self._place(self.number), _Place(begin.outputs, begin.pieces) if waits else None
        _forget_oldest(self._cleared)

    def _begin_of(self, number: int) -> _Place:
        """Return where the visible part of a cell's output begins."""
        place, before = self._cleared.get(number, (_Place(), None))
        return before if before is not None and self._place(number) == place else place

    def _place(self, number: int) -> _Place:
        history: Any = self._shell.history_manager
        outputs = getattr(history, "outputs", {}).get(number, ())
        pieces = len(outputs[-1].bundle.get("stream", ())) if outputs else 0
        return _Place(len(outputs), pieces, len(self._displays.get(number, ())))

    def _keep(self, display: _Display, forms: dict[str, str]) -> None:
        """Keep the forms of a display. When there are too many characters, the oldest displays keep only a line."""
        self._sizes.pop(display, None)
        display.forms = forms
        self._sizes[display] = sum(map(len, forms.values()))
        while sum(self._sizes.values()) > _MAX_FORMS and len(self._sizes) > 1:
            oldest = next(iter(self._sizes))
            del self._sizes[oldest]
            oldest.forms = {"text/plain": oldest.text(_LINE)}


def _behind(outputs: Sequence[Any], begin: _Place) -> Iterator[Any]:
    """Yield the outputs after a point. Of a stream that spans it, only the later part."""
    for position, output in enumerate(tuple(outputs), 1):
        if position > begin.outputs:
            yield output
        elif position == begin.outputs and "stream" in output.bundle:
            yield replace(output, bundle={"stream": output.bundle["stream"][begin.pieces :]})


def _forget_oldest(known: dict[Any, Any]) -> None:
    for key in list(known)[:-_REMEMBERED]:
        del known[key]
