"""MCP servers, models and styles as a cell has them: what is asked, what has failed, what Tab offers, what is refused."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from cells import Configure, answered, ask, failure
from messages_api import MessagesAPI
from rig.kernel import Kernel
from test_cell_tab import complete

WEATHER = {"command": sys.executable, "args": [str(Path(__file__).parent.parent / "weather_server.py")]}
BROKEN = {"command": "/nowhere/prices", "env": {"TOKEN": "open sesame"}}
FORECAST = '<<tool mcp__weather__forecast {"city": "Bern"}>><<say done>>'
FAILED = "The MCP server prices has failed: there is no program /nowhere/prices"


@pytest.fixture
def servers(notebook_dir: Path) -> str:
    """The name of a file beside the notebook: one of its servers starts."""
    (notebook_dir / "servers.json").write_text(json.dumps({"mcpServers": {"weather": WEATHER, "prices": BROKEN}}))
    return "servers.json"


def test_a_server_in_a_cell(shared_session: Kernel, api: MessagesAPI, configure: Configure, servers: str) -> None:
    """The question names server and tool, the cell says what has failed, and the panel what there is; no secret is shown."""
    configure("mcp", [servers])
    asked: list[str] = []
    code = f"get_ipython().run_cell_magic('claude', '', {FORECAST!r}) and None"
    result = shared_session.run(code, answer=lambda prompt: asked.append(prompt) or "y")
    assert result.ok, result.outputs
    assert "Claude asks to use weather: forecast" in result.stdout
    assert "[s] allow weather: forecast in this session: mcp__weather__forecast" in asked[0].replace("\n    … ", "")
    assert "rain in Bern" in json.dumps(api.requests[-1]["messages"])
    assert FAILED in result.text
    panel = shared_session.run("%claude_session").text
    assert "weather: 1 tool; prices: failed (there is no program /nowhere/prices)" in panel
    again = answered(shared_session, FORECAST, "--allow mcp__weather", allow_stdin=False)
    assert "rain in Bern" in json.dumps(api.requests[-1]["messages"])
    assert "sesame" not in json.dumps([result.outputs, panel, again.outputs])


def test_a_file_of_ask(shared_session: Kernel, api: MessagesAPI) -> None:
    """`ask()` takes files of servers, too; one that is missing is an error that says so, and nothing is sent."""
    result = shared_session.run("from claude_magic import ask\nask('hello', mcp='none.json')")
    assert "There is no file" in failure(result, "ConfigError")
    assert api.requests == []


def test_what_the_cli_tells(shared_session: Kernel, api: MessagesAPI) -> None:
    """Tab offers the models and styles that the CLI tells; a word that is almost a model's is refused, others are not."""
    answered(shared_session, "hello")
    assert "%%claude --model fable" in complete(shared_session, "%%claude --model fa")
    assert "%%claude --style Learning" in complete(shared_session, "%%claude --style L")
    api.begin()
    assert "perhaps sonnet is meant" in failure(ask(shared_session, "hello", "--model sonett"), "ConfigError")
    assert api.requests == []
    answered(shared_session, "hello", "--model gateway/sonett")
    assert api.requests[-1]["model"] == "gateway/sonett"


@pytest.mark.parametrize(("mode", "remark"), [("auto", True), ("manual", False)])
def test_modes(shared_session: Kernel, mode: str, remark: bool) -> None:
    """The CLI's modes `auto` and `manual` are taken; the cell says what `auto` does not change."""
    result = answered(shared_session, "hello", f"--mode {mode}")
    assert ("The mode auto asks for everything that the mode default asks for." in result.text) is remark
