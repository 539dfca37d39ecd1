"""A disk that is full or cannot be written: turns go on, what is not kept is called so, and what was there stays."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from messages_api import MessagesAPI
from rig.environment import isolated_environment, own_variables
from rig.kernel import Kernel

from claude_magic.errors import CassetteError, CheckpointError, ClaudeError, TurnNotFoundError
from claude_magic.sdk import ClaudeConfig, SessionAwareClient, SessionAwareResponse, ask_each, cassette
from claude_magic.sdk._history.branches import branch_on_disk
from claude_magic.sdk._history.sessions import rename_session
from claude_magic.sdk.events import Event, Notice, TextDelta
from claude_magic.sdk.host import Listener
from claude_magic.sdk.response import Remark

Run = Callable[..., Any]


class Disk:
    """A small disk that can be filled and be made read-only."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def fill(self) -> None:
        """Leave not one byte."""
        with (self.path / "filling").open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))

    def forbid(self) -> None:
        """Let nothing be written."""
        subprocess.run(["mount", "-o", "remount,ro", str(self.path)], check=True)

    def mend(self) -> None:
        """Let it be written again."""
        subprocess.run(["mount", "-o", "remount,rw", str(self.path)], check=True)
        (self.path / "filling").unlink(missing_ok=True)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """A disk of 4 MB, for those who may mount one."""
    path = tmp_path / "disk"
    path.mkdir()
    mounted = shutil.which("mount") and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(path)], capture_output=True, check=False
    )
    if not mounted or mounted.returncode:
        pytest.skip("needs the right to mount a disk")
    yield Disk(path)
    subprocess.run(["umount", "-l", str(path)], check=True)


def remarks(response: SessionAwareResponse) -> list[str]:
    return [block.text for block in response.blocks if isinstance(block, Remark)]


@pytest.mark.parametrize("fault", ["fill", "forbid"])
def test_turns_are_called_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, disk: Disk, api: MessagesAPI, run_async: Run, fault: str
) -> None:
    """Each turn that the CLI could not write says so, the first one that it could says what is lost, and so it is."""
    monkeypatch.chdir(tmp_path)
    config = ClaudeConfig(env=own_variables(disk.path, api.url))

    async def ask() -> list[SessionAwareResponse]:
        replies = []
        async with SessionAwareClient(config) as client:
            for change in (None, getattr(disk, fault), None, disk.mend, None):
                if change:
                    change()
                replies.append(await client.query_with_session(f"turn {len(replies)}", auto_resume_last=True))
        async with SessionAwareClient(config) as client:
            replies.append(await client.query_with_session("<<history>>", resume_session_id=replies[0].session_id))
        return replies

    *replies, history = run_async(ask())
    why = "is on a full disk" if fault == "fill" else "is on a read-only disk"
    said = [" ".join(remarks(reply)) for reply in replies]
    assert said[0] == said[4] == ""
    assert said[1].startswith("This turn is not kept: ")
    assert said[2].startswith("The last 2 turns are not kept: ")
    assert why in said[1]
    assert why in said[2]
    assert said[3].endswith("can be written to again, but the 2 turns before this one are not kept.")
    assert [reply.content for reply in replies] == [f"You said: turn {number}" for number in range(5)]
    assert "turn 4" in history.content
    assert "turn 3" in history.content
    assert "You said: turn 2" not in json.dumps(api.requests[-1])


def test_stopped_turn_is_looked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, disk: Disk, api: MessagesAPI, run_async: Run
) -> None:
    """A turn that was stopped on a full disk is missed like one that was answered."""
    monkeypatch.chdir(tmp_path)
    config = ClaudeConfig(env=own_variables(disk.path, api.url))

    async def ask() -> tuple[str, str]:
        async with SessionAwareClient(config) as client:
            first = await client.query("one")
            disk.fill()
            events, begun = list[Event](), asyncio.Event()

            def note(event: Event) -> None:
                events.append(event)
                if isinstance(event, TextDelta):
                    begun.set()

            request = client.request("<<say begun>><<hang>>", session_id=first.session_id)
            turn = asyncio.create_task(client.run_turn(request, Listener(note)))
            await begun.wait()
            turn.cancel()
            await asyncio.wait([turn])
            assert turn.cancelled()
            stopped = " ".join(event.text for event in events if isinstance(event, Notice))
            disk.mend()
            last = await client.query("three", session_id=first.session_id)
            return stopped, " ".join(remarks(last))

    stopped, last = run_async(ask())
    assert stopped.startswith("This turn is not kept: ")
    assert last.endswith("can be written to again, but the turn before this one is not kept.")


def test_checkpoint_of_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, disk: Disk, api: MessagesAPI, run_async: Run
) -> None:
    """A checkpoint that cannot be written ends the run; its error holds every answer, and later the run goes on there."""
    monkeypatch.chdir(tmp_path)
    config, checkpoint = ClaudeConfig(env=own_variables(tmp_path, api.url)), disk.path / "rows.sqlite"
    texts = ["one", "two", "three", "four"]

    def rows() -> Iterator[str]:
        for text in texts:
            if text == "three":
                disk.fill()
            yield text

    with pytest.raises(CheckpointError, match="full") as caught:
        run_async(ask_each("{{ row }}", rows(), concurrency=1, checkpoint=checkpoint, config=config))
    assert caught.value.results.values == ["You said: one", "You said: two", "You said: three"]
    disk.mend()
    results = run_async(ask_each("{{ row }}", texts, concurrency=1, checkpoint=checkpoint, config=config))
    assert results.values == [f"You said: {text}" for text in texts]
    assert [prompts[-1] for prompts in api.prompts()] == ["one", "two", "three", "three", "four"]


def test_name_on_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, disk: Disk, api: MessagesAPI, run_async: Run
) -> None:
    """A name that cannot be written, and a branch, are refused in words, and leave the session as it was."""
    monkeypatch.chdir(tmp_path)
    for name, value in own_variables(disk.path, api.url).items():
        monkeypatch.setenv(name, value)

    async def ask() -> SessionAwareResponse:
        async with SessionAwareClient() as client:
            return await client.query("one")

    reply = run_async(ask())
    (path,) = disk.path.glob(f".claude/projects/*/{reply.session_id}.jsonl")
    before = path.read_bytes()
    disk.fill()
    for change in (
        lambda: rename_session(str(reply.session_id), "a name " * 2000, str(tmp_path)),
        lambda: branch_on_disk(path, str(reply.message_id)),
    ):
        with pytest.raises(ClaudeError, match="is on a full disk") as caught:
            change()
        assert caught.value.next_step == "Make room there."
        assert [*path.parent.glob("*.jsonl")] == [path]
        assert path.read_bytes() == before


@pytest.fixture
def blocked(tmp_path: Path) -> Path:
    """A home in which the CLI can keep no session: a file stands where it would make a directory."""
    home = tmp_path / "home"
    own_variables(home, "http://127.0.0.1:9")
    (home / ".claude" / "projects").touch()
    return home


def test_process_that_knows_more_than_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blocked: Path, api: MessagesAPI, run_async: Run
) -> None:
    """It is not closed for being idle; a branch behind such a turn is refused in words; where it ends, that is said."""
    monkeypatch.chdir(tmp_path)
    config = ClaudeConfig(env=own_variables(blocked, api.url), idle_timeout=0.01, max_warm=1)

    async def ask() -> tuple[SessionAwareResponse, ClaudeError, SessionAwareResponse]:
        async with SessionAwareClient(config) as client:
            first = await client.query("one")
            (blocked / ".claude" / "projects").unlink()
            await client.query("of another session")
            await client.query("of a third one")
            again = await client.query_with_session("<<history>>", resume_session_id=first.session_id)
            with pytest.raises(TurnNotFoundError) as refused:
                await client.run_turn(client.request("two", session_id=first.session_id, fork=True, at=first.message_id))
            await client.close_session(str(first.session_id))
            after = await client.query_with_session("<<history>>", resume_session_id=first.session_id)
            return again, refused.value, after

    again, refused, after = run_async(ask())
    assert "- one" in again.content
    assert "is not kept on disk" in refused.message
    assert refused.next_step == "Go on in that session, or branch off from an earlier turn."
    (said,) = remarks(after)
    assert said == (
        "1 turn of this session was not kept on disk, and the process that knew it has ended: Claude no longer knows it."
    )
    assert "- one" not in after.content


def test_in_a_cell(tmp_path: Path, blocked: Path, api: MessagesAPI) -> None:
    """The cell itself says that its turn is not kept; a cell that ends the process says what went with it."""
    with Kernel(tmp_path, isolated_environment(blocked, api.url)) as kernel:
        assert kernel.run("%load_ext claude_magic").ok
        cell = kernel.run("%%claude\nhello")
        assert cell.ok
        assert "This turn is not kept: ~/.claude/projects cannot be written: projects is not a directory." in cell.text
        assert "The last 2 turns are not kept" in kernel.run("%%claude\nagain").text
        (blocked / ".claude" / "projects").unlink()
        cell = kernel.run("%%claude\nonce more")
        assert "~/.claude/projects can be written to again, but the 2 turns before this one are not kept." in cell.text
        assert "kept" not in kernel.run("%%claude\nand on").text


@pytest.mark.parametrize("fault", ["fill", "forbid"])
def test_cassette_stays_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, disk: Disk, sdk_env: dict[str, str], run_async: Run, fault: str
) -> None:
    """Nothing is sent that could not be recorded, what is in the file plays on, and it goes on when the disk is mended."""
    monkeypatch.chdir(tmp_path)
    path = disk.path / "lesson.jsonl"

    async def ask(prompt: str, mode: str) -> str:
        async with SessionAwareClient(ClaudeConfig(env=sdk_env)) as client:
            with cassette(path, mode):
                return (await client.query(prompt)).content

    assert run_async(ask("one", "record")) == "You said: one"
    before = path.read_bytes()
    getattr(disk, fault)()
    with pytest.raises(CassetteError, match="cannot be written"):
        run_async(ask("two", "record"))
    assert path.read_bytes() == before
    assert run_async(ask("one", "replay")) == "You said: one"
    disk.mend()
    assert run_async(ask("two", "record")) == "You said: two"
    assert path.read_bytes().startswith(before)


def test_cassette_of_a_disk_that_fills_meanwhile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, disk: Disk, sdk_env: dict[str, str], run_async: Run
) -> None:
    """A recording that only fits by half leaves the file as it was, and the error carries the reply."""
    monkeypatch.chdir(tmp_path)
    path = disk.path / "lesson.jsonl"

    async def ask(prompt: str) -> None:
        async with SessionAwareClient(ClaudeConfig(env=sdk_env)) as client:
            with cassette(path, "record"):
                await client.query(prompt)

    run_async(ask("one"))
    before = path.read_bytes()
    with pytest.raises(CassetteError, match="No space left") as refused:
        run_async(ask("<<stream 1 6000000 0>>"))
    assert len(refused.value.content) == 6000000
    assert path.read_bytes() == before


@pytest.mark.parametrize("fault", ["fill", "forbid"])
@pytest.mark.parametrize("ending", ["md", "ipynb"])
def test_export(disk: Disk, loaded_kernel: Kernel, api: MessagesAPI, fault: str, ending: str) -> None:
    """An export that does not fit leaves the one before as it was, with its permissions, and nothing beside it."""
    path = disk.path / f"talk.{ending}"
    assert loaded_kernel.run("%%claude\n<<stream 1 50000 0>>").ok
    assert loaded_kernel.run(f"%claude_session export {path}").ok
    path.chmod(0o600)
    before = path.read_bytes()
    assert loaded_kernel.run("%%claude\nmore").ok
    getattr(disk, fault)()
    cell = loaded_kernel.run(f"%claude_session export {path} --force")
    assert "cannot be written" in cell.stderr or "it is read-only; give another path" in cell.stderr
    assert path.read_bytes() == before
    disk.mend()
    assert loaded_kernel.run(f"%claude_session export {path} --force").ok
    assert path.stat().st_size > len(before)
    assert path.stat().st_mode & 0o777 == 0o600
    assert os.listdir(disk.path) == [path.name]
