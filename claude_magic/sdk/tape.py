"""The file of a cassette: a header, then turns. Read it, check it, add to it; never change what is there.

A turn is added in one write when it has ended, so that whoever is killed while recording leaves whole turns. Several
processes may record to one file.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import os
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from claude_magic import __version__
from claude_magic.errors import CassetteError
from claude_magic.paths import shorten_home
from claude_magic.sdk.recorded import UNFINISHED, Begun, Ended, LineError, RecordedTurn, json_line, line_of, read_line
from claude_magic.sdk.scrubbing import Scrubber

if sys.platform != "win32":
    import fcntl

FORMAT: Final = 1

_ELSEWHERE: Final = "record to another file, such as ~/lesson.jsonl"


class Tape:
    """The turns in a file, in their order; none when there is no file yet."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._size = 0
        self._lines = 0
        self._open: RecordedTurn | None = None
        """A turn that the file holds only the beginning of."""
        self.note = ""
        """What the header says to whoever plays it; people write that into the file."""
        self.turns: list[RecordedTurn] = []

    def read(self) -> None:
        """Read what has been added since it was read last.

        :raises CassetteError: when that is no cassette, or was written by a newer version.
        """
        with self._errors("read"):
            try:
                file = self._path.open("rb")
            except FileNotFoundError:
                return
            with file:
                self._catch_up(os.fstat(file.fileno()).st_size, file.fileno())

    def append(self, turn: RecordedTurn, scrubber: Scrubber) -> None:
        """Add a turn: all of it, or nothing.

        :raises CassetteError: when it cannot be written, or what is there cannot be read.
        """
        last = (turn.ended_at, turn.ended or UNFINISHED)
        lines = [line_of(None, turn.begun, scrubber), *(line_of(at, fact, scrubber) for at, fact in (*turn.facts, last))]
        with self._errors("written"):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._path.open("a+b", buffering=0) as file, _locked(file.fileno()):
                size = os.fstat(file.fileno()).st_size
                self._catch_up(size, file.fileno())
                if size == 0:
                    lines.insert(0, _header())
                elif self._open is not None:
                    lines.insert(0, line_of(0.0, UNFINISHED, scrubber))
                data = "".join(f"{line}\n" for line in lines).encode()
                if file.write(data) != len(data):
                    raise OSError(0, "only a part of it went into the file")
                os.fsync(file.fileno())

    def check_writable(self) -> None:
        """Raise `CassetteError` when a turn could not be added: better before it is asked than after."""
        with self._errors("written"):
            if self._path.exists():
                self._path.open("ab").close()
                return
            there = next(parent for parent in self._path.parents if parent.exists())
            # What the permissions say is not all: a disk may be full or read-only.
            tempfile.TemporaryFile(dir=there).close()

    def _catch_up(self, size: int, file: int) -> None:
        if size == self._size:
            return
        if size < self._size:  # another file by now
            self._size, self._lines, self._open, self.turns = 0, 0, None, []
        with open(file, "rb", closefd=False) as reading:
            reading.seek(self._size)
            data = reading.read(size - self._size)
        *lines, rest = data.split(b"\n")
        if rest and not self._lines + len(lines):
            raise self._error(1, "is not the header of a cassette")
        if rest:
            raise self._error(self._lines + len(lines) + 1, "is cut off", "what comes before it can be used")
        for line in lines:
            self._lines += 1
            self._take(line)
        self._size = size

    def _take(self, data: bytes) -> None:
        try:
            line = data.decode()
        except UnicodeDecodeError as error:
            raise self._error(self._lines, "is not text in UTF-8") from error
        if self._lines == 1:
            self._check_header(line)
            return
        try:
            at, fact = read_line(line)
        except LineError as error:
            raise self._error(self._lines, str(error)) from error
        match fact, self._open:
            case Begun(), None:
                self._open = RecordedTurn(fact, self._lines)
            case Begun(), RecordedTurn(line=line_number):
                raise self._error(self._lines, f"begins a turn, and the one of line {line_number} has no end")
            case _, None:
                raise self._error(self._lines, "belongs to no turn")
            case Ended(), RecordedTurn() as turn:
                self._open = None
                turn.ended, turn.ended_at = fact, at
                if fact != UNFINISHED:
                    self.turns.append(turn)
            case (_, RecordedTurn() as turn) if not isinstance(fact, Begun | Ended):
                turn.facts.append((at, fact))

    def _check_header(self, line: str) -> None:
        try:
            header = json.loads(line)
        except ValueError:
            header = None
        match header:
            case {"cassette": int() as version, "claude_magic": str() as written_by}:
                if version > FORMAT:
                    raise CassetteError(
                        f"{shorten_home(str(self._path))}, line 1: it was recorded in format {version}, "
                        f"and this claude_magic ({__version__}) reads format {FORMAT}.",
                        next_step=f"Install claude_magic {written_by} or newer, or {_ELSEWHERE}.",
                    )
                self.note = str(header.get("note") or "")
            case _:
                raise self._error(1, "is not the header of a cassette")

    def _error(self, number: int, reason: str, otherwise: str = "") -> CassetteError:
        self._size, self._lines, self._open, self.turns = 0, 0, None, []
        repair = f"Take line {number} out and {otherwise}" if otherwise else f"Put line {number} right"
        return CassetteError(
            f"{shorten_home(str(self._path))}, line {number}: it {reason}.",
            next_step=f"{repair}, or {_ELSEWHERE}; nothing was written to this one.",
        )

    @contextlib.contextmanager
    def _errors(self, what: str) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            reason = error.strerror or str(error)
            next_step = f"Choose a file that can be {what}" + (f": {_ELSEWHERE}." if what == "written" else ".")
            raise CassetteError(
                f"The cassette {shorten_home(str(self._path))} cannot be {what}: {reason}.", next_step=next_step
            ) from error


@contextlib.contextmanager
def _locked(file: int) -> Iterator[None]:
    """Keep other recorders out; on Windows two of them may still meet."""
    if sys.platform != "win32":
        fcntl.flock(file, fcntl.LOCK_EX)
    try:
        yield
    finally:
        if sys.platform != "win32":
            fcntl.flock(file, fcntl.LOCK_UN)


def _header() -> str:
    versions = {"claude_magic": __version__, "claude_agent_sdk": importlib.metadata.version("claude-agent-sdk")}
    return json_line({"cassette": FORMAT, **versions, "date": time.strftime("%Y-%m-%d", time.gmtime())})
