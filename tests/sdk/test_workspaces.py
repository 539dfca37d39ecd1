"""Workspaces: a directory of its own for a turn and its session, made on first use, removed only when that is wanted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from messages_api import MessagesAPI
from watching import MakeConfig, Run, cli_pids

from claude_magic.errors import ConfigError, WorkspaceError
from claude_magic.sdk import ClaudeClient, SessionAwareClient

BAD_IDS = ["", ".", "..", "...", "a/b", "../a", "a\\b", "/tmp", "a b", "a\n", "é", "x" * 65, "a\0", "~", "$HOME"]
GOOD_IDS = ["a", "x" * 64, "A-b_c.9", ".hidden", "-dash"]


def test_turn_and_session_live_there(make_config: MakeConfig, run_async: Run, tmp_path: Path, workdir: Path) -> None:
    """The directory is made, the CLI works in it, and the session goes on there without naming the workspace."""
    base = tmp_path / "deep" / "base"

    async def ask() -> None:
        async with SessionAwareClient(make_config(workspace_dir=base, allowed_tools=["Bash"])) as client:
            reply = await client.query_with_session('<<tool Bash {"command": "pwd > here"}>><<say ok>>', workspace_id="one")
            assert (base / "one" / "here").read_text().strip() == str(base / "one") == reply.directory
            again = await client.query_with_session("<<history>>", auto_resume_last=True)
            assert (again.session_id, again.directory) == (reply.session_id, str(base / "one"))
            await client.close_session(str(reply.session_id))
            cold = await client.query_with_session("<<history>>", resume_session_id=reply.session_id)
            assert (cold.session_id, cold.directory) == (reply.session_id, str(base / "one"))

    run_async(ask())
    assert list(workdir.iterdir()) == []
    assert (base / "one").is_dir()


def test_resumed_by_a_new_client(make_config: MakeConfig, run_async: Run, tmp_path: Path) -> None:
    """A new client resumes the session of a workspace by its ID alone, in that workspace."""

    async def ask() -> None:
        async with SessionAwareClient(make_config(workspace_dir=tmp_path / "base")) as client:
            first = await client.query_with_session("one", workspace_id="one")
        async with SessionAwareClient(make_config()) as client:
            reply = await client.query_with_session("<<history>>", resume_session_id=first.session_id)
        assert (reply.session_id, reply.content) == (first.session_id, "- one\n- <<history>>")
        assert reply.directory == first.directory == str(tmp_path / "base" / "one")

    run_async(ask())


@pytest.mark.parametrize("workspace_id", BAD_IDS, ids=ascii)
def test_bad_ids(workspace_id: str, make_config: MakeConfig, run_async: Run, tmp_path: Path, api: MessagesAPI) -> None:
    """An ID that is no plain name raises WorkspaceError before anything is made or sent."""

    async def ask() -> None:
        async with ClaudeClient(make_config(workspace_dir=tmp_path / "base")) as client:
            with pytest.raises(WorkspaceError) as caught:
                await client.query("hello", workspace_id=workspace_id)
            assert isinstance(caught.value, ConfigError)
            with pytest.raises(WorkspaceError):
                client.command("hello", workspace_id=workspace_id)
            with pytest.raises(WorkspaceError):
                await anext(client.stream_query("hello", workspace_id=workspace_id))

    run_async(ask())
    assert not (tmp_path / "base").exists()
    assert (api.requests, cli_pids()) == ([], set())


def test_good_ids(make_config: MakeConfig, tmp_path: Path) -> None:
    """Letters, digits, dot, underscore and dash are allowed, 64 of them."""
    client = ClaudeClient(make_config(workspace_dir=tmp_path / "base"))
    for workspace_id in GOOD_IDS:
        client.command("hello", workspace_id=workspace_id)
    assert sorted(path.name for path in (tmp_path / "base").iterdir()) == sorted(GOOD_IDS)


def test_link_is_not_followed(make_config: MakeConfig, run_async: Run, tmp_path: Path) -> None:
    """A workspace that is a symbolic link to elsewhere is refused, also a dangling one; what it names is left alone."""
    (tmp_path / "base").mkdir()
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "base" / "link").symlink_to(tmp_path / "elsewhere")
    (tmp_path / "base" / "dangling").symlink_to(tmp_path / "nowhere")

    async def ask() -> None:
        async with ClaudeClient(make_config(workspace_dir=tmp_path / "base", workspace_cleanup_on_exit=True)) as client:
            for workspace_id in ("link", "dangling"):
                with pytest.raises(WorkspaceError):
                    await client.query("hello", workspace_id=workspace_id)

    run_async(ask())
    assert (tmp_path / "elsewhere").is_dir()
    assert not (tmp_path / "nowhere").exists()


def test_place_that_cannot_be_used(make_config: MakeConfig, run_async: Run, tmp_path: Path) -> None:
    """A file where the workspace or its base should be is a WorkspaceError."""
    (tmp_path / "file").write_text("")
    (tmp_path / "base").mkdir()
    (tmp_path / "base" / "taken").write_text("")

    async def ask() -> None:
        async with ClaudeClient(make_config(workspace_dir=tmp_path / "file")) as client:
            with pytest.raises(WorkspaceError):
                await client.query("hello", workspace_id="one")
        async with ClaudeClient(make_config(workspace_dir=tmp_path / "base")) as client:
            with pytest.raises(WorkspaceError):
                await client.query("hello", workspace_id="taken")

    run_async(ask())


def test_clean_up_removes_only_what_was_created(make_config: MakeConfig, run_async: Run, tmp_path: Path) -> None:
    """With workspace_cleanup_on_exit the new workspace goes; one that was there, and what it holds, stays."""
    base = tmp_path / "base"
    (base / "old").mkdir(parents=True)
    (base / "old" / "kept.txt").write_text("kept")
    (base / "stranger").mkdir()
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "kept.txt").write_text("kept")

    async def ask() -> None:
        async with ClaudeClient(make_config(workspace_dir=base, workspace_cleanup_on_exit=True)) as client:
            await client.query("hello", workspace_id="old")
            await client.query("hello", workspace_id="new")
            (base / "new" / "result.txt").write_text("x")
            (base / "new" / "link").symlink_to(tmp_path / "precious")

    run_async(ask())
    assert sorted(path.name for path in base.iterdir()) == ["old", "stranger"]
    assert (base / "old" / "kept.txt").read_text() == (tmp_path / "precious" / "kept.txt").read_text() == "kept"


def test_nothing_is_removed_by_default(make_config: MakeConfig, run_async: Run, tmp_path: Path) -> None:
    """Unless the config says so, workspaces stay."""

    async def ask() -> None:
        async with ClaudeClient(make_config(workspace_dir=tmp_path / "base")) as client:
            await client.query("hello", workspace_id="new")

    run_async(ask())
    assert (tmp_path / "base" / "new").is_dir()


def test_workspace_replaced_by_a_link_is_not_followed(make_config: MakeConfig, run_async: Run, tmp_path: Path) -> None:
    """When a workspace has become a link by the time of the clean-up, what it names is left alone."""
    base, precious = tmp_path / "base", tmp_path / "precious"
    precious.mkdir()
    (precious / "kept.txt").write_text("kept")

    async def ask() -> None:
        async with ClaudeClient(make_config(workspace_dir=base, workspace_cleanup_on_exit=True)) as client:
            client.command("hello", workspace_id="new")
            os.rmdir(base / "new")
            (base / "new").symlink_to(precious)

    run_async(ask())
    assert (precious / "kept.txt").read_text() == "kept"


def test_relative_base_follows_no_later_chdir(
    make_config: MakeConfig, run_async: Run, tmp_path: Path, workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative workspace_dir means the directory in which the client was made."""

    async def ask() -> None:
        async with ClaudeClient(make_config(workspace_dir="base")) as client:
            client.command("hello", workspace_id="one")
            monkeypatch.chdir(tmp_path)
            client.command("hello", workspace_id="two")

    run_async(ask())
    assert sorted(path.name for path in (workdir / "base").iterdir()) == ["one", "two"]
    assert not (tmp_path / "base").exists()
