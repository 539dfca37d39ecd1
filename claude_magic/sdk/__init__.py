"""The async client for the Claude CLI, with sessions. Knows the CLI; has never heard of IPython.

Public are the names below and the modules in `PUBLIC_MODULES`; names with an underscore are private.

Names are imported when they are first used: claude-agent-sdk underneath takes a second, which `%load_ext` must not wait for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from claude_magic.sdk._cassette.cassette import Cassette, cassette
    from claude_magic.sdk._cli.login import login_status
    from claude_magic.sdk._history.sessions import SessionInfo
    from claude_magic.sdk._rows.each import RowsRequest, ask_each, stream_each
    from claude_magic.sdk._rows.results import Results, RowOutcome
    from claude_magic.sdk._tools.function_tool import only_reads
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
    "TurnOptions",
    "ask_each",
    "cassette",
    "login_status",
    "only_reads",
    "stream_each",
]

PUBLIC_MODULES = (
    "client",
    "config",
    "content",
    "events",
    "host",
    "response",
    "schema",
    "session_client",
    "turn_request",
)
"""The modules whose names are promised; those with an underscore are not."""

_HOMES = {
    "Cassette": "_cassette.cassette",
    "ClaudeClient": "client",
    "ClaudeConfig": "config",
    "ClaudeSDKWrapper": "session_client",
    "Event": "events",
    "OutputFormat": "config",
    "Results": "_rows.results",
    "RowOutcome": "_rows.results",
    "Rows": "schema",
    "RowsRequest": "_rows.each",
    "Schema": "schema",
    "SessionAwareClient": "session_client",
    "SessionAwareResponse": "response",
    "SessionInfo": "_history.sessions",
    "TurnOptions": "config",
    "ask_each": "_rows.each",
    "cassette": "_cassette.cassette",
    "login_status": "_cli.login",
    "only_reads": "_tools.function_tool",
    "stream_each": "_rows.each",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
