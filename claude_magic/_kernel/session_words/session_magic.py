"""`%claude_session`: find the word that the line begins with, and run it."""

from __future__ import annotations

from IPython.core.error import UsageError

from claude_magic._kernel.advice import closest, in_a_notebook, say
from claude_magic._kernel.frontend import Frontend
from claude_magic._kernel.session_words.about_notebook import NotebookWords
from claude_magic._kernel.session_words.about_sessions import SessionWords
from claude_magic._kernel.session_words.about_turns import TurnWords
from claude_magic._kernel.session_words.word_table import HELP, WORDS, Word, WordsByTopic, words_usage
from claude_magic._kernel.state.kernel_state import KernelState


class SessionMagic:
    """The words of `%claude_session` for one kernel."""

    def __init__(self, state: KernelState, frontend: Frontend) -> None:
        self._frontend = frontend
        notebook = NotebookWords(state, frontend)
        sessions = SessionWords(state, frontend, notebook.own_session)
        self._about = WordsByTopic(sessions, TurnWords(state, frontend), notebook)

    @in_a_notebook()
    def run(self, line: str) -> None:
        """Run a line.

        :raises UsageError: there is no such word, or its argument is missing.
        :raises SessionNotFoundError: there is no such session.
        """
        name, _, typed = line.strip().partition(" ")
        if name in HELP:
            say(words_usage(typed.strip(), self._frontend.columns))
            return
        word = _word(name or "show")
        argument = _unquoted(typed.strip())
        if word.needs and not argument:
            raise UsageError(f"%claude_session: {name} needs {word.needs}")
        word.do(self._about, typed if word.as_typed else argument)

    def close_panel(self) -> None:
        """Replace panel and tree by plain output; called when the next cell runs, so that no dead widget is saved."""
        self._about.sessions.close_panel()
        self._about.turns.close_tree()


def _word(name: str) -> Word:
    words = {word.name: word for word in WORDS}
    if name not in words:
        close = closest(name, words)
        hint = f"did you mean {close}?" if close else f"there are {', '.join(words)}"
        raise UsageError(f"%claude_session: {name!r} is not one of its words; {hint}")
    return words[name]


def _unquoted(text: str) -> str:
    return text[1:-1] if len(text) > 1 and text[0] == text[-1] and text[0] in "'\"" else text
