"""The command line that a client shows is true: it is what a person would type, and it gives the same answer."""

from __future__ import annotations

import json
import logging
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any, Literal

import psutil
import pytest
from messages_api import MessagesAPI
from watching import MakeConfig, Run, cli_pids, run_turn

from claude_magic.sdk import ClaudeClient, SessionAwareClient
from claude_magic.sdk._cli.command_line import find_cli
from claude_magic.sdk.config import TurnOptions
from claude_magic.sdk.schema import Schema

STREAM = ["--output-format", "stream-json", "--verbose"]
ALWAYS = ["--system-prompt-snapshot", "off"]
UNTRUSTED = ["--setting-sources", "user"]
ID = "11111111-2222-4333-8444-555555555555"
HARD_PROMPTS = [
    'it\'s "quoted" `here`',
    "two\nlines\n\nand a third",
    "--version",
    "-r is no flag here",
    "costs $HOME and $(whoami) and \\n !! * ~",
    "  spaces around  ",
    "ünïcödé 漢字 🎈",
]


@pytest.fixture
def client(make_config: MakeConfig) -> ClaudeClient:
    """A client that starts nothing: it is only asked for commands."""
    return ClaudeClient(make_config())


def result_of(command: list[str] | str, environment: dict[str, str], directory: Path) -> dict[str, Any]:
    """Run a command, typed or as a list, and return the CLI's result message."""
    ran = subprocess.run(
        command,
        shell=isinstance(command, str),
        executable="/bin/bash" if isinstance(command, str) else None,
        cwd=directory,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    lines = ran.stdout.splitlines()
    assert lines, ran.stderr
    return json.loads(lines[-1])


def test_is_exactly_this_list(client: ClaudeClient) -> None:
    """Prompt, session and stream flags stand where a person would write them."""
    rest = [*STREAM, *ALWAYS, *UNTRUSTED]
    assert list(client.command("hello")) == [find_cli(None), "-p", "hello", *rest]
    assert list(client.command("hello", resume_session_id=ID)) == [find_cli(None), "-p", "hello", "-r", ID, *rest]


def test_flags_of_the_config(make_config: MakeConfig) -> None:
    """Each choice of the config that the CLI must know is a flag."""
    config = make_config(
        model="sonnet",
        effort="low",
        system="be brief",
        max_turns=3,
        max_budget_usd=0.5,
        permission_mode="acceptEdits",
        allowed_tools=["Read", "Bash(git log:*)"],
    )
    assert list(ClaudeClient(config).command("hello", resume_session_id=ID))[8:] == [
        "--model",
        "sonnet",
        "--effort",
        "low",
        "--append-system-prompt",
        "be brief",
        *ALWAYS,
        "--max-turns",
        "3",
        "--max-budget-usd",
        "0.5",
        "--allowedTools",
        "Read,Bash(git log:*)",
        "--permission-mode",
        "acceptEdits",
        *UNTRUSTED,
    ]
    assert list(ClaudeClient(make_config(safe_mode=True)).command("hello"))[6:] == [
        *ALWAYS,
        "--tools",
        "Read,Glob,Grep",
        "--strict-mcp-config",
        *UNTRUSTED,
    ]


def test_named_cli_on_path_is_called_by_name(make_config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the shell finds the same program as `claude`, that is what a person would type."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "claude").symlink_to(find_cli(None))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=":")
    assert ClaudeClient(make_config()).command("hi").text.startswith("claude -p hi --output-format stream-json")


@pytest.mark.parametrize("prompt", HARD_PROMPTS)
def test_text_is_the_list_quoted_for_a_shell(prompt: str, client: ClaudeClient) -> None:
    """A shell reads back exactly the list from the text."""
    command = client.command(prompt, resume_session_id=ID)
    printed = subprocess.run(["/bin/bash", "-c", f"printf '%s\\0' {command.text}"], capture_output=True, text=True, check=True)
    assert printed.stdout.split("\0")[:-1] == list(command) == shlex.split(command.text)
    assert prompt in command
    assert command[command.index("-r") + 1] == ID


@pytest.mark.long
def test_gives_the_same_answer(make_config: MakeConfig, run_async: Run, environment: dict[str, str], workdir: Path) -> None:
    """The typed command gets the answer that the client gets, because the model sees the same prompt."""

    async def ask() -> None:
        async with SessionAwareClient(make_config(allowed_tools=["Read", "Bash(git log:*)"])) as client:
            for prompt in HARD_PROMPTS:
                result = result_of(client.command(prompt).text, environment, workdir)
                reply = await client.query_with_session(prompt, auto_resume_last=True)
                assert (result["result"], result["is_error"]) == (reply.content, False)
                assert reply.content == f"You said: {prompt.strip()}"

    run_async(ask())


@pytest.mark.long
@pytest.mark.parametrize("typed", [False, True], ids=["list", "text"])
def test_resumes_the_same_session(
    typed: bool, make_config: MakeConfig, run_async: Run, environment: dict[str, str], workdir: Path
) -> None:
    """Run with `-r`, it answers out of the same history as the client does."""

    async def ask() -> None:
        async with SessionAwareClient(make_config()) as client:
            first = [(await client.query_with_session("the first prompt")).session_id for _ in range(2)]
            by_client = await client.query_with_session("<<history>>", resume_session_id=first[0])
            command = client.command("<<history>>", resume_session_id=first[1])
        by_command = result_of(command.text if typed else command, environment, workdir)
        assert by_command["result"] == by_client.content == "- the first prompt\n- <<history>>"
        assert by_command["session_id"] == first[1]

    run_async(ask())


def test_debug_mode_logs_the_command_of_every_turn(
    make_config: MakeConfig, run_async: Run, caplog: pytest.LogCaptureFixture
) -> None:
    """With `debug_mode` each turn, failed ones too, leaves its command in the log, and no key."""
    with caplog.at_level(logging.DEBUG, "claude_magic.sdk"):

        async def ask() -> list[str]:
            async with SessionAwareClient(make_config(debug_mode=True)) as client:
                replies = [await client.query_with_session("one")]
                replies.append(await client.query_with_session("two", auto_resume_last=True))
                with pytest.raises(Exception, match="400"):
                    await client.query_with_session("<<status 400>>", auto_resume_last=True)
                failed = client.command("<<status 400>>", resume_session_id=client.last_session_id).text
                return [*(reply.metadata["command"] for reply in replies), failed]

        commands = run_async(ask())
    logged = [record.getMessage() for record in caplog.records if "turn: " in record.getMessage()]
    assert logged == [f"turn: {command}" for command in commands]
    assert "sk-dummy" not in caplog.text


def test_log_file_gets_commands_and_with_verbose_logging_events(
    make_config: MakeConfig, run_async: Run, tmp_path: Path
) -> None:
    """`log_file` holds the command; `verbose_logging` adds every event."""

    async def ask(**choices: Any) -> str:
        async with ClaudeClient(make_config(**choices)) as client:
            return (await client.query("hello")).metadata["command"]

    quiet, verbose = tmp_path / "quiet.log", tmp_path / "verbose.log"
    command = run_async(ask(debug_mode=True, log_file=quiet))
    run_async(ask(verbose_logging=True, log_file=str(verbose)))
    assert quiet.read_text().count(f"turn: {command}") == 1
    assert "event: " not in quiet.read_text()
    assert "TextDelta(block=0, text='You said: hello')" in verbose.read_text()
    assert "sk-dummy" not in quiet.read_text() + verbose.read_text()


def test_log_file_holds_no_credential(
    make_config: MakeConfig, run_async: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key of this process's environment, or of the config's `env`, is not in the log of what a tool and Claude said."""
    monkeypatch.setenv("MY_API_KEY", "correct-horse-battery")
    log, env = tmp_path / "verbose.log", {"OTHER_TOKEN": "staple-of-paper"}
    print_them = f"<<tool Bash {json.dumps({'command': 'printenv MY_API_KEY OTHER_TOKEN'})}>>"

    async def ask() -> str:
        config = make_config(verbose_logging=True, log_file=log, env=env, allowed_tools=["Bash(printenv:*)"])
        async with ClaudeClient(config) as client:
            return (await client.query(f"{print_them}<<say correct-horse-battery staple-of-paper>>")).content

    assert run_async(ask()) == "correct-horse-battery staple-of-paper"
    text = log.read_text()
    assert "ToolReturned(call_id=" in text
    assert "[MY_API_KEY] [OTHER_TOKEN]" in text
    assert "correct-horse-battery" not in text
    assert "staple-of-paper" not in text


def test_debug_mode_speaks_where_no_logging_is_set_up(environment: dict[str, str], workdir: Path) -> None:
    """In a script without logging of its own the command of a turn is on standard error."""
    code = (
        "import asyncio\nfrom claude_magic.sdk import *\n"
        "async def main():\n"
        "    async with ClaudeClient(ClaudeConfig(debug_mode=True)) as client:\n"
        "        print(await client.query('hello'))\n"
        "asyncio.run(main())\n"
    )
    ran = subprocess.run([sys.executable, "-c", code], env=environment, cwd=workdir, capture_output=True, text=True, check=True)
    assert ran.stdout == "You said: hello\n"
    assert "-p hello --output-format stream-json --verbose" in ran.stderr


@pytest.mark.parametrize("asked", [False, True], ids=["root alone", "by name"])
def test_an_application_that_logs_everything(
    asked: bool, make_config: MakeConfig, run_async: Run, caplog: pytest.LogCaptureFixture
) -> None:
    """A command, which holds the whole prompt, goes to an application's log when it asks for ours by name, without keys."""

    async def ask() -> None:
        async with ClaudeClient(make_config()) as client:
            await client.query("the key is sk-ant-api03-abcdefghijklmnopqrstuvwxyz0123456789")

    with caplog.at_level(logging.DEBUG), caplog.at_level(logging.DEBUG if asked else logging.NOTSET, "claude_magic.sdk"):
        run_async(ask())
    told = [record.getMessage() for record in caplog.records if record.name.startswith("claude_magic")]
    assert [message.startswith("turn: ") and "the key is" in message for message in told] == [True] * asked
    assert "abcdefghij" not in "".join(told)


def test_nothing_private_in_the_process_list(make_config: MakeConfig, run_async: Run, api: MessagesAPI) -> None:
    """System text and schema reach the model, however long and whatever is in them, and not the command line of the CLI."""
    system = "aubergine \0 \ud83d " + "x" * 200_000 + " courgette"
    options = TurnOptions(system=system, schema=Schema.of(dict[Literal["zucchini"], int]).text)

    async def ask() -> list[str]:
        async with ClaudeClient(make_config()) as client:
            reply = await run_turn(client, '<<tool StructuredOutput {"zucchini": 1}>>', options=options)
            assert reply.structured == {"zucchini": 1}
            return [word for pid in cli_pids() for word in psutil.Process(pid).cmdline()]

    words = " ".join(run_async(ask()))
    assert "stream-json" in words
    sent = json.dumps(api.requests[-1])
    for word in ("aubergine", "courgette", "zucchini"):
        assert word in sent
        assert word not in words
