"""What a caller may choose: for a client (`ClaudeConfig`) and for one turn (`TurnOptions`).

Only data and its validation. Each field of `TurnOptions` names the CLI's flag for it; the command line itself is made in
`_cli/command_line`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields, replace
from enum import Enum
from pathlib import Path
from typing import Any, Literal, get_args

from claude_magic._text import well_formed
from claude_magic.errors import ConfigError

PermissionMode = Literal["default", "manual", "acceptEdits", "auto", "plan", "dontAsk", "bypassPermissions"]
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


Check = Callable[[str, Any], None]
"""Takes the name and the value of a choice, and raises `ConfigError` for a value that cannot be meant."""


def _one_of(values: tuple[str, ...]) -> Check:
    def check(name: str, value: Any) -> None:
        if value not in values:
            raise ConfigError(f"{name} {value!r} is not one of {', '.join(values)}.")

    return check


def _at_least_1(name: str, value: Any) -> None:
    if value < 1:
        raise ConfigError(f"{name} is {value}; it must be at least 1.")


def _more_than_0(name: str, value: Any) -> None:
    if not value > 0:
        raise ConfigError(f"{name} is {value}; it must be more than 0.")


def _paths(name: str, value: Any) -> None:
    several = value if isinstance(value, tuple | list) else [None]
    if not all(isinstance(path, str | os.PathLike) and os.fspath(path) for path in several):
        raise ConfigError(f"{name} {value!r} is not a list of paths.")


def _filled(name: str, value: Any) -> None:
    if not isinstance(value, str) or not value.strip():
        raise ConfigError(f"{name} {value!r} is not a name.")


def _json_object(name: str, value: Any) -> None:
    if not _is_json_object(value):
        raise ConfigError(f"{name} is not a JSON object as text.", next_step="Use Schema.of(...).text.")


@dataclass(frozen=True, slots=True)
class CLIFlag:
    """How the CLI is told of a choice: its flag, the value as text, and words that stand behind it, also without a value.

    `field` is for what may be long or private: everybody on the machine can read a command line. It names the value in the
    first request of the control protocol, which says it in place of the flag. `setting` names what is no flag but one of the
    CLI's settings, which `--settings` holds together. With `several` the flag is said for each value.
    """

    name: str
    check: Check = lambda name, value: None
    text: Callable[[Any], str] = str
    always: tuple[str, ...] = ()
    field: str = ""
    setting: str = ""
    several: bool = False

    def texts(self, value: Any) -> list[str]:
        """Return what stands behind the flag, once for each time that it is said."""
        return [self.text(one) for one in (value if self.several else [value])]


def _flag(flag: CLIFlag) -> Any:
    return field(default=None, metadata={"flag": flag})


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnOptions:
    """Choices for one turn; what is `None` falls back to the client's config, then to the CLI's own settings.

    `max_budget_usd` is in US dollars, `max_turns` counts rounds with tools, `system` is added to Claude Code's own system
    prompt. `schema` is the JSON schema that the reply must fit, as text: `Schema.of(...).text`. With `bare` there is no prompt
    of Claude Code, no settings and no memory, and no tool but those that `allowed_tools` names: `system` is all there is.
    `style` is one of the CLI's output styles, such as `Learning`. `mcp` are files that name MCP servers, as the CLI takes them.
    """

    model: str | None = _flag(CLIFlag("--model"))
    effort: str | None = _flag(CLIFlag("--effort", _one_of(EFFORTS)))
    # Without the snapshot off the CLI (2.1.331) keeps the system prompt of a session's first turn for all later ones.
    system: str | None = _flag(
        CLIFlag("--append-system-prompt", always=("--system-prompt-snapshot", "off"), field="appendSystemPrompt")
    )
    max_turns: int | None = _flag(CLIFlag("--max-turns", _at_least_1))
    max_budget_usd: float | None = _flag(CLIFlag("--max-budget-usd", _more_than_0, "{:g}".format))
    schema: str | None = _flag(CLIFlag("--json-schema", _json_object, field="jsonSchema"))
    allowed_tools: tuple[str, ...] | None = _flag(CLIFlag("--allowedTools", text=",".join))
    permission_mode: str | None = _flag(CLIFlag("--permission-mode", _one_of(PERMISSION_MODES)))
    style: str | None = _flag(CLIFlag("--settings", _filled, setting="outputStyle"))
    mcp: tuple[str | os.PathLike[str], ...] | None = _flag(CLIFlag("--mcp-config", _paths, os.fspath, several=True))
    # An empty system prompt; what else belongs to it `command_line` adds. `system` then is all there is.
    bare: bool | None = _flag(CLIFlag("--system-prompt", text=lambda bare: ""))

    def __post_init__(self) -> None:
        for name, flag in CLI_FLAGS.items():
            if (value := getattr(self, name)) is not None:
                flag.check(name, value)
                if not (flag.field or all(map(_is_one_word, flag.texts(value)))):
                    raise ConfigError(f"{name} {value!r} holds a character that no command line takes.")
        if self.permission_mode == "manual":
            # Its other name, by which the CLI (2.1.332) never calls it.
            object.__setattr__(self, "permission_mode", "default")
        if self.bare and self.style:
            raise ConfigError("style and bare exclude each other.", next_step="A bare turn is answered by system alone.")


CLI_FLAGS: dict[str, CLIFlag] = {choice.name: choice.metadata["flag"] for choice in fields(TurnOptions)}
"""The flag of each choice for a turn."""


@dataclass(slots=True, kw_only=True)
class ClaudeConfig:
    """Choices for a client. Every field has a default that works with the CLI that comes with claude-agent-sdk.

    Times are in seconds. `default_timeout` bounds a whole turn, `None` means no bound. `max_retries` further attempts follow
    a start or a turn that failed before anything was said, `retry_delay` apart. `safe_mode` gives Claude read-only tools and
    nothing else. In a directory that is not `trusted` nothing of its own is loaded (hooks, agents, skills, rules, servers)
    but the text of `CLAUDE.md`. `env` is put over the process's environment. At most `max_concurrent_processes` CLI processes
    run at once; of those that have nothing to do, `max_warm` stay alive for `idle_timeout`. `process_cleanup_timeout` bounds
    how long ending one may take. `tools` are functions that Claude may call: those marked with `only_reads`, and those that a
    rule such as `mcp__kernel__NAME` in `allowed_tools` allows. `effort`, `system`, `max_turns`, `max_budget_usd`, `bare`,
    `style` and `mcp` are as in `TurnOptions`; a turn with files of its own in `mcp` has these in their place.
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
    trusted: bool = False
    permission_mode: str | None = None
    allowed_tools: list[str] | None = None
    max_concurrent_processes: int = 5
    process_cleanup_timeout: float = 5.0
    env: dict[str, str] = field(default_factory=dict)
    effort: str | None = None
    system: str | None = None
    max_turns: int | None = None
    max_budget_usd: float | None = None
    bare: bool | None = None
    style: str | None = None
    mcp: Sequence[str | os.PathLike[str]] | None = None
    max_warm: int = 2
    idle_timeout: float = 600.0
    tools: Sequence[Callable[..., Any]] = ()

    def __post_init__(self) -> None:
        self.options()
        if self.max_concurrent_processes < 1:
            raise ConfigError(f"max_concurrent_processes is {self.max_concurrent_processes}; it must be at least 1.")
        if self.safe_mode and self.tools:
            raise _not_safe("tools")
        if self.max_retries < 0:
            raise ConfigError(f"max_retries is {self.max_retries}; it must be 0 or more.")
        for name in ("default_timeout", "process_cleanup_timeout", "retry_delay", "idle_timeout"):
            seconds = getattr(self, name)
            if seconds is not None and not seconds > 0 and not (name == "retry_delay" and seconds == 0):
                raise ConfigError(f"{name} is {seconds}; it must be more than 0 seconds.")

    def options(self, turn: TurnOptions | None = None) -> TurnOptions:
        """Return what holds for a turn: its own choices, and the client's where it has none."""
        turn = turn or TurnOptions()
        shared = CLI_FLAGS.keys() & {choice.name for choice in fields(self)}
        missing = [name for name in shared if getattr(turn, name) in (None, "")]
        filled = {name: own for name in missing if (own := self._chosen(name)) != getattr(turn, name)}
        if turn.bare:
            # A style is for Claude Code, which a bare turn has nothing of.
            filled.pop("style", None)
        options = replace(turn, **filled) if filled else turn
        if self.safe_mode and options.mcp:
            raise _not_safe("mcp")
        return options

    def _chosen(self, name: str) -> Any:
        value = getattr(self, name)
        return tuple(value) if isinstance(value, list) else value


def _not_safe(name: str) -> ConfigError:
    return ConfigError("safe_mode gives Claude read-only tools and nothing else.", next_step=f"Leave out {name}, or safe_mode.")


def _is_one_word(text: str) -> bool:
    return "\0" not in text and text == well_formed(text)


def _is_json_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (TypeError, ValueError):
        return False
