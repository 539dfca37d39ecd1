"""A session has one writer: another one is noticed before the next turn, and a damaged transcript is told, in every variant."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from messages_api import MessagesAPI, prompts_of
from rig.environment import own_variables

from claude_magic.errors import SessionLostError, SessionNotFoundError
from claude_magic.sdk import ClaudeClient, ClaudeConfig, SessionAwareResponse
from claude_magic.sdk._history import sessions
from claude_magic.sdk._history.transcripts import exchanges
from claude_magic.sdk.content import Prompt
from claude_magic.sdk.response import Remark
from claude_magic.sdk.turn_request import TurnRequest

CALL = '<<tool Bash {"command": "touch x"}>>'

Run = Callable[..., Any]
Damage = Callable[[Path], None]


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path, api: MessagesAPI) -> Path:
    """The working directory; the CLI of this process keeps its sessions in the module's home."""
    monkeypatch.chdir(tmp_path)
    for name, value in own_variables(home, api.url).items():
        monkeypatch.setenv(name, value)
    return tmp_path


def client() -> ClaudeClient:
    return ClaudeClient(ClaudeConfig())


async def turn(client: ClaudeClient, prompt: str, session_id: str | None = None, **options: Any) -> SessionAwareResponse:
    return await client.run_turn(TurnRequest(prompt=Prompt(prompt), directory=os.getcwd(), session_id=session_id, **options))


def remarks(reply: SessionAwareResponse) -> str:
    return " ".join(block.text for block in reply.blocks if isinstance(block, Remark))


def transcript(home: Path, session_id: str | None) -> Path:
    (path,) = (home / ".claude/projects").glob(f"*/{session_id}.jsonl")
    return path


def seen(api: MessagesAPI) -> list[str]:
    return prompts_of(api.requests[-1])


@pytest.mark.parametrize("warm", [True, False])
def test_another_went_on(warm: bool, work: Path, api: MessagesAPI, run_async: Run) -> None:
    """What another process has said in between is told, and Claude knows it, also when a process of ours was behind."""

    async def talk() -> SessionAwareResponse:
        ours, other = client(), client()
        async with ours, other:
            one = await turn(ours, "one")
            if not warm:
                await ours.close_session(str(one.session_id))
            await turn(other, "theirs", one.session_id)
            two = await turn(ours, "two", one.session_id)
            assert two.session_id == one.session_id
            assert seen(api) == ["one", "theirs", "two"]
            again = await turn(ours, "three", one.session_id)
            assert remarks(again) == ""
            return two

    assert "Another process went on with the session" in (said := remarks(run_async(talk())))
    assert '"theirs". This turn goes on from there.' in said


@pytest.mark.parametrize("warm", [True, False])
def test_both_went_on(warm: bool, work: Path, home: Path, api: MessagesAPI, run_async: Run) -> None:
    """Where both went on, ours goes on in a named branch, and each turn is in a session that shows it."""

    async def talk() -> SessionAwareResponse:
        ours, other = client(), client()
        async with ours, other:
            one = await turn(ours, "one")
            await turn(other, "theirs one", one.session_id)
            two = await turn(ours, "ours two", one.session_id, seen=one.message_id)
            stale = await turn(other, "theirs two", one.session_id)
            assert remarks(stale) == "" or "went on" in remarks(stale)
            if not warm:
                await ours.close_session(str(two.session_id))
            return await turn(ours, "ours three", two.session_id)

    run_async(talk())
    shown = {exchange.prompt for info in sessions.list_sessions(str(work)) for exchange in exchanges(info.session_id, None)}
    assert shown == {"one", "theirs one", "ours two", "theirs two", "ours three"}


def test_at_the_same_time(work: Path, api: MessagesAPI, run_async: Run) -> None:
    """Where two processes answer at the same time ours goes on as a named branch, and theirs has a name, too."""

    async def talk() -> tuple[SessionAwareResponse, SessionAwareResponse]:
        ours, other = client(), client()
        async with ours, other:
            one = await turn(ours, "one")
            waiting = asyncio.create_task(turn(ours, "<<wait>><<say A>>", one.session_id))
            await asyncio.to_thread(api.wait_for_requests, 2)
            await turn(other, "B", one.session_id)
            api.go_on.set()
            await waiting
            return one, await turn(ours, "last", one.session_id)

    one, last = run_async(talk())
    assert last.session_id != one.session_id
    assert "at the same time" in remarks(last)
    assert seen(api) == ["one", "<<wait>><<say A>>", "last"]
    listed = {info.name: info.session_id for info in sessions.list_sessions(str(work))}
    assert listed["one (here)"] == last.session_id
    assert [exchange.prompt for exchange in exchanges(listed["one (elsewhere)"], None)][-1] == "B"


def test_while_another_is_at_work(work: Path, api: MessagesAPI, run_async: Run) -> None:
    """Where another process is in the middle of a turn ours goes on beside it, and no answer is lost."""

    async def talk() -> tuple[SessionAwareResponse, SessionAwareResponse]:
        ours, other = client(), client()
        async with ours, other:
            one = await turn(ours, "one")
            waiting = asyncio.create_task(turn(other, f"{CALL}<<wait>><<say B>>", one.session_id))
            # What has called a tool is on disk.
            await asyncio.to_thread(api.wait_for_requests, 3)
            two = await turn(ours, "two", one.session_id)
            assert seen(api) == ["one", "two"]
            api.go_on.set()
            await waiting
            return one, two

    one, two = run_async(talk())
    assert "Another process is at work in the session" in remarks(two)
    assert [exchange.reply for exchange in exchanges(str(one.session_id), None)] == ["You said: one", "B"]
    assert [exchange.reply for exchange in exchanges(str(two.session_id), None)] == ["You said: one", "You said: two"]


def cut_in_a_line(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    last = max(number for number, line in enumerate(lines) if b'"type":"user"' in line)
    path.write_bytes(b"".join(lines[:last]) + lines[last][:40])


def cut_after_a_line(path: Path) -> None:
    lines = path.read_bytes().splitlines(keepends=True)
    last = max(number for number, line in enumerate(lines) if b'"type":"user"' in line)
    path.write_bytes(b"".join(lines[:last]))


def deleted(path: Path) -> None:
    path.unlink()


def garbage(path: Path) -> None:
    path.write_bytes(bytes(range(256)) * 20)


def unreadable(path: Path) -> None:
    path.unlink()
    path.mkdir()


def emptied(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("damage", [cut_in_a_line, cut_after_a_line, deleted, garbage, unreadable, emptied])
def test_damaged_while_warm(damage: Damage, work: Path, home: Path, api: MessagesAPI, run_async: Run) -> None:
    """A process that lives knows what its transcript has lost: the turn is right, and says what a later one will miss."""

    async def talk() -> SessionAwareResponse:
        async with client() as ours:
            one = await turn(ours, "one")
            await turn(ours, "two", one.session_id)
            damage(transcript(home, one.session_id))
            three = await turn(ours, "three", one.session_id)
            four = remarks(await turn(ours, "four", one.session_id))
            assert "not kept" in four if damage is unreadable else four == ""
            return three

    three = run_async(talk())
    assert seen(api) == ["one", "two", "three", "four"]
    assert "The transcript of the session" in remarks(three)
    assert "for as long as its process lives" in remarks(three)


@pytest.mark.parametrize("damage", [cut_after_a_line, deleted])
def test_damaged_again(damage: Damage, work: Path, home: Path, api: MessagesAPI, run_async: Run) -> None:
    """Damage that takes away more than what was told before is told, too."""

    async def talk() -> list[str]:
        async with client() as ours:
            one = await turn(ours, "one")
            await turn(ours, "two", one.session_id)
            cut_after_a_line(transcript(home, one.session_id))
            said = [remarks(await turn(ours, prompt, one.session_id)) for prompt in ("three", "four")]
            damage(transcript(home, one.session_id))
            return [*said, remarks(await turn(ours, "five", one.session_id))]

    three, four, five = run_async(talk())
    assert 'lacks "two" with the answer' in three
    assert four == ""
    assert "The transcript of the session" in five
    assert seen(api) == ["one", "two", "three", "four", "five"]


@pytest.mark.parametrize("damage", [cut_in_a_line, cut_after_a_line])
def test_cut_while_cold(damage: Damage, work: Path, home: Path, api: MessagesAPI, run_async: Run) -> None:
    """What a cut has taken away is told by the turn that goes on without it."""

    async def talk() -> SessionAwareResponse:
        async with client() as ours:
            one = await turn(ours, "one")
            await turn(ours, "two", one.session_id)
            await ours.close_session(str(one.session_id))
            damage(transcript(home, one.session_id))
            three = await turn(ours, "three", one.session_id)
            assert remarks(await turn(ours, "four", one.session_id)) == ""
            return three

    three = run_async(talk())
    assert seen(api) == ["one", "three", "four"]
    assert 'lacks "two" with the answer. Claude goes on without it.' in remarks(three)


@pytest.mark.parametrize("damage", [deleted, garbage, unreadable, emptied])
def test_lost_while_cold(damage: Damage, work: Path, home: Path, api: MessagesAPI, run_async: Run) -> None:
    """Of a transcript that is gone, the error says what became of it."""

    async def talk() -> None:
        async with client() as ours:
            one = await turn(ours, "one")
            await ours.close_session(str(one.session_id))
            damage(transcript(home, one.session_id))
            with pytest.raises(SessionLostError, match="The transcript of the session"):
                await turn(ours, "two", one.session_id)

    run_async(talk())


@pytest.mark.parametrize(("one", "other"), [("week_1", "week-1"), ("课程一", "课程二"), ("📊", "📈")])
def test_names_that_look_alike(one: str, other: str, work: Path, api: MessagesAPI, run_async: Run, home: Path) -> None:
    """A directory neither shows nor touches the sessions of another to which the CLI gives the same folder."""

    async def talk() -> dict[str, str]:
        found = {}
        for name in (one, other):
            (work / name).mkdir()
            os.chdir(work / name)
            async with client() as ours:
                found[name] = str((await turn(ours, f"in {name}")).session_id)
        return found

    found = run_async(talk())
    assert transcript(home, found[one]).parent == transcript(home, found[other]).parent
    for name, another in ((one, other), (other, one)):
        where = str(work / name)
        assert [info.session_id for info in sessions.list_sessions(where)] == [found[name]]
        assert sessions.find_session(found[name][:8], where).directory == where
        for act in (
            lambda where=where, another=another: sessions.find_session(found[another][:8], where),
            lambda where=where, another=another: sessions.rename_session(found[another], "x", where),
            lambda where=where, another=another: sessions.delete_session(found[another], where),
        ):
            with pytest.raises(SessionNotFoundError):
                act()
        sessions.rename_session(found[name], "mine", where)
        assert sessions.find_session("mine", where).session_id == found[name]

    async def resume() -> None:
        async with client() as ours:
            with pytest.raises(SessionNotFoundError, match="belongs to"):
                await turn(ours, "two", found[one])  # from the other directory, where the talk has ended

    run_async(resume())


def test_one_bad_character(work: Path, home: Path, api: MessagesAPI, run_async: Run) -> None:
    """A bad character in one transcript breaks neither the listing of its directory nor the other lines."""

    async def talk() -> str:
        async with client() as ours:
            return str((await turn(ours, "one")).session_id)

    session_id = run_async(talk())
    path = transcript(home, session_id)
    path.write_bytes(b"\xff\xfe half a line\n" + path.read_bytes())
    (info,) = sessions.list_sessions(str(work))
    assert len(exchanges(info.session_id, info.directory)) == 1
