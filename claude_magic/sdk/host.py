"""The two sides of a turn. Its source is a live process or a recording. Its host takes the events, answers permission requests
and runs the tools.

Source and host know of each other only what this module defines.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

from claude_magic.sdk.config import TurnOptions
from claude_magic.sdk.content import Prompt
from claude_magic.sdk.events import Event, Image

SERVER = "kernel"
"""The name of our MCP server; the CLI calls its tools `mcp__kernel__NAME`."""

QUESTION = "AskUserQuestion"
"""The tool of the CLI by which Claude asks the person something (2.1.332)."""

DENIED = "The person said no."
"""What Claude is told when the person denies something without a word."""

_TYPEABLE_RULE = re.compile(r"[\w-]+(\([^(),\x00-\x1f\x7f-\x9f]*\))?")


class Decision(Enum):
    """The answers to a permission request."""

    ONCE = "allowed once"
    SESSION = "allowed for this session"
    DENY = "denied"
    ANSWERED = "answered"

    @property
    def allows(self) -> bool:
        """Whether the call may run."""
        return self in (Decision.ONCE, Decision.SESSION)


@dataclass(frozen=True, slots=True)
class Choice:
    """An answer that Claude offers. `preview` shows what it would lead to."""

    label: str
    description: str = ""
    preview: str = ""


@dataclass(frozen=True, slots=True)
class ClaudeQuestion:
    """A question of Claude's own, with the answers that it offers. If `several` is true, more than one may be chosen."""

    text: str
    header: str = ""
    choices: tuple[Choice, ...] = ()
    several: bool = False

    def answer(self, labels: Iterable[str], words: str = "") -> str:
        """Return what Claude is told: the labels that were chosen, and the words that were typed with them or instead."""
        chosen = list(labels)
        if len(chosen) > 1:
            # Commas separate the labels.
            chosen = [f'"{label}"' if "," in label else label for label in chosen]
        return " – ".join(filter(None, (", ".join(chosen), words)))


@dataclass(frozen=True, slots=True)
class Suggestion:
    """An answer that a host offers the person: it denies the call and tells Claude `word`. `label` says this in short."""

    label: str
    word: str


@dataclass(frozen=True, slots=True)
class PermissionRequest:
    """Somebody must be asked whether a tool may run, or Claude has questions of its own.

    Claude's `questions` are answered with `Decision.ANSWERED`, everything else with another decision. `rules` are the rules
    that "for this session" would add, as they are typed. `by_helper` is true if the request comes from an agent that Claude
    sent out, `is_earlier` if it belongs to work of an earlier prompt. A host may add a `warning`, and what Claude could do
    `instead`.
    """

    call_id: str
    tool: str
    input: dict[str, Any]
    directory: str
    reason: str | None = None
    rules: tuple[str, ...] = ()
    by_helper: bool = False
    is_earlier: bool = False
    warning: str = ""
    instead: Suggestion | None = None

    @property
    def questions(self) -> tuple[ClaudeQuestion, ...]:
        """Claude's own questions; empty if this is about a permission."""
        return questions_in(self.tool, self.input)


@dataclass(frozen=True, slots=True)
class PermissionAnswer:
    """The answer. `word` is what Claude is told with a no. `answers` maps the text of each question to its answer."""

    decision: Decision
    word: str = ""
    answers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What one of our tools returns to Claude."""

    text: str
    images: tuple[Image, ...] = ()
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class Tool:
    """One of our tools: its name, what it is for, its arguments as a JSON schema, and whether it only reads."""

    name: str
    description: str
    schema: dict[str, Any]
    read_only: bool = False


def rule_of(tool: Tool) -> str:
    """Return the rule that allows one of our tools."""
    return f"mcp__{SERVER}__{tool.name}"


@dataclass(frozen=True, slots=True)
class BackgroundWork:
    """A command or a helper that Claude left running after a turn. `about` says in a few words what it is."""

    task_id: str
    about: str


@dataclass(frozen=True, slots=True)
class ContextPart:
    """What one part of a session's requests takes, such as the tools or the messages, as the CLI counts it."""

    name: str
    tokens: int


class TurnHost(Protocol):
    """The host of a turn. Its methods are called on the client's event loop."""

    def emit(self, event: Event) -> None:
        """Take an event."""

    async def ask(self, request: PermissionRequest) -> PermissionAnswer:
        """Answer a permission request, however long that takes. Cancelled if the turn ends or another answer covers it."""

    async def call(self, tool: str, arguments: dict[str, Any]) -> ToolResult:
        """Run a tool and return its result."""


class TurnSource(Protocol):
    """The source of a turn: a live process, or a recording that is played."""

    async def run_turn(self, prompt: Prompt, options: TurnOptions, host: TurnHost) -> None:
        """Run one turn for `host`; return after its last event. Cancelling it stops the turn.

        :raises ClaudeError: a subclass that says why the turn failed.
        """


class Listener:
    """A host that only listens: nobody can be asked, and there are no tools."""

    def __init__(self, emit: Callable[[Event], None] = lambda event: None) -> None:
        self._emit = emit

    def emit(self, event: Event) -> None:
        """Hand the event on."""
        self._emit(event)

    async def ask(self, request: PermissionRequest) -> PermissionAnswer:
        """Say no."""
        return PermissionAnswer(Decision.DENY, "Nobody can be asked here.")

    async def call(self, tool: str, arguments: dict[str, Any]) -> ToolResult:
        """Say that there is no such tool."""
        return ToolResult(f"There is no tool {tool}.", is_error=True)


class PassingHost:
    """A host that passes everything on to another one. Its subclasses look at what passes."""

    def __init__(self, host: TurnHost) -> None:
        self._host = host

    def emit(self, event: Event) -> None:
        self._host.emit(event)

    async def ask(self, request: PermissionRequest) -> PermissionAnswer:
        return await self._host.ask(request)

    async def call(self, tool: str, arguments: dict[str, Any]) -> ToolResult:
        return await self._host.call(tool, arguments)


async def nobody_answers(request: PermissionRequest) -> PermissionAnswer:
    """Deny a permission request of work that goes on between two prompts."""
    return PermissionAnswer(Decision.DENY, "Nobody can be asked between two prompts.")


def questions_in(tool: str, arguments: dict[str, Any]) -> tuple[ClaudeQuestion, ...]:
    """Return the questions of Claude's own that a call of a tool asks, each text once, with each label once."""
    asked: dict[str, ClaudeQuestion] = {}
    for given in _objects(arguments.get("questions")) if tool == QUESTION else ():
        choices: dict[str, Choice] = {}
        for option in _objects(given.get("options")):
            choice = Choice(*(_said(option, name) for name in ("label", "description", "preview")))
            if choice.label.strip():
                choices.setdefault(choice.label, choice)
        question = ClaudeQuestion(
            _said(given, "question"), _said(given, "header"), tuple(choices.values()), given.get("multiSelect") is True
        )
        asked.setdefault(question.text, question)
    return tuple(asked.values())


def _objects(value: object) -> list[dict[str, Any]]:
    return [part for part in value if isinstance(part, dict)] if isinstance(value, list) else []


def _said(given: dict[str, Any], name: str) -> str:
    value = given.get(name)
    return value if isinstance(value, str) else ""


def typeable(rules: Iterable[str]) -> tuple[str, ...]:
    """Return the rules that can be typed. On a command line, commas and parentheses separate rules."""
    return tuple(rule for rule in rules if _TYPEABLE_RULE.fullmatch(rule))
