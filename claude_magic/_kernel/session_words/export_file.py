"""The file of an export: parse the typed path, check it, and write without losing an existing file."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from IPython.core.error import UsageError

from claude_magic._paths import leads_out, private, shorten_home

SUFFIXES = (".md", ".ipynb")

_FORCE = re.compile(r"^--force(?:\s+|$)|\s+--force$")
_QUOTED = re.compile(r"""(?P<quote>["'])(?P<path>.*)(?P=quote)$""", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ExportFile:
    """A file to be written. An existing file is replaced only with `force`."""

    path: Path
    force: bool = False

    @property
    def shown(self) -> str:
        """The path for messages, with `~` for the home directory."""
        return shorten_home(str(self.path))

    def check(self) -> None:
        """Check whether the file can be written, as far as that can be known before the writing.

        :raises UsageError: it cannot be written; the message says why.
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
                why = "it is read-only" if self.path.is_file() else "it is not a regular file"
                raise UsageError(f"%claude_session: {self.shown} cannot be replaced: {why}; give another path")

    def write(self, text: str) -> None:
        """Write the whole file, or leave everything as it was. Only the user can read a new file.

        :raises UsageError: the file cannot be written.
        """
        fresh = self.path.with_name(f".export-{os.getpid()}~")
        with self._explained():
            try:
                with open(fresh, "x", encoding="utf-8", newline="\n", opener=private) as file:
                    file.write(text)
                    file.flush()
                    os.fsync(file.fileno())  # some disks report only now that they are full
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
    """Parse the text after `export`: a path, quoted or not, and perhaps `--force` before or after it.

    :raises UsageError: there is no path, or an export cannot be written there.
    """
    text = typed.strip()
    rest = _FORCE.sub("", text, count=1).strip()
    quoted = _QUOTED.match(rest)
    name = quoted["path"] if quoted else rest
    if not name or "\0" in name:
        raise UsageError("%claude_session: export needs a path that ends in .md or .ipynb")
    path = os.path.abspath(os.path.expanduser(name))
    if target := leads_out(path):
        raise UsageError(f"%claude_session: {name} is a link out of its folder; name the file itself, {shorten_home(target)}")
    # The target of a link inside the folder is replaced; the link itself stays.
    file = ExportFile(Path(os.path.realpath(path)), force=rest != text)
    file.check()
    return file
