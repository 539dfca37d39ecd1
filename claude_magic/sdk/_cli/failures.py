"""Why a turn failed. Translates the CLI's result, its exit or the SDK's exception into an exception of `errors`."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import re
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise
from typing import Any

from claude_magic._characters import strip_controls
from claude_magic._paths import NO_HOME, home_directory, own_command, shorten_home
from claude_magic.errors import (
    APIError,
    BudgetExceededError,
    ClaudeError,
    CLIDiedError,
    CLINotFoundError,
    CLITooOldError,
    ConfigError,
    NotLoggedInError,
    SessionNotFoundError,
    StructuredOutputError,
    TurnError,
    TurnInterrupted,
    TurnLimitError,
)
from claude_magic.sdk._cli.child import said_by
from claude_magic.sdk._cli.command_line import OLDEST_CLI
from claude_magic.sdk._offers.schema_dialect import patterns
from claude_magic.sdk.events import TurnEnded
from claude_magic.sdk.response import STRUCTURED_OUTPUT

# The CLI's messages (2.1.331); it has no codes for these cases.
_NO_SESSION = ("No conversation found", "requires a valid session ID")
_NO_MESSAGE = ("No message found",)
_NO_LOGIN = ("Not logged in", "Invalid API key", "Please run /login", "OAuth token")

CHECK_CLI = f"Check that cli_path names the Claude CLI and that it starts: `{own_command('doctor')}` says so."

VERSION_LIMIT_S = 10.0

# Messages of the CLI (2.1.332) and of its option parser (commander).
_NO_ROOT = "cannot be used with root/sudo"
_UNKNOWN_OPTION = re.compile(r"error: unknown option '(--[\w-]+)")
_UNKNOWN_CHOICE = re.compile(r"error: option '(--[\w-]+)[^']*' argument '([^']*)' is invalid")
_BROKEN_SETTINGS = re.compile(r"(?:Configuration error in|Claude configuration file at) (.+?)(?: is corrupted)?: (.+)")
_BACKUP = re.compile(r"cp -f .+")
_FILE_ERROR = re.compile(r"\b(E[A-Z]{3,}): ([^,\n]+), \w+ '([^'\n]+)'")

_PLACES = ("CLAUDE_CODE_TMPDIR", "TMPDIR", "CLAUDE_CONFIG_DIR", "HOME")
"""Variables that name a directory in which the CLI writes."""

_LONG_BYTES = 10_000
_TOO_LONG_ON_WINDOWS = 206
"""ERROR_FILENAME_EXCED_RANGE: the command line has more than 32,767 characters. Its errno only says "no such file"."""
_NOTHING_SENT = "nothing was sent."

_NEXT_STEP = {
    400: "Change the prompt or the options it names; the session can be continued.",
    403: "Ask for access to this model or feature, or choose another model.",
    404: "Check the name given as model; `opus`, `sonnet` and `haiku` always name a current one.",
    413: "Send less: /compact shortens the conversation, and without a session_id an empty one starts.",
    429: "Wait for the limit to pass, then run it again.",
}
_GO_LATER = "Go back to a later turn: what came before /compact is out of reach."
_OVERLOADED = "Run it again in a while; the session can be continued."
_DROPPED = "Check the network, then run it again; the session can be continued."

_REFUSED = "Say it in other words, in a new session, or choose another model."
_CUT_SHORT = "Ask for less at once, or allow more by CLAUDE_CODE_MAX_OUTPUT_TOKENS; the session can be continued."
_NETWORK = re.compile(r"connect|network|socket|timed? ?out|ECONN|ENOTFOUND|EAI_AGAIN|proxy|fetch failed|DNS", re.IGNORECASE)


def failure_of(ended: TurnEnded, stderr: str = "", *, structured: bool = False) -> ClaudeError | None:
    """Return the error that a turn ended with, `None` if it succeeded; a `structured` reply must have data."""
    if not ended.is_error:
        if not structured or ended.structured is not None:
            return None
        # The CLI reminds the model once and then accepts a reply in text (2.1.331).
        return StructuredOutputError("Claude answered in text, not in the form of the schema.", session_id=ended.session_id)
    session_id = ended.session_id
    said = strip_controls(" ".join(ended.errors) or ended.text.strip())
    if (ended.terminal_reason or "").startswith("aborted"):
        return TurnInterrupted(f"Interrupted after {ended.duration_s:.1f} s.", session_id=session_id)
    match ended.subtype:
        case "error_max_turns":
            return TurnLimitError("Claude reached the limit of rounds with tools.", session_id=session_id)
        case "error_max_budget_usd":
            cost = "" if ended.cost_usd is None else f" ${ended.cost_usd:.4f} spent."
            return BudgetExceededError(f"The turn's budget is used up.{cost}", session_id=session_id)
        case "error_max_structured_output_retries":
            return StructuredOutputError(f"Claude's reply does not fit the schema: {said}", session_id=session_id)
    if _says(said, _NO_SESSION):
        return SessionNotFoundError(f"{said.rstrip('.')}.")
    if ended.status == 401 or _says(said, _NO_LOGIN):
        return NotLoggedInError(f"The CLI is not logged in: {said}", session_id=session_id)
    if ended.status is not None or ended.terminal_reason == "api_error":
        next_step = _after_api_error(ended, said)
        return APIError(said or "The API did not answer.", status=ended.status, next_step=next_step, session_id=session_id)
    return TurnError(
        said or f"The turn ended with {ended.subtype}.",
        next_step="Run it again; the session can be continued.",
        session_id=session_id,
        stderr=stderr,
    )


def _after_api_error(ended: TurnEnded, said: str) -> str:
    """Return what to do about a failure of the API: by its status, or else by the name that the CLI (2.1.332) gives it."""
    if ended.status is not None:
        return _NEXT_STEP.get(ended.status, _OVERLOADED)
    if ended.stop_reason == "refusal":
        return _REFUSED
    told: dict[str, Any] = next((message for message in reversed(ended.messages) if message.get("api_error")), {})
    cut = (told.get("api_error_params") or {}).get("cut")
    if cut == "context_window" or _says(said, ("context window", "too long")):
        return _NEXT_STEP[413]
    if told.get("api_error") == "max_output_tokens":
        return _CUT_SHORT
    return _DROPPED if told.get("api_error") == "connection_failed" or _NETWORK.search(said) else _OVERLOADED


def translate_exception(error: Exception, *, cli: str, stderr: str, session_id: str | None) -> ClaudeError:
    """Return our error for an exception that was raised while the CLI at `cli` started or worked."""
    if isinstance(error, OSError):
        reason = error.strerror or str(error)
        return CLINotFoundError(f"The Claude CLI at {shorten_home(cli)} could not be started: {reason}.", stderr=stderr)
    return CLIDiedError(f"The Claude CLI did not answer: {error}", session_id=session_id, stderr=stderr)


def cli_died(exit_code: int | None, messages: Sequence[dict[str, Any]], *, stderr: str, session_id: str | None) -> ClaudeError:
    """Return the error for a CLI that ended before it answered. Its last message may give the reason."""
    for message in reversed(messages):
        if message.get("type") == "result" and message.get("errors"):
            said = strip_controls(" ".join(map(str, message["errors"])))
            if _says(said, _NO_MESSAGE):
                return SessionNotFoundError("The session no longer holds the message to go on from.", next_step=_GO_LATER)
            if _says(said, _NO_SESSION):
                return SessionNotFoundError(f"{said.rstrip('.')}.")
            return CLIDiedError(f"The Claude CLI ended: {said}", session_id=session_id, stderr=stderr)
    if _says(stderr, _NO_SESSION):
        return SessionNotFoundError(stderr.splitlines()[-1])
    if exit_code is None:
        how = "closed its output"
    else:
        how = f"was killed by signal {-exit_code}" if exit_code < 0 else f"ended with exit code {exit_code}"
    return CLIDiedError(f"The Claude CLI {how} before it had answered.", session_id=session_id, stderr=stderr)


def bad_schema(schema: str | None, tools: Collection[str] | None) -> ConfigError | None:
    """Return the error for a schema that the CLI (2.1.332) ignores. The only sign: Claude lacks the tool for the reply.

    :param tools: the tools that Claude has, `None` before the CLI has listed them.
    """
    if not schema or tools is None or STRUCTURED_OUTPUT in tools:
        return None
    found = ", ".join(map(repr, patterns(json.loads(schema))))
    return ConfigError(
        "The CLI does not take the schema, and does not say why.",
        next_step=f"Check its {f'patterns, which must be valid in JavaScript: {found}' if found else 'types and formats'}.",
    )


async def start_failure(
    error: Exception, otherwise: ClaudeError, command: Sequence[str], *, directory: str, env: Mapping[str, str], stderr: str
) -> ClaudeError:
    """Return the error for a CLI that raised `error` when it was started: `otherwise` if no better reason is found."""
    match error:
        case NotImplementedError():
            return ConfigError(
                f"This event loop ({type(asyncio.get_running_loop()).__name__}) cannot start processes.",
                next_step="Use asyncio's default loop; on Windows that is asyncio.ProactorEventLoop.",
            )
        case OSError():
            return _refused_by_the_system(error, command, directory, env)
    said = f"{stderr}\n{otherwise.message}"
    if _NO_ROOT in said:
        return ConfigError(
            "The CLI does not bypass permissions for root.",
            next_step="Choose another permission_mode, run as another user, or set IS_SANDBOX=1 where this is a sandbox.",
        )
    if found := _UNKNOWN_OPTION.search(said) or _UNKNOWN_CHOICE.search(said):
        flag, *value = found.groups()
        version = await version_of(command[0], env)
        what = f"the value {value[0]} of {flag}" if value else flag
        return CLITooOldError(
            f"The Claude CLI at {shorten_home(command[0])} is {version or 'of an unknown version'} and does not know {what}; "
            f"{OLDEST_CLI} or later is needed."
        )
    if found := _BROKEN_SETTINGS.search(said):
        path, reason = found.groups()
        backup = _BACKUP.search(said)
        mend = f"Mend it, or put its backup in its place: {backup.group()}" if backup else "Mend it, or delete it"
        return ConfigError(f"The CLI's own file {shorten_home(path)} is broken: {reason.rstrip('.')}.", next_step=f"{mend}.")
    if found := _FILE_ERROR.search(said):
        _, reason, path = found.groups()
        names = [name for name in _PLACES if (place := env.get(name)) and path.startswith(place)]
        another = f"or let {names[0]} name another directory" if names else "or let TMPDIR and HOME name other directories"
        return CLIDiedError(
            f"The Claude CLI cannot write to {shorten_home(path)}: {reason}.",
            next_step=f"Make it writable, {another}; {_NOTHING_SENT}",
            stderr=stderr,
        )
    if not env.get("HOME") and home_directory() == str(NO_HOME):
        return CLIDiedError(
            "The Claude CLI needs a home directory, and there is none here.",
            next_step=f"Set HOME to a directory in which you may write; {_NOTHING_SENT}",
        )
    if isinstance(otherwise, CLIDiedError):
        otherwise.next_step = CHECK_CLI
    return otherwise


async def version_of(cli: str, env: Mapping[str, str]) -> str | None:
    """Return the version that the CLI reports, `None` if it reports none."""
    try:
        said, _ = await said_by(cli, "--version", env=env, limit_s=VERSION_LIMIT_S)
    except OSError:  # a TimeoutError is one, too
        return None
    found = re.search(rb"\d+(?:\.\d+)+", said)
    return found.group().decode() if found else None


def _refused_by_the_system(error: OSError, command: Sequence[str], directory: str, env: Mapping[str, str]) -> ClaudeError:
    reason = error.strerror or str(error)
    if error.errno == errno.E2BIG or getattr(error, "winerror", None) == _TOO_LONG_ON_WINDOWS:
        return _too_long(command, env)
    match error.errno:
        case errno.EMFILE | errno.ENFILE:
            return CLIDiedError(
                f"The Claude CLI could not be started: {reason}{_file_limit(error.errno)}.",
                next_step="Close files, or allow more: `ulimit -n 4096` in the shell that starts Python.",
            )
        case errno.EAGAIN | errno.ENOMEM:
            return CLIDiedError(
                f"The Claude CLI could not be started: {reason}.",
                next_step="The system has no memory or no process left: end what is not needed, then run it again.",
            )
    if not os.path.isdir(directory):
        return directory_gone(directory)
    return CLINotFoundError(f"The Claude CLI at {shorten_home(command[0])} could not be started: {reason}.")


def directory_gone(directory: str) -> SessionNotFoundError:
    """Return the error for a session whose directory is not there."""
    return SessionNotFoundError(
        f"The directory {shorten_home(directory)} is gone, so its sessions cannot be continued.",
        next_step="Make the directory again, or begin another session.",
    )


def _too_long(command: Sequence[str], env: Mapping[str, str]) -> ConfigError:
    words = [*pairwise(command), *((f"the variable {name}", value) for name, value in env.items())]
    sizes = sorted(((len(os.fsencode(word)), name) for name, word in words if name.startswith(("--", "the "))), reverse=True)
    large = [f"{name} has {size:,} bytes" for size, name in sizes[:3] if size > _LONG_BYTES]
    told = "; ".join(large) or f"{sum(size for size, _ in sizes):,} bytes in all"
    return ConfigError(
        f"The CLI's command line and environment are longer than the system takes: {told}.",
        next_step=f"Shorten it; {_NOTHING_SENT}",
    )


def _file_limit(number: int) -> str:
    if number != errno.EMFILE or os.name == "nt":
        return ""
    import resource  # absent on Windows

    return f" ({resource.getrlimit(resource.RLIMIT_NOFILE)[0]} allowed to this process)"


def _says(text: str, phrases: tuple[str, ...]) -> bool:
    return any(phrase in text for phrase in phrases)
