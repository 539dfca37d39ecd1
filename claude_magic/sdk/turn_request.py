"""The request for one turn: one frozen object that is handed down from the caller to the CLI."""

from __future__ import annotations

from dataclasses import dataclass, field

from claude_magic.errors import ConfigError
from claude_magic.sdk.config import TurnOptions
from claude_magic.sdk.content import Prompt
from claude_magic.sdk.host import Tool


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnRequest:
    """One turn to be run. `ClaudeClient.request` makes one from a text and the client's defaults."""

    prompt: Prompt
    """The prompt."""
    directory: str
    """Where the turn works: the directory of its session."""
    session_id: str | None = None
    """The session to continue; `None` begins a new one."""
    fork: bool = False
    """Whether the turn begins a branch of the session instead of continuing it."""
    at: str | None = None
    """The branch begins after this message (`MessageEnded.message_id`); `None` for the end of the session."""
    seen: str | None = None
    """The ID of the last message that the caller knows; `None` if it knows all. A `Notice` tells what others added later."""
    options: TurnOptions = field(default_factory=TurnOptions)
    """Model, limits and permissions. A field that is `None` is as in the client's config, else as in the CLI's own settings."""
    timeout_s: float | None = None
    """Seconds for the whole turn; `None` for the config's `default_timeout`."""
    trusted: bool = False
    """Whether the directory's hooks, agents, skills, rules and servers are loaded. Otherwise only `CLAUDE.md` is read."""
    trusts_below: bool = True
    """Whether `trusted` covers what folders below the directory hold. Otherwise a person is asked before that is loaded."""
    use_tools: bool = True
    """Whether Claude is given the client's tools."""
    tools: tuple[Tool, ...] = ()
    """Further tools for this turn, which its host runs."""

    def __post_init__(self) -> None:
        if self.timeout_s is not None and not self.timeout_s > 0:
            raise ConfigError(f"timeout is {self.timeout_s}; it must be more than 0 seconds.")
