"""Whose message is this? Hands everything that one CLI says to the turn that it belongs to.

A prompt of ours has a UUID, and the CLI (2.1.332) says when it takes that prompt up, names it in `system/init`, and names it
again in the result. What begins without a prompt the CLI does by itself: a helper or a command in the background has ended, a
wake-up was due, another session has written. Such a turn gets a host of its own. A prompt that comes in the middle of one
waits, or is answered inside it; either way its own messages begin where the CLI takes it up.

Older CLIs say less: there, what is said while a prompt waits for its answer is the answer.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import claude_agent_sdk as sdk

from claude_magic.sdk import events
from claude_magic.sdk._cli.translation import Translator
from claude_magic.sdk.content import Prompt
from claude_magic.sdk.events import Event
from claude_magic.sdk.host import SERVER, BackgroundWork, TurnHost

UNHEARD_LOOK_S, UNHEARD_LOOKS = 5.0, 3
"""How often, and how many times in vain, a CLI that says which prompts it has is looked at before it counts as stuck."""


@dataclass(eq=False)
class Reading:
    """One turn as it is read. `prompt_id` is the UUID of its prompt, `None` where the CLI goes on by itself."""

    host: TurnHost
    prompt_id: str | None = None
    messages: list[dict[str, Any]] = field(default_factory=list)
    """What the CLI has written in this turn."""
    done: asyncio.Future[events.TurnEnded] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    is_heard: bool = False
    """Whether the CLI has said that it has the prompt."""
    has_begun: bool = False
    """Whether anything was said in it."""

    def __post_init__(self) -> None:
        self._translator = Translator(self.messages)

    def read(self, message: sdk.Message) -> Iterator[Event]:
        """Hand on what a message says, and yield it, too."""
        for event in self._translator.read(message):
            self.has_begun = True
            yield event
            self.host.emit(event)
        if self._translator.ended is not None and not self.done.done():
            self.done.set_result(self._translator.ended)

    def waited(self, call_id: str, seconds: float) -> None:
        """Count these seconds not as the tool's own."""
        self._translator.waited(call_id, seconds)

    def fail(self, error: Exception) -> None:
        """Let whoever waits for the turn know why it does not end."""
        if not self.done.done():
            self.done.set_exception(error)
            self.done.exception()  # seen: perhaps nobody waits


class TurnReader:
    """The turns of one process.

    :param taken: gives the messages up to the one with a UUID, as the CLI wrote them.
    :param begin_own: makes the host of a turn that the CLI begins by itself.
    """

    def __init__(self, taken: Callable[[str | None], list[dict[str, Any]]], begin_own: Callable[[], TurnHost]) -> None:
        self._taken = taken
        self._begin_own = begin_own
        self._expected: Reading | None = None
        self._speaking: Reading | None = None
        self._names_prompts = False
        """Whether this CLI says which prompt it takes up."""
        self._callers: dict[str, Reading] = {}
        """Who called a tool: a helper's own messages name the call that it works for."""
        self.session_id: str | None = None
        self.permission_mode: str | None = None
        self.tools: frozenset[str] | None = None
        """The tools that Claude has, `None` before the CLI has said it."""
        self.servers: frozenset[str] = frozenset()
        """The MCP servers besides ours that the CLI has named."""
        self.work: tuple[BackgroundWork, ...] = ()
        """What goes on in the background."""
        self.work_changed = asyncio.Event()

    def expect(self, reading: Reading, unheard: Callable[[], object]) -> None:
        """Wait for the answer to a prompt that is about to be sent; call `unheard` when the CLI seems not to read it."""
        self._expected = reading
        self._look_whether_heard(reading, unheard, UNHEARD_LOOKS)

    def _look_whether_heard(self, reading: Reading, unheard: Callable[[], object], looks_left: int) -> None:
        # Looked at several times: if it was this event loop that stood still, the CLI's word may be waiting to be read.
        if reading.is_heard or reading.done.done() or not self._names_prompts:
            return
        if looks_left == 0:
            unheard()
        else:
            loop = asyncio.get_running_loop()
            loop.call_later(UNHEARD_LOOK_S, self._look_whether_heard, reading, unheard, looks_left - 1)

    def host_of(self, call_id: str | None) -> TurnHost | None:
        """Return who hosts the turn that a tool call belongs to, `None` when that turn has ended, or none is known."""
        reading = self._callers.get(call_id or "") or self._speaking or self._expected
        return None if reading is None or reading.done.done() else reading.host

    def waited(self, call_id: str, seconds: float) -> None:
        """Let a call's turn know that it has waited for a person."""
        if reading := self._callers.get(call_id):
            reading.waited(call_id, seconds)

    def read(self, message: sdk.Message) -> None:
        """Hand a message to its turn."""
        raw = self._taken(_uuid(message))
        if isinstance(message, sdk.SystemMessage):
            self._note(message)
        reading = self._reading(message)
        if reading is None:
            return
        if isinstance(message, sdk.AssistantMessage):
            self._callers |= {block.id: reading for block in message.content if isinstance(block, sdk.ToolUseBlock)}
        if reading.done.done():
            return  # a helper goes on behind the turn that it was sent off in
        reading.messages += raw
        try:
            for event in reading.read(message):
                if isinstance(event, events.SessionStarted | events.SessionReplaced | events.TurnEnded):
                    self.session_id = event.session_id or self.session_id
        except Exception as error:  # noqa: BLE001 - a host's, and its turn's alone: others are read on
            reading.fail(error)
        if reading.done.done():
            if not self.work:
                self._callers = {call: caller for call, caller in self._callers.items() if not caller.done.done()}
            self._speaking = None if self._speaking is reading else self._speaking
            self._expected = None if self._expected is reading else self._expected

    def end(self, error: Exception) -> None:
        """Let every turn that has not ended know that the CLI says no more."""
        for reading in {self._speaking, self._expected} - {None}:
            assert reading is not None
            reading.messages += self._taken(None)
            reading.fail(error)

    def _note(self, message: sdk.SystemMessage) -> None:
        # The mode also changes in the middle of a turn: when a plan is accepted, or edits for the session.
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
            # It was a turn of the CLI's own, and the prompt is answered inside it.
            self._speaking.fail(MergedError("its end is that of the prompt's turn"))
        self._speaking = reading

    def _give_back(self, reading: Reading) -> None:
        # A resumed CLI tells of work that ended with its last process before it takes a prompt, and so before it has shown
        # that it names prompts: what began then was a turn of its own.
        reading.has_begun = False
        self._speaking = Reading(self._begin_own())

    def _begins_by_itself(self, data: dict[str, Any]) -> bool:
        if self._expected is None:
            return True
        if self._speaking is self._expected:
            return False
        named = data.get("user_message_uuids")
        return self._expected.prompt_id not in named if named else self._names_prompts


class MergedError(Exception):
    """A prompt was answered inside a turn that the CLI had begun by itself."""


def _uuid(message: sdk.Message) -> str | None:
    data = getattr(message, "data", None)
    found = data.get("uuid") if isinstance(data, dict) else getattr(message, "uuid", None)
    return found if isinstance(found, str) else ""


def _answered(result: sdk.ResultMessage) -> set[str | None]:
    return {result.user_message_uuid, *(result.user_message_uuids or ())} - {None}


async def prompt_messages(prompt: Prompt, prompt_id: str) -> AsyncIterator[dict[str, Any]]:
    """Yield what is written to the CLI for a prompt with this UUID."""
    yield {
        "type": "user",
        "uuid": prompt_id,
        "message": {"role": "user", "content": prompt.message},
        "parent_tool_use_id": None,
        **({"client_composed": True} if prompt.verbatim else {}),
    }
