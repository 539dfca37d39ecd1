"""Hubs and containers: a home that cannot be read, no home at all, folders above that are closed to us."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from claude_magic._kernel.state.directory_trust import Trust
from claude_magic._paths import for_terminal, own_command

NOBODY = 54321
"""A number that no name belongs to, as containers give it."""

AS_NOBODY = f"""
import os, sys
from claude_magic._kernel.state.directory_trust import Trust
from claude_magic._paths import cli_home, our_config
from claude_magic.sdk._folder.memories import memories
from claude_magic.sdk._history.kept_turns import KeptTurns
from claude_magic.sdk._history.places import all_projects, folders, transcript_of
from claude_magic.sdk._history.sessions import list_sessions
directory = sys.argv[1]
os.chdir(directory)
if os.getuid() == 0:
    os.setgid({NOBODY})
    os.setuid({NOBODY})
projects = all_projects({{}})
print(memories(directory).text, folders(directory, projects), transcript_of("0" * 8 + "-0000-0000-0000-" + "0" * 12))
assert list_sessions(directory) == []
print(Trust().unloaded(directory), cli_home({{}}), our_config())
"""


@pytest.mark.skipif(os.name == "nt", reason="numbers of users")
@pytest.mark.parametrize("home", ["closed", None])
def test_closed_folders(tmp_path: Path, home: str | None) -> None:
    """Folders above the working directory and a home that are closed to us, or no home, hold nothing, and raise nothing."""
    work = tmp_path / "work"
    for closed in (tmp_path / ".claude", tmp_path / "closed" / ".claude"):
        closed.mkdir(parents=True)
        closed.chmod(0)
    work.mkdir()
    for folder in (tmp_path, *list(tmp_path.parents)[:2]):
        folder.chmod(0o755)
    drop = ("HOME", "CLAUDE_CONFIG_DIR", "XDG_CONFIG_HOME", "XDG_DATA_HOME")
    env = {name: value for name, value in os.environ.items() if name not in drop}
    if home:
        env["HOME"] = str(tmp_path / home)
    try:
        ran = subprocess.run([sys.executable, "-c", AS_NOBODY, str(work)], env=env, capture_output=True, text=True)
    finally:
        for closed in (tmp_path / ".claude", tmp_path / "closed" / ".claude"):
            closed.chmod(0o700)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith(" [] None\n[] "), ran.stdout


def test_a_yes_that_cannot_be_kept(tmp_path: Path) -> None:
    """Trust holds in this kernel where our own folder cannot be written to, and says why it is not kept."""
    (tmp_path / "file").touch()
    (tmp_path / "work" / ".claude").mkdir(parents=True)
    (tmp_path / "work" / ".claude" / "settings.json").write_text("{}")
    trust = Trust(tmp_path / "file" / "trust.json")
    assert not trust.covers(str(tmp_path / "work"))
    assert trust.add(str(tmp_path / "work"))
    assert trust.covers(str(tmp_path / "work"))
    assert "trust.json" in trust.obstacle
    kept = Trust(tmp_path / "trust.json")
    kept.add(str(tmp_path / "work"))
    assert kept.obstacle == ""


def test_commands_can_be_typed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A command names `python` where that is this Python, and else its path, which a shell reads as one word."""
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}")
    assert own_command("login") == "python -m claude_magic login"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert own_command("login") == f"{for_terminal(sys.executable)} -m claude_magic login"
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("plain", "with space", "it's", "课程 😀"):
        printed = subprocess.run(
            ["/bin/sh", "-c", f"printf %s {for_terminal(str(tmp_path / name))}"], capture_output=True, text=True, check=True
        )
        assert printed.stdout == str(tmp_path / name)
