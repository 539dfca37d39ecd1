"""Texts for a person in a notebook: advice about an error, help in columns, printed lines.

The sdk's errors speak to the author of a script: they name parameters and functions. `STEPS` says what to type in a cell
instead. An error gets these words where it leaves a cell. Advice that is not in the table fits scripts and cells.
"""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from IPython.core.error import UsageError

from claude_magic import errors
from claude_magic._characters import strip_controls
from claude_magic._paths import own_command
from claude_magic._text import word_wrapper

STEPS: Final = {
    errors.NotLoggedInError.next_step: (
        f"Run `{own_command('login')}` in a terminal, then this cell again. With an API key instead:\n"
        '    import getpass, os; os.environ["ANTHROPIC_API_KEY"] = getpass.getpass("API key: ")'
    ),
    errors.SessionNotFoundError.next_step: "%claude_session list shows the sessions; with --new a new one starts.",
    errors.SessionLostError.next_step: "--new begins another session. Earlier replies are left only where they were shown.",
    "Give more of the ID; list_sessions() shows them.": "Give more of the ID; %claude_session list shows them.",
    "Continue without a session_id. Only a session that was recorded on this machine can be continued.": (
        "Continue in a new session (--new). Only a session that was recorded on this machine can be continued."
    ),
    "Make the directory again, or begin another session.": (
        "Make the directory again, or begin another session (--new in a cell)."
    ),
    errors.TurnTimeoutError.next_step: (
        "Give it more time (--timeout SECONDS, timeout=...), or ask for less at once; the session can be continued."
    ),
    errors.BudgetExceededError.next_step: (
        "Raise the budget (--budget USD, budget=... of ask()), or ask for less at once; the session can be continued."
    ),
    errors.TurnLimitError.next_step: 'Raise the limit (--max-turns N, max_turns=N), or say "go on" to continue from here.',
    "Choose another permission_mode.": "Choose another with --mode.",
    "Ask for access to this model or feature, or choose another model.": (
        "Ask for access to this model or feature, or choose another with --model."
    ),
    "Check the name given as model; `opus`, `sonnet` and `haiku` always name a current one.": (
        "Check the model's name (--model); `opus`, `sonnet` and `haiku` always name a current one."
    ),
    "Choose another permission_mode, run as another user, or set IS_SANDBOX=1 where this is a sandbox.": (
        "Choose another with --mode, run the kernel as another user, or set IS_SANDBOX=1 (%env) where this is a sandbox."
    ),
    errors.CLINotFoundError.next_step: (
        "Correct the path (%config ClaudeMagics.cli_path = ...), or set it to None to use the CLI that comes with "
        "claude-agent-sdk."
    ),
    errors.CLITooOldError.next_step: (
        "Update it, or use the CLI that comes with claude-agent-sdk: %config ClaudeMagics.cli_path = None."
    ),
    "Say it in other words, in a new session, or choose another model.": (
        "Say it in other words, in a new session (--new), or choose another model (--model)."
    ),
    "Use asyncio's default loop; on Windows that is asyncio.ProactorEventLoop.": (
        "Leave asyncio's event loop policy as it is; on Windows the loop must be a ProactorEventLoop."
    ),
    "Close files, or allow more: `ulimit -n 4096` in the shell that starts Python.": (
        "Close files, or allow more: `ulimit -n 4096` in the shell that starts Jupyter."
    ),
    "Send less: /compact shortens the conversation, and without a session_id an empty one starts.": (
        "Send less: /compact shortens the conversation, --new starts an empty one."
    ),
}
"""The next steps of the sdk's errors, each with the next step for a notebook."""


def in_notebook_words(error: errors.ClaudeError) -> errors.ClaudeError:
    """Make an error say what to type in a cell, and return it."""
    error.next_step = STEPS.get(error.next_step, error.next_step)
    return error


@contextlib.contextmanager
def in_a_notebook() -> Iterator[None]:
    """Give each `ClaudeError` that leaves the block the words of a notebook; strip a `UsageError` of control sequences."""
    try:
        yield
    except errors.ClaudeError as error:
        in_notebook_words(error)
        raise
    except UsageError as error:
        error.args = (strip_controls(str(error)),)
        raise


def closest(word: str, names: Iterable[str]) -> str | None:
    """Return the name that was most likely meant. A name with the same letters in another order comes first."""
    close = difflib.get_close_matches(word, names, 5)
    return max(close, key=lambda name: sorted(name) == sorted(word), default=None)


_NARROWEST = 30
"""The fewest columns in which a meaning stands beside its word."""


def beside(meanings: Mapping[str, str], columns: int | None = None) -> str:
    """Write words with their meanings beside them, or below them if `columns`, the width of a line, leaves too little room."""
    width = max(map(len, meanings))
    if columns is None:
        return "\n".join(f"    {word:<{width}}  {meaning}" for word, meaning in meanings.items())
    is_beside = columns - width - 6 >= _NARROWEST
    wrapper = word_wrapper(columns, " " * (width + 6 if is_beside else 8))
    lines = []
    for word, meaning in meanings.items():
        wrapper.initial_indent = f"    {word:<{width}}  " if is_beside else " " * 8
        lines += [wrapper.fill(meaning)] if is_beside else [f"    {word}", wrapper.fill(meaning)]
    return "\n".join(lines)


def say(text: str) -> None:
    """Print a text without control sequences, because it may hold names and texts from anywhere."""
    print(strip_controls(text))
