"""What is taken from others is still there; on the day that an upgrade moves one, the name of the test says which."""

from __future__ import annotations

import ast
import asyncio
import importlib
import importlib.util
import inspect
import json
import mmap
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import claude_agent_sdk
import pytest
from foreign import FOREIGN, Foreign, Kind
from messages_api import MessagesAPI
from rig.environment import isolated_environment, own_variables
from rig.kernel import Kernel

import claude_magic
from claude_magic.sdk import ClaudeClient, ClaudeConfig
from claude_magic.sdk._cli.command_line import STREAM_FLAGS, Launch, channel_flags, find_cli, flags
from claude_magic.sdk._cli.transport import CLITransport
from claude_magic.sdk.config import PERMISSION_MODES, TurnOptions
from claude_magic.sdk.content import Prompt
from claude_magic.sdk.events import Image
from claude_magic.sdk.host import Listener, Tool, ToolResult
from claude_magic.sdk.turn_request import TurnRequest

PACKAGE = Path(claude_magic.__file__).parent
PAGES = Path(sys.prefix) / "share" / "jupyter"

A_TURN = '<<status 529 1>><<tool Bash {"command": "touch x"}>><<tool mcp__kernel__look {}>><<say done>>'
"""Tried again by the CLI, with a tool that nobody allows, and one of ours that gives back an image."""

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="

DOTTED = (Kind.PYTHON, Kind.MESSAGE, Kind.ENTRY, Kind.SOURCE)
"""The kinds whose names are paths, which end with what stands in our code."""

PUBLIC_AFTER_ALL = {"_asdict"}
"""Named tuples have it; the underscore keeps it apart from their fields."""

NAME = re.compile(r"(?P<module>[\w.]+):(?P<path>[\w.]+)(?:\((?P<parameter>\w+)\))?")


def rows(*kinds: Kind) -> Any:
    """Run a test once for each row of these kinds; of all without any."""
    chosen = [row for row in FOREIGN if not kinds or row.kind in kinds]
    return pytest.mark.parametrize("row", chosen, ids=lambda row: f"{row.used_in}: {row.name[:60]}")


@dataclass(frozen=True)
class Told:
    """What the real CLI says and writes in a turn and while it compacts the session."""

    messages: list[dict[str, Any]]
    text: str
    home: Path

    @property
    def entries(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]


class _Looking(Listener):
    """A host whose tool gives back an image."""

    async def call(self, tool: str, arguments: dict[str, Any]) -> ToolResult:
        return ToolResult("", (Image("image/png", PIXEL),))


@pytest.fixture(scope="module")
def told(module_api: MessagesAPI, home: Path, tmp_path_factory: pytest.TempPathFactory) -> Told:
    """Two turns of the real CLI."""
    directory = str(tmp_path_factory.mktemp("work"))

    async def talk() -> list[dict[str, Any]]:
        look = Tool("look", "Look.", {"type": "object", "properties": {}}, read_only=True)
        async with ClaudeClient(ClaudeConfig(env=own_variables(home, module_api.url)), tools=[look]) as client:
            first = await client.run_turn(TurnRequest(prompt=Prompt(A_TURN), directory=directory), _Looking())
            again = TurnRequest(prompt=Prompt("/compact"), directory=directory, session_id=first.session_id)
            second = await client.run_turn(again)
        return [message for reply in (first, second) if reply.ended for message in reply.ended.messages]

    messages = asyncio.run(asyncio.wait_for(talk(), 60))
    text = "".join(path.read_text() for path in (home / ".claude" / "projects").glob("*/*.jsonl"))
    return Told(messages, text, home / ".claude")


@pytest.fixture(scope="module")
def executable() -> Iterator[mmap.mmap]:
    """The bytes of the CLI."""
    with Path(find_cli(None)).open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        yield data


@pytest.fixture(scope="module")
def run_cli(home: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., str]:
    """Run the CLI with nothing to do, and return what it says."""
    where = tmp_path_factory.mktemp("cli")
    environment = isolated_environment(home, "http://127.0.0.1:9")

    def run(*arguments: str) -> str:
        command = [find_cli(None), *arguments]
        ran = subprocess.run(
            command, cwd=where, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30
        )
        return ran.stdout + ran.stderr

    return run


@pytest.fixture(scope="module")
def pages() -> str:
    """The texts of JupyterLab and its extensions."""
    files = [path for path in PAGES.rglob("*") if path.suffix in (".js", ".css")]
    return "\n".join(path.read_text(encoding="utf-8", errors="replace") for path in files)


@rows()
def test_it_is_used(row: Foreign) -> None:
    """Each row is about a module or folder that is there and still uses what the row names."""
    place = PACKAGE / row.used_in
    files = [path for path in place.rglob("*") if path.suffix in (".py", ".css")] if place.is_dir() else [place]
    last_part = re.split(r"[.:]", row.name)[-1] if row.kind in DOTTED else row.name
    written = row.written or last_part
    assert any(written in text or written in text.replace('\\"', '"') for text in (path.read_text() for path in files))


def test_no_row_twice() -> None:
    """No thing has two rows for one place, and each says why it is taken and where it was seen."""
    assert len({(row.used_in, row.name) for row in FOREIGN}) == len(FOREIGN)
    assert all(row.why.endswith(".") and re.search(r"\d", row.seen_in) for row in FOREIGN)


def test_nothing_private_without_a_row() -> None:
    """No module of ours reads a private name of somebody else's, by dot, import or text, that has no row."""
    known = {name for row in FOREIGN for name in re.findall(r"\b_[a-zA-Z]\w*", row.name)}
    found, own = set(), set()
    for path in PACKAGE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            match node:
                case ast.Attribute(value=ast.Name(id="self" | "cls"), attr=str(name)) | ast.FunctionDef(name=name):
                    own.add(name)
                case (
                    ast.Attribute(attr=str(name))
                    | ast.Call(func=ast.Name(id="getattr" | "hasattr"), args=[_, ast.Constant(value=str(name)), *_])
                ):
                    found.add(name)
                case ast.ImportFrom(module=str(module), names=names) if module.partition(".")[0] != "claude_magic":
                    found |= {*module.split("."), *(alias.name for alias in names)}
    private = {name for name in found if name.startswith("_") and not name.startswith("__")}
    assert private - known - own == PUBLIC_AFTER_ALL


@rows(Kind.PYTHON)
def test_python(row: Foreign) -> None:
    """The name is in the package, and takes the parameter."""
    match = NAME.fullmatch(row.name)
    assert match is not None
    module = importlib.import_module(match["module"])
    found: Any = module
    for name in match["path"].split("."):
        if found is module and (Path(str(module.__file__)).parent / name).is_dir():
            return
        found = inspect.getattr_static(found, name)
    if match["parameter"]:
        assert match["parameter"] in inspect.signature(found).parameters


def test_the_transport_is_whole() -> None:
    """Our transport has everything that the SDK's base class wants, and no parameter differs."""
    base = claude_agent_sdk.Transport
    assert not inspect.isabstract(CLITransport)
    for name, method in inspect.getmembers(base, inspect.isfunction):
        if not name.startswith("_"):
            own = getattr(CLITransport, name)
            assert list(inspect.signature(own).parameters) == list(inspect.signature(method).parameters), name


class _Deaf(claude_agent_sdk.Transport):
    """Keeps what is written to it, and answers nothing."""

    def __init__(self) -> None:
        self.written: list[str] = []
        self.first = asyncio.Event()

    async def connect(self) -> None:
        pass

    async def write(self, data: str) -> None:
        self.written.append(data)
        self.first.set()

    async def read_messages(self) -> AsyncIterator[dict[str, Any]]:
        await asyncio.Event().wait()
        yield {}

    async def close(self) -> None:
        pass

    def is_ready(self) -> bool:
        return True

    async def end_input(self) -> None:
        pass


@rows(Kind.REQUEST)
def test_request(row: Foreign, run_async: Callable[..., Any]) -> None:
    """The SDK's client begins its requests so."""

    async def connect() -> list[str]:
        transport = _Deaf()
        client = claude_agent_sdk.ClaudeSDKClient(claude_agent_sdk.ClaudeAgentOptions(), transport)
        connecting = asyncio.create_task(client.connect())
        await transport.first.wait()
        connecting.cancel()
        await asyncio.wait([connecting])
        return transport.written

    assert run_async(connect())[0].startswith(row.name)


@pytest.fixture(scope="module")
def asked_kernel(module_kernel: Kernel) -> Kernel:
    """A kernel with a function that a cell has made."""
    assert module_kernel.run("import linecache\ndef a_cell():\n    return 1").ok
    return module_kernel


@rows(Kind.SHELL)
def test_shell(row: Foreign, asked_kernel: Kernel) -> None:
    """The expression is true in a cell."""
    result = asked_kernel.run(row.name)
    assert (result.errors, result.text) == ([], "True")


@rows(Kind.FLAG)
def test_flag(row: Foreign, run_cli: Callable[..., str]) -> None:
    """The CLI takes the flag, and still does not tell it: a flag that --help tells needs no row."""
    assert "unknown option" not in run_cli("-p", f"{row.name}=1")
    assert row.name not in run_cli("--help")


def test_every_flag_is_known(run_cli: Callable[..., str]) -> None:
    """All flags that a process can be started with are told by --help, or have a row."""
    options = TurnOptions(
        model="m", effort="low", system="s", max_turns=1, max_budget_usd=1, permission_mode="plan", schema="{}", mcp=("/m",)
    )
    launch = Launch(
        directory="/",
        options=options,
        resume="r",
        fork=True,
        at="a",
        asks=True,
        tools=(Tool("t", "", {}, read_only=True),),
        granted=("G",),
    )
    ways = [launch, Launch(directory="/", options=options, safe_mode=True, trusted=False)]
    arguments = [argument for way in ways for argument in flags(way, typed=True)]
    arguments += [*STREAM_FLAGS, *channel_flags(launch)]
    used = {argument.partition("=")[0] for argument in arguments if argument.startswith("--")}
    told = set(re.findall(r"--[\w-]+", run_cli("--help")))
    assert used - told == {row.name for row in FOREIGN if row.kind is Kind.FLAG}


def test_every_mode_is_known(run_cli: Callable[..., str]) -> None:
    """Our list of permission modes is the CLI's, which it tells in its help only; `default` is the other name of `manual`."""
    told = re.search(r"--permission-mode <mode>.*?choices:(.*?)\)", run_cli("--help"), re.DOTALL)
    assert told is not None
    assert {*re.findall(r'"(\w+)"', told[1]), "default"} == set(PERMISSION_MODES)


@rows(Kind.WORDS)
def test_words(row: Foreign, executable: mmap.mmap) -> None:
    """The text is in the CLI's executable."""
    assert executable.find(row.name.encode()) >= 0


@rows(Kind.SAID)
def test_said(row: Foreign, told: Told) -> None:
    """The real CLI says it."""
    assert row.name in json.dumps(told.messages)


@rows(Kind.MESSAGE)
def test_message(row: Foreign, told: Told) -> None:
    """A message of the real CLI has the field."""
    assert list(values(row.name, told.messages))


@rows(Kind.ENTRY)
def test_entry(row: Foreign, told: Told) -> None:
    """An entry that the real CLI wrote has the field."""
    assert list(values(row.name, told.entries))


@rows(Kind.WRITTEN)
def test_written(row: Foreign, told: Told) -> None:
    """The real CLI has written it, to the letter."""
    assert row.name in told.text


@rows(Kind.FILE)
def test_file(row: Foreign, told: Told) -> None:
    """The real CLI has written such a file."""
    assert list(told.home.glob(row.name))


@rows(Kind.SOURCE)
def test_source(row: Foreign) -> None:
    """The text is in the module's source."""
    module, _, text = row.name.partition(":")
    spec = importlib.util.find_spec(module)
    assert spec is not None
    assert text in Path(str(spec.origin)).read_text()


@rows(Kind.PAGE)
def test_page(row: Foreign, pages: str) -> None:
    """The text is in JupyterLab or one of its extensions."""
    assert row.name in pages


def values(name: str, found: Iterable[dict[str, Any]]) -> Iterator[Any]:
    """Yield what stands at `type/subtype.field.field` in messages or entries; a `*` is any field."""
    kind, *fields = name.split(".")
    wanted_type, _, subtype = kind.partition("/")
    for message in found:
        if message.get("type") == wanted_type and (not subtype or message.get("subtype") == subtype):
            inside: list[Any] = [message]
            for field in fields:
                inside = [
                    value
                    for each in inside
                    if isinstance(each, dict)
                    for value in (each.values() if field == "*" else [each[field]] if field in each else [])
                ]
            yield from inside
