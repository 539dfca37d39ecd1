"""Translates claude-agent-sdk's messages into our events.

No other module makes events from messages. One `Translator` reads the messages of one turn. It ignores unknown types of
messages, because each release of the CLI adds some.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import claude_agent_sdk as sdk

from claude_magic.sdk import events
from claude_magic.sdk.events import Event

_INTERRUPTED = "[Request interrupted by user"
"""The start of the user message that the CLI (2.1.331) adds after an interrupted turn."""

_ASKED_TO_GO_ON = {
    "Your response above was cut off": "The connection broke here; Claude was asked to go on.",
    "Output token limit hit": "The reply reached its limit of tokens here; Claude was asked to go on.",
    "Your response above was stopped by a safety": "The model's safeguards stopped the reply here; Claude was asked to go on.",
}
"""How the CLI's requests to go on begin (2.1.332), each with what we say to the person."""


class Translator:
    """Reads one turn's messages in order. `ended` is the turn's last event, once it has come.

    :param raw_messages: the CLI's messages in this turn, up to the one being read; the caller appends to it.
    """

    def __init__(self, raw_messages: Sequence[dict[str, Any]]) -> None:
        self._raw_messages = raw_messages
        self._began = time.monotonic()
        self._blocks = 0
        """The number of blocks so far, so that it is the number of the next one."""
        self._numbers: dict[int, int] = {}
        """The number of each block in the turn, by its index in the message that streams."""
        self._open: dict[int, tuple[int, float]] = {}
        """The number of each block that has not ended, and when it began, by its index in that message."""
        self._streamed: set[str | None] = set()
        """The API's IDs of messages that came as a stream; the whole message follows, and its text is not shown again."""
        self._calls: dict[str, float] = {}
        """When each tool call began, by its ID."""
        self._denied: set[str] = set()
        self._repeating = False
        """Whether the conversation was just compacted. Until an answer streams, the CLI sends the summary as a user message and
        may repeat earlier messages. A later turn goes on after the last user message of these."""
        self._input_tokens = 0
        self._context_tokens = 0
        """The size of the last request."""
        self._output_tokens = 0
        """Those of the messages before the one that streams."""
        self._message_output_tokens = 0
        self._model: str | None = None
        self.ended: events.TurnEnded | None = None

    def read(self, message: sdk.Message) -> Iterator[Event]:
        """Yield the events of one message."""
        match message:
            case sdk.StreamEvent(parent_tool_use_id=None):  # a helper's stream is not shown, only its calls
                yield from self._stream(message.event)
            case sdk.AssistantMessage():
                yield from self._assistant(message)
            case sdk.UserMessage(uuid=str(message_id)) if self._repeating:
                yield events.MessageEnded(message_id)
            case sdk.UserMessage(content=list()):
                yield from self._user(message)
            case sdk.ConversationResetMessage():
                yield events.SessionReplaced(message.new_conversation_id)
            case sdk.ResultMessage():
                self.ended = self._result(message)
                yield self.ended
            case sdk.RateLimitEvent(rate_limit_info=info) if info.status != "allowed":
                window = (info.rate_limit_type or "usage").replace("_", " ")
                used = f": {info.utilization:.0%} used" if info.utilization is not None else ""
                yield events.Notice(f"Rate limit ({window}){used}.")
            case sdk.SystemMessage():
                yield from self._system(message.subtype, message.data)

    def waited(self, call_id: str, seconds: float) -> None:
        """Subtract from a call's duration the seconds in which it waited for a person."""
        if call_id in self._calls:
            self._calls[call_id] += seconds

    def _system(self, subtype: str, data: dict[str, Any]) -> Iterator[Event]:
        match subtype:
            case "init":
                self._model = data.get("model")
                yield events.SessionStarted(data["session_id"], self._model, data.get("cwd"))
            case "api_retry":
                yield events.Retrying(
                    attempt=int(data.get("attempt") or 0),
                    max_attempts=int(data.get("max_retries") or 0),
                    delay_s=float(data.get("retry_delay_ms") or 0) / 1000,
                    status=data.get("error_status"),
                    error=str(data.get("error") or "connection failed"),
                )
            case "permission_denied":
                self._denied.add(data.get("tool_use_id", ""))
            case "compact_boundary":
                self._repeating = True
                yield events.Notice("The conversation was compacted to make room.")

    def _stream(self, event: dict[str, Any]) -> Iterator[Event]:
        match event.get("type"):
            case "message_start":
                self._repeating = False
                message = event["message"]
                self._streamed.add(message.get("id"))
                self._model = message.get("model") or self._model
                yield from self._discarded()
                self._numbers.clear()
                usage = message.get("usage") or {}
                cached = (usage.get("cache_read_input_tokens") or 0) + (usage.get("cache_creation_input_tokens") or 0)
                self._context_tokens = (usage.get("input_tokens") or 0) + cached
                self._input_tokens += self._context_tokens
                self._output_tokens += self._message_output_tokens
                self._message_output_tokens = usage.get("output_tokens") or 0
                yield self._counted()
            case "content_block_start":
                yield from self._start(event["index"], event["content_block"])
            case "content_block_delta":
                # An index whose block is not open counts as the next block.
                number, _ = self._open.get(event["index"], (self._blocks, 0))
                match event["delta"]:
                    case {"type": "text_delta", "text": str(text)}:
                        yield events.TextDelta(number, text)
                    case {"type": "thinking_delta", "thinking": str(text)}:
                        yield events.ThinkingDelta(number, text)
            case "content_block_stop":
                number, started = self._open.pop(event["index"], (self._blocks, time.monotonic()))
                yield events.BlockEnded(number, time.monotonic() - started)
            case "message_stop":
                yield from self._discarded(event.get("abandoned_blocks"))
            case "message_delta":
                usage = event.get("usage") or {}
                self._message_output_tokens = usage.get("output_tokens") or self._message_output_tokens
                yield self._counted()

    def _discarded(self, named: dict[str, Any] | None = None) -> Iterator[Event]:
        """Report the blocks that a broken connection lost: those that never ended, and those that the CLI names."""
        gone = [number for number, _ in self._open.values()]
        if named is not None:
            gone += [number for index, number in self._numbers.items() if index >= (named.get("from_block_index") or 0)]
        if gone:
            yield events.BlocksDiscarded(min(gone))
        self._open.clear()

    def _counted(self) -> events.TokensCounted:
        return events.TokensCounted(self._input_tokens, self._output_tokens + self._message_output_tokens)

    def _start(self, index: int, block: dict[str, Any]) -> Iterator[Event]:
        self._numbers[index] = number = self._next_block()
        self._open[index] = (number, time.monotonic())
        if block.get("type") in ("tool_use", "server_tool_use"):
            self._calls[block["id"]] = time.monotonic()
            yield events.ToolStarted(number, block["id"], block["name"])
        elif block.get("type") == "thinking":
            yield events.ThinkingDelta(number, "")  # so that it shows at once

    def _assistant(self, message: sdk.AssistantMessage) -> Iterator[Event]:
        of_subagent = message.parent_tool_use_id is not None
        # After an error of the API, the CLI writes a message in the model's name; the result repeats it as an error.
        if self._repeating or message.error is not None:
            return
        for block in message.content:
            match block:
                case sdk.ToolUseBlock() | sdk.ServerToolUseBlock():
                    # A streamed call has a block already; this number counts only for a helper's, which does not stream. The
                    # duration begins here, with the whole input.
                    self._calls[block.id] = time.monotonic()
                    yield events.ToolCalled(self._next_block(), block.id, block.name, block.input, message.parent_tool_use_id)
                case sdk.TextBlock() if not of_subagent and message.message_id not in self._streamed:
                    number = self._next_block()
                    yield events.TextDelta(number, block.text)
                    yield events.BlockEnded(number)
        if message.uuid and not of_subagent:
            yield events.MessageEnded(message.uuid)

    def _user(self, message: sdk.UserMessage) -> Iterator[Event]:
        for block in message.content:
            if isinstance(block, sdk.ToolResultBlock):
                text, images = _result_content(block.content)
                began = self._calls.pop(block.tool_use_id, None)
                yield events.ToolReturned(
                    block.tool_use_id,
                    text,
                    is_error=bool(block.is_error),
                    denied=block.tool_use_id in self._denied,
                    images=images,
                    duration_s=None if began is None else time.monotonic() - began,
                )
            elif isinstance(block, sdk.TextBlock) and block.text.startswith(_INTERRUPTED) and message.uuid:
                yield events.MessageEnded(message.uuid)
            elif isinstance(block, sdk.TextBlock):
                for beginning, notice in _ASKED_TO_GO_ON.items():
                    if block.text.startswith(beginning):
                        yield events.Notice(notice)

    def _result(self, message: sdk.ResultMessage) -> events.TurnEnded:
        last = self._raw_messages[-1] if self._raw_messages else {}
        # The list may end with another message than this result.
        raw: dict[str, Any] = last if last.get("uuid") == message.uuid else {}
        by_model = raw.get("model_usage_since_last_result")
        main_model = (message.model_usage or {}).get(self._model or "")
        return events.TurnEnded(
            session_id=message.session_id,
            is_error=message.is_error or message.subtype != "success",
            subtype=message.subtype,
            text=message.result or "",
            duration_s=time.monotonic() - self._began,
            num_turns=message.num_turns,
            stop_reason=message.stop_reason,
            terminal_reason=message.terminal_reason,
            status=message.api_error_status,
            errors=tuple(message.errors or ()),
            model=self._model,
            usage=dict(message.usage or {}),
            # total_cost_usd adds up over the whole session, `by_model` only since the last result (CLI 2.1.331).
            cost_usd=None if by_model is None else sum(usage["costUSD"] for usage in by_model.values()),
            context_tokens=self._context_tokens + self._message_output_tokens if self._context_tokens else None,
            context_window=main_model["contextWindow"] if main_model else None,
            permission_denials=tuple(message.permission_denials or ()),
            structured=message.structured_output,
            raw=raw,
            messages=tuple(self._raw_messages),
        )

    def _next_block(self) -> int:
        self._blocks += 1
        return self._blocks - 1


def _result_content(content: str | list[dict[str, Any]] | None) -> tuple[str, tuple[events.Image, ...]]:
    if content is None or isinstance(content, str):
        return content or "", ()
    texts = [part.get("text", "") for part in content if part.get("type") == "text"]
    # With an image the CLI (2.1.331) adds the path of a copy. It is dropped, as it shows the person's home directory.
    texts = [text for text in texts if not text.startswith("[Image: source: ")]
    sources = [part.get("source") or {} for part in content if part.get("type") == "image"]
    images = [events.Image(source["media_type"], source["data"]) for source in sources if source.get("type") == "base64"]
    return "\n".join(texts), tuple(images)
