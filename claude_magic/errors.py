"""Every error that claude_magic raises, and what each one carries.

    ClaudeError
    ├── ConfigError                  a setting or argument that cannot be meant (also a ValueError)
    │   ├── WorkspaceError           a workspace ID that is not a plain name
    │   └── AttachmentError          a file that cannot go into a prompt
    ├── CLIError                     the Claude CLI as a program
    │   ├── CLINotFoundError         it is not there, or not executable
    │   ├── CLITooOldError           it lacks a flag that we need
    │   └── CLIDiedError             it ended in the middle of a turn, or did not start
    ├── NotLoggedInError             the CLI has no account to work with
    ├── SessionNotFoundError         no such conversation
    │   └── SessionLostError         one that was there, and whose transcript is gone or unreadable
    ├── TurnNotFoundError            no such turn, or none that one could go on from
    ├── CheckpointError              a file of answered rows that cannot be used
    ├── ScoreError                   a reply that has no score
    ├── CassetteError                a cassette that cannot be read or written
    │   └── CassetteMismatchError    a prompt that is not recorded in it
    └── TurnError                    the turn ended without an answer
        ├── TurnInterrupted          the person stopped it
        ├── TurnTimeoutError         it took longer than its `timeout` (also a TimeoutError)
        ├── APIError                 the API refused, or could not be reached
        ├── BudgetExceededError      the turn's budget is spent
        ├── TurnLimitError           more rounds with tools than `max_turns`
        └── StructuredOutputError    the reply does not fit the schema it was asked for

Foreign exceptions are translated where they enter, never here. The messages speak to the author of a script; the kernel adds
what to type in a notebook.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from claude_magic._characters import strip_controls
from claude_magic._paths import own_command
from claude_magic._redaction import redact
from claude_magic._text import well_formed


class ClaudeError(Exception):
    """The root of the tree: `except ClaudeError` catches everything of ours.

    :param message: one sentence: what happened.
    :param next_step: one sentence: what to do about it.
    :param session_id: the session that the failed turn belongs to, when it is known.
    :param content: the text that had arrived, empty when nothing had.
    :param stderr: the last lines of what the CLI wrote to its standard error.
    """

    next_step = ""
    results: Any = None
    """What a run over many rows had come to when it was raised; `None` where it was none."""

    def __init__(
        self,
        message: str,
        *,
        next_step: str | None = None,
        session_id: str | None = None,
        content: str = "",
        stderr: str = "",
    ) -> None:
        message = strip_controls(redact(well_formed(message)))
        super().__init__(message)
        self.message = message
        if next_step is not None:
            self.next_step = next_step
        self.session_id = session_id
        self.content = content
        self.stderr = strip_controls(redact(stderr))

    def leave_out(self, env: Mapping[str, str]) -> None:
        """Leave out the credentials that this environment holds; those of the process's own are out from the beginning."""
        self.message, self.stderr = redact(self.message, env), redact(self.stderr, env)
        self.args = (self.message,)

    def __str__(self) -> str:
        # Any of it may hold words of the CLI, the API or a file, and it is printed.
        return strip_controls("\n".join(part for part in self._parts() if part))

    def _parts(self) -> tuple[str, ...]:
        last_lines = "\n".join(self.stderr.splitlines()[-6:])
        return self.message, self.next_step, f"stderr of the CLI:\n{last_lines}" if last_lines else ""

    def _render_traceback_(self) -> list[str]:
        """Show name, sentence and next step instead of a traceback: IPython asks the exception for this."""
        first, *rest = str(self).splitlines()
        return [f"\x1b[31m{type(self).__name__}\x1b[39m: {first}", *rest]


class ConfigError(ClaudeError, ValueError):
    """A setting or argument that cannot be meant; nothing was sent."""


class WorkspaceError(ConfigError):
    """A workspace ID that is empty, too long, or not a plain directory name."""

    next_step = "Use 1 to 64 letters, digits, '.', '_' or '-', and not only dots."


class AttachmentError(ConfigError):
    """A file that cannot go into a prompt: missing, a directory, too large, or of a kind Claude does not read."""


class CLIError(ClaudeError):
    """The Claude CLI, as a program, did not do its part."""


class CLINotFoundError(CLIError):
    """The CLI is not where it was looked for, or is not executable."""

    next_step = "Correct cli_path, or leave it empty to use the CLI that comes with claude-agent-sdk."


class CLITooOldError(CLIError):
    """The CLI does not know a flag, or a value of one, that it is started with."""

    next_step = "Update it, or leave cli_path empty to use the CLI that comes with claude-agent-sdk."


class CLIDiedError(CLIError):
    """The CLI ended in the middle of a turn, or before it was ready."""

    next_step = "Run it again: the session is resumed from disk."


class NotLoggedInError(ClaudeError):
    """The CLI has no login and no API key, or the one it has is refused."""

    next_step = (
        f"Run `{own_command('login')}` in a terminal, or set ANTHROPIC_API_KEY in the environment or in ClaudeConfig.env."
    )


class SessionNotFoundError(ClaudeError):
    """No conversation has this ID, prefix or name."""

    next_step = "list_sessions() shows what there is; without a session_id a new session starts."


class SessionLostError(SessionNotFoundError):
    """A conversation that this client took part in, and of which nothing is left on disk; the prompt was not sent.

    :param was: what became of its transcript: `is gone`.
    """

    next_step = "Without a session_id a new session starts; what was said before is only where it was shown."

    def __init__(self, session_id: str, was: str) -> None:
        super().__init__(f"The transcript of the session {session_id[:8]} {was}.", session_id=session_id)
        self.was = was


class TurnNotFoundError(ClaudeError):
    """No turn has this number, or it has no answer that one could go on from."""


class CheckpointError(ClaudeError):
    """The file that keeps the answered rows of a run is something else, or cannot be read or written."""

    next_step = "Free space on the disk, or name another file; the rows that it holds already are kept."


class ScoreError(ClaudeError):
    """A reply that has no score: its function raised or gave no number, or the prompt that judges was not answered."""

    next_step = "Correct the score and run it again; with a checkpoint no reply is asked for anew."


class CassetteError(ClaudeError):
    """A cassette that cannot be read or written; nothing in it was changed."""


class CassetteMismatchError(CassetteError):
    """The cassette holds no turn with this prompt; nothing was sent.

    :param diff: from the closest recorded prompt to the one asked, empty when nothing is recorded.
    :param line: where that recorded one stands in the file.
    """

    next_step = "Ask what is recorded, or record this, too: mode `auto` goes live for what the cassette does not hold."

    def __init__(self, message: str, *, next_step: str | None = None, diff: str = "", line: int | None = None) -> None:
        super().__init__(message, next_step=next_step)
        self.diff = diff
        self.line = line

    def _parts(self) -> tuple[str, ...]:
        return self.message, self.diff, self.next_step


class TurnError(ClaudeError):
    """The turn ended without a complete answer; the session is as it was and can be continued."""


class TurnInterrupted(TurnError):
    """The person stopped the turn. `content` is what had arrived."""

    next_step = "What had arrived is kept; the next prompt continues this session."


class TurnTimeoutError(TurnError, TimeoutError):
    """The whole turn took longer than its `timeout`, in seconds. `content` is what had arrived."""

    next_step = (
        "Give it more time (timeout=..., ClaudeConfig.default_timeout), or ask for less at once; the session can be continued."
    )


class APIError(TurnError):
    """The API refused the request, or gave up after the CLI's own retries.

    :param status: the HTTP status, `None` when the connection failed.
    """

    def __init__(self, message: str, *, status: int | None = None, **context: str | None) -> None:
        super().__init__(message, **context)  # type: ignore[arg-type]
        self.status = status


class BudgetExceededError(TurnError):
    """The turn's budget in US dollars is spent."""

    next_step = "Raise max_budget_usd, or ask for less at once; the session can be continued."


class TurnLimitError(TurnError):
    """Claude needed more rounds with tools than `max_turns` allows."""

    next_step = 'Raise max_turns, or say "go on" to continue from here.'


class StructuredOutputError(TurnError):
    """The reply does not fit the schema that it was asked for. `content` is what it said instead."""

    next_step = "What it said is kept; ask again, say in the prompt what shall be filled in, or make the schema simpler."
