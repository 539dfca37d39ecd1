"""What a Write, an Edit or a NotebookEdit would change in an existing file or cell: in words, and in whole lines.

Reads the file. Leaves it to `question` to show what is found, and to `_characters` to spell out what cannot be seen.
"""

from __future__ import annotations

import difflib
import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import takewhile
from typing import Final

from claude_magic._characters import seen, unseen_in
from claude_magic._paths import file_bytes
from claude_magic.sdk.host import PermissionRequest

_COMPARED_BYTES: Final = 500_000
"""The largest file that is compared with what would replace it."""

_MOST_BYTES: Final = 50_000_000
"""The most bytes that are read to find the text that an Edit replaces."""

NOT_IN_FILE: Final = (
    "The text to be replaced is not in the file exactly once as it is written here. Claude Code may find a similar text, and "
    "write other quotation marks than these. Read the file, and copy the text exactly."
)
_NOT_COMPARED: Final = "The file is there, but too large to be compared, no text, or not to be read: what changes is not shown."
_NO_CELL: Final = "The notebook or the cell cannot be read, so what changes is not shown."
_OTHER_ENDS: Final = "The file has two kinds of line ends. Claude Code changes those of other lines, too."

_COMPARED: Final = 2_000
"""The most lines of each text between the equal ones at both ends. The time of comparing can grow with their product."""

_PLACES: Final = re.compile(r"(?m)^@@ -(\d+)((?:,\d+)?) \+(\d+)")

_BLANK: Final = "[\t\v\f \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000\ufeff]"
_BLANK_ENDS: Final = re.compile(rf"(?<!{_BLANK}){_BLANK}++(?=[\r\n]|\Z)")
"""White space at the ends of lines, which the CLI (2.1.332) leaves out of what it writes, unless the file is Markdown."""

_LINE: Final = re.compile(r"[^\n]*\n|[^\n]+")


@dataclass(frozen=True, slots=True)
class ReplacedFile:
    """The whole text of a file, and the whole text that would replace it.

    `as_whole`: whether the request itself holds the new text (a Write), not only a part of it (an Edit).
    """

    before: str
    after: str
    as_whole: bool = True

    @property
    def loss(self) -> str:
        """What is lost, in words, if the whole text is replaced."""
        if not self.as_whole:
            return ""
        count = len(self.before.splitlines())
        return f"replaces the file's {count:,} {'line' if count == 1 else 'lines'}"

    @property
    def remark(self) -> str:
        """A sentence if nothing visible changes: it counts each changed invisible character before and after. Else empty."""
        if self.before == self.after:
            return "The file does not change."
        if seen(self.before).removesuffix("\n") != seen(self.after).removesuffix("\n"):
            return ""
        before, after = unseen_in(self.before), unseen_in(self.after)
        which = [f"{name} {before[name]} → {after[name]}" for name in before | after if before[name] != after[name]]
        return f"Only line endings or invisible characters change: {', '.join(which) or 'their places'}."

    def diff(self, spelled: Callable[[str], str]) -> str | None:
        """Return a unified diff of lines that are `spelled` out, empty if the texts are equal; `None` if it takes too long."""
        before, after = _LINE.findall(self.before), _LINE.findall(self.after)
        start = max(0, _equal(before, after) - 2)
        before, after = before[start:], after[start:]
        end = max(0, _equal(before[::-1], after[::-1]) - 2)
        before, after = before[: len(before) - end], after[: len(after) - end]
        if len(before) > _COMPARED or len(after) > _COMPARED:
            return None
        lines = list(difflib.unified_diff(before, after, n=2))[2:]
        ends = ("" if line.endswith("\n") else "\n\\ No newline at end of file" for line in lines)
        diff = "\n".join(spelled(line.removesuffix("\n")) + end for line, end in zip(lines, ends, strict=True))
        return _PLACES.sub(lambda place: f"@@ -{int(place[1]) + start}{place[2]} +{int(place[3]) + start}", diff)


def _equal(one: list[str], other: list[str]) -> int:
    """Return how many lines are equal at the beginning."""
    return len(list(takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))))


def replaced_file(request: PermissionRequest) -> ReplacedFile | str:
    """Return what a call would replace in a file or cell; why, if that is not known; an empty text without such a file."""
    if request.tool == "NotebookEdit" and request.input.get("edit_mode") != "insert":
        return _replaced_cell(request)
    name = request.input.get("file_path")
    if request.tool not in ("Edit", "Write") or not isinstance(name, str):
        return ""
    try:
        found = file_bytes(os.path.join(request.directory, name), _MOST_BYTES)
        text = found.decode("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except (OSError, ValueError):  # it cannot be read, it is no text, or its name is invalid
        return _NOT_COMPARED
    blank_ends = re.compile(r"(?!)") if name.lower().endswith((".md", ".mdx")) else _BLANK_ENDS
    match request.input:
        case {"content": str(content)} if request.tool == "Write":
            mark = "\ufeff" if text.startswith("\ufeff") and not content.startswith("\ufeff") else ""  # the CLI keeps it
            written = f"{mark}{blank_ends.sub('', content)}"
            return ReplacedFile(text, written) if len(found) <= _COMPARED_BYTES else _NOT_COMPARED
        case {"old_string": str(old), "new_string": str(new)} if request.tool == "Edit":
            before = text.replace("\r\n", "\n")  # the CLI puts them back
            after = _edited(before, old, blank_ends.sub("", new), everywhere=request.input.get("replace_all") in (True, "true"))
            if after is None:
                return NOT_IN_FILE
            has_both_ends = "\r\n" in text and text.count("\r\n") < text.count("\n")
            if len(found) > _COMPARED_BYTES or has_both_ends:
                return _OTHER_ENDS if has_both_ends else _NOT_COMPARED
            return ReplacedFile(before, after, as_whole=False)
    return ""


def _replaced_cell(request: PermissionRequest) -> ReplacedFile | str:
    """Return what would replace a cell. The CLI (2.1.332) finds it by its ID, or by its place, as in `cell-0`."""
    name, given = str(request.input.get("cell_id")), request.input
    try:
        content = file_bytes(os.path.join(request.directory, given["notebook_path"]), _MOST_BYTES)
        cells = json.loads(content)["cells"]
        place = re.fullmatch(r"cell-(\d+)", name)
        cell = next((each for each in cells if each.get("id") == name), None) or cells[int(place[1]) if place else len(cells)]
        before, after = "".join(cell["source"]), "" if given.get("edit_mode") == "delete" else given["new_source"]
        return ReplacedFile(f"{before}\n", f"{after}\n" if after else "", as_whole=False)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return _NO_CELL


def _edited(text: str, old: str, new: str, *, everywhere: bool) -> str | None:
    """Return the text that the CLI (2.1.332) makes of an Edit; `None` if the CLI refuses it or looks for a similar text."""
    if not old or old not in text or (not everywhere and text.count(old) > 1):
        return None
    # The CLI also removes the line end after a removed text. With `everywhere`, it then removes only texts before a line end.
    if not new and not old.endswith("\n") and f"{old}\n" in text:
        old = f"{old}\n"
    return text.replace(old, new) if everywhere else text.replace(old, new, 1)
