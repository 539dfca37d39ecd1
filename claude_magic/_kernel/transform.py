"""What becomes of a cell that starts with `%%claude`, or a line that starts with `%claude`, before IPython reads it.

IPython would take a final `?` for a request for help, and strips what looks like a prompt from the lines below the first.
Where the frontend allows it, the call is awaited, so that widgets can be clicked while it runs.
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
        # Comments may stand above the magic; Quarto's options of a cell are some that may also stand below it.
        first = next((number for number, line in enumerate(lines) if line.strip() and not line.lstrip().startswith("#")), None)
        if first is None:
            return lines
        awaited = frontend.runs_cells_async() and frontend.is_whole_cell("".join(lines))
        if match := _CELL.match(lines[first]):
            body = dropwhile(lambda line: line.startswith("#|"), lines[first + 1 :])
            return [_statement(awaited, match["line"] or "", "".join(body))]
        # The body of another cell magic is that one's business; it comes by here again if it is IPython's language.
        if lines[first].startswith("%%") or not any(_LINE.match(line) for line in lines):
            return lines
        # A line that looks like the magic may also stand inside a string that runs over several lines.
        starts = {tokens[0].start[0] - 1 for tokens in make_tokens_by_line(lines) if tokens}
        return [
            _line(match, awaited) if (match := _LINE.match(line)) and number in starts else line
            for number, line in enumerate(lines)
        ]

    # It has none, but is left out for that where IPython asks whether the input is complete: what follows `%%claude` is not,
    # as in any other cell magic, until there is a blank line.
    transform.has_side_effects = True  # type: ignore[attr-defined]
    return transform


def _line(match: re.Match[str], awaited: bool) -> str:
    indent, target, line = match["indent"], match["target"], match["line"]
    # An indented one may stand in a function, where nothing can be awaited, and whose value is no cell's.
    if indent or target:
        return f"{indent}{target or ''}{_call(awaited and not indent, line)}\n"
    return _statement(awaited, line)


def _statement(awaited: bool, *arguments: str) -> str:
    """Let `_` have the reply, which is shown already: as the value of the cell it would be shown once more."""
    return f"{_MAGICS}.keep({_call(awaited, *arguments)})\n"


def _call(awaited: bool, *arguments: str) -> str:
    given = ", ".join(map(repr, arguments))
    if awaited:
        return f"await {_MAGICS}.claude_async({given})"
    return f"get_ipython().run_{'cell' if len(arguments) == 2 else 'line'}_magic('claude', {given})"
