"""A tool call as the CLI announces it, before it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from claude_magic.sdk._gate.paths import paths_of, resolved


@dataclass(frozen=True, slots=True)
class Call:
    """A tool call. `mode` is the permission mode that it runs in: a helper's may differ from the process's.

    `own_files` is the directory in which the CLI keeps files of this session. `by_helper` is true if a helper calls.
    """

    tool: str
    arguments: Mapping[str, Any]
    mode: str
    cwd: str
    session_id: str
    own_files: str = ""
    by_helper: bool = False

    @property
    def command(self) -> str:
        """The argument `command`, or an empty text."""
        return str(self.arguments.get("command", ""))

    @property
    def paths(self) -> list[str]:
        """The paths of a reading or editing call, absolute and with links resolved; none for other tools."""
        return [resolved(path, self.cwd) for path in paths_of(self.tool, self.arguments)]
