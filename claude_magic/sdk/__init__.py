"""The async client for the Claude CLI, with sessions. It knows the CLI and nothing of IPython.

The names below and the modules in `PUBLIC_MODULES` are public. Names with an underscore are private.

A name is imported when it is first used: importing claude-agent-sdk takes a second, and `%load_ext` must not wait for it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from claude_magic.sdk._cassette.cassette import Cassette, cassette
    from claude_magic.sdk._cli.environment import login_status
    from claude_magic.sdk._history.sessions import SessionInfo
    from claude_magic.sdk._rows.request import RowsRequest
    from claude_magic.sdk._rows.results import Results, RowOutcome
    from claude_magic.sdk._rows.run import stream_each
    from claude_magic.sdk._tools.function_tool import only_reads
    from claude_magic.sdk._trials.asking import ask_each
    from claude_magic.sdk._trials.trial import Trial
    from claude_magic.sdk.client import ClaudeClient
    from claude_magic.sdk.config import ClaudeConfig, OutputFormat, TurnOptions
    from claude_magic.sdk.events import Event
    from claude_magic.sdk.response import SessionAwareResponse
    from claude_magic.sdk.schema import Rows, Schema
    from claude_magic.sdk.session_client import ClaudeSDKWrapper, SessionAwareClient

__all__ = [
    "Cassette",
    "ClaudeClient",
    "ClaudeConfig",
    "ClaudeSDKWrapper",
    "Event",
    "OutputFormat",
    "Results",
    "RowOutcome",
    "Rows",
    "RowsRequest",
    "Schema",
    "SessionAwareClient",
    "SessionAwareResponse",
    "SessionInfo",
    "Trial",
    "TurnOptions",
    "ask_each",
    "cassette",
    "login_status",
    "only_reads",
    "stream_each",
]

PUBLIC_MODULES = ("client", "config", "content", "events", "host", "response", "schema", "session_client", "turn_request")

_NAMES = {
    "_cassette.cassette": ("Cassette", "cassette"),
    "_cli.environment": ("login_status",),
    "_history.sessions": ("SessionInfo",),
    "_rows.request": ("RowsRequest",),
    "_rows.results": ("Results", "RowOutcome"),
    "_rows.run": ("stream_each",),
    "_tools.function_tool": ("only_reads",),
    "_trials.asking": ("ask_each",),
    "_trials.trial": ("Trial",),
    "client": ("ClaudeClient",),
    "config": ("ClaudeConfig", "OutputFormat", "TurnOptions"),
    "events": ("Event",),
    "response": ("SessionAwareResponse",),
    "schema": ("Rows", "Schema"),
    "session_client": ("ClaudeSDKWrapper", "SessionAwareClient"),
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
