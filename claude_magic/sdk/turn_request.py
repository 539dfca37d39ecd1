"""What one turn needs, as one frozen object: it goes down from whoever prompts to the CLI, and nobody takes it apart."""

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
    """What is sent."""
    directory: str
    """Where the turn works: the directory of its session."""
    session_id: str | None = None
    """The session to continue; `None` begins a new one."""
    fork: bool = False
    """Whether the turn begins a branch of the session instead of continuing it."""
    at: str | None = None
    """Where the branch begins: behind this message (`MessageEnded.message_id`); `None` for the end of the session."""
    seen: str | None = None
    """The last message of the session that the caller knows; what others have said since is told. `None`: whatever there is."""
    options: TurnOptions = field(default_factory=TurnOptions)
    """Model, limits and permissions; what is `None` is left to the client's config, then to the CLI."""
    timeout_s: float | None = None
    """Seconds for the whole turn; `None` for no limit."""
    trusted: bool = False
    """Whether what the directory holds for the CLI is loaded (hooks, agents, skills, rules, servers), or only `CLAUDE.md`."""
    trusts_below: bool = True
    """Whether `trusted` goes for what folders below it hold, too; else somebody is asked before that is loaded."""
    use_tools: bool = True
    """Whether Claude is given the client's tools."""
    tools: tuple[Tool, ...] = ()
    """Further tools, for this turn; its host does their work."""

    def __post_init__(self) -> None:
        if self.timeout_s is not None and not self.timeout_s > 0:
            raise ConfigError(f"timeout is {self.timeout_s}; it must be more than 0 seconds.")
