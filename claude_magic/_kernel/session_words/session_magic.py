"""What `%claude_session` does, word by word, and the panel it shows."""

from __future__ import annotations

import contextlib
import difflib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from IPython.core.error import UsageError
from IPython.display import display

from claude_magic._kernel.advice import in_a_notebook
from claude_magic._kernel.frontend import Frontend
from claude_magic._kernel.session_words.about_notebook import NotebookWords
from claude_magic._kernel.session_words.about_turns import TurnWords
from claude_magic._kernel.session_words.export_file import export_file
from claude_magic._kernel.state.kernel_state import KernelState
from claude_magic._paths import shorten_home
from claude_magic.errors import SessionNotFoundError

if TYPE_CHECKING:
    from claude_magic._render.live.session_panel import SessionFacts, SessionPanel
    from claude_magic._render.settled.session_list import SessionRow
    from claude_magic.sdk._history.sessions import SessionInfo

WORDS = ("show", "list", "turns", "new", "resume", "restore", "fork", "pick", "diff", "name", "export", "delete", "trust")

COUNTED_ROWS = 20
"""Of that many sessions the turns are counted, which reads their transcripts; the panel shows as many."""

_NEEDS = {
    "pick": "the number of an alternative, such as: pick 2",
    "name": "a title, such as: titanic clean-up",
    "export": "a path that ends in .md or .ipynb",
    "delete": "a session: its ID, a unique prefix of that, or its name",
}


class SessionMagic:
    """The words of `%claude_session` for one kernel."""

    def __init__(self, state: KernelState, frontend: Frontend) -> None:
        self._state = state
        self._frontend = frontend
        self._panel: SessionPanel | None = None
        self._turns = TurnWords(state, frontend)
        self._notebook = NotebookWords(state, frontend)

    @in_a_notebook()
    def run(self, line: str) -> None:
        """Do what the line says.

        :raises UsageError: for a word that is not one, or an argument that lacks.
        :raises SessionNotFoundError: for a session that is not there.
        """
        word, _, typed = line.strip().partition(" ")
        argument = typed.strip()
        if argument[:1] in ("'", '"') and argument[-1:] == argument[:1] and len(argument) > 1:
            argument = argument[1:-1]
        if word in _NEEDS and not argument:
            raise UsageError(f"%claude_session: {word} needs {_NEEDS[word]}")
        match word:
            case "" | "show" if argument not in ("", "--prompt"):
                raise UsageError(f"%claude_session: show takes --prompt or nothing, not {argument!r}")
            case "" | "show":
                self._turns.show_prompt() if argument else self._show()
            case "list":
                self._list(argument)
            case "new":
                self._state.current = None
                print("The next %%claude cell starts a new session.")
            case "resume":
                self._resume(argument)
            case "restore":
                self._notebook.restore(argument)
            case "turns":
                self._turns.show_tree()
            case "fork":
                self._turns.fork()
            case "pick":
                self._turns.pick(argument)
            case "diff":
                self._turns.diff(argument)
            case "name":
                self._name(argument)
            case "export":
                self._export(typed)
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
        self._turns.close_tree()

    def _show(self) -> None:
        if not self._frontend.has_widgets():
            self._show_static()
            return
        from claude_magic._render.live.session_panel import SessionPanel

        self._panel = SessionPanel(*self._contents(), self._resume_by_click)
        self._panel.show()

    def _show_static(self) -> None:
        from claude_magic._render.live.session_panel import panel_bundle, panel_text

        facts, rows = self._contents()
        self._put(panel_bundle(facts, rows), panel_text(facts, rows))

    def _list(self, wanted: str) -> None:
        from claude_magic._render.settled.session_list import listing_bundle, listing_text

        found = [info for info in self._state.sessions.all(self._state.directory) if _fits(info, wanted.casefold())]
        if wanted and not found:
            print(f"No session in {shorten_home(self._state.directory)} has {wanted!r} in its name, ID or first prompt.")
            return
        rows = self._rows(found)
        self._put(listing_bundle(rows), listing_text(rows))

    def _resume(self, wanted: str) -> None:
        self._state.current = session = self._state.find(wanted) if wanted else self._notebook.own_session()
        print(f"The next %%claude cell continues {session.label}.")
        from claude_magic._render.settled.session_recap import recap_bundle, recap_text

        if found := self._state.sessions.exchanges(session):
            self._put(recap_bundle(found), recap_text(found))

    def _export(self, typed: str) -> None:
        session = self._state.current
        if session is None:
            raise UsageError("%claude_session: there is no current session to export; resume one, or run a %%claude cell first")
        file = export_file(typed)
        from claude_magic._render.settled.export import Conversation, to_markdown, to_notebook

        infos = self._state.sessions.all(self._state.directory)
        info = next((info for info in infos if info.session_id == session.session_id), None)
        found = self._state.sessions.exchanges(session)
        if info is None or not found:
            raise UsageError(f"%claude_session: there are no turns in the transcript of {session.label}; nothing was written")
        conversation = Conversation(session.session_id, session.directory, info.last_used, found, info.name)
        file.write((to_notebook if file.path.suffix.lower() == ".ipynb" else to_markdown)(conversation))
        print(f"Wrote {len(found)} {'turn' if len(found) == 1 else 'turns'} of {session.label} to {file.shown}.")

    def _put(self, bundle: dict[str, str], text: str) -> None:
        if self._frontend.is_terminal:
            print(text)
        else:
            display(bundle, raw=True)

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
        self._state.sessions.rename(session, title)
        print(f"Now called {session.label}.")

    def _trust(self) -> None:
        directory = self._state.directory
        files = self._state.trust.add(directory)
        names = ", ".join(shorten_home(str(path)) for path in files)
        print(f"From the next cell on these are loaded: {names}." if files else "This directory has no settings of its own.")

    def _contents(self) -> tuple[SessionFacts | None, list[SessionRow]]:
        from claude_magic._render.live.session_panel import SessionFacts

        current, rows = self._state.current, self._rows(self._state.sessions.all(self._state.directory))
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
            cost_usd=None if self._state.settings.presentation else current.cost_usd,
            context_used=current.context_used,
            played=self._state.sessions.is_played(current),
        )
        return facts, rows

    def _rows(self, found: Sequence[SessionInfo]) -> list[SessionRow]:
        from claude_magic._render.settled.session_list import SessionRow

        current = self._state.current
        return [
            SessionRow(
                session_id=info.session_id,
                name=info.name,
                first_prompt=info.first_prompt,
                turns=self._state.sessions.count_turns(info) if number < COUNTED_ROWS else None,
                last_used=info.last_used,
                current=current is not None and info.session_id == current.session_id,
                size_bytes=info.size_bytes,
            )
            for number, info in enumerate(found)
        ]


def _fits(session: SessionInfo, wanted: str) -> bool:
    texts = (session.name or "", session.first_prompt or "")
    return session.session_id.startswith(wanted) or any(wanted in text.casefold() for text in texts)
