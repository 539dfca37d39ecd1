"""Workspaces: separate directories for turns and their sessions, under one base directory."""

from __future__ import annotations

import os
import re
import shutil
import stat
from pathlib import Path

from claude_magic._paths import our_data, shorten_home
from claude_magic.errors import ConfigError, WorkspaceError

_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")


class Workspaces:
    """Make workspaces on first use and remember which ones are new.

    :param base: the directory that contains them; `None` for a private one in the person's data directory, where nobody else
        can have put files that Claude would load.
    """

    def __init__(self, base: str | Path | None) -> None:
        self._is_own = base is None
        self._base = (our_data() / "workspaces" if base is None else Path(base).expanduser()).absolute()
        self._created: list[Path] = []

    def directory(self, workspace_id: str) -> str:
        """Return the directory of a workspace, and make it if it is missing.

        :raises WorkspaceError: if the ID is not a plain name, or the directory is a link or cannot be made.
        """
        if not isinstance(workspace_id, str) or not _NAME.fullmatch(workspace_id) or not workspace_id.strip("."):
            raise WorkspaceError(f"{workspace_id!r} is not a workspace ID.")
        path = self._base / workspace_id
        if path.is_symlink():
            raise WorkspaceError(
                f"{shorten_home(str(path))} is a link to somewhere else.", next_step="Choose another workspace ID."
            )
        missing = [parent for parent in (path, *path.parents) if not os.path.exists(parent)]
        try:
            if self._is_own:
                self._make_private()
            path.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise WorkspaceError(
                f"{shorten_home(str(path))} cannot be made: {error.strerror}.", next_step="Choose another workspace_dir."
            ) from error
        if path in missing:
            self._created.append(path)
        return str(path)

    def _make_private(self) -> None:
        """Make the base readable for the person alone; raise `WorkspaceError` if it belongs to another user."""
        self._base.mkdir(parents=True, exist_ok=True, mode=0o700)
        if os.name == "nt":
            return
        state = self._base.lstat()
        if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.geteuid():
            raise WorkspaceError(
                f"{shorten_home(str(self._base))} is not a directory of yours.", next_step="Choose a workspace_dir."
            )
        if stat.S_IMODE(state.st_mode) & 0o077:
            self._base.chmod(0o700)

    def remove_created(self) -> None:
        """Remove the workspaces that this object has made, with everything in them."""
        for path in self._created:
            shutil.rmtree(path, ignore_errors=True)
        self._created.clear()


def working_directory() -> str:
    """Return the working directory of this process.

    :raises ConfigError: if that directory is gone.
    """
    try:
        return os.getcwd()
    except FileNotFoundError as error:
        raise ConfigError(
            "The working directory is gone: somebody has deleted or moved it.",
            next_step="Change to another one, or make it again.",
        ) from error


def directory_if_there() -> str:
    """Return the working directory of this process; empty if that directory is gone."""
    try:
        return working_directory()
    except ConfigError:
        return ""
