"""Replies for tests: events in, a response out."""

from __future__ import annotations

from typing import Any

from claude_magic.sdk.events import (
    BlockEnded,
    Event,
    Image,
    SessionStarted,
    TextDelta,
    ThinkingDelta,
    ToolCalled,
    ToolReturned,
    ToolStarted,
    TurnEnded,
)
from claude_magic.sdk.response import SessionAwareResponse, ToolCall, fold

SESSION = "681fea2c-2417-42d4-b134-6c7d6a02503b"
PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def reply(*events: Event) -> SessionAwareResponse:
    """Fold events into a response, after the one that starts every turn."""
    response = SessionAwareResponse()
    for event in (SessionStarted(SESSION, "claude-opus-5-5"), *events):
        fold(response, event)
    return response


def said(text: str) -> SessionAwareResponse:
    """Make the whole reply that says one text."""
    return reply(TextDelta(0, text), BlockEnded(0), ended(text))


def thought(text: str) -> SessionAwareResponse:
    return reply(ThinkingDelta(0, text), BlockEnded(0, 3.04), ended(""))


def called(name: str, input: dict[str, Any], result: str | None = "", **outcome: Any) -> SessionAwareResponse:
    """Make a reply of one tool call; with the result `None` the call goes on."""
    response = reply(ToolStarted(0, "call", name), ToolCalled(0, "call", name, input))
    if result is not None:
        fold(response, ToolReturned("call", result, **outcome))
    return response


def call(name: str, input: dict[str, Any], result: str | None = "", **outcome: Any) -> ToolCall:
    block = called(name, input, result, **outcome).blocks[0]
    assert isinstance(block, ToolCall)
    return block


def image(media_type: str, data: str = PIXEL) -> Image:
    return Image(media_type, data)


def ended(text: str, **figures: Any) -> TurnEnded:
    """End a turn with the figures of the drawings."""
    usage = {
        "input_tokens": 1000,
        "cache_read_input_tokens": 800,
        "cache_creation_input_tokens": 40,
        "output_tokens": 212,
    }
    known: dict[str, Any] = {"duration_s": 6.2, "usage": usage, "cost_usd": 0.021, "model": "claude-opus-5-5"}
    return TurnEnded(SESSION, **({"is_error": False, "subtype": "success", "text": text} | known | figures))
