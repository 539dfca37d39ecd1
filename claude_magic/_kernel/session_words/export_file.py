"""Where an export goes: the path as it was typed, and a write that loses nothing that is there."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from IPython.core.error import UsageError

from claude_magic._paths import private, shorten_home

SUFFIXES = (".md", ".ipynb")

_FORCE = re.compile(r"^--force(?:\s+|$)|\s+--force$")
_QUOTED = re.compile(r"""(?P<quote>["'])(?P<path>.*)(?P=quote)$""", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ExportFile:
    """A file to be written; one that is there already only with `force`."""

    path: Path
    force: bool = False

    @property
    def shown(self) -> str:
        """The path, as people should see it."""
        return shorten_home(str(self.path))

    def check(self) -> None:
        """Say beforehand why the file cannot be written, as far as that can be known.

        :raises UsageError: why.
        """
        suffix = self.path.suffix
        with self._explained():
            if self.path.is_dir():
                raise UsageError(f"%claude_session: {self.shown} is a directory; add a file name that ends in .md or .ipynb")
            if suffix.lower() not in SUFFIXES:
                ending = f"{suffix} is neither" if suffix else "this name has no ending"
                raise UsageError(f"%claude_session: export writes .md or .ipynb; {ending}")
            if not self.path.parent.is_dir():
                parent = shorten_home(str(self.path.parent))
                raise UsageError(f"%claude_session: there is no directory {parent}; make it first, or choose another")
            if not self.path.exists():
                return
            if not self.force:
                remedy = "give another name, or add --force to replace it"
                raise UsageError(f"%claude_session: {self.shown} is there already; {remedy}")
            if not self.path.is_file() or not os.access(self.path, os.W_OK):
                why = "it can only be read" if self.path.is_file() else "it is no plain file"
                raise UsageError(f"%claude_session: {self.shown} cannot be replaced, as {why}; give another path")

    def write(self, text: str) -> None:
        """Write the whole file, or leave everything as it was. A new file is readable by nobody else.

        :raises UsageError: when the file cannot be written.
        """
        fresh = self.path.with_name(f".export-{os.getpid()}~")
        with self._explained():
            try:
                with open(fresh, "x", encoding="utf-8", newline="\n", opener=private) as file:
                    file.write(text)
                    file.flush()
                    os.fsync(file.fileno())  # some disks say only now that they are full
                self.check()
                if self.path.exists():
                    shutil.copymode(self.path, fresh)
                fresh.replace(self.path)
            finally:
                with contextlib.suppress(OSError):
                    fresh.unlink()

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = error.strerror or str(error)
            raise UsageError(f"%claude_session: {self.shown} cannot be written: {reason}; choose another path") from error


def export_file(typed: str) -> ExportFile:
    """Read what stands behind `export`: a path, quoted or not, and perhaps `--force` before or behind it.

    :raises UsageError: when that is no path, or none that an export can be written to.
    """
    text = typed.strip()
    rest = _FORCE.sub("", text, count=1).strip()
    quoted = _QUOTED.match(rest)
    name = quoted["path"] if quoted else rest
    if not name or "\0" in name:
        raise UsageError("%claude_session: export needs a path that ends in .md or .ipynb")
    # A link stays one: what it leads to is replaced.
    file = ExportFile(Path(os.path.realpath(os.path.expanduser(name))), force=rest != text)
    file.check()
    return file
