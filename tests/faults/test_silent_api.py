"""What the API does not say is told: that it is silent, that it refuses the login, that an answer broke off."""

from __future__ import annotations

import asyncio
import io
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from messages_api import Directive, MessagesAPI
from rich.console import Console
from rig.environment import NOWHERE, own_variables
from rig.kernel import Kernel

from claude_magic._render.terminal import TerminalView
from claude_magic.errors import APIError, NotLoggedInError
from claude_magic.sdk import ClaudeClient, ClaudeConfig, SessionAwareClient, _api_watch, events
from claude_magic.sdk._cli.environment import api_address
from claude_magic.sdk.host import Listener
from claude_magic.sdk.response import SessionAwareResponse, Text, fold

Run = Callable[..., Any]

QUICKLY = "import claude_magic.sdk._api_watch as watch; watch.SILENCE_S = 0.3"
"""Nobody wants to wait for ten seconds in a test."""


@pytest.fixture(autouse=True)
def workdir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def page(kernel: Kernel) -> str:
    return "\n".join(str(state.get("value")) for state in kernel.widgets.values())


def address(api: MessagesAPI) -> str:
    return api.url.removeprefix("http://")


# Silence


PROMPTS = {
    "behind the first byte": "<<wait>>",
    "in text": "<<say part>><<wait>><<say rest>>",
    "behind a tool": '<<tool Bash {"command": "true"}>><<wait>><<say late>>',
}


@pytest.mark.parametrize("prompt", PROMPTS.values(), ids=PROMPTS)
def test_silence_live(loaded_kernel: Kernel, api: MessagesAPI, prompt: str) -> None:
    """In the status line stands to whom the cell speaks and for how long nothing has come; nothing of it stays."""
    loaded_kernel.run(QUICKLY)
    cell = loaded_kernel.start(f"%%claude --allow Bash(true)\n{prompt}")
    cell.wait_for(lambda _: f"waiting for {address(api)}, no answer for " in page(loaded_kernel))
    api.go_on.set()
    result = cell.wait()
    assert result.ok
    assert "no answer" not in result.bundle["text/html"]


def test_silence_before_the_first_byte(tmp_path: Path, environment: dict[str, str], mute: str) -> None:
    """A server that takes the request and says nothing is named in the live view and in the static one."""
    with Kernel(tmp_path, environment | {"ANTHROPIC_BASE_URL": mute}) as kernel:
        kernel.run("%load_ext claude_magic")
        kernel.run(QUICKLY)
        said = f"waiting for {mute.removeprefix('http://')}, no answer for "
        cell = kernel.start("%%claude\nhello")
        cell.wait_for(lambda _: said in page(kernel))
        kernel.stop()
        cell = kernel.start("%%claude\nhello", allow_stdin=False)
        cell.wait_for(lambda result: said in str(result.outputs))
        kernel.stop()
        assert said not in str(cell.result.outputs)


def test_nobody_listens(tmp_path: Path, environment: dict[str, str]) -> None:
    """Where nobody listens the CLI asks again and again: both views say so, and by which proxy."""
    proxy = {"HTTPS_PROXY": "http://somebody:secret@127.0.0.1:9", "HTTP_PROXY": "http://somebody:secret@127.0.0.1:9"}
    with Kernel(tmp_path, environment | {"ANTHROPIC_BASE_URL": NOWHERE} | proxy) as kernel:
        kernel.run("%load_ext claude_magic")
        kernel.run(QUICKLY)
        said = "from 127.0.0.1:9 by way of the proxy 127.0.0.1:9"
        for allow_stdin in (True, False):
            cell = kernel.start("%%claude\nhello", allow_stdin=allow_stdin)
            cell.wait_for(lambda result: said in page(kernel) + str(result.outputs))
            assert "secret" not in page(kernel) + str(cell.result.outputs)
            kernel.stop()


@pytest.fixture
def mute() -> Iterator[str]:
    """The address of a server that takes connections and never answers."""
    import socket

    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


def test_silence_is_an_event(api: MessagesAPI, home: Path, mute: str, run_async: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """A script's host is told again and again, with the address and the seconds."""
    monkeypatch.setattr(_api_watch, "SILENCE_S", 0.2)

    async def ask() -> list[events.Unanswered]:
        seen: list[events.Unanswered] = []
        enough = asyncio.Event()

        def take(event: events.Event) -> None:
            if isinstance(event, events.Unanswered):
                seen.append(event)
                if len(seen) == 3:
                    enough.set()

        async with ClaudeClient(ClaudeConfig(env=own_variables(home, mute))) as client:
            turn = asyncio.create_task(client.run_turn(client.request("hello"), Listener(take)))
            await enough.wait()
            turn.cancel()
            await asyncio.wait([turn])
        return seen

    seen = run_async(ask())
    assert {event.address for event in seen} == {mute.removeprefix("http://")}
    assert [event.for_s for event in seen] == sorted(event.for_s for event in seen)


def test_working_is_no_silence(run_async: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    """While a tool runs, while Claude thinks, and behind the end, nobody waits for the API."""
    monkeypatch.setattr(_api_watch, "SILENCE_S", 0.0)
    begun = events.SessionStarted("s")
    thinks = (begun, events.TokensCounted(1, 1), events.ThinkingDelta(0, ""))
    called = events.ToolCalled(0, "c", "Bash", {})

    async def told_after(*happened: events.Event) -> bool:
        seen: list[events.Event] = []
        with _api_watch.APIWatch(Listener(seen.append), address="api", renews_login=False, stop=list) as watch:
            for event in happened:
                watch.emit(event)
            for _ in range(3):
                await asyncio.sleep(0)
        return any(isinstance(event, events.Unanswered) for event in seen)

    async def look() -> None:
        assert await told_after(begun)
        assert await told_after(begun, events.TokensCounted(1, 1))
        assert await told_after(begun, events.TokensCounted(1, 1), events.TextDelta(0, "x"))
        assert await told_after(*thinks, events.BlockEnded(0))
        assert await told_after(begun, called, events.ToolReturned("c", "x"))
        assert await told_after(begun, events.Retrying(1, 10, 1.0, None, "unknown"))
        assert not await told_after(begun, called)
        assert not await told_after(begun, called, events.ToolCalled(1, "d", "Bash", {}), events.ToolReturned("c", "x"))
        assert not await told_after(*thinks)
        assert not await told_after(*thinks, events.BlockEnded(0), events.TokensCounted(1, 9))
        assert not await told_after(begun, events.Retrying(1, 10, 60.0, 529, "overloaded"))
        assert not await told_after()

    run_async(look())


@pytest.mark.parametrize("is_terminal", [True, False])
def test_silence_in_a_terminal(is_terminal: bool) -> None:
    """A terminal's status line says it; a file that takes the place of a terminal gets one line."""
    file = io.StringIO()
    view = TerminalView([""], Console(file=file, force_terminal=is_terminal, width=100))
    response = SessionAwareResponse()
    for seconds in (10.0, 20.0):
        fold(response, events.Unanswered("api.example:443", seconds))
        view.update([response], seconds)
    view.close()
    assert "waiting for api.example:443, no answer for 10 s" in file.getvalue()
    assert ("no answer for 20 s" in file.getvalue()) is is_terminal


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({}, "api.anthropic.com"),
        ({"ANTHROPIC_BASE_URL": "https://me:key@gate.example:8443/v1"}, "gate.example:8443"),
        ({"HTTPS_PROXY": "http://me:key@proxy.example:3128"}, "api.anthropic.com by way of the proxy proxy.example:3128"),
        ({"https_proxy": "proxy.example:3128"}, "api.anthropic.com by way of the proxy proxy.example:3128"),
        ({"HTTPS_PROXY": "http://proxy.example:3128", "NO_PROXY": "localhost,.anthropic.com"}, "api.anthropic.com"),
        ({"CLAUDE_CODE_USE_BEDROCK": "1"}, "Amazon Bedrock"),
        ({"CLAUDE_CODE_USE_VERTEX": "0"}, "api.anthropic.com"),
    ],
)
def test_address(variables: dict[str, str], expected: str, tmp_path: Path) -> None:
    """The address is host and port, and the proxy's, without credentials."""
    assert api_address(variables | {"CLAUDE_CONFIG_DIR": str(tmp_path)}) == expected


def test_address_in_settings(tmp_path: Path) -> None:
    """What the person's settings set goes before the variables of the process."""
    (tmp_path / "settings.json").write_text('{"env": {"ANTHROPIC_BASE_URL": "https://gate.example"}}')
    assert api_address({"CLAUDE_CONFIG_DIR": str(tmp_path), "ANTHROPIC_BASE_URL": "https://other"}) == "gate.example"


# A login that is refused


@pytest.mark.parametrize(("renews", "refusals"), [(False, 1), (True, 2)])
def test_refusals_that_count(renews: bool, refusals: int, run_async: Run) -> None:
    """A login that the CLI renews may be refused once; a key may not."""

    async def look() -> None:
        stopped: list[int] = []
        watch = _api_watch.APIWatch(Listener(), address="api", renews_login=renews, stop=lambda: stopped.append(1))
        for count in range(1, 4):
            watch.emit(events.Retrying(count, 10, 1.0, 401, "authentication_failed"))
            assert len(stopped) == (count >= refusals)
        assert isinstance(watch.failure, NotLoggedInError)

    run_async(look())


# Answers that broke off


class Breaking(MessagesAPI):
    """Breaks off the first `breaks` answers behind the word `half`: before the end of the block, or behind it."""

    breaks = 0
    in_block = True

    def begin(self) -> None:
        super().begin()
        self.breaks = 0

    def parse(self, prompt: str) -> list[Directive]:
        broken = len(self.requests) <= self.breaks
        return [Directive("say", "half"), Directive("drop", "")] if broken else [Directive("say", "the whole answer")]

    def stream(self, directives: list[Directive], body: dict[str, Any], number: int) -> Iterator[tuple[str, dict[str, Any]]]:
        broken = len(self.requests) <= self.breaks
        for name, payload in super().stream(directives, body, number):
            if broken and self.in_block and name == "content_block_stop":
                return
            yield name, payload


@pytest.fixture
def breaking() -> Iterator[Breaking]:
    with Breaking() as api:
        yield api


@pytest.mark.parametrize("in_block", [True, False])
def test_half_answers(breaking: Breaking, home: Path, run_async: Run, in_block: bool) -> None:
    """Of an answer that broke off nothing stays, or what stays is marked: two halves are never one text."""
    breaking.breaks, breaking.in_block = 1, in_block

    async def ask() -> SessionAwareResponse:
        async with ClaudeClient(ClaudeConfig(env=own_variables(home, breaking.url))) as client:
            return await client.query("hello")

    response = run_async(ask())
    shown = [getattr(block, "text", "") for block in response.blocks]
    marked = ["half", "The connection broke here; Claude was asked to go on.", "the whole answer"]
    assert shown == (["the whole answer"] if in_block else marked)
    assert response.content == "the whole answer"


def test_half_answer_in_a_terminal() -> None:
    """What a terminal has printed of an answer that broke off is called void, and the new answer is printed whole."""
    file = io.StringIO()
    view = TerminalView([""], Console(file=file, width=100))
    response = SessionAwareResponse()
    for event in (
        events.TextDelta(0, "half of it.\n\n"),
        events.BlockEnded(0),
        events.BlocksDiscarded(0),
        events.TextDelta(1, "the whole answer.\n\n"),
        events.BlockEnded(1),
    ):
        fold(response, event)
        view.update([response], 1.0)
    view.close()
    assert [line.strip() for line in file.getvalue().splitlines() if line.strip()] == [
        "half of it.",
        "The connection broke. Ignore the last answer above and all that follows it; Claude answers again.",
        "the whole answer.",
    ]


# Failures that are not the network's


@pytest.mark.parametrize(
    ("stop", "next_step", "mark"),
    [
        ("max_tokens", "Ask for less at once", "The reply reached its limit of tokens here"),
        ("refusal", "Say it in other words", "The model's safeguards stopped the reply here"),
        ("model_context_window_exceeded", "/compact", ""),
    ],
)
def test_not_the_network(sdk_env: dict[str, str], run_async: Run, stop: str, next_step: str, mark: str) -> None:
    """What the API ends a reply with is told as what it is, and between the parts of a reply stands why there are parts."""
    seen = SessionAwareResponse()

    async def ask() -> None:
        async with SessionAwareClient(ClaudeConfig(env=sdk_env)) as client:
            request = client.request(f"<<say part>><<stop {stop}>>")
            with pytest.raises(APIError) as caught:
                await client.run_turn(request, Listener(lambda event: fold(seen, event)))
            assert next_step in caught.value.next_step
            assert "network" not in caught.value.next_step
            assert (await client.query_with_session("hello", auto_resume_last=True)).content == "You said: hello"

    run_async(ask())
    kinds = [type(block) for block in seen.blocks]
    assert (Text, Text) not in pairwise(kinds)
    assert mark in str([getattr(block, "text", "") for block in seen.blocks])
