"""Files that hold prompts can be read by nobody else."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from claude_magic._kernel.session_words.export_file import ExportFile
from claude_magic.sdk import ClaudeConfig
from claude_magic.sdk._cassette.cassette_file import Sealing
from claude_magic.sdk._cli.command_line import Command
from claude_magic.sdk._log import ClientLog
from claude_magic.sdk._rows.checkpoint import Answer, Checkpoint


@pytest.fixture(autouse=True)
def open_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def logged(path: Path) -> None:
    log = ClientLog(ClaudeConfig(log_file=path))
    log.turn(Command(["claude", "-p", "secret"]))
    log.close()


def checkpointed(path: Path) -> None:
    kept = Checkpoint(path, ("work",))
    kept.put(b"key", Answer("secret"))
    beside = [path.with_name(path.name + ending) for ending in ("-wal", "-shm")]
    assert {stat.S_IMODE(each.stat().st_mode) for each in (path, *beside)} == {stat.S_IMODE(path.stat().st_mode)}
    kept.close()


MAKE: dict[str, Callable[[Path], Any]] = {
    "log": logged,
    "export.md": lambda path: ExportFile(path).write("secret"),
    "checkpoint": checkpointed,
    "key": lambda path: Sealing(path).seal(b""),
}


@pytest.mark.parametrize("name", MAKE)
def test_new_files(name: str, tmp_path: Path) -> None:
    """A new one is the person's alone, whatever the umask allows; one that is there keeps what it allows."""
    path = tmp_path / name
    MAKE[name](path)
    assert path.stat().st_size
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    if name in ("log", "checkpoint"):
        path.chmod(0o640)
        MAKE[name](path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_seals(tmp_path: Path) -> None:
    """A seal fits what it was made for, with the key of this person; without one nothing fits, and where none can be kept
    seals fit as long as they are needed.
    """
    here, again = Sealing(tmp_path / "key"), Sealing(tmp_path / "key")
    assert not again.fits("", b"a")
    seal = here.seal(b"a")
    again = Sealing(tmp_path / "key")
    assert [again.fits(seal, digest) for digest in (b"a", b"b")] == [True, False]
    assert not Sealing(tmp_path / "other").fits(seal, b"a")
    assert not again.fits("é", b"a")
    (tmp_path / "file").write_text("")
    unkept = Sealing(tmp_path / "file" / "key")
    assert unkept.fits(unkept.seal(b"a"), b"a")
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {"file", "key"}
