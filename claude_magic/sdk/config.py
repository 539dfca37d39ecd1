"""The settings of a client (`ClaudeConfig`) and the options of one turn (`TurnOptions`).

This is data and its validation. Each field of `TurnOptions` names its flag of the CLI; `_cli/command_line` makes the command
line.
"""

from __future__ import annotations

import contextlib
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
    """What `raw_json` of a reply holds: nothing (TEXT), the CLI's result message (JSON), or all its messages (STREAM_JSON)."""

    TEXT = "text"
    JSON = "json"
    STREAM_JSON = "stream-json"


Check = Callable[[str, Any], None]
"""Takes the name and the value of an option, and raises `ConfigError` for an invalid value."""


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
    with contextlib.suppress(TypeError, ValueError):
        if isinstance(json.loads(value), dict):
            return
    raise ConfigError(f"{name} is not a JSON object as text.", next_step="Use Schema.of(...).text.")


@dataclass(frozen=True, slots=True)
class CLIFlag:
    """How an option is passed to the CLI: `name` is its flag, `text` turns the value into text.

    `always` is added to every command line, even if the option has no value. With `several` the flag is repeated per value.

    Everybody on the machine can read a command line. So a value that may be long or private is sent in the first request of the
    control protocol, under the name that `field` holds. `setting` is the name of one of the CLI's settings, if the value is
    passed as a setting in `--settings`.
    """

    name: str
    check: Check = lambda name, value: None
    text: Callable[[Any], str] = str
    always: tuple[str, ...] = ()
    field: str = ""
    setting: str = ""
    several: bool = False

    def texts(self, value: Any) -> list[str]:
        """Return the value as text, or with `several` each of the values."""
        return [self.text(one) for one in (value if self.several else [value])]


def _flag(flag: CLIFlag) -> Any:
    return field(default=None, metadata={"flag": flag})


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnOptions:
    """Options of one turn. What is `None` or an empty text is taken from the client's config, else from the CLI's settings."""

    model: str | None = _flag(CLIFlag("--model"))
    """A full name, or one that the CLI resolves, such as `sonnet`."""
    effort: str | None = _flag(CLIFlag("--effort", _one_of(EFFORTS)))
    """How much the model thinks: one of `EFFORTS`."""
    # Unless the snapshot is off, the CLI (2.1.331) keeps the system prompt of a session's first turn for all later ones.
    system: str | None = _flag(
        CLIFlag("--append-system-prompt", always=("--system-prompt-snapshot", "off"), field="appendSystemPrompt")
    )
    """Text that is added to Claude Code's system prompt; with `bare` it is the whole system prompt."""
    max_turns: int | None = _flag(CLIFlag("--max-turns", _at_least_1))
    """The most rounds with tools that the turn may take. The CLI calls these rounds turns."""
    max_budget_usd: float | None = _flag(CLIFlag("--max-budget-usd", _more_than_0, "{:g}".format))
    """The most US dollars that the turn may cost."""
    schema: str | None = _flag(CLIFlag("--json-schema", _json_object, field="jsonSchema"))
    """The JSON schema that the reply must fit, as text: `Schema.of(...).text`."""
    allowed_tools: tuple[str, ...] | None = _flag(CLIFlag("--allowedTools", text=",".join))
    """Rules for tools that run without a question, such as `Bash(git status:*)`."""
    permission_mode: str | None = _flag(CLIFlag("--permission-mode", _one_of(PERMISSION_MODES)))
    """The CLI's permission mode: what it allows, denies or asks about. One of `PERMISSION_MODES`."""
    style: str | None = _flag(CLIFlag("--settings", _filled, setting="outputStyle"))
    """One of the CLI's output styles, such as `Learning`."""
    mcp: tuple[str | os.PathLike[str], ...] | None = _flag(CLIFlag("--mcp-config", _paths, os.fspath, several=True))
    """Files that name MCP servers, as the CLI takes them. Those of a turn replace those of the config."""
    # An empty system prompt; `command_line` adds the other flags.
    bare: bool | None = _flag(CLIFlag("--system-prompt", text=lambda bare: ""))
    """Leave out Claude Code's prompt, settings and memory, and each tool that `allowed_tools` does not name."""

    def __post_init__(self) -> None:
        for name, flag in CLI_FLAGS.items():
            if (value := getattr(self, name)) is not None:
                flag.check(name, value)
                if not (flag.field or all("\0" not in text and text == well_formed(text) for text in flag.texts(value))):
                    raise ConfigError(f"{name} {value!r} holds a character that cannot be on a command line.")
        if self.permission_mode == "manual":
            # Two names for one mode; the CLI (2.1.332) itself only reports `default`.
            object.__setattr__(self, "permission_mode", "default")
        if self.bare and self.style:
            raise ConfigError("style and bare exclude each other.", next_step="Leave one out: a bare turn has no output style.")


CLI_FLAGS: dict[str, CLIFlag] = {choice.name: choice.metadata["flag"] for choice in fields(TurnOptions)}
"""The flag of each option of a turn."""


@dataclass(slots=True, kw_only=True)
class ClaudeConfig:
    """The settings of a client. Every field has a default that works. Times are in seconds."""

    cli_path: str | Path | None = None
    """The Claude CLI to run; `None` for the one that comes with claude-agent-sdk."""
    model: str | None = None
    """The model of turns that name none: a full name, or one such as `sonnet`; `None` for the CLI's own default."""
    default_output_format: OutputFormat = OutputFormat.TEXT
    """What `raw_json` of a reply holds, unless the call says otherwise."""
    default_timeout: float | None = None
    """How long a whole turn, or one row of a run, may take, unless the call says otherwise; `None` for no limit."""
    max_retries: int = 0
    """How often a turn without any reply is tried again after the CLI died, or the API was overloaded or out of reach. A run
    over rows has a `max_retries` of its own."""
    retry_delay: float = 1.0
    """The time before each of these retries (`max_retries`)."""
    debug_mode: bool = False
    """Log the command line of each turn."""
    verbose_logging: bool = False
    """Log the command line and every event of each turn."""
    log_file: str | Path | None = None
    """The file for the log, readable by its owner only; `None` for the application's own logging, else standard error."""
    enable_prefix_prompt: bool = False
    """Put the text of `prefix_prompt_file` before each prompt."""
    prefix_prompt_file: str | Path | None = None
    """The file for `enable_prefix_prompt`; `None` for `prefix-prompt.md` in the working directory, if it is there."""
    workspace_dir: str | Path | None = None
    """Where the workspaces (directories that a `workspace_id` names) are; `None` for a place in your data directory."""
    workspace_cleanup_on_exit: bool = False
    """Delete the workspaces that this client made when it is closed."""
    safe_mode: bool = False
    """Give Claude only tools that read files (`READ_ONLY_TOOLS`); if the turn is also bare, no tools at all."""
    trusted: bool = False
    """Load what the working directory holds for Claude Code: settings, hooks, agents, skills, rules and servers. Otherwise only
    the text of `CLAUDE.md` is loaded."""
    permission_mode: str | None = None
    """The CLI's permission mode for turns that choose none; one of `PERMISSION_MODES`."""
    allowed_tools: list[str] | None = None
    """Rules for tools that run without a question, such as `Bash(git status:*)`."""
    max_concurrent_processes: int = 5
    """How many CLI processes may run turns at once. A run over rows has a `concurrency` of its own."""
    process_cleanup_timeout: float = 5.0
    """How long ending a CLI process may take before it is killed."""
    env: dict[str, str] = field(default_factory=dict)
    """Environment variables for the CLI, on top of this process's environment."""
    effort: str | None = None
    """How much the model thinks; one of `EFFORTS`."""
    system: str | None = None
    """Text that is added to Claude Code's system prompt; with `bare` it is the whole system prompt."""
    max_turns: int | None = None
    """The most rounds with tools that one turn may take. The CLI calls these rounds turns."""
    max_budget_usd: float | None = None
    """The most US dollars that one turn may cost."""
    bare: bool | None = None
    """Leave out Claude Code's prompt, settings and memory, and each tool that `allowed_tools` does not name."""
    style: str | None = None
    """One of the CLI's output styles, such as `Learning`."""
    mcp: Sequence[str | os.PathLike[str]] | None = None
    """Files that name MCP servers, as the CLI takes them."""
    max_warm: int = 2
    """How many idle CLI processes stay alive, so that the next turn of their sessions need not wait for a start."""
    idle_timeout: float = 600.0
    """How long an idle CLI process stays alive without a turn."""
    tools: Sequence[Callable[..., Any]] = ()
    """Functions that Claude may call. One marked with `only_reads` runs without a question. Any other is denied unless a rule
    in `allowed_tools`, such as `mcp__kernel__NAME`, or the turn's host (`host.py`) allows it. Rows cannot call functions."""

    def __post_init__(self) -> None:
        self.options()
        _at_least_1("max_concurrent_processes", self.max_concurrent_processes)
        if self.safe_mode and self.tools:
            raise _not_safe("tools")
        if self.max_retries < 0:
            raise ConfigError(f"max_retries is {self.max_retries}; it must be 0 or more.")
        for name in ("default_timeout", "process_cleanup_timeout", "retry_delay", "idle_timeout"):
            seconds = getattr(self, name)
            if seconds is not None and not seconds > 0 and not (name == "retry_delay" and seconds == 0):
                raise ConfigError(f"{name} is {seconds}; it must be more than 0 seconds.")

    def options(self, turn: TurnOptions | None = None) -> TurnOptions:
        """Return the options of a turn: its own, and the client's where it has none."""
        turn = turn or TurnOptions()
        shared = CLI_FLAGS.keys() & {choice.name for choice in fields(self)}
        missing = [name for name in shared if getattr(turn, name) in (None, "")]
        filled = {name: own for name in missing if (own := self._chosen(name)) != getattr(turn, name)}
        if turn.bare:
            # A style changes Claude Code's prompt, and a bare turn has none.
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
