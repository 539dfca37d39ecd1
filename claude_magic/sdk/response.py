"""One reply, as data.

`SessionAwareResponse` holds it, and `fold` adds the events of a turn to it. Adding a piece of text costs the same, however long
the reply is already.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, assert_never

from claude_magic.sdk import events
from claude_magic.sdk.config import OutputFormat
from claude_magic.sdk.events import Event, Image

if TYPE_CHECKING:
    from claude_magic._markdown import Code

STRUCTURED_OUTPUT = "StructuredOutput"
"""The CLI's tool by which a model answers when there is a schema (CLI 2.1.331)."""

VALUE = "value"
"""The property that holds a reply that is not an object: the CLI then gets the schema of an object with this property."""


class Growing:
    """Text that arrives in pieces, which are joined when it is read."""

    __slots__ = ("_pieces", "length")

    def __init__(self, text: str = "") -> None:
        self._pieces = [text]
        self.length = len(text)

    def add(self, text: str) -> None:
        self._pieces.append(text)
        self.length += len(text)

    def __str__(self) -> str:
        if len(self._pieces) > 1:
            self._pieces = ["".join(self._pieces)]
        return self._pieces[0]


@dataclass(slots=True)
class _GrowingBlock:
    """A block whose text arrives in pieces. `number` counts the blocks of the turn, as in its events."""

    number: int
    growing: Growing = field(default_factory=Growing)
    complete: bool = False

    @property
    def text(self) -> str:
        return str(self.growing)


@dataclass(slots=True)
class Text(_GrowingBlock):
    """A block of the answer, in Markdown."""


@dataclass(slots=True)
class Thinking(_GrowingBlock):
    """A block of the model's thinking."""

    duration_s: float | None = None


@dataclass(slots=True)
class ToolCall:
    """A call of a tool and, when it is `complete`, its result. `permission` is the text of its `PermissionAnswered`, if any."""

    number: int
    call_id: str
    name: str
    input: dict[str, Any] = field(default_factory=dict)
    parent_id: str | None = None
    result: str = ""
    images: tuple[Image, ...] = ()
    is_error: bool = False
    denied: bool = False
    permission: str = ""
    complete: bool = False
    duration_s: float | None = None


@dataclass(slots=True)
class Remark:
    """A line about the turn that is not part of the answer. Its number is -1, because it is no block of the CLI's."""

    text: str
    number: int = -1
    complete: bool = True


Block = Text | Thinking | ToolCall | Remark


@dataclass(eq=False)
class SessionAwareResponse:
    """A reply and the session it belongs to. It grows while the turn runs, and is complete when `ended` is set."""

    content: str = ""
    """The text of the last message, set when the turn ends. If the turn failed, all text that had arrived."""
    session_id: str | None = None
    """The ID of the session. With it, a later call can continue the conversation."""
    metadata: dict[str, Any] = field(default_factory=dict, repr=False)
    """Facts about the turn, by name: `model`, `usage` (tokens), `cost_usd` (US dollars, this turn alone), `duration_s`,
    `num_turns` (rounds with tools, as the CLI counts them), `is_error`, `stop_reason`, `permission_denials`, `command` and
    `recorded`. `recorded` is true for a turn that was played from a cassette: then the figures are those of the recording, and
    `command` is `None`."""
    raw_json: dict[str, Any] | None = field(default=None, repr=False)
    """The CLI's own messages, as the call's output format says; `None` for TEXT."""
    blocks: list[Block] = field(default_factory=list, repr=False)
    """The parts of the reply, in order: text, thinking, tool calls and remarks."""
    structured: Any = field(default=None, repr=False)
    """The data of a reply to a schema; `None` without one."""
    model: str | None = None
    """The full name of the model."""
    directory: str | None = field(default=None, repr=False)
    """The directory in which the turn works."""
    input_tokens: int = field(default=0, repr=False)
    """The input tokens so far, over all requests of the turn; `usage` has the final figures."""
    output_tokens: int = field(default=0, repr=False)
    """The output tokens so far."""
    retrying: events.Retrying | None = field(default=None, repr=False)
    """Set while the CLI waits before it sends a failed request again."""
    unanswered: events.Unanswered | None = field(default=None, repr=False)
    """Set while the API has not answered for a while."""
    queued: bool = field(default=False, repr=False)
    """Whether the turn waits for another one to end."""
    message_id: str | None = field(default=None, repr=False)
    """The ID of the last message so far; a branch can begin after it."""
    ended: events.TurnEnded | None = field(default=None, repr=False)
    """How the turn ended; `None` while it runs."""
    _calls: dict[str, ToolCall] = field(default_factory=dict, init=False, repr=False)
    """The tool calls among `blocks`, by ID."""

    def __post_init__(self) -> None:
        self._note_calls()

    def _note_calls(self) -> None:
        self._calls = {block.call_id: block for block in self.blocks if isinstance(block, ToolCall)}

    @property
    def usage(self) -> dict[str, Any]:
        """The tokens of this turn, as the API counts them."""
        return dict(self.metadata.get("usage") or {})

    @property
    def cost_usd(self) -> float | None:
        """The cost of this turn in US dollars; `None` if the CLI did not say it."""
        cost: float | None = self.metadata.get("cost_usd")
        return cost

    @property
    def duration_s(self) -> float | None:
        """Seconds from prompt to result, as the CLI measured them."""
        duration: float | None = self.metadata.get("duration_s")
        return duration

    @property
    def text(self) -> str:
        """All text of the turn so far, also the text between tool calls."""
        return "\n\n".join(block.text for block in self.blocks if isinstance(block, Text) and block.growing.length)

    @property
    def arrived(self) -> str:
        """What has arrived of a turn that did not succeed: all text, and the last data that did not fit the schema."""
        calls = [block for block in self.blocks if isinstance(block, ToolCall) and block.name == STRUCTURED_OUTPUT]
        misfits = [as_json(call.input) for call in calls if call.is_error]
        return "\n\n".join(filter(None, (self.text, *misfits[-1:])))

    @property
    def code_blocks(self) -> list[str]:
        """The text of each code block of the answer, in order, without its final newline.

        A code block is what a notebook shows as one: a fenced block, also in a list or a quote, or lines indented as code.
        """
        return [code.text.removesuffix("\n") for code in self._code()]

    @property
    def python_blocks(self) -> list[str]:
        """The code blocks that are marked as Python. If there are none, the code blocks that name no language.

        `python`, `Python3.12`, `{.python .numberLines}` and `ipython` are Python. `pycon`, a session with its output, is not.
        """
        blocks = self._code()
        labelled = [code for code in blocks if code.is_python]
        chosen = labelled or [code for code in blocks if not code.language]
        return [code.text.removesuffix("\n") for code in chosen]

    def _code(self) -> list[Code]:
        from claude_magic._markdown import code_in  # late import: else importing the SDK takes twice as long

        return code_in(self.content)

    def __await__(self) -> Generator[None, None, SessionAwareResponse]:
        """Return the reply itself, so that a reply can be awaited like a coroutine that returns one."""
        yield from ()
        return self

    def __str__(self) -> str:
        return self.content


def plain_data(data: object) -> Any:
    """Return the data of a structured reply as plain JSON types, also if it holds instances of a class."""
    from pydantic_core import to_jsonable_python  # late import: keeps importing the SDK fast

    return to_jsonable_python(data, serialize_unknown=True)


def as_json(data: object) -> str:
    """Return the data of a structured reply as indented JSON."""
    return json.dumps(plain_data(data), indent=2, ensure_ascii=False)


def raw_json(response: SessionAwareResponse, output_format: OutputFormat) -> dict[str, Any] | None:
    """Return the CLI's own messages that belong to this format: none, the result, or all of the turn."""
    if response.ended is None or output_format is OutputFormat.TEXT:
        return None
    if output_format is OutputFormat.JSON:
        return response.ended.raw
    return {"session_id": response.session_id, "messages": list(response.ended.messages)}


def fold(response: SessionAwareResponse, event: Event) -> None:
    """Add one event to the response."""
    match event:
        case events.SessionStarted():
            response.session_id = event.session_id
            response.model = event.model or response.model
            response.directory = event.directory or response.directory
            response.queued = False
            if event.recorded:
                response.metadata["recorded"] = True
        case events.SessionReplaced():
            response.session_id = event.session_id
        case events.TextDelta() | events.ThinkingDelta():
            _grow(response, event)
        case events.BlockEnded():
            block = _numbered(response, event.block)
            if isinstance(block, Text | Thinking):  # a tool call is complete only with its result
                block.complete = True
            if isinstance(block, Thinking):
                block.duration_s = event.duration_s
        case events.BlocksDiscarded():
            response.blocks = [block for block in response.blocks if block.number < event.first]
            response._note_calls()
        case events.ToolStarted():
            response.retrying = response.unanswered = None
            _begin_call(response, event)
        case events.ToolCalled():
            called = call_with_id(response, event.call_id) or _begin_call(response, event)
            called.input, called.parent_id = event.input, event.parent_id
        case events.PermissionAnswered():
            if call := call_with_id(response, event.call_id):
                details = event.word or ", ".join(event.rules)
                call.permission = f"{event.answer}: {details}" if details else event.answer
                call.denied = event.answer == "denied"
        case events.ToolReturned():
            if call := call_with_id(response, event.call_id):
                call.result, call.images, call.is_error = event.text, event.images, event.is_error
                call.denied, call.duration_s, call.complete = call.denied or event.denied, event.duration_s, True
        case events.Retrying():
            response.retrying = event
            if event.status is not None:
                response.unanswered = None
        case events.Unanswered():
            response.unanswered = event
        case events.Queued():
            response.queued = True
        case events.TokensCounted():
            response.retrying = response.unanswered = None
            response.input_tokens, response.output_tokens = event.input_tokens, event.output_tokens
        case events.MessageEnded():
            response.message_id = event.message_id
        case events.Notice():
            response.blocks.append(Remark(event.text))
        case events.TurnEnded():
            _end(response, event)
        case _:
            assert_never(event)


def _begin_call(response: SessionAwareResponse, event: events.ToolStarted | events.ToolCalled) -> ToolCall:
    call = response._calls[event.call_id] = ToolCall(event.block, event.call_id, event.name)
    response.blocks.append(call)
    return call


def _grow(response: SessionAwareResponse, event: events.TextDelta | events.ThinkingDelta) -> None:
    response.retrying = response.unanswered = None
    block = _numbered(response, event.block)
    if not isinstance(block, Text | Thinking):
        block = Text(event.block) if isinstance(event, events.TextDelta) else Thinking(event.block)
        response.blocks.append(block)
    block.growing.add(event.text)


def _end(response: SessionAwareResponse, event: events.TurnEnded) -> None:
    response.retrying = response.unanswered = None
    response.ended = event
    response.session_id = event.session_id or response.session_id
    response.model = event.model or response.model
    response.structured = event.structured
    response.content = response.arrived if event.is_error else event.text
    if event.structured is not None and not response.content:
        response.content = as_json(event.structured)
    for block in response.blocks:
        if not isinstance(block, ToolCall):
            block.complete = True
    response.metadata |= {
        "model": response.model,
        "usage": event.usage,
        "cost_usd": event.cost_usd,
        "duration_s": event.duration_s,
        "num_turns": event.num_turns,
        "is_error": event.is_error,
        "stop_reason": event.stop_reason,
        "permission_denials": list(event.permission_denials),
        "recorded": event.recorded,
    }


def _numbered(response: SessionAwareResponse, number: int) -> Block | None:
    """Find a block by its number: it is nearly always the last one."""
    return next((block for block in reversed(response.blocks) if block.number == number), None)


def has_answer(blocks: Iterable[Block]) -> bool:
    """Whether any of these blocks is Claude's: a remark is ours."""
    return any(not isinstance(block, Remark) for block in blocks)


def call_with_id(response: SessionAwareResponse, call_id: str) -> ToolCall | None:
    """Return the call of a tool with this ID; `None` if the reply has none."""
    return response._calls.get(call_id)
