"""Every error that claude_magic raises, and what each one carries.

    ClaudeError
    ├── ConfigError                  a setting or argument is invalid (also a ValueError)
    │   ├── WorkspaceError           a workspace, a named directory for turns, cannot be used
    │   └── AttachmentError          a file cannot go into a prompt
    ├── CLIError                     something is wrong with the Claude CLI as a program
    │   ├── CLINotFoundError         it is missing, or cannot be executed
    │   ├── CLITooOldError           it does not know a flag that it is started with
    │   └── CLIDiedError             it ended in the middle of a turn, or before it was ready
    ├── NotLoggedInError             the CLI has no login and no API key, or the API refuses it
    ├── SessionNotFoundError         there is no conversation with this ID or name
    │   └── SessionLostError         its transcript was there, and is gone or unreadable now
    ├── TurnNotFoundError            no turn has this number or ID, or it cannot be continued
    ├── ExecutorError                an executor, or a worker of it, cannot run rows
    ├── CheckpointError              a file of answered rows cannot be used
    ├── ScoreError                   a reply has no score
    ├── CassetteError                a cassette cannot be read or written
    │   └── CassetteMismatchError    the prompt is not recorded in it
    └── TurnError                    the turn ended without a complete answer
        ├── TurnInterrupted          it was stopped
        ├── TurnTimeoutError         it took longer than its `timeout` (also a TimeoutError)
        ├── APIError                 the API refused, or could not be reached
        ├── BudgetExceededError      the turn's budget is spent
        ├── TurnLimitError           it needed more rounds with tools than `max_turns`
        └── StructuredOutputError    the reply does not fit the schema

Exceptions of other libraries become these errors in the module that calls the library. The messages speak to the author of a
script; the kernel adds what to type in a notebook. Known credentials are masked in `message` and `stderr`, not in `content`.
"""

from __future__ import annotations

import copyreg
import shutil
import sys
from collections.abc import Mapping
from typing import Any

from claude_magic._characters import in_reading_order, spelled_out
from claude_magic._paths import own_command
from claude_magic._redaction import redact
from claude_magic._text import well_formed, word_wrapper


class ClaudeError(Exception):
    """The root of the tree: `except ClaudeError` catches every error of this package.

    :param message: one sentence: what happened.
    :param next_step: one sentence: what to do about it.
    :param session_id: the session of the failed turn, if it is known.
    :param content: the part of the reply that had arrived; nothing in it is masked.
    :param stderr: the last lines of what the CLI wrote to its standard error.
    """

    next_step = ""
    results: Any = None
    """The results so far, if the error ended a run over many rows; else `None`."""
    cost_usd: float | None = None
    """What a row of a run cost although it failed, in US dollars, if the CLI said it."""

    def __init__(
        self, message: str, *, next_step: str | None = None, session_id: str | None = None, content: str = "", stderr: str = ""
    ) -> None:
        message = in_reading_order(redact(well_formed(message)))
        super().__init__(message)
        self.message = message
        if next_step is not None:
            self.next_step = in_reading_order(redact(well_formed(next_step)))
        self.session_id = session_id
        self.content = content
        self.stderr = in_reading_order(redact(stderr))

    def __reduce__(self) -> tuple[Any, ...]:
        """Make it picklable, whatever arguments the `__init__` of its class takes."""
        return copyreg.__newobj__, (type(self), *self.args), self.__dict__  # type: ignore[attr-defined]

    def mask(self, env: Mapping[str, str]) -> None:
        """Mask the credentials of this environment in all that is shown. Those of `os.environ` are masked already."""
        self.message, self.next_step, self.stderr = (redact(text, env) for text in (self.message, self.next_step, self.stderr))
        self.args = (self.message,)

    def __str__(self) -> str:
        # It may quote the CLI, the API or a file, and a terminal prints it: control characters could move the cursor, others
        # could turn the text around.
        return in_reading_order("\n".join(part for part in self._parts() if part))

    def _parts(self) -> tuple[str, ...]:
        last_lines = "\n".join(self.stderr.splitlines()[-6:])
        return self.message, self.next_step, f"stderr of the CLI:\n{last_lines}" if last_lines else ""

    def _render_traceback_(self) -> list[str]:
        """Show name, sentence and next step instead of a traceback: IPython asks the exception for this.

        A terminal would divide long lines in the middle of words; a page does not. Code, which is indented, is not divided.
        """
        name = type(self).__name__
        lines = f"{name}: {self}".splitlines()
        if sys.stdout.isatty():
            wrapper = word_wrapper(shutil.get_terminal_size().columns)
            lines = [part for line in lines for part in ([line] if line[:1].isspace() else wrapper.wrap(line))]
        return [lines[0].replace(name, f"\x1b[31m{name}\x1b[39m", 1), *lines[1:]]


class ConfigError(ClaudeError, ValueError):
    """A setting or argument is invalid. Nothing was sent."""


class WorkspaceError(ConfigError):
    """A workspace cannot be used: its ID is not a plain name, or its directory is a link or cannot be made.

    A workspace is a directory under `ClaudeConfig.workspace_dir` in which turns work, named by its ID.
    """

    next_step = "Use 1 to 64 letters, digits, '.', '_' or '-', and not only dots."


class AttachmentError(ConfigError):
    """A file cannot go into a prompt: it is missing, a directory, too large, or of a kind that Claude does not read."""


class CLIError(ClaudeError):
    """Something is wrong with the Claude CLI as a program."""


class CLINotFoundError(CLIError):
    """There is no CLI at this path, or it is not executable."""

    next_step = "Correct cli_path, or leave it empty to use the CLI that comes with claude-agent-sdk."


class CLITooOldError(CLIError):
    """The CLI does not know a flag, or a value of one, that it is started with."""

    next_step = "Update it, or leave cli_path empty to use the CLI that comes with claude-agent-sdk."


class CLIDiedError(CLIError):
    """The CLI ended in the middle of a turn, or before it was ready."""

    next_step = "Send the prompt again: the session is resumed from disk."


class NotLoggedInError(ClaudeError):
    """The CLI has no login and no API key, or the API refuses the login or key."""

    next_step = (
        f"Run `{own_command('login')}` in a terminal, or set ANTHROPIC_API_KEY in the environment or in ClaudeConfig.env."
    )


class SessionNotFoundError(ClaudeError):
    """No conversation has this ID, prefix or name."""

    next_step = "list_sessions() shows the sessions; without a session_id a new one starts."


class SessionLostError(SessionNotFoundError):
    """This client has used the session, but the transcript is now gone or unreadable. The prompt was not sent.

    :param was: what the transcript is now, such as `is gone`; it completes the sentence "The transcript of the session ...".
    """

    next_step = "Without a session_id a new session starts. Earlier replies exist only where they were shown."

    def __init__(self, session_id: str, was: str) -> None:
        super().__init__(f"The transcript of the session {session_id[:8]} {was}.", session_id=session_id)
        self.was = was


class TurnNotFoundError(ClaudeError):
    """No turn has this number, no message has this ID, or nothing can go on from the turn."""


class ExecutorError(ClaudeError):
    """The executor of a run over many rows, or a worker of it, cannot run the rows."""


class CheckpointError(ClaudeError):
    """The checkpoint, the file that keeps the answered rows of a run, is another kind of file or cannot be read or written."""

    next_step = "Free disk space, or name another file. Rows that were already written are kept."


class ScoreError(ClaudeError):
    """A reply has no score: the score function raised or returned no number, or the prompt to the judge was not answered."""

    next_step = "Correct the score and run it again; with a checkpoint, no answered row is sent again."


class CassetteError(ClaudeError):
    """A cassette cannot be read or written. Nothing in it was changed."""


class CassetteMismatchError(CassetteError):
    """The cassette holds no turn with this prompt. Nothing was sent.

    :param diff: the difference between the closest recorded prompt and this one; empty if nothing is recorded. Both prompts
        are scrubbed like a recording.
    :param line: the line of the file with that recorded prompt.
    """

    next_step = "Send a recorded prompt; or use the cassette's mode `auto`, which goes live for what is not recorded."

    def __init__(self, message: str, *, next_step: str | None = None, diff: str = "", line: int | None = None) -> None:
        super().__init__(message, next_step=next_step)
        self.diff = redact(diff)
        self.line = line

    def _parts(self) -> tuple[str, ...]:
        return self.message, spelled_out(self.diff), self.next_step


class TurnError(ClaudeError):
    """The turn ended without a complete answer. The session can be continued."""


class TurnInterrupted(TurnError):
    """The turn was stopped. `content` is the text that had arrived.

    A notebook's cell raises it for an interrupt or the Stop button. In a script, cancelling the task raises
    `asyncio.CancelledError` as usual; this error comes if the turn was stopped in any other way, or was recorded as stopped.
    """

    next_step = "What had arrived is kept; the next prompt continues this session."


class TurnTimeoutError(TurnError, TimeoutError):
    """The turn took longer than its `timeout`, in seconds; waiting for a person's answers is not counted."""

    next_step = (
        "Give it more time (timeout=..., ClaudeConfig.default_timeout), or ask for less at once; the session can be continued."
    )


class APIError(TurnError):
    """The API refused the request, or could not be reached, and the CLI gave up retrying.

    :param status: the HTTP status; `None` if there is none, as when the connection failed.
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
    """The reply does not fit the schema. `content` is what Claude said instead."""

    next_step = "What Claude said is kept. Send the prompt again, say in it what to fill in, or make the schema simpler."
