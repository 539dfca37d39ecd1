"""`list_sessions`: what the CLI has on disk for a directory."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from watching import MakeConfig, Run

from claude_magic.sdk import ClaudeClient, SessionAwareClient, SessionInfo


def test_lists_the_sessions_of_the_directory(
    make_config: MakeConfig,
    run_async: Run,
    sdk_env: dict[str, str],
    workdir: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The sessions of the working directory or of a workspace are listed, last used first, with their first prompt."""
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", sdk_env["CLAUDE_CONFIG_DIR"])

    async def ask() -> list[SessionInfo]:
        async with SessionAwareClient(make_config(workspace_dir=tmp_path / "base")) as client:
            assert await client.list_sessions() == []
            first = await client.query_with_session("the first")
            second = await client.query_with_session("the second")
            await client.query_with_session("again", resume_session_id=first.session_id)
            other = await client.query_with_session("elsewhere", workspace_id="one")
            listed = await client.list_sessions()
            assert [session.session_id for session in listed] == [first.session_id, second.session_id]
            assert [session.session_id for session in await client.list_sessions("one")] == [other.session_id]
            return listed

    listed = run_async(ask())
    assert [session.first_prompt for session in listed] == ["the first", "the second"]
    assert {session.directory for session in listed} == {str(workdir)}
    assert datetime.now(UTC) - listed[0].last_used < timedelta(minutes=1)
    assert (listed[0].size_bytes or 0) > 0


@pytest.mark.parametrize("variable", ["CLAUDE_CONFIG_DIR", "HOME"])
def test_looks_where_the_cli_of_the_config_writes(
    variable: str, make_config: MakeConfig, run_async: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A CLI that `env` gives another home keeps its sessions there, and they are listed, and resumed, from there."""
    monkeypatch.delenv("CLAUDE_CONFIG_DIR")
    config = make_config(env={variable: str(tmp_path / "other")})
    if variable == "HOME":
        del config.env["CLAUDE_CONFIG_DIR"]

    async def ask() -> None:
        async with ClaudeClient(config) as client:
            session_id = (await client.query("one")).session_id
            assert [session.session_id for session in await client.list_sessions()] == [session_id]

    run_async(ask())
