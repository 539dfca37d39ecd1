"""Turns are recorded while they are live, and played without a CLI; both look the same."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
from messages_api import MessagesAPI
from rig.pace import at_some_pace
from watching import QUICK, MakeConfig, Run, cli_pids, run_turn

from claude_magic._render.parts.reply_wording import footer
from claude_magic.errors import APIError, NotLoggedInError, TurnInterrupted, TurnTimeoutError
from claude_magic.sdk import Cassette, ClaudeClient, ClaudeConfig, Event, SessionAwareClient, SessionAwareResponse, cassette
from claude_magic.sdk.config import TurnOptions
from claude_magic.sdk.events import PermissionAnswered, TextDelta, ToolReturned
from claude_magic.sdk.host import Decision, PermissionAnswer, PermissionRequest, Tool, ToolResult

NO_CLI = ClaudeConfig(cli_path="/nowhere/claude", env={"ANTHROPIC_BASE_URL": "http://127.0.0.1:9"})
"""A client that could not go live if it wanted to."""

RUN_CODE = Tool("run_code", "Run code.", {"type": "object", "properties": {"code": {"type": "string"}}})
LOOK = Tool("look", "Look.", {"type": "object", "properties": {}}, read_only=True)
CALL = '<<think Hm.>><<tool mcp__kernel__look {}>><<tool mcp__kernel__run_code {"code": "x = 1"}>><<say done>>'


class Person:
    """A host that answers every question in the same way, and counts what it did."""

    def __init__(self, decision: Decision = Decision.ONCE) -> None:
        self.decision = decision
        self.asked: list[PermissionRequest] = []
        self.called: list[tuple[str, dict[str, Any]]] = []
        self.events: list[Event] = []

    def emit(self, event: Event) -> None:
        self.events.append(event)

    async def ask(self, request: PermissionRequest) -> PermissionAnswer:
        self.asked.append(request)
        return PermissionAnswer(self.decision, "Not now." if self.decision is Decision.DENY else "")

    async def call(self, tool: str, arguments: dict[str, Any]) -> ToolResult:
        self.called.append((tool, arguments))
        return ToolResult(f"{tool} done, time {len(self.called)}")


def seen(reply: SessionAwareResponse) -> list[Any]:
    """Return what a reader sees of a reply, without times."""
    blocks = [(type(block).__name__, block.number, getattr(block, "text", None)) for block in reply.blocks]
    calls = [
        (block.name, block.input, block.result, block.permission, block.denied)
        for block in reply.blocks
        if type(block).__name__ == "ToolCall"
    ]
    told = {key: value for key, value in reply.metadata.items() if key not in ("command", "duration_s", "recorded")}
    return [reply.content, reply.session_id, reply.message_id, reply.structured, blocks, calls, told]


def test_replay_is_what_was_live(make_config: MakeConfig, run_async: Run, tmp_path: Path) -> None:
    """A conversation with thinking and tools comes back whole, without a CLI: only the mark and the command differ."""
    prompts = ["<<think First.>><<say one>>", '<<tool Glob {"pattern": "*"}>><<say two>>', "<<stream 20 5>>"]

    async def ask(config: ClaudeConfig, mode: str) -> list[SessionAwareResponse]:
        with cassette(tmp_path / "lesson.jsonl", mode=mode, speed=0):
            async with SessionAwareClient(config) as client:
                replies = [await client.query_with_session(prompt, auto_resume_last=True) for prompt in prompts]
                assert len(cli_pids()) == (config is not NO_CLI)
        return replies

    live, played = run_async(ask(make_config(), "record")), run_async(ask(NO_CLI, "replay"))
    assert [seen(reply) for reply in played] == [seen(reply) for reply in live]
    assert [reply.metadata["recorded"] for reply in (*live, *played)] == [False] * 3 + [True] * 3
    assert [reply.metadata["command"] for reply in played] == [None] * 3
    assert played[0].cost_usd == live[0].cost_usd is not None
    assert [part.endswith(" recorded") for part in footer(played[0], 1) if "$" in part] == [True]
    assert [part for part in footer(live[0], 1) if "recorded" in part] == []


def test_order_and_repetition(make_config: MakeConfig, run_async: Run, tmp_path: Path) -> None:
    """Turns are found by what was asked and where: backwards, twice, in forks and behind a message."""
    path = tmp_path / "lesson.jsonl"

    async def record() -> None:
        async with SessionAwareClient(make_config()) as client:
            tape = Cassette(path, "record")
            first = await run_turn(client, "<<say one>>", cassette=tape)
            second = await run_turn(client, "<<history>>", session_id=first.session_id, cassette=tape)
            fork = await run_turn(
                client, "<<history>>", session_id=first.session_id, fork=True, at=first.message_id, cassette=tape
            )
            assert second.content == fork.content
            await run_turn(client, "<<history>>", session_id=second.session_id, cassette=tape)
            await run_turn(client, "<<history>>", cassette=tape)

    async def play() -> None:
        async with SessionAwareClient(NO_CLI) as client:
            tape = Cassette(path, "replay", speed=0)
            alone = await run_turn(client, "<<history>>", cassette=tape)
            assert alone.content == "- <<history>>"
            first = await run_turn(client, "<<say one>>", cassette=tape)
            second = await run_turn(client, "<<history>>", session_id=first.session_id, cassette=tape)
            third = await run_turn(client, "<<history>>", session_id=second.session_id, cassette=tape)
            assert [reply.content.count("history") for reply in (second, third)] == [1, 2]
            assert first.session_id == second.session_id == third.session_id
            fork = await run_turn(
                client, "<<history>>", session_id=first.session_id, fork=True, at=first.message_id, cassette=tape
            )
            assert (fork.content, fork.session_id != first.session_id) == (second.content, True)
            again = await run_turn(client, "<<say one>>", cassette=tape)
            assert again.session_id not in (first.session_id, fork.session_id)
            assert (await run_turn(client, "<<history>>", session_id=again.session_id, cassette=tape)).content == second.content
            assert (await run_turn(client, "<<history>>", session_id=third.session_id, cassette=tape)).content

    run_async(record())
    run_async(play())


def test_samples(make_config: MakeConfig, run_async: Run, tmp_path: Path, api: MessagesAPI) -> None:
    """Recordings of one prompt are played in their order, then the last one again, or those of a later take in their place.

    Another model makes it another prompt.
    """
    path = tmp_path / "lesson.jsonl"

    async def ask(config: ClaudeConfig, mode: str, models: list[str]) -> list[str | None]:
        with cassette(path, mode=mode, speed=0):
            async with ClaudeClient(config) as client:
                turns = [run_turn(client, "hello", options=TurnOptions(model=model)) for model in models]
                return [(await turn).message_id for turn in turns]

    models = ["claude-sonnet-4-5", "claude-sonnet-4-5", "claude-opus-4-1"]
    one, two, other = run_async(ask(make_config(), "record", models))
    assert run_async(ask(NO_CLI, "replay", [*models, models[0]])) == [one, two, other, two]
    (better,) = run_async(ask(make_config(), "record", models[:1]))
    assert run_async(ask(NO_CLI, "replay", models)) == [better, better, other]


def test_auto_goes_on_where_the_recording_ends(
    make_config: MakeConfig, run_async: Run, tmp_path: Path, api: MessagesAPI
) -> None:
    """What is recorded costs no request; the rest is asked behind it, in its session or in a branch, and recorded."""
    path = tmp_path / "lesson.jsonl"

    async def ask(prompts: list[str]) -> list[SessionAwareResponse]:
        api.requests.clear()
        async with SessionAwareClient(make_config()) as client, cassette(path, speed=0):
            return [await client.query_with_session(prompt, auto_resume_last=True) for prompt in prompts]

    first = run_async(ask(["one", "two"]))
    more = run_async(ask(["one", "two", "three <<history>>"]))
    assert (len(api.requests), more[2].session_id) == (1, first[0].session_id)
    assert more[2].content == "- one\n- two\n- three <<history>>"
    branch = run_async(ask(["one", "four <<history>>"]))
    assert (len(api.requests), branch[1].session_id != first[0].session_id) == (1, True)
    assert branch[1].content == "- one\n- four <<history>>"
    assert [reply.content for reply in run_async(ask(["one", "four <<history>>"]))] == [reply.content for reply in branch]
    assert api.requests == []


@at_some_pace
def test_auto_asks_again_what_failed(
    make_config: MakeConfig, run_async: Run, tmp_path: Path, api: MessagesAPI, pace: int
) -> None:
    """Only answers count as recorded there: what was stopped goes live, and that nobody was logged in is not written down."""
    path = tmp_path / f"lesson-{pace}.jsonl"

    async def ask(config: ClaudeConfig, prompt: str, mode: str = "auto") -> Any:
        async with ClaudeClient(config) as client, cassette(path, mode, 0):
            return await run_turn(client, prompt, timeout=pace)

    logged_out = make_config(env=make_config().env | {"ANTHROPIC_API_KEY": ""})
    with pytest.raises(NotLoggedInError):
        run_async(ask(logged_out, "hello"))
    assert not path.exists()
    for requests in (1, 2):
        with pytest.raises(TurnTimeoutError):
            run_async(ask(make_config(), "<<hang>>"))
        assert len(api.requests) == requests
    with pytest.raises(TurnTimeoutError):
        run_async(ask(NO_CLI, "<<hang>>", "replay"))


def test_auto_stays_in_the_conversation(make_config: MakeConfig, run_async: Run, tmp_path: Path, api: MessagesAPI) -> None:
    """Behind a turn that went live the others do, too, though recorded elsewhere: the model knows all that was said."""
    path = tmp_path / "lesson.jsonl"

    async def ask(prompts: list[str]) -> list[str]:
        async with SessionAwareClient(make_config()) as client, cassette(path, speed=0):
            return [(await client.query_with_session(prompt, auto_resume_last=True)).content for prompt in prompts]

    run_async(ask(["I am Anna", "second <<history>>"]))
    assert run_async(ask(["I am Bert", "second <<history>>"]))[1] == "- I am Bert\n- second <<history>>"
    inserted = run_async(ask(["I am Anna", "new", "second <<history>>"]))
    assert inserted[2] == "- I am Anna\n- new\n- second <<history>>"
    api.requests.clear()
    assert run_async(ask(["I am Anna", "new", "second <<history>>"])) == inserted
    assert api.requests == []


def test_another_mode(make_config: MakeConfig, run_async: Run, tmp_path: Path) -> None:
    """What was played stays known when the mode is changed: a live turn goes on from there, and not from the end."""
    path = tmp_path / "lesson.jsonl"

    async def ask() -> list[str]:
        async with SessionAwareClient(make_config()) as client, Cassette(path, "record", 0) as tape:
            for prompt in ("one", "two"):
                await client.query_with_session(prompt, auto_resume_last=True)
            said = []
            for mode in ("off", "record", "auto"):
                tape.use("replay")
                played = await client.query_with_session("one")
                tape.use(mode)
                live = await client.query_with_session(f"{mode} <<history>>", resume_session_id=played.session_id)
                said += [live.content]
                assert live.session_id != played.session_id
            return said

    assert run_async(ask()) == [f"- one\n- {mode} <<history>>" for mode in ("off", "record", "auto")]


@at_some_pace
def test_failures_are_recorded(make_config: MakeConfig, run_async: Run, tmp_path: Path, api: MessagesAPI, pace: int) -> None:
    """A refused, a timed out and a stopped turn fail again, with the same error and what had arrived."""
    tape = Cassette(tmp_path / f"lesson-{pace}.jsonl", "record")

    async def record() -> None:
        async with ClaudeClient(make_config(env=QUICK)) as client:
            with pytest.raises(APIError):
                await run_turn(client, "<<status 529>>", cassette=tape)
            with pytest.raises(TurnTimeoutError):
                await run_turn(client, "<<say half>><<hang>>", timeout=1.5 * pace, cassette=tape)
            begun = asyncio.Event()
            turn = asyncio.create_task(
                run_turn(
                    client,
                    "<<say part>><<wait>><<say late>>",
                    lambda event: begun.set() if isinstance(event, TextDelta) else None,
                    cassette=tape,
                )
            )
            await begun.wait()
            turn.cancel()
            with pytest.raises(asyncio.CancelledError):
                await turn

    async def play() -> None:
        again = Cassette(tape.path, "replay", speed=0)
        async with ClaudeClient(NO_CLI) as client:
            with pytest.raises(APIError) as refused:
                await run_turn(client, "<<status 529>>", cassette=again)
            assert (refused.value.status, bool(refused.value.session_id)) == (529, True)
            with pytest.raises(TurnTimeoutError, match=rf"{1.5 * pace:g} s") as late:
                await run_turn(client, "<<say half>><<hang>>", cassette=again)
            with pytest.raises(TurnInterrupted) as stopped:
                await run_turn(client, "<<say part>><<wait>><<say late>>", cassette=again)
            assert (late.value.content, stopped.value.content) == ("half", "part")

    run_async(record())
    run_async(play())


@pytest.mark.parametrize("decision", [Decision.ONCE, Decision.SESSION, Decision.DENY])
def test_tools_with_effects_are_done_again(decision: Decision, make_config: MakeConfig, run_async: Run, tmp_path: Path) -> None:
    """Our tool that does something is asked for and done again; one that only looks is not; a no of now is a no."""
    path, recorded, now = tmp_path / "lesson.jsonl", Person(), Person(decision)

    async def ask(config: ClaudeConfig, mode: str, person: Person) -> list[SessionAwareResponse]:
        tape = Cassette(path, mode, speed=0)
        async with ClaudeClient(config, tools=[RUN_CODE, LOOK], asks=True) as client:
            first = await run_turn(client, CALL, host=person, cassette=tape)
            second = await run_turn(client, CALL, host=person, session_id=first.session_id, cassette=tape)
        return [first, second]

    live = run_async(ask(make_config(), "record", recorded))
    assert [tool for tool, _ in recorded.called] == ["look", "run_code"] * 2
    played = run_async(ask(NO_CLI, "replay", now))
    assert [reply.content for reply in played] == [reply.content for reply in live] == ["done"] * 2
    asked = 1 if decision is Decision.SESSION else 2
    assert [request.tool for request in now.asked] == ["mcp__kernel__run_code"] * asked
    assert now.asked[0].directory == os.getcwd()
    assert now.called == ([] if decision is Decision.DENY else [("run_code", {"code": "x = 1"})] * 2)
    answered = [event.answer for event in now.events if isinstance(event, PermissionAnswered)]
    assert answered == [decision.value] * asked
    results = [event for event in now.events if isinstance(event, ToolReturned)]
    assert [result.text for result in results[::2]] == ["look done, time 1", "look done, time 3"]
    if decision is Decision.DENY:
        assert [(result.text, result.denied) for result in results[1::2]] == [("Not now.", True)] * 2
    else:
        assert [result.text for result in results[1::2]] == ["run_code done, time 1", "run_code done, time 2"]


def test_what_was_allowed_then_is_asked_now(make_config: MakeConfig, run_async: Run, tmp_path: Path) -> None:
    """A rule that allowed the tool while recording allows nothing now; a rule of now needs no question."""
    path, rule = tmp_path / "lesson.jsonl", TurnOptions(allowed_tools=("mcp__kernel__run_code",))

    async def ask(config: ClaudeConfig, mode: str, person: Person, options: TurnOptions) -> None:
        async with ClaudeClient(config, tools=[RUN_CODE, LOOK], asks=True) as client:
            await run_turn(client, CALL, host=person, options=options, cassette=Cassette(path, mode, speed=0))

    run_async(ask(make_config(), "record", recorded := Person(), rule))
    run_async(ask(NO_CLI, "replay", person := Person(), TurnOptions()))
    run_async(ask(NO_CLI, "replay", trusting := Person(), rule))
    run_async(ask(NO_CLI, "replay", refusing := Person(), TurnOptions(permission_mode="dontAsk")))
    assert [len(host.asked) for host in (recorded, person, trusting, refusing)] == [0, 1, 0, 0]
    assert [len(host.called) for host in (recorded, person, trusting, refusing)] == [2, 1, 1, 0]


def test_files_and_shell_are_left_alone(make_config: MakeConfig, run_async: Run, tmp_path: Path, workdir: Path) -> None:
    """The CLI's own tools are shown with the answer they had, and do nothing."""
    made = workdir / "made.txt"
    call = f'<<tool Write {{"file_path": "{made}", "content": "x"}}>><<say written>>'

    async def ask(config: ClaudeConfig, mode: str, person: Person) -> SessionAwareResponse:
        async with ClaudeClient(config, asks=True) as client:
            return await run_turn(client, call, host=person, cassette=Cassette(tmp_path / "lesson.jsonl", mode, speed=0))

    live = run_async(ask(make_config(), "record", Person()))
    assert made.exists()
    made.unlink()
    played = run_async(ask(NO_CLI, "replay", now := Person()))
    assert (seen(played), now.asked, made.exists()) == (seen(live), [], False)


@at_some_pace
def test_pace_and_stop(make_config: MakeConfig, run_async: Run, tmp_path: Path, pace: int) -> None:
    """It is played at the recorded pace divided by the speed, and can be stopped at any moment."""
    path = tmp_path / f"lesson-{pace}.jsonl"
    prompt = f"<<say a>><<sleep {0.8 * pace}>><<say b>>"

    async def ask() -> None:
        async with ClaudeClient(make_config()) as client:
            await run_turn(client, prompt, cassette=Cassette(path, "record"))
        async with ClaudeClient(NO_CLI) as client:
            took, clock = [], asyncio.get_running_loop().time
            for speed in (1, 4, 0):
                times: list[float] = []
                tape = Cassette(path, "replay", speed)
                await run_turn(client, prompt, lambda event, times=times: times.append(clock()), cassette=tape)
                took.append(times[-1] - times[0])
            assert took[0] > 0.75 * pace
            assert 0.15 * pace < took[1] < took[0] / 2
            assert took[2] < 0.1 * pace
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(run_turn(client, prompt, cassette=Cassette(path, "replay")), 0.2 * pace)
            with pytest.raises(TurnTimeoutError):
                await run_turn(client, prompt, timeout=0.3 * pace, cassette=Cassette(path, "replay"))

    run_async(ask())


def test_nothing_private_is_recorded(
    make_config: MakeConfig, run_async: Run, tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No key, home, user or directory of this machine is in a recording; a lesson of elsewhere finds its turns."""
    monkeypatch.setenv("MY_SECRET_TOKEN", "hush-hush-42")
    monkeypatch.setenv("LOGNAME", "zaphod")
    path = tmp_path / "lesson.jsonl"
    said = f"sk-dummy zaphod {home}/x hush-hush-42"
    prompts = [f"<<say {said}>><<think {said}>>", f'<<tool Bash {{"command": "echo {said}"}}>><<say ok>>']

    async def ask(config: ClaudeConfig, mode: str) -> list[str]:
        with cassette(path, mode=mode, speed=0):
            async with SessionAwareClient(config) as client:
                options = TurnOptions(allowed_tools=("Bash(echo:*)",))
                return [(await run_turn(client, prompt, options=options)).content for prompt in prompts]

    run_async(ask(make_config(), "record"))
    text = path.read_text()
    for private in ("sk-dummy", "zaphod", str(home), "hush-hush", os.getcwd(), "/nowhere"):
        assert private not in text
    assert "[MY_SECRET_TOKEN]" in text
    assert not [key for key in ("account", "organization", "email", "apiKeySource", "cwd") if f'"{key}' in text]
    said_now = run_async(ask(NO_CLI, "replay"))
    monkeypatch.setenv("LOGNAME", "trillian")
    assert run_async(ask(NO_CLI, "replay")) == said_now


@pytest.mark.long
def test_killed_while_recording(
    make_config: MakeConfig, run_async: Run, tmp_path: Path, sdk_env: dict[str, str], api: MessagesAPI
) -> None:
    """What was recorded before a kill can be played, and recording goes on in the same file."""
    path = tmp_path / "lesson.jsonl"
    code = f"""if True:
        import asyncio
        from claude_magic import cassette
        from claude_magic.sdk import ClaudeClient, ClaudeConfig
        async def ask():
            async with cassette({str(path)!r}, mode="record"), ClaudeClient(ClaudeConfig(env={sdk_env!r})) as client:
                await client.query("one")
                await client.query("<<hang>>")
        asyncio.run(ask())
    """
    process = subprocess.Popen([sys.executable, "-c", code])
    try:
        api.wait_for_requests(2)
    finally:
        orphans = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        process.wait()
        for orphan in orphans:
            orphan.kill()
        psutil.wait_procs(orphans)

    async def ask(config: ClaudeConfig, mode: str, prompt: str) -> str:
        async with ClaudeClient(config) as client, cassette(path, mode=mode, speed=0):
            return (await client.query(prompt)).content

    assert run_async(ask(NO_CLI, "replay", "one")) == "You said: one"
    assert run_async(ask(make_config(), "auto", "two")) == "You said: two"
    assert run_async(ask(NO_CLI, "replay", "two")) == "You said: two"
