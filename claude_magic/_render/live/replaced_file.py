"""What a Write would change in a file that is there: how much it replaces, and the difference, in words and line by line.

Reads the file. Leaves it to `question` to show what is found, and to `_characters` to spell out what cannot be seen.
"""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from claude_magic._characters import seen, unseen_in
from claude_magic._paths import file_bytes
from claude_magic.sdk.host import PermissionRequest

_READ_BYTES: Final = 500_000
"""The largest file that is compared with what would replace it."""

_COMPARED: Final = 2_000
"""The most lines of each text; in the worst case, comparing takes the product of their numbers."""

_LINE: Final = re.compile(r"[^\n]*\n|[^\n]+")


@dataclass(frozen=True, slots=True)
class ReplacedFile:
    """The text of a file, and the one that would replace it, both to the last line ending."""

    before: str
    after: str

    @property
    def loss(self) -> str:
        """What is lost, in words."""
        count = len(self.before.splitlines())
        return f"replaces the file's {count:,} {'line' if count == 1 else 'lines'}"

    @property
    def remark(self) -> str:
        """That nothing changes, or nothing that is seen, and then how often each of it is there before and after."""
        if self.before == self.after:
            return "The file does not change."
        if seen(self.before).removesuffix("\n") != seen(self.after).removesuffix("\n"):
            return ""
        before, after = unseen_in(self.before), unseen_in(self.after)
        which = [f"{name} {before[name]} → {after[name]}" for name in before | after if before[name] != after[name]]
        return f"Only line endings or invisible characters change: {', '.join(which) or 'their places'}."

    def diff(self, spelled: Callable[[str], str]) -> str | None:
        """Return a unified diff, empty if the texts are equal; `None` if it would take too long.

        :param spelled: spells out what cannot be seen in a line.
        """
        before, after = _LINE.findall(self.before), _LINE.findall(self.after)
        if len(before) > _COMPARED or len(after) > _COMPARED:
            return None
        lines = list(difflib.unified_diff(before, after, n=2))[2:]
        ends = ("" if line.endswith("\n") else "\n\\ No newline at end of file" for line in lines)
        return "\n".join(spelled(line.removesuffix("\n")) + end for line, end in zip(lines, ends, strict=True))


def replaced_file(request: PermissionRequest) -> ReplacedFile | None:
    """Return what a request would replace; `None` if there is no file, or it cannot be read as text."""
    match request.input:
        case {"file_path": str(name), "content": str(content)} if request.tool == "Write":
            try:
                found = file_bytes(os.path.join(request.directory, name), _READ_BYTES + 1)
                return ReplacedFile(found.decode("utf-8"), content) if len(found) <= _READ_BYTES else None
            except (OSError, ValueError):  # there is no such file, the name is invalid, or the file is no text
                return None
    return None
