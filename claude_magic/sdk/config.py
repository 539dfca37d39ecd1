"""What a caller may choose: for a client (`ClaudeConfig`) and for one turn (`TurnOptions`).

Only data and its validation. How choices become flags of the CLI is `command`'s business.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Literal, get_args

from claude_magic.errors import ConfigError

PermissionMode = Literal["default", "acceptEdits", "plan", "dontAsk", "bypassPermissions"]
Effort = Literal["low", "medium", "high", "xhigh", "max"]

PERMISSION_MODES: tuple[str, ...] = get_args(PermissionMode)
EFFORTS: tuple[str, ...] = get_args(Effort)

READ_ONLY_TOOLS = ("Read", "Glob", "Grep")
"""The CLI's tools that only look at files (2.1.331)."""


class OutputFormat(Enum):
    """What `raw_json` of a reply holds: nothing, the CLI's result message, or all its messages of the turn."""

    TEXT = "text"
    JSON = "json"
    STREAM_JSON = "stream-json"


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnOptions:
    """Choices for one turn; what is `None` falls back to the client's config, then to the CLI's own settings.

    `max_budget_usd` is in US dollars, `max_turns` counts rounds with tools, `system` is added to Claude Code's own system
    prompt. `schema` is the JSON schema that the reply must fit, as text: `Schema.of(...).text`.
    """

    model: str | None = None
    effort: str | None = None
    system: str | None = None
    max_turns: int | None = None
    max_budget_usd: float | None = None
    permission_mode: str | None = None
    allowed_tools: tuple[str, ...] | None = None
    schema: str | None = None

    def __post_init__(self) -> None:
        if self.effort is not None and self.effort not in EFFORTS:
            raise ConfigError(f"effort {self.effort!r} is not one of {', '.join(EFFORTS)}.")
        if self.permission_mode is not None and self.permission_mode not in PERMISSION_MODES:
            raise ConfigError(f"permission_mode {self.permission_mode!r} is not one of {', '.join(PERMISSION_MODES)}.")
        if self.max_turns is not None and self.max_turns < 1:
            raise ConfigError(f"max_turns is {self.max_turns}; it must be at least 1.")
        if self.max_budget_usd is not None and not self.max_budget_usd > 0:
            raise ConfigError(f"max_budget_usd is {self.max_budget_usd}; it must be more than 0.")
        if self.schema is not None and not _is_json_object(self.schema):
            raise ConfigError("schema is not a JSON object as text.", next_step="Use Schema.of(...).text.")


@dataclass(slots=True, kw_only=True)
class ClaudeConfig:
    """Choices for a client. Every field has a default that works with the CLI that comes with claude-agent-sdk.

    Times are in seconds. `default_timeout` bounds a whole turn, `None` means no bound. `max_retries` further attempts follow
    a start or a turn that failed before anything was said, `retry_delay` apart. `safe_mode` gives Claude read-only tools and
    nothing else. `env` is put over the process's environment. At most `max_concurrent_processes` CLI processes run at once;
    of those that have nothing to do, `max_warm` stay alive for `idle_timeout`. `process_cleanup_timeout` bounds how long
    ending one may take. `effort`, `system`, `max_turns` and `max_budget_usd` are as in `TurnOptions`.
    """

    cli_path: str | Path | None = None
    model: str | None = None
    default_output_format: OutputFormat = OutputFormat.TEXT
    default_timeout: float | None = None
    max_retries: int = 0
    retry_delay: float = 1.0
    debug_mode: bool = False
    verbose_logging: bool = False
    log_file: str | Path | None = None
    enable_prefix_prompt: bool = False
    prefix_prompt_file: str | Path | None = None
    workspace_dir: str | Path | None = None
    workspace_cleanup_on_exit: bool = False
    safe_mode: bool = False
    permission_mode: str | None = None
    allowed_tools: list[str] | None = None
    max_concurrent_processes: int = 5
    process_cleanup_timeout: float = 5.0
    env: dict[str, str] = field(default_factory=dict)
    effort: str | None = None
    system: str | None = None
    max_turns: int | None = None
    max_budget_usd: float | None = None
    max_warm: int = 2
    idle_timeout: float = 600.0

    def __post_init__(self) -> None:
        self.options()
        if self.max_concurrent_processes < 1:
            raise ConfigError(f"max_concurrent_processes is {self.max_concurrent_processes}; it must be at least 1.")
        if self.max_retries < 0:
            raise ConfigError(f"max_retries is {self.max_retries}; it must be 0 or more.")
        for name in ("default_timeout", "process_cleanup_timeout", "retry_delay", "idle_timeout"):
            seconds = getattr(self, name)
            if seconds is not None and not seconds > 0 and not (name == "retry_delay" and seconds == 0):
                raise ConfigError(f"{name} is {seconds}; it must be more than 0 seconds.")

    def options(self, turn: TurnOptions | None = None) -> TurnOptions:
        """Return what holds for a turn: its own choices first, then the client's."""
        turn = turn or TurnOptions()
        allowed = tuple(self.allowed_tools) if self.allowed_tools is not None else None
        return TurnOptions(
            model=turn.model or self.model,
            effort=turn.effort or self.effort,
            system=turn.system or self.system,
            max_turns=turn.max_turns if turn.max_turns is not None else self.max_turns,
            max_budget_usd=turn.max_budget_usd if turn.max_budget_usd is not None else self.max_budget_usd,
            permission_mode=turn.permission_mode or self.permission_mode,
            allowed_tools=turn.allowed_tools if turn.allowed_tools is not None else allowed,
            schema=turn.schema,
        )


def _is_json_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (TypeError, ValueError):
        return False
