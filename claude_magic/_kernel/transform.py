"""Rewrite a cell that starts with `%%claude`, or a line that starts with `%claude`, before IPython reads it.

IPython itself would read a final `?` as a request for help, and remove text that looks like its own prompt from the lines.
If the frontend allows it, the rewritten call is awaited, so that widgets can be clicked while it runs.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from itertools import dropwhile

from IPython.core.inputtransformer2 import make_tokens_by_line

from claude_magic._kernel.frontend import Frontend

Transform = Callable[[list[str]], list[str]]

_CELL = re.compile(r"%%claude(?:[ \t]+(?P<line>.*?))?[ \t]*\n?$")
_LINE = re.compile(r"(?P<indent>[ \t]*)(?P<target>[^\s%#=\"'][^%#=]*=[ \t]*)?%claude[ \t]+(?P<line>.*?)[ \t]*\n?$")
_MAGICS = "get_ipython().magics_manager.registry['ClaudeMagics']"


def transform_for(frontend: Frontend) -> Transform:
    """Return the transformer for a shell's `input_transformers_cleanup`."""

    def transform(lines: list[str]) -> list[str]:
        # Comments may come before the magic. Quarto's cell options, which begin with `#|`, may also come after it.
        first = next((number for number, line in enumerate(lines) if line.strip() and not line.lstrip().startswith("#")), None)
        if first is None:
            return lines
        awaited = frontend.runs_cells_async() and frontend.is_whole_cell("".join(lines))
        if match := _CELL.match(lines[first]):
            body = dropwhile(lambda line: line.startswith("#|"), lines[first + 1 :])
            return [_statement(awaited, match["line"] or "", "".join(body))]
        # The body of another cell magic is not rewritten; if it is IPython code, it is transformed later, when it runs.
        if lines[first].startswith("%%") or not any(_LINE.match(line) for line in lines):
            return lines
        # A line that looks like the magic may be inside a string of several lines.
        starts = {tokens[0].start[0] - 1 for tokens in make_tokens_by_line(lines) if tokens}
        return [
            _line(match, awaited) if (match := _LINE.match(line)) and number in starts else line
            for number, line in enumerate(lines)
        ]

    # It has no side effects, but IPython skips such a transformer when it checks whether the input is complete. So a terminal
    # reads more lines after `%%claude`, until a blank one, as for any cell magic.
    transform.has_side_effects = True  # type: ignore[attr-defined]
    return transform


def _line(match: re.Match[str], awaited: bool) -> str:
    indent, target, line = match["indent"], match["target"], match["line"]
    # An indented line may be in a function, where `await` is not possible, and its value is not the value of the cell.
    if indent or target:
        return f"{indent}{target or ''}{_call(awaited and not indent, line)}\n"
    return _statement(awaited, line)


def _statement(awaited: bool, *arguments: str) -> str:
    """Return a call that puts the reply into `_`. It has no value: as the cell's value, the reply would be shown again."""
    return f"{_MAGICS}.keep({_call(awaited, *arguments)})\n"


def _call(awaited: bool, *arguments: str) -> str:
    given = ", ".join(map(repr, arguments))
    if awaited:
        return f"await {_MAGICS}.claude_async({given})"
    return f"get_ipython().run_{'cell' if len(arguments) == 2 else 'line'}_magic('claude', {given})"
