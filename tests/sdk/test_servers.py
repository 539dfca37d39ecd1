"""MCP servers of the person's own, with the real CLI and a real server: which are there, what they may do, what has failed."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from messages_api import MessagesAPI
from test_gate import Person
from watching import MakeConfig, Run, cli_pids, run_turn

from claude_magic.errors import CLIDiedError, ConfigError
from claude_magic.sdk import Cassette, ClaudeClient, TurnOptions
from claude_magic.sdk._offers.servers import ServerState
from claude_magic.sdk.events import Event, Notice
from claude_magic.sdk.host import Decision

WEATHER = {"command": sys.executable, "args": [str(Path(__file__).parent.parent / "weather_server.py")]}
BROKEN = {"command": "/nowhere/prices", "env": {"TOKEN": "open sesame"}}
FORECAST = '<<tool mcp__weather__forecast {"city": "Bern"}>><<say done>>'
NAME = "mcp__weather__forecast"


def written(name: str, **servers: Any) -> str:
    Path(name).write_text(json.dumps({"mcpServers": servers}))
    return name


@pytest.fixture
def broken_in_settings(home: Path) -> Iterator[None]:
    """The person's own settings name a server that does not start."""
    settings = home / ".claude" / ".claude.json"
    settings.parent.mkdir(exist_ok=True)
    before = settings.read_text() if settings.exists() else "{}"
    settings.write_text(json.dumps(json.loads(before) | {"mcpServers": {"prices": BROKEN}}))
    yield
    settings.write_text(before)


def returned(api: MessagesAPI) -> str:
    """Return what the newest request says that the tool gave back."""
    return json.dumps(api.requests[-1]["messages"][-1]["content"])


def test_tools_are_asked(make_config: MakeConfig, run_async: Run, api: MessagesAPI) -> None:
    """A tool of a server is asked, by its name; a rule for it answers. The `.mcp.json` of the folder stays unloaded."""
    written(".mcp.json", planted=WEATHER)
    person = Person(Decision.SESSION)

    async def go() -> tuple[ServerState, ...]:
        async with ClaudeClient(make_config(mcp=[written("servers.json", weather=WEATHER)]), asks=True) as client:
            first = await run_turn(client, FORECAST, host=person)
            assert "rain in Bern" in returned(api)
            again = await run_turn(client, FORECAST, host=person, session_id=first.session_id)
            assert "rain in Bern" in returned(api)
            return client.servers(str(again.session_id))

    servers = run_async(go(), timeout_s=120)
    assert [(request.tool, request.rules) for request in person.asked] == [(NAME, (NAME,))]
    assert [str(server) for server in servers] == ["weather: 1 tool"]


def test_a_yes_is_for_the_server_that_was_there(make_config: MakeConfig, run_async: Run) -> None:
    """What was allowed for the session does not hold for another server that later has the same name."""
    files = [written("first.json", weather=WEATHER), written("other.json", weather=WEATHER | {"env": {"OTHER": "1"}})]
    person = Person(Decision.SESSION)

    async def ask() -> list[int]:
        asked, session = [], None
        async with ClaudeClient(make_config(), asks=True) as client:
            for file in (files[0], files[0], files[1], files[0]):
                request = client.request(FORECAST, session_id=session, options=TurnOptions(mcp=(file,)))
                session = (await client.run_turn(request, person)).session_id
                asked.append(len(person.asked))
        return asked

    assert run_async(ask()) == [1, 1, 2, 2]


@pytest.mark.usefixtures("broken_in_settings")
@pytest.mark.parametrize("rule", [pytest.param(NAME, marks=pytest.mark.long), "mcp__weather"])
def test_a_rule_allows(make_config: MakeConfig, run_async: Run, api: MessagesAPI, rule: str) -> None:
    """A rule for a tool, or a whole server, answers, also in a bare turn, which has no server of the person's settings."""
    person = Person()
    options = TurnOptions(mcp=(written("servers.json", weather=WEATHER),), allowed_tools=(rule,), bare=True)

    async def go() -> tuple[ServerState, ...]:
        async with ClaudeClient(make_config(), asks=True) as client:
            reply = await run_turn(client, FORECAST, host=person, options=options)
            return client.servers(str(reply.session_id))

    servers = run_async(go(), timeout_s=120)
    assert "rain in Bern" in returned(api)
    assert person.asked == []
    assert [server.name for server in servers] == ["weather"]


def test_what_has_failed_is_told_once(make_config: MakeConfig, run_async: Run) -> None:
    """A server that has failed is told in one line, with the reason and without secrets, once for each process."""
    files = [written("servers.json", prices=BROKEN, ends={"command": sys.executable, "args": ["-c", "raise SystemExit(3)"]})]
    said: list[Event] = []

    async def go() -> tuple[ServerState, ...]:
        async with ClaudeClient(make_config(mcp=files)) as client:
            reply = await run_turn(client, "hello", said.append)
            assert reply.text == "You said: hello"
            await run_turn(client, "hello again", said.append, session_id=reply.session_id)
            return client.servers(str(reply.session_id))

    servers = run_async(go(), timeout_s=120)
    assert [event.text for event in said if isinstance(event, Notice)] == [
        "The MCP server prices has failed: there is no program /nowhere/prices",
        "The MCP server ends has failed: Connection closed",
    ]
    assert [(server.name, server.status) for server in servers] == [("prices", "failed"), ("ends", "failed")]


class Refusing(BaseHTTPRequestHandler):
    """A server of the web that wants a login, and registers whoever would log in."""

    def do_POST(self) -> None:
        said = self.rfile.read(int(self.headers["Content-Length"]))
        registers = self.path == "/register"
        self.send_response(201 if registers else 401)
        self.send_header("WWW-Authenticate", "Bearer")
        self.end_headers()
        if registers:
            self.wfile.write(json.dumps({**json.loads(said), "client_id": "we"}).encode())

    def do_GET(self) -> None:
        self.send_error(404)

    def log_message(self, format: str, *args: Any) -> None:
        pass


def test_a_server_that_needs_a_login(make_config: MakeConfig, run_async: Run) -> None:
    """A server that wants a login is told in one line, with what to do."""
    said: list[Event] = []

    async def go(url: str) -> None:
        files = [written("servers.json", desk={"type": "http", "url": url})]
        async with ClaudeClient(make_config(mcp=files)) as client:
            assert (await run_turn(client, "hello", said.append)).text == "You said: hello"

    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            run_async(go(f"http://127.0.0.1:{server.server_port}/mcp"), timeout_s=120)
        finally:
            server.shutdown()
            thread.join()
    assert [event.text for event in said if isinstance(event, Notice)] == [
        "The MCP server desk needs a login: /mcp does it where `claude` runs in a terminal."
    ]


@pytest.mark.usefixtures("broken_in_settings")
def test_servers_of_the_settings(make_config: MakeConfig, run_async: Run) -> None:
    """Of servers that the person's own settings name it is told, too, which have failed: behind the first turn."""
    said: list[Event] = []

    async def go() -> None:
        async with ClaudeClient(make_config()) as client:
            await run_turn(client, "hello", said.append)

    run_async(go(), timeout_s=120)
    told = [event.text for event in said if isinstance(event, Notice)]
    assert told == ["The MCP server prices has failed: there is no program /nowhere/prices"]


@pytest.mark.usefixtures("broken_in_settings")
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_host_that_raises(when: str, make_config: MakeConfig, run_async: Run) -> None:
    """If the host raises when it is told of a server, the turn fails with its words, and the process goes on."""
    files = [written("servers.json", prices=BROKEN)] if when == "before" else []

    def emit(event: Event) -> None:
        match event:
            case Notice():
                raise LookupError("the host's own")

    async def go() -> None:
        async with ClaudeClient(make_config(mcp=files)) as client:
            first = await run_turn(client, "hello")
            pids = cli_pids()
            await client.close_session(str(first.session_id))
            with pytest.raises(CLIDiedError, match="the host's own"):
                await run_turn(client, "hello", emit)
            assert len(pids) == len(cli_pids()) == 1

    run_async(go(), timeout_s=120)


def test_a_file_that_is_missing(make_config: MakeConfig, run_async: Run, api: MessagesAPI, workdir: Path) -> None:
    """Nothing is sent without the file; a recording plays without it, and tells the style that it was recorded with."""
    options = TurnOptions(mcp=(written("servers.json", prices=BROKEN),), style="Learning")

    async def record() -> None:
        async with ClaudeClient(make_config()) as client:
            await run_turn(client, "hello", options=options, cassette=Cassette("lesson.jsonl", "record"))

    async def play() -> None:
        async with ClaudeClient(make_config()) as client:
            played = Cassette("lesson.jsonl", "replay", speed=0)
            assert (await run_turn(client, "hello", options=options, cassette=played)).text == "You said: hello"
            with pytest.raises(ConfigError, match=r"There is no file .*servers\.json"):
                await run_turn(client, "hello", options=options)

    run_async(record())
    (workdir / "servers.json").unlink()
    assert '"style": "Learning"' in (workdir / "lesson.jsonl").read_text()
    api.begin()
    run_async(play())
    assert api.requests == []


def test_styles(make_config: MakeConfig, run_async: Run, api: MessagesAPI, home: Path) -> None:
    """A style of the CLI's or the person's own is told to the model; an unknown one is refused with what comes near."""
    own = home / ".claude" / "output-styles" / "pirate.md"
    own.parent.mkdir(exist_ok=True)
    own.write_text("---\nname: Pirate\ndescription: d\n---\nSpeak like a pirate.\n")

    async def go() -> list[str]:
        async with ClaudeClient(make_config(style="Learning")) as client:
            told = []
            for style in (None, "Pirate"):
                await run_turn(client, "hello", options=TurnOptions(style=style))
                told.append(json.dumps(api.requests[-1]))
            with pytest.raises(ConfigError) as caught:
                await run_turn(client, "hello", options=TurnOptions(style="lerning"))
            assert caught.value.message == "There is no output style 'lerning'; perhaps Learning is meant."
            assert "Explanatory" in caught.value.next_step
            assert {"default", "Learning", "Pirate"} <= set(client.choices.styles)
            assert "opus" in client.choices.models
            return told

    learning, pirate = run_async(go(), timeout_s=120)
    assert "# Output Style: Learning" in learning
    assert "Speak like a pirate." in pirate
    assert len(api.requests) == 2
    own.unlink()
