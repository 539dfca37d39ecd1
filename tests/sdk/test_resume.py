"""Sessions go on: by ID, by themselves, in the live process when there is one and from disk when there is none."""

from __future__ import annotations

from pathlib import Path

import pytest
from messages_api import MessagesAPI
from watching import UNKNOWN, MakeConfig, Run, cli_pids

from claude_magic.errors import ClaudeError, SessionNotFoundError
from claude_magic.sdk import ClaudeSDKWrapper, SessionAwareClient

HISTORY = "- one\n- <<history>>"


def test_live_process_is_used(make_config: MakeConfig, run_async: Run) -> None:
    """A session whose process lives goes on in that process, with its history."""

    async def ask() -> None:
        async with SessionAwareClient(make_config()) as client:
            first = await client.query_with_session("one")
            (pid,) = cli_pids()
            second = await client.query_with_session("<<history>>", resume_session_id=first.session_id)
            assert cli_pids() == {pid}
        assert second.session_id == first.session_id
        assert second.content == HISTORY

    run_async(ask())


def test_new_client_resumes_from_disk(make_config: MakeConfig, run_async: Run) -> None:
    """Another client starts the CLI with the resume flag and finds the whole history."""

    async def ask() -> None:
        async with SessionAwareClient(make_config()) as client:
            session_id = (await client.query_with_session("one")).session_id
            old = cli_pids()
        async with SessionAwareClient(make_config()) as client:
            reply = await client.query_with_session("<<history>>", resume_session_id=session_id)
            assert not cli_pids() & old
            assert client.last_session_id == session_id
        assert (reply.session_id, reply.content) == (session_id, HISTORY)

    run_async(ask())


def test_closed_process_is_replaced(make_config: MakeConfig, run_async: Run) -> None:
    """A session whose process was closed goes on in a new one, in the same client."""

    async def ask() -> None:
        async with SessionAwareClient(make_config()) as client:
            session_id = (await client.query_with_session("one")).session_id
            await client.close_session(session_id)
            assert cli_pids() == set()
            reply = await client.query_with_session("<<history>>", resume_session_id=session_id)
        assert (reply.session_id, reply.content) == (session_id, HISTORY)

    run_async(ask())


@pytest.mark.parametrize("same_client", [True, False])
def test_resumes_from_another_directory(
    same_client: bool,
    make_config: MakeConfig,
    run_async: Run,
    tmp_path: Path,
    workdir: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A session goes on where it began, wherever the program is by then; also in a client that never saw it."""

    async def ask() -> None:
        async with SessionAwareClient(make_config(max_warm=0)) as client:
            session_id = (await client.query_with_session("one")).session_id
            monkeypatch.chdir(tmp_path)
            if same_client:
                reply = await client.query_with_session("<<history>>", resume_session_id=session_id)
        if not same_client:
            async with SessionAwareClient(make_config()) as client:
                reply = await client.query_with_session("<<history>>", resume_session_id=session_id)
        assert (reply.session_id, reply.content) == (session_id, HISTORY)
        assert reply.directory == str(workdir)

    run_async(ask())


def test_unknown_session_and_the_documented_fallback(make_config: MakeConfig, run_async: Run, api: MessagesAPI) -> None:
    """An unknown ID raises SessionNotFoundError before anything is sent; catching it and asking anew works."""

    async def ask() -> None:
        async with SessionAwareClient(make_config()) as client:
            failures: list[SessionNotFoundError] = []
            try:
                reply = await client.query_with_session("go on", resume_session_id=UNKNOWN)
            except SessionNotFoundError as error:
                failures.append(error)
                sent = list(api.requests)
                reply = await client.query_with_session("go on")
            assert (sent, UNKNOWN in str(failures[0]), bool(failures[0].next_step)) == ([], True, True)
            assert reply.session_id not in (None, UNKNOWN)
            assert reply.content == "You said: go on"

    run_async(ask())


@pytest.mark.parametrize("wanted", ["not-a-uuid", "--help", "a title with spaces"])
def test_id_that_is_none(wanted: str, make_config: MakeConfig, run_async: Run, api: MessagesAPI) -> None:
    """What is no session ID at all raises the same error, also when it looks like a flag."""

    async def ask() -> None:
        async with SessionAwareClient(make_config()) as client:
            with pytest.raises(SessionNotFoundError):
                await client.query_with_session("go on", resume_session_id=wanted)
        assert api.requests == []

    run_async(ask())


def test_unknown_session_does_not_become_the_last_one(make_config: MakeConfig, run_async: Run) -> None:
    """After a failed resume the last session is the one before, so that auto-resume goes on with that."""

    async def ask() -> None:
        async with SessionAwareClient(make_config()) as client:
            first = await client.query_with_session("one")
            with pytest.raises(SessionNotFoundError):
                await client.query_with_session("go on", resume_session_id=UNKNOWN)
            assert client.last_session_id == first.session_id
            reply = await client.query_with_session("<<history>>", auto_resume_last=True)
        assert (reply.session_id, reply.content) == (first.session_id, HISTORY)

    run_async(ask())


def test_fallback_by_auto_resume(make_config: MakeConfig, run_async: Run) -> None:
    """In a client that has no session yet, auto-resume after a failed resume starts one."""

    async def ask() -> None:
        async with SessionAwareClient(make_config()) as client:
            with pytest.raises(SessionNotFoundError):
                await client.query_with_session("go on", resume_session_id=UNKNOWN)
            assert client.last_session_id is None
            reply = await client.query_with_session("hello", auto_resume_last=True)
            assert reply.content == "You said: hello"

    run_async(ask())


def test_auto_resume(make_config: MakeConfig, run_async: Run) -> None:
    """It starts a session when there is none, then continues it; an ID wins; clear_session forgets."""

    async def ask() -> None:
        async with SessionAwareClient(make_config()) as client:
            assert client.last_session_id is None
            first = await client.query_with_session("one", auto_resume_last=True)
            assert client.last_session_id == first.session_id
            second = await client.query_with_session("<<history>>", auto_resume_last=True)
            assert (second.session_id, second.content) == (first.session_id, HISTORY)

            other = await client.query_with_session("other")
            assert client.last_session_id == other.session_id != first.session_id
            by_id = await client.query_with_session("two", resume_session_id=first.session_id, auto_resume_last=True)
            assert by_id.session_id == client.last_session_id == first.session_id

            client.clear_session()
            assert client.last_session_id is None
            fresh = await client.query_with_session("<<history>>", auto_resume_last=True)
            assert fresh.content == "- <<history>>"
            back = await client.query_with_session("hello", resume_session_id=first.session_id)
            assert back.session_id == first.session_id

    run_async(ask())


def test_deleted_directory_says_what_is_wrong(
    make_config: MakeConfig, run_async: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session whose directory is gone raises an error of ours that names the directory, not one about the CLI."""
    gone = tmp_path / "gone"
    gone.mkdir()

    async def ask() -> None:
        async with SessionAwareClient(make_config(max_warm=0)) as client:
            monkeypatch.chdir(gone)
            session_id = (await client.query_with_session("one")).session_id
            monkeypatch.chdir(tmp_path)
            gone.rmdir()
            with pytest.raises(ClaudeError, match=str(gone)) as caught:
                await client.query_with_session("two", resume_session_id=session_id)
            assert "CLI" not in type(caught.value).__name__

    run_async(ask())


def test_clear_command_moves_on_to_the_new_session(make_config: MakeConfig, run_async: Run) -> None:
    """After /clear auto-resume continues the new, empty session, and the old one can still be resumed."""

    async def ask() -> None:
        async with SessionAwareClient(make_config()) as client:
            old = (await client.query_with_session("one")).session_id
            cleared = await client.query_with_session("/clear", auto_resume_last=True)
            assert client.last_session_id == cleared.session_id != old
            new = await client.query_with_session("<<history>>", auto_resume_last=True)
            assert (new.session_id, "one" in new.content) == (cleared.session_id, False)
            back = await client.query_with_session("<<history>>", resume_session_id=old)
            assert "- one" in back.content

    run_async(ask())


def test_wrapper(make_config: MakeConfig, run_async: Run) -> None:
    """The wrapper gives text and session ID, continues its last session or one by ID, and ends its processes."""

    async def ask() -> None:
        async with ClaudeSDKWrapper(make_config()) as claude:
            text, session_id = await claude.execute("one")
            assert text == "You said: one"
            assert await claude.execute("<<history>>", resume_last_session=True) == (HISTORY, session_id)
            _, other = await claude.execute("other")
            assert other != session_id
            text, same = await claude.execute("<<history>>", resume_session_id=session_id, resume_last_session=True)
            assert (text, same) == (HISTORY + "\n- <<history>>", session_id)
            assert claude.last_session_id == session_id
            claude.clear_session()
            assert (await claude.execute("<<history>>", resume_last_session=True))[0] == "- <<history>>"
            with pytest.raises(SessionNotFoundError):
                await claude.execute("go on", resume_session_id=UNKNOWN)
        assert cli_pids() == set()

    run_async(ask())
