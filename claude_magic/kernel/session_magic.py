"""What `%claude_session` does, word by word."""

from __future__ import annotations

import difflib

from IPython.core.error import UsageError

from claude_magic.kernel.frontend import Frontend
from claude_magic.kernel.state import KernelState

WORDS = ("show", "list", "new", "resume", "name", "delete")


def run(state: KernelState, frontend: Frontend, line: str) -> None:
    """Do what the line says.

    :raises UsageError: for a word that is not one, or an argument that lacks.
    :raises SessionNotFoundError: for a session that is not there.
    """
    word, _, argument = line.strip().partition(" ")
    argument = argument.strip().strip("\"'")
    if word in ("resume", "name", "delete") and not argument:
        what = {"resume": "a session", "name": "a title", "delete": "a session"}[word]
        raise UsageError(f"%claude_session: {word} needs {what}, e.g. %claude_session {word} {_EXAMPLES[word]}")
    match word:
        case "" | "show":
            print(state.current)
        case "list":
            print(state.on_disk())
        case "new":
            state.current = None
            print("The next cell starts a new session.")
        case "resume":
            state.current = state.find(argument)
            print(f"{state.current.session_id} is the current session.")
        case "name":
            if state.current is None:
                raise UsageError("%claude_session: there is no current session to name; run a %%claude cell first")
            state.store().rename_session(state.current.session_id, argument, state.current.directory)
            state.current.name = argument
            print(f"{state.current.session_id[:8]} is now called {argument!r}.")
        case "delete":
            session = state.delete(argument)
            print(f"{session.session_id} is deleted.")
        case _:
            close = difflib.get_close_matches(word, WORDS, 1)
            hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(WORDS)}"
            raise UsageError(f"%claude_session: {word!r} is not one of its words; {hint}")


_EXAMPLES = {"resume": "681fea2c", "name": "titanic clean-up", "delete": "681fea2c"}
