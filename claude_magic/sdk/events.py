"""The events of a turn: what happens, one frozen dataclass for each kind.

`_cli/translation` makes events from the CLI's messages, `response.fold` adds them to a reply, and a cassette records them.

`block` is the number of a piece of one reply, from 0, in the order in which the pieces begin.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class SessionStarted:
    """The CLI has begun the turn, in this session. In every turn that reached the CLI, only `Notice` and `Queued` come before.

    `recorded` says that the turn is played from a recording.
    """

    session_id: str
    model: str | None = None
    directory: str | None = None
    recorded: bool = False


@dataclass(frozen=True, slots=True)
class SessionReplaced:
    """The conversation was cleared (`/clear`). What follows belongs to this new session."""

    session_id: str


@dataclass(frozen=True, slots=True)
class TextDelta:
    """More text of the answer."""

    block: int
    text: str


@dataclass(frozen=True, slots=True)
class ThinkingDelta:
    """More text of the model's thinking."""

    block: int
    text: str


@dataclass(frozen=True, slots=True)
class BlockEnded:
    """A text or thinking block is complete; nothing will be added to it."""

    block: int
    duration_s: float | None = None


@dataclass(frozen=True, slots=True)
class BlocksDiscarded:
    """The connection to the API broke. Of the reply so far, block `first` and all later ones are lost."""

    first: int


@dataclass(frozen=True, slots=True)
class ToolStarted:
    """The model began to write a tool call; its input is not known yet."""

    block: int
    call_id: str
    name: str


@dataclass(frozen=True, slots=True)
class ToolCalled:
    """The model calls a tool. If a sub-agent calls it, `parent_id` is the ID of the call that started the sub-agent."""

    block: int
    call_id: str
    name: str
    input: dict[str, Any]
    parent_id: str | None = None


@dataclass(frozen=True, slots=True)
class PermissionAnswered:
    """A person answered whether a tool may run, or it was denied unasked. `answer` is a phrase such as `allowed once`.

    `rules` are the rules that "allowed for this session" added. `word` is a comment with a no, or answers to a question.
    """

    call_id: str
    answer: str
    rules: tuple[str, ...] = ()
    word: str = ""


@dataclass(frozen=True, slots=True)
class Image:
    """An image that a tool returned: base64 `data` of the given media type."""

    media_type: str
    data: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class ToolReturned:
    """A tool call has its result. `denied` is true when it did not run because it was not allowed."""

    call_id: str
    text: str
    is_error: bool = False
    denied: bool = False
    images: tuple[Image, ...] = ()
    duration_s: float | None = None


@dataclass(frozen=True, slots=True)
class Retrying:
    """A request to the API failed (HTTP `status`, if any). Attempt `attempt` of `max_attempts` follows in `delay_s` seconds."""

    attempt: int
    max_attempts: int
    delay_s: float
    status: int | None
    error: str


@dataclass(frozen=True, slots=True)
class Unanswered:
    """The API at `address` has not answered for `for_s` seconds. The event is repeated as long as that lasts."""

    address: str
    for_s: float


@dataclass(frozen=True, slots=True)
class Queued:
    """The turn waits for another one to end: one of its session or, if no more may run at once, any one."""


@dataclass(frozen=True, slots=True)
class TokensCounted:
    """Tokens of this turn so far, over all its requests."""

    input_tokens: int
    output_tokens: int


@dataclass(frozen=True, slots=True)
class MessageEnded:
    """A message is in the session's history under this UUID, so that a branch can begin after it.

    Mostly it is a message of Claude's. After an interrupted turn and after a compaction it is one of the CLI's own.
    """

    message_id: str


@dataclass(frozen=True, slots=True)
class Notice:
    """Something the reader should know that is not part of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """The turn has ended. Only a `Notice` that the turn is not kept on disk may follow.

    `usage` counts tokens as the API does. `cost_usd` and `usage` are those of this turn alone; they are `None` and empty if
    the CLI does not say them. After the turn, `context_tokens` of the model's `context_window` are in use. `raw` is the CLI's
    own result message, `messages` are all its messages of the turn, in order. If `recorded` is true, the turn was played from
    a recording, and usage and cost are those of the recording.
    """

    session_id: str | None
    is_error: bool
    subtype: str
    text: str
    duration_s: float
    num_turns: int = 0
    stop_reason: str | None = None
    terminal_reason: str | None = None
    status: int | None = None
    errors: tuple[str, ...] = ()
    model: str | None = None
    usage: dict[str, Any] = field(default_factory=dict)
    cost_usd: float | None = None
    context_tokens: int | None = None
    context_window: int | None = None
    permission_denials: tuple[dict[str, Any], ...] = ()
    structured: Any = None
    raw: dict[str, Any] = field(default_factory=dict, repr=False)
    messages: tuple[dict[str, Any], ...] = field(default=(), repr=False)
    recorded: bool = False


Event = (
    SessionStarted
    | SessionReplaced
    | TextDelta
    | ThinkingDelta
    | BlockEnded
    | BlocksDiscarded
    | ToolStarted
    | ToolCalled
    | PermissionAnswered
    | ToolReturned
    | Retrying
    | Unanswered
    | Queued
    | TokensCounted
    | MessageEnded
    | Notice
    | TurnEnded
)
