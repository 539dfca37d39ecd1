"""What the CLI did by itself, and what a recorder leaves out: the parts of it that need no CLI."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from hostile_cassettes import PROMPT, RUN, SESSION, asks, called, ended, returned, runs, said, turn, written
from watching import Run, run_turn

from claude_magic.sdk import Cassette, ClaudeClient, ClaudeConfig, SessionAwareResponse, TurnOptions, events
from claude_magic.sdk._cassette.line_format import Begun, Called, Identity
from claude_magic.sdk._cassette.recorder import Recorder
from claude_magic.sdk._cassette.scrubbing import Scrubber
from claude_magic.sdk._gate.gate import PLANNING
from claude_magic.sdk.host import Decision, Listener, PermissionAnswer, PermissionRequest, Tool, ToolResult

NO_CLI = ClaudeConfig(cli_path="/nowhere/claude")
CALL = events.ToolCalled(0, "c", "mcp__kernel__run_code", {"code": "1"})


def by_itself(text: str, after: float) -> list[Any]:
    return turn(said(text), ended(text), parent="a1", prompt="", by_itself=True, after=after)


def test_in_their_place(tmp_path: Path, run_async: Run) -> None:
    """They come when they had ended, in their order, before the next answer, and not at all when the client is closed first."""
    lines = [
        *turn(said("Sent off."), ended("Sent off.")),
        *by_itself("First.", 0.0),
        *by_itself("Second.", 1e6),
        *turn(said("Next."), ended("Next."), turn="b1", parent="a1", prompt="next"),
    ]
    tape = Cassette(written(tmp_path / "lesson.jsonl", *lines), "replay", speed=1000)
    came: asyncio.Queue[SessionAwareResponse] = asyncio.Queue()

    async def play() -> list[str]:
        before = asyncio.all_tasks()
        async with ClaudeClient(NO_CLI, on_own_turn=came.put_nowait) as client:
            first = await run_turn(client, PROMPT, cassette=tape)
            told = [(await came.get()).content]
            assert came.empty()
            await run_turn(client, "next", session_id=first.session_id, cassette=tape)
            told.append(came.get_nowait().content)
            # The second time it is closed before.
            await run_turn(client, PROMPT, cassette=tape)
            told.append((await came.get()).content)
        assert came.empty()
        assert asyncio.all_tasks() == before
        return told

    assert run_async(play()) == ["First.", "Second.", "First."]


class Doing(Listener):
    async def call(self, tool: str, arguments: dict[str, Any]) -> ToolResult:
        return ToolResult("done")


def test_what_a_hook_has_changed(run_async: Run) -> None:
    """A call that did something else than is shown is recorded with its result, and not to be done again."""
    begun = Begun(turn="a1", session=SESSION, identity=Identity(prompt=PROMPT))
    for code, kept in (("1", True), ("2", False)):
        recorder = Recorder(Doing())
        recorder.emit(events.SessionStarted(SESSION))
        recorder.emit(CALL)
        run_async(recorder.call("run_code", {"code": code}))
        recorder.emit(events.ToolReturned("c", "done"))
        recorded = recorder.turn(begun, Scrubber({}), None)
        assert recorded is not None
        facts = [fact for _, fact in recorded.facts]
        assert (Called(tool="run_code", arguments={"code": code}) in facts) is kept
        assert facts[-1] == events.ToolReturned("c", "done")


class Agreeing(Listener):
    """Somebody who says yes to everything, and remembers what was asked and done."""

    def __init__(self) -> None:
        self.told: list[events.Event] = []
        super().__init__(self.told.append)
        self.asked: list[str] = []
        self.called: list[str] = []

    async def ask(self, request: PermissionRequest) -> PermissionAnswer:
        self.asked.append(request.tool)
        return PermissionAnswer(Decision.SESSION)

    async def call(self, tool: str, arguments: dict[str, Any]) -> ToolResult:
        self.called.append(tool)
        return ToolResult("done")


@pytest.mark.parametrize("rules", [(), (RUN,), ("mcp__kernel",), ("mcp__kernel__*",)])
@pytest.mark.parametrize("is_asked", [True, False])
def test_plan_mode_changes_nothing(rules: tuple[str, ...], is_asked: bool, run_async: Run, tmp_path: Path) -> None:
    """What a turn has recorded to be done is denied in plan mode, as it is live, whatever is allowed."""
    facts = [called(), *([asks()] if is_asked else []), runs(), returned()]
    path = written(tmp_path / "lesson.jsonl", *turn(*facts, ended()))
    code = {"type": "object", "properties": {"code": {"type": "string"}}}

    async def play(mode: Any) -> Agreeing:
        host = Agreeing()
        options = TurnOptions(allowed_tools=rules, permission_mode=mode)
        async with ClaudeClient(NO_CLI, tools=[Tool("run_code", "Run.", code)], asks=True) as client:
            await run_turn(client, PROMPT, host=host, options=options, cassette=Cassette(path, "replay", 0))
        return host

    planning, allowing = run_async(play("plan")), run_async(play("default"))
    assert (planning.asked, planning.called) == ([], [])
    assert [(event.answer, event.word) for event in planning.told if isinstance(event, events.PermissionAnswered)] == [
        (Decision.DENY.value, PLANNING)
    ]
    assert [(event.text, event.denied) for event in planning.told if isinstance(event, events.ToolReturned)] == [
        (PLANNING, True)
    ]
    assert allowing.called == ["run_code"]
