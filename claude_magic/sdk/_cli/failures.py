"""Why a turn failed: from the CLI's result, its end or the SDK's exception, to one error of our tree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from claude_magic._paths import shorten_home
from claude_magic.errors import (
    APIError,
    BudgetExceededError,
    ClaudeError,
    CLIDiedError,
    CLINotFoundError,
    ConfigError,
    NotLoggedInError,
    SessionNotFoundError,
    StructuredOutputError,
    TurnError,
    TurnInterrupted,
    TurnLimitError,
)
from claude_magic.sdk.events import TurnEnded

# The CLI's words (2.1.331); it has no code for these cases.
_NO_SESSION = ("No conversation found", "requires a valid session ID")
_NO_MESSAGE = ("No message found",)
_BAD_SCHEMA = "Error: --json-schema "
_NO_LOGIN = ("Not logged in", "Invalid API key", "Please run /login", "OAuth token")

_NEXT_STEP = {
    400: "Change the prompt or the options it names; the session can be continued.",
    403: "Ask for access to this model or feature, or choose another model.",
    404: "Check the name given as model; `opus`, `sonnet` and `haiku` always name a current one.",
    413: "Send less: /compact shortens the conversation, and without a session_id an empty one starts.",
    429: "Wait for the limit to pass, then run it again.",
}
_GO_LATER = "Go back to a later turn: what came before /compact is out of reach."
_CHANGE_SCHEMA = "Change the schema; nothing was sent."
_OVERLOADED = "Run it again in a while; the session can be continued."
_DROPPED = "Check the network, then run it again; the session can be continued."


def failure_of(ended: TurnEnded, stderr: str = "", *, structured: bool = False) -> ClaudeError | None:
    """Return the error that a turn ended with, `None` when it ended well.

    :param structured: whether a structured reply was asked for.
    """
    if not ended.is_error:
        if not structured or ended.structured is not None:
            return None
        # The CLI reminds the model once and then lets it be (2.1.331).
        return StructuredOutputError("Claude answered in text, not in the form of the schema.", session_id=ended.session_id)
    session_id = ended.session_id
    said = " ".join(ended.errors) or ended.text.strip()
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
        next_step = _NEXT_STEP.get(ended.status or 0, _OVERLOADED if ended.status else _DROPPED)
        return APIError(said or "The API did not answer.", status=ended.status, next_step=next_step, session_id=session_id)
    return TurnError(
        said or f"The turn ended with {ended.subtype}.",
        next_step="Run it again; the session can be continued.",
        session_id=session_id,
        stderr=stderr,
    )


def translate_exception(error: Exception, *, cli: str, stderr: str, session_id: str | None) -> ClaudeError:
    """Return our error for what was raised while the CLI at `cli` started or worked."""
    if isinstance(error, OSError):
        reason = error.strerror or str(error)
        return CLINotFoundError(f"The Claude CLI at {shorten_home(cli)} could not be started: {reason}.", stderr=stderr)
    return CLIDiedError(f"The Claude CLI did not answer: {error}", session_id=session_id, stderr=stderr)


def cli_died(exit_code: int | None, messages: Sequence[dict[str, Any]], *, stderr: str, session_id: str | None) -> ClaudeError:
    """Return the error for a CLI that ended while something was asked of it; its last message may say why."""
    for message in reversed(messages):
        if message.get("type") == "result" and message.get("errors"):
            said = " ".join(map(str, message["errors"]))
            if _says(said, _NO_MESSAGE):
                return SessionNotFoundError("The session no longer holds the message to go on from.", next_step=_GO_LATER)
            if _says(said, _NO_SESSION):
                return SessionNotFoundError(f"{said.rstrip('.')}.")
            return CLIDiedError(f"The Claude CLI ended: {said}", session_id=session_id, stderr=stderr)
    if _says(stderr, _NO_SESSION):
        return SessionNotFoundError(stderr.splitlines()[-1])
    if _says(stderr, (_BAD_SCHEMA,)):
        reason = stderr.partition(_BAD_SCHEMA)[2].partition("\n")[0].strip()
        return ConfigError(f"The CLI does not take the schema: it {reason}.", next_step=_CHANGE_SCHEMA, session_id=session_id)
    if exit_code is None:
        how = "closed its output"
    else:
        how = f"was killed by signal {-exit_code}" if exit_code < 0 else f"ended with exit code {exit_code}"
    return CLIDiedError(f"The Claude CLI {how} before it had answered.", session_id=session_id, stderr=stderr)


def _says(text: str, phrases: tuple[str, ...]) -> bool:
    return any(phrase in text for phrase in phrases)
