"""The four checks of the client's document: session ID extraction, command generation, resumption, auto-resume.

    python tests/test_session_functionality.py          against the scripted API, with the CLI's real sessions
    python tests/test_session_functionality.py --live   against your own login: six short prompts, a few cents

It prints a line for each check and exits with 1 when one of them failed. pytest collects the checks as four tests.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from messages_api import MessagesAPI
from rig.environment import is_foreign, own_variables

from claude_magic.errors import ClaudeError
from claude_magic.sdk import ClaudeConfig, SessionAwareClient

Check = Callable[[ClaudeConfig], Awaitable[None]]

REMEMBER = "The number is 4711. Answer with OK only."
RECALL = "Which number did I tell you? Answer with the number only, or with NONE."
SCRIPT = {REMEMBER: "<<say OK>>", RECALL: "<<history>>"}
"""The scripted model recalls by saying what it was told."""


async def session_id_extraction(config: ClaudeConfig) -> None:
    """A reply carries a session ID, and it is the one in the CLI's own result."""
    async with SessionAwareClient(config) as client:
        reply = await client.query_with_session(REMEMBER)
        assert str(uuid.UUID(reply.session_id)) == reply.session_id
        assert reply.raw_json is not None
        assert reply.raw_json["session_id"] == reply.session_id == client.last_session_id


async def command_generation(config: ClaudeConfig) -> None:
    """The command resumes with -r, and run as it is it answers out of that session."""
    async with SessionAwareClient(config) as client:
        first = await client.query_with_session(REMEMBER)
        command = client.command(RECALL, resume_session_id=first.session_id)
    assert command[1:5] == ["-p", RECALL, "-r", first.session_id]
    environment = {**os.environ, **config.env}
    ran = await asyncio.to_thread(
        subprocess.run, command, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True
    )
    result = json.loads(ran.stdout.splitlines()[-1])
    assert result["session_id"] == first.session_id
    assert "4711" in result["result"]


async def resumption(config: ClaudeConfig) -> None:
    """Another client that is given the ID goes on with the session."""
    async with SessionAwareClient(config) as client:
        first = await client.query_with_session(REMEMBER)
    async with SessionAwareClient(config) as client:
        second = await client.query_with_session(RECALL, resume_session_id=first.session_id)
    assert second.session_id == first.session_id
    assert "4711" in second.content


async def auto_resume(config: ClaudeConfig) -> None:
    """A client goes on with its last session by itself, and after clear_session it does not."""
    async with SessionAwareClient(config) as client:
        first = await client.query_with_session(REMEMBER, auto_resume_last=True)
        second = await client.query_with_session(RECALL, auto_resume_last=True)
        assert second.session_id == first.session_id
        assert "4711" in second.content
        client.clear_session()
        assert client.last_session_id is None


CHECKS: dict[str, Check] = {
    "session ID extraction": session_id_extraction,
    "command generation with -r": command_generation,
    "resumption": resumption,
    "auto-resume": auto_resume,
}


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClaudeConfig]:
    """A config whose CLI asks an API that knows the prompts of the checks."""
    with MessagesAPI(SCRIPT.get) as api:
        yield ClaudeConfig(env=own_variables(tmp_path_factory.mktemp("home"), api.url))


@pytest.mark.parametrize("name", CHECKS)
def test_check(name: str, config: ClaudeConfig, run_async: Callable[..., Any]) -> None:
    """Each of the document's checks holds."""
    run_async(CHECKS[name](config))


async def report(config: ClaudeConfig) -> bool:
    """Run all checks, print a line for each, and return whether all hold."""
    good = True
    for name, check in CHECKS.items():
        try:
            await check(config)
        except (AssertionError, ClaudeError, subprocess.CalledProcessError, ValueError) as error:
            good = False
            print(f"{name}: FAILED: {' '.join(str(error).split()) or type(error).__name__}", flush=True)
        else:
            print(f"{name}: ok", flush=True)
    return good


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--live", action="store_true", help="use your own login; the prompts are short, and cost little")
    if parser.parse_args().live:
        return 0 if asyncio.run(report(ClaudeConfig())) else 1
    for name in filter(is_foreign, list(os.environ)):
        del os.environ[name]
    with tempfile.TemporaryDirectory() as directory, MessagesAPI(SCRIPT.get) as api:
        os.chdir(directory)
        good = asyncio.run(report(ClaudeConfig(env=own_variables(Path(directory, "home"), api.url))))
        os.chdir("/")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
