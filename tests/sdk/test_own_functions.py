"""Functions of one's own as tools of a script: who may call them, what comes back, and what a recording does with them."""

from __future__ import annotations

import asyncio
import json
import threading
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from messages_api import MessagesAPI
from watching import MakeConfig, Run

from claude_magic.errors import ConfigError
from claude_magic.sdk import Cassette, ClaudeClient, ClaudeConfig, SessionAwareResponse, only_reads
from claude_magic.sdk.host import Tool
from claude_magic.sdk.response import ToolCall
from claude_magic.sdk.session_client import SessionAwareClient

ALLOWED = ["mcp__kernel"]
ROWS = 100_000


def load(rows: int) -> pd.DataFrame:
    """Load the prices."""
    return pd.DataFrame({"secret_price": range(rows)})


async def without_first(frame: pd.DataFrame, count: int = 1) -> pd.DataFrame:
    """Leave out the first rows."""
    await asyncio.sleep(0)
    return frame.iloc[count:]


def mean(frame: pd.DataFrame) -> dict[str, float]:
    """Return the mean price."""
    return {"mean": float(frame["secret_price"].mean())}


@only_reads
def look(what: str = "nothing") -> str:
    """Look."""
    return f"saw {what}"


def fails(count: int) -> None:
    """Fail."""
    raise RuntimeError(f"no {count}")


def called(name: str, **arguments: Any) -> str:
    """Return the directive that calls a function."""
    return f"<<tool mcp__kernel__{name} {json.dumps(arguments)}>>"


def results(reply: SessionAwareResponse) -> list[str]:
    """Return what the tools gave back."""
    return [block.result for block in reply.blocks if isinstance(block, ToolCall)]


def ask(run_async: Run, config: ClaudeConfig, *prompts: str, **choices: Any) -> list[SessionAwareResponse]:
    """Ask in one session."""

    async def turns() -> list[SessionAwareResponse]:
        async with SessionAwareClient(config) as client:
            return [await client.query_with_session(prompt, auto_resume_last=True, **choices) for prompt in prompts]

    replies: list[SessionAwareResponse] = run_async(turns())
    return replies


def test_a_large_frame_travels_by_name(make_config: MakeConfig, run_async: Run, api: MessagesAPI) -> None:
    """Three functions work on a large frame that is never sent: Claude is told its name, and passes that on."""
    config = make_config(tools=[load, without_first, mean], allowed_tools=ALLOWED)
    calls = [called("load", rows=ROWS), called("without_first", frame="load_1"), called("mean", frame="without_first_1")]
    (reply,) = ask(run_async, config, "".join([*calls, "<<say done>>"]))
    first, second, third = results(reply)
    assert first.startswith("It is kept as the variable load_1 (DataFrame): give that name to other tools.")
    assert "without_first_1" in second
    assert json.loads(third) == {"mean": ROWS / 2}
    assert sum(len(json.dumps(message)) for message in api.requests[-1]["messages"]) < 40_000
    tools = {tool["name"]: tool for tool in api.requests[-1]["tools"]}
    assert tools["mcp__kernel__load"]["description"] == "Load the prices."
    assert tools["mcp__kernel__mean"]["input_schema"]["properties"]["frame"]["type"] == "string"


def test_each_call_needs_a_rule_or_the_mark(make_config: MakeConfig, run_async: Run) -> None:
    """Where nobody can be asked, a function runs when a rule allows it or it is marked with `only_reads`, and not otherwise."""
    prompt = f"{called('load', rows=1)}{called('look', what='it')}<<say done>>"
    (reply,) = ask(run_async, make_config(tools=[load, look]), prompt)
    denied, seen = results(reply)
    assert "no rule allows it" in denied
    assert seen == "saw it"
    (reply,) = ask(run_async, make_config(tools=[load], allowed_tools=["mcp__kernel__load"]), prompt)
    assert "load_1" in results(reply)[0]


def test_errors_go_back(make_config: MakeConfig, run_async: Run) -> None:
    """What does not fit, and what the function raises, is an error for Claude, which goes on."""
    calls = [called("load", rows="many"), called("mean", frame="nowhere"), called("fails", count=3)]
    config = make_config(tools=[load, mean, fails], allowed_tools=ALLOWED)
    (reply,) = ask(run_async, config, "".join([*calls, "<<say done>>"]))
    kind, missing, raised = results(reply)
    assert "'many' is not of type 'integer'" in kind
    assert "mean was not called. Correct this and call it again:\n- frame: there is no variable 'nowhere'" in missing
    assert "RuntimeError: no 3" in raised
    assert reply.content == "done"


def test_functions_of_one_turn(make_config: MakeConfig, run_async: Run, api: MessagesAPI) -> None:
    """A turn may have functions of its own, which the next one has no more; a function of the config gives way to them."""
    threads = []

    def look(what: str) -> str:
        threads.append(threading.current_thread() is threading.main_thread())
        return f"another {what}"

    async def turns() -> list[SessionAwareResponse]:
        async with SessionAwareClient(make_config(tools=[globals()["look"]], allowed_tools=ALLOWED)) as client:
            prompt = f"{called('look', what='x')}<<say done>>"
            first = await client.query_with_session(prompt, tools=[look])
            return [first, await client.query_with_session(prompt, auto_resume_last=True)]

    first, second = run_async(turns())
    assert first.session_id == second.session_id
    assert [results(first), results(second)] == [["another x"], ["saw x"]]
    assert threads == [False]


def test_recorded(make_config: MakeConfig, run_async: Run, tmp_path: Path) -> None:
    """A recording calls the functions again, with what stands there, and what they kept is found by the same names."""
    path = tmp_path / "lesson.jsonl"
    prompt = f"{called('load', rows=9)}{called('mean', frame='load_1')}<<say done>>"
    choices: dict[str, Any] = {"tools": [load, mean], "allowed_tools": ALLOWED}
    with Cassette(path, "record"):
        (live,) = ask(run_async, make_config(**choices), prompt)
    with Cassette(path, "replay", speed=0):
        (played,) = ask(run_async, ClaudeConfig(cli_path="/nowhere", **choices), prompt)
        (untold,) = ask(run_async, ClaudeConfig(cli_path="/nowhere"), prompt)
        (denied,) = ask(run_async, ClaudeConfig(cli_path="/nowhere", tools=[load, mean]), prompt)
    assert results(played) == results(live) == results(untold)
    assert results(denied) == ["Nobody can be asked here."] * 2


def test_names_are_unique() -> None:
    """Two tools of one name are refused when the client is made, before anything is sent."""
    with pytest.raises(ConfigError, match="Two tools are called look"):
        ClaudeClient(ClaudeConfig(tools=[look, look]))
    with pytest.raises(ConfigError, match="Two tools are called look"):
        ClaudeClient(ClaudeConfig(tools=[look]), tools=[Tool("look", "Look.", {"type": "object"})])


def test_safe_mode() -> None:
    """Safe mode has no place for functions, and says so."""
    with pytest.raises(ConfigError, match="safe_mode gives Claude read-only tools"):
        ClaudeConfig(tools=[look], safe_mode=True)
