"""What `%claude_session` does, word by word, and the panel it shows."""

from __future__ import annotations

import contextlib
import difflib
from typing import TYPE_CHECKING

from IPython.core.error import UsageError
from IPython.display import display

from claude_magic.errors import SessionNotFoundError
from claude_magic.kernel.frontend import Frontend
from claude_magic.kernel.state import KernelState
from claude_magic.paths import shorten_home

if TYPE_CHECKING:
    from claude_magic.render.panel import SessionFacts, SessionPanel, SessionRow

WORDS = ("show", "list", "new", "resume", "name", "delete", "trust")

COUNTED_ROWS = 20
"""Of that many sessions the turns are counted, which reads their transcripts; the panel shows as many."""

_NEEDS = {
    "resume": "a session: its ID, a unique prefix of that, or its name",
    "name": "a title, such as: titanic clean-up",
    "delete": "a session: its ID, a unique prefix of that, or its name",
}


class SessionMagic:
    """The words of `%claude_session` for one kernel."""

    def __init__(self, state: KernelState, frontend: Frontend) -> None:
        self._state = state
        self._frontend = frontend
        self._panel: SessionPanel | None = None

    def run(self, line: str) -> None:
        """Do what the line says.

        :raises UsageError: for a word that is not one, or an argument that lacks.
        :raises SessionNotFoundError: for a session that is not there.
        """
        word, _, argument = line.strip().partition(" ")
        argument = argument.strip().strip("\"'")
        if word in _NEEDS and not argument:
            raise UsageError(f"%claude_session: {word} needs {_NEEDS[word]}")
        match word:
            case "" | "show":
                self._show()
            case "list":
                self._show_static()
            case "new":
                self._state.current = None
                print("The next %%claude cell starts a new session.")
            case "resume":
                self._state.current = session = self._state.find(argument)
                print(f"The next %%claude cell continues {session.label}.")
            case "name":
                self._name(argument)
            case "delete":
                print(f"Deleted {self._state.delete(argument).label}.")
            case "trust":
                self._trust()
            case _:
                close = difflib.get_close_matches(word, WORDS, 1)
                hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(WORDS)}"
                raise UsageError(f"%claude_session: {word!r} is not one of its words; {hint}")

    def close_panel(self) -> None:
        """Leave the panel as plain output; done when the next cell runs, since a saved notebook shall hold no widget."""
        if self._panel is not None:
            self._panel.close()
            self._panel = None

    def _show(self) -> None:
        if not self._frontend.has_widgets():
            self._show_static()
            return
        from claude_magic.render.panel import SessionPanel

        self._panel = SessionPanel(*self._contents(), self._resume_by_click)
        self._panel.show()

    def _show_static(self) -> None:
        from claude_magic.render.panel import panel_bundle, panel_text

        facts, rows = self._contents()
        if self._frontend.is_terminal:
            print(panel_text(facts, rows))
        else:
            display(panel_bundle(facts, rows), raw=True)

    def _resume_by_click(self, session_id: str) -> None:
        # Deleted meanwhile: the repainted panel shows that it is gone.
        with contextlib.suppress(SessionNotFoundError):
            self._state.current = self._state.find(session_id)
        if self._panel is not None:
            self._panel.update(*self._contents())

    def _name(self, title: str) -> None:
        session = self._state.current
        if session is None:
            raise UsageError("%claude_session: there is no current session to name; run a %%claude cell first")
        self._state.store().rename_session(session.session_id, title, session.directory)
        session.name = title
        print(f"Now called {session.label}.")

    def _trust(self) -> None:
        directory = self._state.directory
        files = self._state.trust.add(directory)
        names = ", ".join(shorten_home(str(path)) for path in files)
        print(f"From the next cell on these are loaded: {names}." if files else "This directory has no settings of its own.")

    def _contents(self) -> tuple[SessionFacts | None, list[SessionRow]]:
        from claude_magic.render.panel import SessionFacts, SessionRow

        current, store = self._state.current, self._state.store()
        rows = [
            SessionRow(
                session_id=info.session_id,
                name=info.name,
                first_prompt=info.first_prompt,
                turns=store.count_turns(info) if number < COUNTED_ROWS else None,
                last_used=info.last_used,
                current=current is not None and info.session_id == current.session_id,
            )
            for number, info in enumerate(self._state.on_disk())
        ]
        if current is None:
            return None, rows
        row = next((row for row in rows if row.current), None)
        facts = SessionFacts(
            session_id=current.session_id,
            name=(row.name if row else None) or current.name,
            directory=current.directory,
            model=current.model,
            turns=row.turns if row and row.turns is not None else current.turns,
            tokens=current.tokens or None,
            cost_usd=current.cost_usd,
            context_used=current.context_used,
        )
        return facts, rows
