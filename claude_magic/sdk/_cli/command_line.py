"""The command line of the CLI. Only this module turns our options into its flags, by the table in `config`.

`Launch` says how one process is started. The live process and `ClaudeClient.command` both use `flags`, so a person sees the
command that runs. Long or private texts go to a live process in `first_request` instead.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import claude_agent_sdk

from claude_magic._paths import for_terminal, shorten_home
from claude_magic._text import well_formed
from claude_magic.errors import CLINotFoundError
from claude_magic.sdk._gate.tool_list import switched_off
from claude_magic.sdk._offers.servers import NO_FILES, ServerFiles
from claude_magic.sdk.config import CLI_FLAGS, READ_ONLY_TOOLS, TurnOptions
from claude_magic.sdk.host import SERVER, Tool, rule_of

OLDEST_CLI: Final = "2.1.330"
"""The oldest CLI whose flags were tried; 2.1.250 lacks one that we need."""

STREAM_FLAGS = ("--output-format", "stream-json", "--verbose")

ALWAYS: Final = {"CLAUDE_CODE_DISABLE_CRON": "1", "CLAUDE_BASH_MAINTAIN_PROJECT_WORKING_DIR": "1"}
"""Without the first, the CLI starts turns that a file of the directory schedules, even if its settings are not loaded.

Without the second, a `cd` of Claude's lasts: then hooks, `@paths` and slash commands mean another folder than the one that was
looked at. They are also passed as settings: variables in the settings of a trusted folder replace those of the process.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Launch:
    """How a CLI process is started. It continues the session `resume`, or begins one; with `fork` it begins a branch of
    `resume`, after the message `at` or else at the session's end.

    In a directory that is not `trusted`, the CLI loads nothing of the directory's own (hooks, agents, skills, rules, servers),
    not even what is added later; `memory` is the text of its `CLAUDE.md`. In a trusted one, `contents` is a hash of the files
    to load. `asks_below`: a person must agree before the CLI loads anything from a subfolder. `asks`: somebody can be asked for
    permission.

    `tools`: our own tools. `surroundings`: a hash of the environment and settings at the start. `servers`: the files that name
    MCP servers. `granted`: permissions that were given for the session to earlier processes. `login`: the person's settings, as
    JSON, that a bare turn needs to log in. If `kept` is false, nothing is written to disk, and replies do not stream.
    """

    directory: str
    options: TurnOptions
    safe_mode: bool = False
    trusted: bool = False
    memory: str = ""
    contents: str = ""
    asks_below: bool = False
    resume: str | None = None
    fork: bool = False
    at: str | None = None
    asks: bool = False
    tools: tuple[Tool, ...] = ()
    servers: ServerFiles = NO_FILES
    surroundings: str = ""
    granted: tuple[str, ...] = ()
    login: str = ""
    kept: bool = True

    @property
    def system(self) -> str:
        """The text that is added to Claude Code's own system prompt."""
        return "\n\n".join(filter(None, (self.memory, self.options.system)))

    @property
    def harmless(self) -> tuple[str, ...]:
        """The rules that allow those of our own tools that only look."""
        return tuple(rule_of(tool) for tool in self.tools if tool.read_only)

    def serves(self, other: Launch) -> bool:
        """Whether a process started with this can serve a turn that needs `other`, whatever their sessions are.

        A running CLI can change its permission mode, so only `bypassPermissions` is compared: it must be set at the start.
        The model is compared: the CLI could change it, but leaves a note in the conversation that the model sees (2.1.331).
        """
        return self._fixed() == other._fixed()

    def _fixed(self) -> Launch:
        mode = self.options.permission_mode if self.options.permission_mode == "bypassPermissions" else None
        return replace(self, resume=None, fork=False, at=None, granted=(), options=replace(self.options, permission_mode=mode))


class Command(list[str]):
    """A command line: the list of its words, and `text` quoted for a shell."""

    @property
    def text(self) -> str:
        """The command as a person would type it."""
        return shlex.join(self)

    def __str__(self) -> str:
        return self.text


def printed(cli: str, prompt: str, launch: Launch) -> Command:
    """Return the command that a person would type in `launch.directory` for a turn with this prompt."""
    program = "claude" if _is_on_path(cli) else cli
    resume = ["-r", launch.resume] if launch.resume else []
    rest = flags(replace(launch, resume=None, memory=""), typed=True)
    if prompt.startswith("-"):
        return Command([program, "-p", *resume, *STREAM_FLAGS, *rest, "--", prompt])
    return Command([program, "-p", prompt, *resume, *STREAM_FLAGS, *rest])


def resume_command(cli: str, session_id: str, directory: str) -> str:
    """Return the command that continues a session in a terminal; it changes to the session's directory first."""
    program = "claude" if _is_on_path(cli) else for_terminal(cli)
    # No line with `cd` works in every shell of Windows, so only the second part is given there.
    there = "" if os.name == "nt" else f"cd {for_terminal(directory)} && "
    return f"{there}{program} -r {shlex.quote(session_id)}"


def _is_on_path(cli: str) -> bool:
    """Whether a shell finds this program by the name `claude`."""
    on_path = shutil.which("claude")
    return on_path is not None and os.path.samefile(on_path, cli)


def flags(launch: Launch, *, typed: bool = False) -> list[str]:
    """Return the flags for `launch`, without those for the form of input and output.

    :param typed: also add what `first_request` would say, because a person cannot send that.
    """
    arguments: list[str] = []
    # With "=" a value may also begin with a dash, as a session's title can.
    if launch.resume:
        arguments.append(f"--resume={launch.resume}")
    if launch.fork:
        arguments.append("--fork-session")
    if launch.at:
        arguments.append(f"--resume-session-at={launch.at}")
    chosen = {name: getattr(launch.options, name) for name in CLI_FLAGS}
    rules = (*(launch.options.allowed_tools or ()), *launch.harmless)
    chosen["system"] = launch.system
    chosen["allowed_tools"] = () if launch.safe_mode else rules
    settings: dict[str, Any] = json.loads(launch.login or "{}") | ({} if typed else {"env": ALWAYS})
    for name, flag in CLI_FLAGS.items():
        if (value := chosen[name]) and flag.setting:
            settings[flag.setting] = value
        elif value and (typed or not flag.field):
            for text in flag.texts(value):
                arguments += [flag.name, well_formed(text)]
        arguments += flag.always
    if launch.options.bare or launch.safe_mode:
        named = tuple(dict.fromkeys(rule.partition("(")[0].strip() for rule in rules))  # a rule is like `Bash(git log:*)`
        tools = READ_ONLY_TOOLS if not launch.options.bare else () if launch.safe_mode else named
        arguments += ["--tools", ",".join(tools), "--strict-mcp-config"]
    if launch.options.bare or not launch.trusted:
        arguments += ["--setting-sources", "" if launch.options.bare else "user"]
    if not launch.kept:
        arguments.append("--no-session-persistence")
    if settings:
        arguments += ["--settings", json.dumps(settings)]
    return arguments


def first_request(launch: Launch) -> dict[str, Any]:
    """Return what the first request of the control protocol says: texts that are too long or too private for a command line."""
    options = launch.options
    system = {CLI_FLAGS["system"].field: launch.system} if launch.system else {}
    schema = {CLI_FLAGS["schema"].field: json.loads(options.schema)} if options.schema else {}
    return {**system, **schema}


def channel_flags(launch: Launch) -> list[str]:
    """Return the flags for the SDK's control protocol. A person would not type them: they need a stream in both directions."""
    arguments = ["--input-format", "stream-json", *(["--include-partial-messages"] if launch.kept else [])]
    arguments += ["--disallowedTools", ",".join(switched_off(launch.options.allowed_tools or (), asks=launch.asks))]
    if launch.asks:
        arguments += ["--permission-prompt-tool", "stdio"]
    if launch.tools:
        # Otherwise Claude must search for our tools before it can use them (CLI 2.1.331).
        arguments += ["--mcp-config", json.dumps({"mcpServers": {SERVER: {"type": "sdk", "name": SERVER, "alwaysLoad": True}}})]
    return arguments


def find_cli(cli_path: str | os.PathLike[str] | None) -> str:
    """Return the path of the CLI: `cli_path`, or the one in claude-agent-sdk's wheel, or `claude` on PATH.

    :raises CLINotFoundError: if there is none, or it is not an executable file.
    """
    if cli_path:
        wanted = os.path.expanduser(os.fspath(cli_path))
        if found := shutil.which(wanted):
            return found
        reason = "is not an executable file" if os.path.exists(wanted) else "does not exist"
        raise CLINotFoundError(f"The Claude CLI at {shorten_home(wanted)} {reason}.")
    name = "claude.exe" if os.name == "nt" else "claude"
    bundled = Path(claude_agent_sdk.__file__).parent / "_bundled" / name
    if os.access(bundled, os.X_OK):
        return str(bundled)
    if on_path := shutil.which("claude"):
        return on_path
    raise CLINotFoundError(
        "There is no Claude CLI in this installation of claude-agent-sdk, and none on PATH.",
        next_step="Reinstall claude-agent-sdk from a wheel for this platform, or install Claude Code and set cli_path.",
    )
