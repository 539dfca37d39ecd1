"""What a turn needs from whoever runs it: to take its events, to answer its permission requests, to do its tools' work.

The source of a turn, a live process or a recording, asks; the host answers; neither knows more of the other than this.
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
"""The CLI's tool by which Claude asks the person something (2.1.332)."""

DENIED = "The person said no."
"""What Claude is told with a no that nobody put into words."""

_TYPEABLE_RULE = re.compile(r"[\w-]+(\([^(),\x00-\x1f\x7f-\x9f]*\))?")


class Decision(Enum):
    """What a person says to a permission request."""

    ONCE = "allowed once"
    SESSION = "allowed for this session"
    DENY = "denied"
    ANSWERED = "answered"


@dataclass(frozen=True, slots=True)
class Choice:
    """An answer that Claude offers; `preview` shows what would come of it."""

    label: str
    description: str = ""
    preview: str = ""


@dataclass(frozen=True, slots=True)
class ClaudeQuestion:
    """A question of Claude's own, with the answers that it offers; of `several` more than one may be taken."""

    text: str
    header: str = ""
    choices: tuple[Choice, ...] = ()
    several: bool = False

    def answer(self, labels: Iterable[str], words: str = "") -> str:
        """Return what Claude is told when these are chosen, and these words are added or take their place."""
        chosen = list(labels)
        if len(chosen) > 1:
            # Commas divide them.
            chosen = [f'"{label}"' if "," in label else label for label in chosen]
        return " – ".join(filter(None, (", ".join(chosen), words)))


@dataclass(frozen=True, slots=True)
class Suggestion:
    """An answer that a host offers: a no by which Claude is told these words. `label` says it in short."""

    label: str
    word: str


@dataclass(frozen=True, slots=True)
class PermissionRequest:
    """The CLI's own rules say that somebody must be asked, or Claude has questions of its own.

    Claude's `questions` are answered with `Decision.ANSWERED`, all else with another decision. `rules` are what "for this
    session" would add, as typed. `by_helper` says that an agent asks which Claude has sent off, `is_earlier` that the work it
    is for goes on from an earlier prompt. A host may add a `warning`, and what Claude could do `instead`.
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
        """What Claude asks of its own; nothing when this is about a permission."""
        return questions_in(self.tool, self.input)


@dataclass(frozen=True, slots=True)
class PermissionAnswer:
    """The answer; `word` is what Claude is told when it is a no, `answers` what to each question's text."""

    decision: Decision
    word: str = ""
    answers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What a tool of ours gives back to Claude."""

    text: str
    images: tuple[Image, ...] = ()
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool of ours: its name, what it is for, its arguments as a JSON schema, and whether it only looks."""

    name: str
    description: str
    schema: dict[str, Any]
    read_only: bool = False


def rule_of(tool: Tool) -> str:
    """Return the rule that allows one of our tools."""
    return f"mcp__{SERVER}__{tool.name}"


@dataclass(frozen=True, slots=True)
class BackgroundWork:
    """Something that Claude has left running behind a turn: a command, or a helper. `about` says what, in a few words."""

    task_id: str
    about: str


class TurnHost(Protocol):
    """Who runs a turn. All of it is called on the client's event loop."""

    def emit(self, event: Event) -> None:
        """Take an event."""

    async def ask(self, request: PermissionRequest) -> PermissionAnswer:
        """Answer a permission request, however long that takes; cancelled when the turn ends first."""

    async def call(self, tool: str, arguments: dict[str, Any]) -> ToolResult:
        """Do a tool's work."""


class TurnSource(Protocol):
    """What a turn comes out of: a live process, or a recording that is played."""

    async def run_turn(self, prompt: Prompt, options: TurnOptions, host: TurnHost) -> None:
        """Run one turn for `host`; return after its last event. Cancelling it stops the turn.

        :raises ClaudeError: of the kind that says why the turn failed.
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


async def nobody_answers(request: PermissionRequest) -> PermissionAnswer:
    """Say no to a question of work that goes on between two prompts."""
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
    """Return those rules that mean the same when they are typed: on a command line commas and parentheses divide rules."""
    return tuple(rule for rule in rules if _TYPEABLE_RULE.fullmatch(rule))
