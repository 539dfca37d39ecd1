"""The file of a cassette: a header, then turns. This module reads and checks it, and only appends to it.

A turn is added in one write after it has ended, so that a process killed while recording leaves only whole turns. Several
processes may record to one file, except on Windows, where nothing locks it. A new file is readable only by its owner, because
it holds prompts.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import hmac
import importlib.metadata
import json
import os
import secrets
import sys
import tempfile
import time
from collections.abc import Iterator
from functools import cached_property
from io import FileIO
from pathlib import Path
from typing import Final

from claude_magic._paths import leads_out, our_data, private, regular, shorten_home
from claude_magic._version import __version__
from claude_magic.errors import CassetteError, ConfigError
from claude_magic.sdk._cassette.line_format import (
    UNFINISHED,
    Begun,
    Ended,
    LineError,
    RecordedTurn,
    json_line,
    line_of,
    parsed,
    read_line,
)
from claude_magic.sdk._cassette.scrubbing import Scrubber
from claude_magic.sdk._cassette.turn_check import TurnCheck

if sys.platform != "win32":
    import fcntl

FORMAT: Final = 1

_PROBE: Final = 1 << 14
"""Bytes that must be free on the disk before a turn to be recorded is sent."""

MOST_BYTES: Final = 1 << 29
"""A larger file is refused: all of it would be in memory."""

_KEY_BYTES: Final = 32

_ELSEWHERE: Final = "record to another file, such as ~/lesson.jsonl"


class CassetteFile:
    """The turns in a file, in order; none if there is no file yet."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._sealing = Sealing()
        self.note = ""
        """The header's note for those who play the file; people write it by hand."""
        self._begin()

    def _begin(self) -> None:
        """Forget all that was read, so that the next read begins at the first line."""
        self.turns: list[RecordedTurn] = []
        self._open: RecordedTurn | None = None
        """The turn whose end has not been read yet."""
        self._check: TurnCheck | None = None
        self._digest = hashlib.sha256()
        """The hash of the open turn's lines so far."""
        self._state: tuple[int, ...] = ()
        """The file's inode, size and modification time when it was last read."""
        self._read = hashlib.sha256()
        """The hash of what has been read. If the file's beginning hashes differently, somebody has edited it."""
        self._size = 0
        self._lines = 0
        self._ends_line = True

    def read(self) -> None:
        """Read what was added since the last read, or all of the file if earlier lines have changed.

        :raises CassetteError: if the file is not a cassette, is damaged, or was written by a newer version.
        """
        with self._errors("read"):
            try:
                file = open(self._path, "rb", opener=regular)  # noqa: SIM115
            except FileNotFoundError:
                return
            with file:
                self._catch_up(file.fileno())

    def append(self, turn: RecordedTurn, scrubber: Scrubber) -> None:
        """Add a turn: all of it, or nothing.

        :raises CassetteError: if it cannot be written, or the file cannot be read.
        """
        last = line_of(turn.ended_at, turn.ended or UNFINISHED, scrubber)
        lines = [line_of(None, turn.begun, scrubber), *(line_of(at, fact, scrubber) for at, fact in turn.facts)]
        digest = hashlib.sha256(b"".join(f"{line}\n".encode() for line in (*lines, last))).digest()
        lines.append(json_line(json.loads(last) | {"seal": self._sealing.seal(digest)}))
        with self._errors("written"):
            self._check_own_place()
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with open(self._path, "a+b", buffering=0, opener=private) as file, _locked(file.fileno()):
                self._catch_up(file.fileno())
                if not self._lines:
                    lines.insert(0, _header())
                elif self._open is not None:
                    lines.insert(0, line_of(0.0, UNFINISHED, scrubber))
                data = ("" if self._ends_line else "\n").encode() + "".join(f"{line}\n" for line in lines).encode()
                _add(file, data)

    def check_writable(self) -> None:
        """Raise `CassetteError` if a turn could not be added: it is better to know that before the prompt is sent."""
        self.read()
        with self._errors("written"):
            self._check_own_place()
            exists = self._path.exists()
            if exists:
                self._path.open("ab").close()
            there = next(parent for parent in self._path.parents if parent.exists())
            # Permissions are not enough: the disk may be full or read-only. A directory may refuse new files, and still hold a
            # file that can be written.
            with contextlib.suppress(*[PermissionError] if exists else []), tempfile.TemporaryFile(dir=there) as probe:
                probe.write(bytes(_PROBE))

    def _check_own_place(self) -> None:
        # A link in a downloaded folder could lead to any file.
        if self._path.is_symlink() or leads_out(self._path):
            raise OSError(0, f"a link leads to it; name the file itself, {shorten_home(os.path.realpath(self._path))}")

    def _catch_up(self, file: int) -> None:
        about = os.fstat(file)
        state = about.st_ino, about.st_size, about.st_mtime_ns
        if state == self._state:
            return
        if about.st_size > MOST_BYTES:
            raise OSError(0, f"it is larger than {MOST_BYTES >> 20} MB")
        with open(file, "rb", closefd=False) as reading:
            reading.seek(0)
            data = reading.read()
        if hashlib.sha256(data[: self._size]).digest() != self._read.digest():
            self._begin()
        added = data[self._size :]
        self._read.update(added)
        *lines, rest = added.split(b"\n")
        if lines and not self._ends_line:
            del lines[0]  # the line break that the last line lacked when it was taken
        for line in lines:
            self._take(line)
        if rest:
            self._take_rest(rest)
        self._ends_line = not rest
        self._size, self._state = len(data), state

    def _take_rest(self, data: bytes) -> None:
        """Take the last line if an editor left it without a line end."""
        if self._lines:
            try:
                json.loads(data)
            except (ValueError, RecursionError) as error:
                raise self._error(self._lines + 1, "is cut off", "the lines before it") from error
        self._take(data)

    def _take(self, data: bytes) -> None:
        self._lines += 1
        try:
            line = data.decode("utf-8-sig" if self._lines == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise self._error(self._lines, "is not text in UTF-8") from error
        if self._lines == 1:
            self._check_header(line)
            return
        if not line.strip():
            return
        try:
            self._take_line(line)
        except LineError as error:
            raise self._error(self._lines, str(error)) from error

    def _take_line(self, line: str) -> None:
        at, fact = read_line(line)
        match fact, self._open:
            case Begun(), None:
                self._open, self._check = RecordedTurn(fact, self._lines), TurnCheck(fact)
                self._digest = hashlib.sha256(f"{line.strip()}\n".encode())
            case Begun(), RecordedTurn(line=line_number):
                raise LineError(f"begins a turn, but the turn of line {line_number} has no end")
            case _, None:
                raise LineError("belongs to no turn")
            case Ended(), RecordedTurn() as turn:
                unsealed = {key: value for key, value in parsed(line).items() if key != "seal"}
                self._digest.update(f"{json_line(unsealed)}\n".encode())
                turn.is_from_here = self._sealing.fits(fact.seal, self._digest.digest())
                turn.ended, turn.ended_at = fact, at
                self._open = self._check = None
                if fact.outcome != "unfinished":
                    self.turns.append(turn)
            case (_, RecordedTurn() as turn) if not isinstance(fact, Begun | Ended):
                assert self._check is not None
                self._check.take(fact)
                self._digest.update(f"{line.strip()}\n".encode())
                turn.facts.append((at, fact))

    def _check_header(self, line: str) -> None:
        try:
            header = parsed(line)
        except LineError:
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
        self._begin()
        repair = f"Delete line {number} to use {otherwise}" if otherwise else f"Correct line {number}"
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
            next_step = f"Check the path, or {_ELSEWHERE if what == 'written' else 'choose another file'}."
            raise CassetteError(
                f"The cassette {shorten_home(str(self._path))} cannot be {what}: {reason}.", next_step=next_step
            ) from error


def absolute(path: str | os.PathLike[str]) -> Path:
    """Return the absolute path of a cassette; an invalid one raises `ConfigError`."""
    try:
        if "\0" in os.fspath(path):
            raise ConfigError("The path of a cassette holds a null character.")
        return Path(path).expanduser().absolute()
    except (TypeError, RuntimeError) as error:
        raise ConfigError(f"{path!r} cannot be the path of a cassette: {error}") from error


def _add(file: FileIO, data: bytes) -> None:
    """Append all of the data, or leave the file unchanged: half a turn would spoil everything after it."""
    before = os.fstat(file.fileno()).st_size
    try:
        written = file.write(data)
        os.fsync(file.fileno())
    except OSError:
        file.truncate(before)
        raise
    if written != len(data):
        file.truncate(before)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class Sealing:
    """Seal turns that this person records on this machine, and check seals. Nobody else can make one; editing a turn breaks it.

    A seal is made with a key that never leaves the machine. A turn without a valid seal counts as recorded elsewhere.

    :param path: the file of the key, by default in the person's data directory. The key is made with the first seal. If it
        cannot be saved, seals are valid only as long as this object lives.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = path or our_data() / "cassettes.key"

    def seal(self, digest: bytes) -> str:
        """Return the seal of a turn whose lines have this hash."""
        if not self._key:
            self._make_key()
        return hmac.new(self._key, digest, "sha256").hexdigest()

    def fits(self, seal: str, digest: bytes) -> bool:
        """Whether the seal was made here for a turn with this hash."""
        return bool(self._key) and hmac.compare_digest(seal.encode(), self.seal(digest).encode())

    def _kept_key(self) -> bytes:
        with contextlib.suppress(OSError):
            key = self._path.read_bytes()
            return key if len(key) == _KEY_BYTES else b""
        return b""

    _key = cached_property(_kept_key)

    def _make_key(self) -> None:
        self._key = secrets.token_bytes(_KEY_BYTES)
        with contextlib.suppress(OSError):
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            # The key is written whole or not at all, readable only by its owner, and never over another kernel's key.
            file, name = tempfile.mkstemp(dir=self._path.parent)
            try:
                os.write(file, self._key)
                os.link(name, self._path)
            except FileExistsError:
                self._key = self._kept_key() or self._key
            finally:
                os.close(file)
                os.unlink(name)


@contextlib.contextmanager
def _locked(file: int) -> Iterator[None]:
    """Lock the file against other recorders. There is no lock on Windows."""
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
