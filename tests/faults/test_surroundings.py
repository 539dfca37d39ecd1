"""A warm process is renewed, in the same session, when what it was started with holds no more."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from messages_api import MessagesAPI
from rig.environment import own_variables
from rig.kernel import Kernel

from claude_magic.errors import NotLoggedInError
from claude_magic.sdk import ClaudeConfig, SessionAwareClient

Run = Callable[..., Any]


@pytest.fixture
def other_api() -> Iterator[MessagesAPI]:
    with MessagesAPI() as api:
        yield api


def test_another_address(loaded_kernel: Kernel, api: MessagesAPI, other_api: MessagesAPI) -> None:
    """`%env ANTHROPIC_BASE_URL=...` holds from the next cell on, which continues the conversation."""
    assert loaded_kernel.run("%%claude\none").ok
    before = loaded_kernel.value("__import__('os').environ['ANTHROPIC_BASE_URL']")
    loaded_kernel.run(f"%env ANTHROPIC_BASE_URL={other_api.url}")
    try:
        cell = loaded_kernel.run("%%claude\n<<history>>")
        assert cell.ok
        assert "- one" in cell.text
        assert (len(api.requests), len(other_api.requests)) == (1, 1)
    finally:
        loaded_kernel.run(f"%env ANTHROPIC_BASE_URL={before}")


def test_unchanged_surroundings(loaded_kernel: Kernel, api: MessagesAPI) -> None:
    """A variable that is none of the CLI's business renews nothing."""
    assert loaded_kernel.run("%%claude\none").ok
    before = {process.pid for process in loaded_kernel.children()}
    loaded_kernel.run("%env MY_DATA=somewhere")
    assert loaded_kernel.run("%%claude\ntwo").ok
    assert {process.pid for process in loaded_kernel.children()} == before


def test_settings_of_the_person(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path, api: MessagesAPI, run_async: Run
) -> None:
    """What is written into the person's settings holds for the next turn of the session."""
    monkeypatch.chdir(tmp_path)
    settings = home / ".claude" / "settings.json"

    async def ask() -> None:
        async with SessionAwareClient(ClaudeConfig(env=own_variables(home, api.url))) as client:
            await client.query_with_session("one")
            settings.write_text(json.dumps({"permissions": {"deny": ["Bash"]}}))
            await client.query_with_session("two", auto_resume_last=True)

    try:
        run_async(ask())
    finally:
        settings.unlink()
    offered = [{tool["name"] for tool in request["tools"]} for request in api.requests]
    assert "Bash" in offered[0] - offered[1]


def test_another_account(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path, api: MessagesAPI, run_async: Run) -> None:
    """The next turn has a process of its own after a login to another account, and only then."""
    monkeypatch.chdir(tmp_path)
    state = home / ".claude" / ".claude.json"

    def log_in(account: str) -> None:
        state.write_text(json.dumps(json.loads(state.read_text()) | {"oauthAccount": {"accountUuid": account}}))

    async def ask() -> list[set[int]]:
        seen = []
        async with SessionAwareClient(ClaudeConfig(env=own_variables(home, api.url))) as client:
            for account in ("", "one", "one", "other"):
                if account:
                    log_in(account)
                reply = await client.query_with_session("<<history>>", auto_resume_last=bool(seen))
                assert reply.content.count("- ") == len(seen) + 1
                seen.append({process.pid for process in psutil.Process().children(recursive=True)})
        return seen

    none, first, again, other = run_async(ask())
    state.unlink()
    assert first == again
    assert len(first - none) == len(other - again) > 0


def test_after_a_missing_login(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path, api: MessagesAPI, run_async: Run
) -> None:
    """A turn that failed for lack of a login leaves no process that would fail again."""
    monkeypatch.chdir(tmp_path)

    async def ask() -> None:
        env = own_variables(home, api.url)
        async with SessionAwareClient(ClaudeConfig(env=env | {"ANTHROPIC_API_KEY": ""})) as client:
            with pytest.raises(NotLoggedInError):
                await client.query_with_session("one")
            client.config.env = env
            assert (await client.query_with_session("two")).content == "You said: two"

    run_async(ask())
