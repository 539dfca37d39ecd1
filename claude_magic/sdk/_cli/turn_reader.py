"""Turns that a process is given, and the messages of its CLI: each goes to the turn that it belongs to.

Each prompt of ours has a UUID. The CLI (2.1.332) names it when it starts on the prompt (`command_lifecycle`, `init`) and in the
result. A turn without a prompt was started by the CLI itself: a helper or a background command has ended, a wake-up was due, or
another session has written. It gets a host of its own. A prompt that comes during such a turn waits, or is answered inside the
turn; in both cases the prompt's messages begin where the CLI starts on it.

Older CLIs report less: all that they write while a prompt waits for its answer counts as the answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import anyio
import claude_agent_sdk as sdk

from claude_magic.errors import ClaudeError
from claude_magic.sdk import events
from claude_magic.sdk._cli.translation import Translator
from claude_magic.sdk.config import TurnOptions
from claude_magic.sdk.content import Prompt
from claude_magic.sdk.events import Event
from claude_magic.sdk.host import SERVER, BackgroundWork, TurnHost

UNHEARD_LOOK_S, UNHEARD_LOOKS = 5.0, 3
"""Seconds between two checks whether the CLI has received a prompt, and how many may fail before it counts as stuck."""

INTERRUPT_AGAIN_S = 0.3
"""How long an interrupt may stay without effect before we send it again."""


@dataclass(eq=False)
class Reading:
    """One turn while it is read. `prompt_id` is the UUID of its prompt, `None` if the CLI started the turn by itself."""

    host: TurnHost
    prompt_id: str | None = None
    messages: list[dict[str, Any]] = field(default_factory=list)
    """The CLI's messages in this turn."""
    done: asyncio.Future[events.TurnEnded] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    is_heard: bool = False
    """Whether the CLI has confirmed that it has the prompt."""
    has_begun: bool = False
    """Whether any event has come."""

    def __post_init__(self) -> None:
        self.translator = Translator(self.messages)

    def read(self, message: sdk.Message) -> Iterator[Event]:
        """Emit the events of a message to the host, and yield them as well."""
        for event in self.translator.read(message):
            self.has_begun = True
            yield event
            self.host.emit(event)
        if self.translator.ended is not None and not self.done.done():
            self.done.set_result(self.translator.ended)

    def fail(self, error: Exception) -> None:
        """Tell the turn's waiter why the turn does not end."""
        if not self.done.done():
            self.done.set_exception(error)
            self.done.exception()  # mark it as retrieved, as there may be no waiter


class TurnReader:
    """The turns of one process.

    :param taken: returns the raw messages up to the one with this UUID.
    :param begin_own: makes the host of a turn that the CLI starts by itself.
    """

    def __init__(self, taken: Callable[[str | None], list[dict[str, Any]]], begin_own: Callable[[], TurnHost]) -> None:
        self._taken = taken
        self._begin_own = begin_own
        self._expected: Reading | None = None
        self._speaking: Reading | None = None
        self._names_prompts = False
        """Whether this CLI names the prompt that it starts on."""
        self._callers: dict[str, Reading] = {}
        """The turn of each tool call. A helper's messages name the call that the helper works for."""
        self.session_id: str | None = None
        self.permission_mode: str | None = None
        self.tools: frozenset[str] | None = None
        """The tools that Claude has, `None` before the CLI has listed them."""
        self.servers: frozenset[str] = frozenset()
        """The MCP servers besides ours that the CLI has named."""
        self.work: tuple[BackgroundWork, ...] = ()
        """The work that runs in the background."""
        self.work_changed = asyncio.Event()

    def expect(self, reading: Reading, unheard: Callable[[], object]) -> None:
        """Note that this turn's prompt is about to be sent; call `unheard` later if the CLI seems not to read it."""
        self._expected = reading
        self._look_whether_heard(reading, unheard, UNHEARD_LOOKS)

    def _look_whether_heard(self, reading: Reading, unheard: Callable[[], object], looks_left: int) -> None:
        # Check several times: if our own event loop was blocked, the CLI's confirmation may still wait to be read.
        if reading.is_heard or reading.done.done() or not self._names_prompts:
            return
        if looks_left == 0:
            unheard()
        else:
            loop = asyncio.get_running_loop()
            loop.call_later(UNHEARD_LOOK_S, self._look_whether_heard, reading, unheard, looks_left - 1)

    def host_of(self, call_id: str | None) -> TurnHost | None:
        """Return the host of a tool call's turn, else of the open turn; `None` if it has ended or none is open."""
        reading = self._callers.get(call_id or "") or self._speaking or self._expected
        return None if reading is None or reading.done.done() else reading.host

    def waited(self, call_id: str, seconds: float) -> None:
        """Tell a call's turn that the call has waited for a person."""
        if reading := self._callers.get(call_id):
            reading.translator.waited(call_id, seconds)

    def read(self, message: sdk.Message) -> None:
        """Hand a message to its turn."""
        raw = self._taken(_uuid(message))
        if isinstance(message, sdk.SystemMessage):
            self._note(message)
        if (reading := self._reading(message)) is None:
            return
        if isinstance(message, sdk.AssistantMessage):
            self._callers |= {block.id: reading for block in message.content if isinstance(block, sdk.ToolUseBlock)}
        if reading.done.done():
            return  # a helper may go on after the turn that started it
        reading.messages += raw
        try:
            for event in reading.read(message):
                if isinstance(event, events.SessionStarted | events.SessionReplaced | events.TurnEnded):
                    self.session_id = event.session_id or self.session_id
        except Exception as error:  # noqa: BLE001 - the host's error; it fails only this turn
            reading.fail(error)
        if reading.done.done():
            if not self.work:
                self._callers = {call: caller for call, caller in self._callers.items() if not caller.done.done()}
            self._speaking = None if self._speaking is reading else self._speaking
            self._expected = None if self._expected is reading else self._expected

    def end(self, error: Exception) -> None:
        """Fail every open turn, because no more messages will come."""
        for reading in filter(None, {self._speaking, self._expected}):
            reading.messages += self._taken(None)
            reading.fail(error)

    def _note(self, message: sdk.SystemMessage) -> None:
        # The mode can change in a turn, too: the person accepts a plan, or allows edits for the session.
        self.permission_mode = message.data.get("permissionMode") or self.permission_mode
        if message.subtype == "init":
            self.tools = frozenset(message.data.get("tools") or ())
            self.servers = frozenset(server["name"] for server in message.data.get("mcp_servers") or ()) - {SERVER}
        if message.subtype == "background_tasks_changed":
            self.work = tuple(
                BackgroundWork(str(task.get("task_id")), str(task.get("description") or task.get("task_type")))
                for task in message.data.get("tasks") or ()
            )
            self.work_changed.set()

    def _reading(self, message: sdk.Message) -> Reading | None:
        """Return the turn that a message belongs to. A result with an `origin` ends a turn that the CLI began."""
        match message:
            case sdk.SystemMessage(subtype="command_lifecycle", data=data):
                self._names_prompts = True
                expected, state = self._expected, data.get("state")
                if expected is not None and data.get("command_uuid") == expected.prompt_id:
                    expected.is_heard = True
                    if state == "started":
                        self._take_up(expected)
                    elif state == "queued" and self._speaking is expected:
                        self._give_back(expected)
                return None
            case sdk.SystemMessage(subtype="init", data=data):
                if self._begins_by_itself(data):
                    self._take_up(Reading(self._begin_own()))
                elif self._expected is not None:
                    self._take_up(self._expected)
            case sdk.ResultMessage():
                if self._expected is not None and self._expected.prompt_id in _answered(message):
                    self._take_up(self._expected)
                elif message.origin is None and self._speaking is None:
                    return self._expected
                elif message.origin is not None and self._expected is not None and self._speaking is self._expected:
                    self._give_back(self._expected)
            case sdk.AssistantMessage(parent_tool_use_id=str(call_id)) | sdk.UserMessage(parent_tool_use_id=str(call_id)):
                return self._callers.get(call_id, self._speaking)
        return self._speaking or (None if self._names_prompts else self._expected)

    def _take_up(self, reading: Reading) -> None:
        if self._speaking is not None and self._speaking is not reading:
            # The CLI had started this turn by itself, and answers the prompt inside it.
            self._speaking.fail(RuntimeError("its end is that of the prompt's turn"))
        self._speaking = reading

    def _give_back(self, reading: Reading) -> None:
        # A resumed CLI first reports work that ended with its previous process. The CLI had not yet named a prompt then, so
        # this report, a turn of the CLI's own, looked like the answer.
        reading.has_begun = False
        self._speaking = Reading(self._begin_own())

    def _begins_by_itself(self, data: dict[str, Any]) -> bool:
        if self._expected is None:
            return True
        if self._speaking is self._expected:
            return False
        named = data.get("user_message_uuids")
        return self._expected.prompt_id not in named if named else self._names_prompts


def _uuid(message: sdk.Message) -> str | None:
    data = getattr(message, "data", None)
    found = data.get("uuid") if isinstance(data, dict) else getattr(message, "uuid", None)
    return found if isinstance(found, str) else ""


def _answered(result: sdk.ResultMessage) -> set[str | None]:
    return {result.user_message_uuid, *(result.user_message_uuids or ())} - {None}


async def prompt_messages(prompt: Prompt, prompt_id: str) -> AsyncIterator[dict[str, Any]]:
    """Yield the message to the CLI for a prompt with this UUID."""
    yield {
        "type": "user",
        "uuid": prompt_id,
        "message": {"role": "user", "content": prompt.message},
        "parent_tool_use_id": None,
        **({"client_composed": True} if prompt.verbatim else {}),
    }


@dataclass(eq=False)
class QueuedTurn:
    """A turn handed to the owner task of a process.

    `sent` is set when the prompt was sent, or when an interrupted turn ended unsent. `reading` reads the answer; it is
    `None` until the prompt was sent. `abandoned` is set when the caller was cancelled.
    """

    prompt: Prompt
    options: TurnOptions
    host: TurnHost
    done: asyncio.Future[None] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    sent: asyncio.Event = field(default_factory=asyncio.Event)
    reading: Reading | None = None
    abandoned: bool = False

    @property
    def has_begun(self) -> bool:
        """Whether an event has come."""
        return self.reading is not None and self.reading.has_begun

    def finish(self, error: ClaudeError | None) -> None:
        """Pass the turn's end, or its error, to the caller who waits for `done`."""
        if not self.done.cancelled():
            self.done.set_result(None) if error is None else self.done.set_exception(error)

    async def interrupt(self, send: Callable[[], Awaitable[None]], kill: Callable[[], object], limit_s: float) -> None:
        """End the turn. A CLI that does not end it within `limit_s` is killed; its session will be resumed from disk."""
        with anyio.move_on_after(limit_s):
            self.done.add_done_callback(lambda _: self.sent.set())
            await self.sent.wait()
            while not self.done.done():
                try:
                    await send()
                except Exception:  # noqa: BLE001 - killing the CLI ends the turn in any case
                    kill()
                # The CLI ignores an interrupt that comes before it has started on the prompt.
                await asyncio.wait([self.done], timeout=INTERRUPT_AGAIN_S)
        if not self.done.done():
            kill()
            await asyncio.wait([self.done])
