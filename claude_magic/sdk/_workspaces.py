"""Workspaces: directories of their own for turns and their sessions, under one base directory."""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from pathlib import Path

from claude_magic._paths import shorten_home
from claude_magic.errors import ConfigError, WorkspaceError

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Workspaces:
    """Make workspaces on first use and remember which ones are new.

    :param base: the directory that holds them; `None` for one under the system's temporary directory.
    """

    def __init__(self, base: str | Path | None) -> None:
        self._base = Path(base).expanduser().absolute() if base is not None else Path(tempfile.gettempdir()) / "claude_magic"
        self._created: list[Path] = []

    def directory(self, workspace_id: str) -> str:
        """Return the directory of a workspace, and make it when it is not there.

        :raises WorkspaceError: when the ID is not a plain name, or the directory cannot be made.
        """
        if not isinstance(workspace_id, str) or not _NAME.fullmatch(workspace_id) or not workspace_id.strip("."):
            raise WorkspaceError(f"{workspace_id!r} is not a workspace ID.")
        path = self._base / workspace_id
        if path.is_symlink():
            raise WorkspaceError(
                f"{shorten_home(str(path))} is a link to somewhere else.", next_step="Choose another workspace ID."
            )
        missing = [parent for parent in (path, *path.parents) if not parent.exists()]
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WorkspaceError(
                f"{shorten_home(str(path))} cannot be made: {error.strerror}.", next_step="Choose another workspace_dir."
            ) from error
        if path in missing:
            self._created.append(path)
        return str(path)

    def remove_created(self) -> None:
        """Remove the workspaces that were not there before, with all that is in them."""
        for path in self._created:
            shutil.rmtree(path, ignore_errors=True)
        self._created.clear()


def working_directory() -> str:
    """Return where this process works.

    :raises ConfigError: when that directory is gone.
    """
    try:
        return os.getcwd()
    except FileNotFoundError as error:
        raise ConfigError(
            "The working directory is gone: somebody has deleted or moved it.",
            next_step="Change to another one, or make it again.",
        ) from error
