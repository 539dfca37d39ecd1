"""`exchanges`: what a session's transcript says, read from files that the CLI itself has written."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from rig.pace import at_some_pace
from watching import QUICK, MakeConfig, Run, run_turn

from claude_magic.errors import APIError, SessionNotFoundError, TurnTimeoutError
from claude_magic.sdk import ClaudeClient
from claude_magic.sdk._history.sessions import find_session
from claude_magic.sdk._history.transcripts import Exchange, exchanges, last_message_id
from claude_magic.sdk.response import Text, ToolCall

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

Talk = Callable[..., str]


@pytest.fixture
def talk(
    make_config: MakeConfig, run_async: Run, sdk_env: dict[str, str], workdir: Path, monkeypatch: pytest.MonkeyPatch
) -> Talk:
    """Ask prompts in one session, whatever becomes of them, and return its ID: `talk("one", "two", files=[...])`."""
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", sdk_env["CLAUDE_CONFIG_DIR"])

    def ask_all(*prompts: str, timeout: float | None = None, files: list[str] | None = None) -> str:
        async def ask() -> str:
            session_id = None
            async with ClaudeClient(make_config(env=QUICK, allowed_tools=["Bash"])) as client:
                for prompt in prompts:
                    try:
                        reply = await run_turn(client, prompt, session_id=session_id, timeout=timeout, files=files)
                        session_id = reply.session_id
                    except (APIError, TurnTimeoutError) as failure:
                        session_id = failure.session_id
            assert session_id is not None
            return session_id

        session_id: str = run_async(ask())
        return session_id

    return ask_all


def read(session_id: str) -> list[Exchange]:
    """Read a session, in its directory and wherever it is; the number of turns that `list` shows is the same."""
    found = exchanges(session_id, str(Path.cwd()))
    assert said(found) == said(exchanges(session_id, None))
    listed = find_session(session_id, str(Path.cwd()))
    assert len(exchanges(listed.session_id, listed.directory)) == len(found)
    return found


def said(found: list[Exchange]) -> list[tuple[str, str]]:
    return [(exchange.prompt, exchange.reply) for exchange in found]


def test_text_thinking_and_tools(talk: Talk) -> None:
    """Texts and tool calls come in their order; thinking and tools' results are left out."""
    prompt = '<<think hm>><<say looking>><<tool Bash {"command": "echo hi; exit 3"}>><<say found>><<say it>>'
    session_id = talk("  hello\n  Ülkü ", prompt)
    first, second = read(session_id)
    assert said([first]) == [("  hello\n  Ülkü ", "You said: hello\n  Ülkü")]
    assert (second.prompt, second.reply) == (prompt, "looking\n\nfound\n\nit")
    assert [type(block) for block in second.blocks] == [Text, ToolCall, Text, Text]
    call = second.blocks[1]
    assert isinstance(call, ToolCall)
    assert (call.name, call.input["command"], call.complete, call.is_error, call.result) == (
        "Bash",
        "echo hi; exit 3",
        True,
        True,
        "",
    )
    assert last_message_id(session_id, None) == second.message_id != first.message_id


def test_files(talk: Talk, workdir: Path) -> None:
    """Files and images that went with a prompt are named, and are no part of it."""
    (workdir / "data.csv").write_text("a,b\n")
    (workdir / "plot.png").write_bytes(base64.b64decode(PIXEL))
    (exchange,) = read(talk("what is it", files=["plot.png", "data.csv"]))
    assert (exchange.prompt, exchange.attachments) == ("what is it", ("an image", "data.csv"))


@pytest.mark.parametrize("before", ["<<say so far>>", ""])
@at_some_pace
def test_interrupted(before: str, talk: Talk, pace: int) -> None:
    """A turn that was stopped keeps what had arrived and says that it was; the next one is not mixed up with it."""
    stopped, after = read(talk(f"{before}<<hang>>", "after", timeout=3 * pace))
    assert (stopped.reply, stopped.trouble) == ("so far" if before else "", "Interrupted.")
    assert (stopped.message_id is not None) == bool(before)
    assert (after.reply, after.trouble) == ("You said: after", "")


def test_failed(talk: Talk) -> None:
    """What the CLI says in the model's place is no reply but the trouble; the session goes on from the prompt that failed."""
    session_id = talk("one", "<<status 400>>")
    one, failed = read(session_id)
    assert (failed.reply, failed.message_id) == ("", None)
    assert "scripted 400" in failed.trouble
    assert last_message_id(session_id, None) not in (None, one.message_id)


def test_compacted(talk: Talk) -> None:
    """What was said before a conversation was compacted is there; the summary is no prompt."""
    found = read(talk("one", "two", "/compact", "three", "/compact"))
    assert said(found) == [("one", "You said: one"), ("two", "You said: two"), ("three", "You said: three")]


def test_cleared(talk: Talk) -> None:
    """A cleared session begins anew, and the command that did it is no turn."""
    assert said(read(talk("one", "/clear", "two"))) == [("two", "You said: two")]


def test_commands(talk: Talk, sdk_env: dict[str, str]) -> None:
    """A command of somebody's own is a turn, as it was typed; one that the CLI answers by itself is none."""
    commands = Path(sdk_env["CLAUDE_CONFIG_DIR"]) / "commands"
    commands.mkdir(parents=True)
    (commands / "greet.md").write_text("<<say hello>> $ARGUMENTS")
    assert said(read(talk("one", "/greet Bob", "/context"))) == [("one", "You said: one"), ("/greet Bob", "hello")]


def test_forked(talk: Talk, make_config: MakeConfig, run_async: Run) -> None:
    """A fork holds what it was forked from; the session itself stays as it was."""
    session_id = talk("one")

    async def fork() -> str:
        async with ClaudeClient(make_config()) as client:
            return str((await run_turn(client, "two", session_id=session_id, fork=True)).session_id)

    assert said(read(run_async(fork()))) == [("one", "You said: one"), ("two", "You said: two")]
    assert said(read(session_id)) == [("one", "You said: one")]


def test_read_while_it_runs(
    make_config: MakeConfig, run_async: Run, sdk_env: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reply is in the transcript when its turn has ended, while the CLI lives, and in a thread whose loop runs."""
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", sdk_env["CLAUDE_CONFIG_DIR"])

    async def ask() -> None:
        async with ClaudeClient(make_config()) as client:
            reply = await client.query("one")
            session_id = str(reply.session_id)
            assert last_message_id(session_id, None) == reply.message_id
            await client.query("/compact", session_id=session_id)
            assert said(read(session_id)) == [("one", "You said: one")]

    run_async(ask())


def test_not_there(sdk_env: dict[str, str], workdir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session that is not there, or that is damaged, has no exchanges, and none is made up."""
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", sdk_env["CLAUDE_CONFIG_DIR"])
    session_id = "11111111-1111-4111-8111-111111111111"
    assert exchanges(session_id, str(workdir)) == []
    assert exchanges("no ID", str(workdir)) == []
    with pytest.raises(SessionNotFoundError):
        last_message_id(session_id, str(workdir))
    directory = Path(sdk_env["CLAUDE_CONFIG_DIR"]) / "projects" / "somewhere"
    directory.mkdir(parents=True)
    entries = [
        {"type": "user", "uuid": "a", "parentUuid": None, "message": {"role": "user", "content": "half \ud83d"}},
        {"type": "assistant", "uuid": "b", "parentUuid": "a", "message": {"content": [7, {"type": "text"}, None]}},
        {"type": "assistant", "uuid": "c", "parentUuid": "b", "message": "?"},
        {"type": ["user"], "uuid": {}, "parentUuid": [], "message": 5},
        {"type": "user", "uuid": "d", "parentUuid": {"a": 1}, "message": {"role": "user", "content": "after nothing"}},
    ]
    (directory / f"{session_id}.jsonl").write_text("\n".join(map(json.dumps, entries)) + '\n{"type": "us')
    assert said(exchanges(session_id, None)) == [("half \ufffd", "")]
