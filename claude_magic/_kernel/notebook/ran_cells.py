"""The cells of this kernel that have run, and what came of them, as far as IPython remembers it.

IPython 9 keeps what a cell printed and returned; what it displayed and why it failed is noted here, in a few words a cell.
"""

from __future__ import annotations

import re
import traceback
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any, Final

from IPython.core.interactiveshell import ExecutionResult, InteractiveShell

from claude_magic._kernel.values.shown_value import image_in
from claude_magic._kernel.values.time_limit import FAILURES, bounded
from claude_magic._kernel.values.tracebacks import error_text
from claude_magic._redaction import redact
from claude_magic._render.parts.reply_wording import clip, one_line
from claude_magic.sdk.events import Image

_REMEMBERED: Final = 500
"""Of so many cells it is remembered why they failed, and what they displayed."""

_DISPLAYS: Final = 20
_TRACEBACKS: Final = 50
_MAX_TRACEBACK: Final = 4_000

LONGEST: Final = 4_000
"""Of a secret, such as a key in PEM, in characters: so much more is looked at than is shown."""

_MAX_IMAGES: Final = 8_000_000
"""Of the figures that are remembered, in characters of base64; the newest stay."""

_MAX_PIECES: Final = 2_000
"""Of what a cell has printed, piece by piece: more is not looked at."""

_CONVERSATION: Final = re.compile(
    r"\s*(%%?claude(?!\w)|%claude_session\b|%(re)?load_ext\s+claude_magic\b|%config\s+ClaudeMagics\b)"
)


@dataclass(frozen=True, slots=True)
class RanCell:
    """A cell that has run. `printed` is the beginning of it, `shown` its result as text, `value` that itself if `has_value`."""

    number: int
    code: str
    printed: str = ""
    shown: str = ""
    value: object = None
    has_value: bool = False
    displays: tuple[str, ...] = ()
    error: str = ""
    traceback: str = ""
    images: tuple[Image, ...] = ()

    @property
    def is_conversation(self) -> bool:
        """Whether it is a part of the conversation itself, or sets it up, and nothing else."""
        lines = [line for line in self.code.splitlines() if line.strip() and not line.lstrip().startswith("#")]
        whole = re.match(r"\s*%%claude\b", self.code) is not None
        return whole or not lines or all(_CONVERSATION.match(line) for line in lines)


class RanCells:
    """What is known of the cells of one shell."""

    def __init__(self, shell: InteractiveShell) -> None:
        self._shell = shell
        self._number = 0
        self._is_counted = False
        self._errors: dict[int, str] = {}
        self._displays: dict[int, list[str]] = {}
        self._tracebacks: dict[int, str] = {}
        self._images: deque[tuple[int, Image]] = deque()
        self._publisher: Any = shell.display_pub
        if hasattr(self._publisher, "register_hook"):  # a terminal's has none
            self._publisher.register_hook(self._displayed)

    def close(self) -> None:
        """Note nothing any more."""
        if hasattr(self._publisher, "unregister_hook"):
            self._publisher.unregister_hook(self._displayed)

    def begin(self, *, is_counted: bool = True) -> None:
        """Note that a cell begins.

        :param is_counted: whether it goes into the history.
        """
        history = self._shell.history_manager
        # The count of the shell is one more already where IPython (9.18) raises it before the cell runs.
        self._number = len(history.input_hist_raw) if history is not None else 0
        self._is_counted = is_counted

    def end(self, result: ExecutionResult) -> None:
        """Note why a cell failed, if it did."""
        error = result.error_before_exec or result.error_in_exec
        if error is None or not self._is_counted:
            return
        said = text = type(error).__name__
        try:
            with bounded():
                # Masked before it is cut: a part of a secret is not recognised.
                text = clip(redact(error_text(error)), _MAX_TRACEBACK)
                said = one_line(redact("".join(traceback.format_exception_only(error)[-1:])), 200)
        except FAILURES:  # its text is anybody's code
            pass
        self._errors[self._number] = said
        _forget_oldest(self._errors)
        self._tracebacks[self._number] = text
        _forget_oldest(self._tracebacks, _TRACEBACKS)

    @property
    def number(self) -> int:
        """The number of the cell that runs."""
        return self._number

    def since(self, number: int, limit: int) -> Iterator[RanCell]:
        """Yield the cells behind the one with this number, the newest first, without the one that runs.

        :param limit: characters of what one printed or showed.
        """
        history = self._shell.history_manager
        codes = history.input_hist_raw if history is not None else []
        for each in range(min(self._number, len(codes)) - 1, max(number, 0), -1):
            yield self._cell(each, codes[each], limit)

    def find(self, number: int, limit: int) -> RanCell | None:
        """Return the cell with this number, `None` when none has run that is known."""
        history = self._shell.history_manager
        codes = history.input_hist_raw if history is not None else []
        return self._cell(number, codes[number], limit) if 0 < number < min(self._number, len(codes)) else None

    def _cell(self, number: int, code: str, limit: int) -> RanCell:
        history: Any = self._shell.history_manager
        outputs = tuple(getattr(history, "outputs", {}).get(number, ()))
        printed, shown = "", ""
        for output in outputs:
            if output.output_type in ("out_stream", "err_stream"):
                pieces = islice(output.bundle.get("stream", ()), _MAX_PIECES)
                printed += "".join(str(piece)[: limit + 1] for piece in pieces)[: limit + 1 - len(printed)]
            elif output.output_type == "execute_result":
                shown = _text(output.bundle)[: limit + 1]
        values: Mapping[int, object] = history.output_hist
        displays, error = tuple(self._displays.get(number, ())), self._errors.get(number, "")
        images = tuple(image for cell, image in self._images if cell == number)
        return RanCell(
            number,
            code,
            printed,
            shown,
            values.get(number),
            number in values,
            displays,
            error,
            self._tracebacks.get(number, ""),
            images,
        )

    def _displayed(self, message: dict[str, Any]) -> dict[str, Any]:
        if self._is_counted and message["header"]["msg_type"] == "display_data":
            data = message["content"]["data"]
            image = image_in(data)
            kind = "figure" if image else one_line(redact(_text(data)[:LONGEST]), 80)
            if image is not None:
                self._images.append((self._number, image))
                while sum(len(kept.data) for _, kept in self._images) > _MAX_IMAGES:
                    self._images.popleft()
            displays = self._displays.setdefault(self._number, [])
            displays += [kind] if len(displays) < _DISPLAYS else []
            _forget_oldest(self._displays)
        return message


def _forget_oldest(of_cells: dict[int, Any], remembered: int = _REMEMBERED) -> None:
    for number in list(of_cells)[:-remembered]:
        del of_cells[number]


def _text(bundle: Mapping[str, Any]) -> str:
    return str(bundle.get("text/markdown") or bundle.get("text/plain") or "")
