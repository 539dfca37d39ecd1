"""The words of `%claude_session` that are about sessions: the panel, their list, and what changes one."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from IPython.core.error import UsageError

from claude_magic._kernel.advice import say
from claude_magic._kernel.frontend import Frontend
from claude_magic._kernel.session_words.export_file import export_file
from claude_magic._kernel.state.kernel_state import KernelState
from claude_magic._kernel.state.turns import Session
from claude_magic._paths import shorten_home
from claude_magic._render.place import Place
from claude_magic.errors import SessionNotFoundError

if TYPE_CHECKING:
    from claude_magic._render.live.session_panel import SessionFacts, SessionPanel
    from claude_magic._render.settled.session_list import SessionRow
    from claude_magic.sdk._history.sessions import SessionInfo

COUNTED_ROWS = 20
"""Of that many sessions the turns are counted, which reads their transcripts; the panel shows as many."""


class SessionWords:
    """What `%claude_session` says and does about the sessions of the kernel's directory.

    :param own_session: finds the session of the notebook that this kernel belongs to.
    """

    def __init__(self, state: KernelState, frontend: Frontend, own_session: Callable[[], Session]) -> None:
        self._state = state
        self._frontend = frontend
        self._own_session = own_session
        self._panel: SessionPanel | None = None

    def show_panel(self) -> None:
        """Show the current session and those of the directory; each can be continued by a click where there are buttons."""
        if not self._frontend.has_widgets():
            self._show_static()
            return
        from claude_magic._render.live.session_panel import SessionPanel

        self._panel = SessionPanel(*self._contents(), self._resume_by_click, self._stop_by_click)
        self._panel.show()

    def close_panel(self) -> None:
        """Leave the panel as plain output; done when the next cell runs, since a saved notebook shall hold no widget."""
        if self._panel is not None:
            self._panel.close()
            self._panel = None

    def show_list(self, wanted: str) -> None:
        """List the sessions of the directory: those that have this text in their name, ID or first prompt."""
        from claude_magic._render.settled.session_list import listing_bundle, listing_text

        found = [info for info in self._state.sessions.all(self._state.directory) if _fits(info, wanted.casefold())]
        if wanted and not found:
            say(f"No session in {shorten_home(self._state.directory)} has {wanted!r} in its name, ID or first prompt.")
            return
        rows = self._rows(found)
        self._put(listing_bundle(rows), listing_text(rows))

    def begin_new(self) -> None:
        """Let the next cell begin another session."""
        self._state.continue_session(None)
        say("The next %%claude cell starts a new session.")

    def resume(self, wanted: str) -> None:
        """Let the next cell continue this session, or the notebook's own where none is named, and show its last turns.

        :raises SessionNotFoundError: when there is none, or more than one.
        """
        session = self._state.find(wanted) if wanted else self._own_session()
        self._state.continue_session(session)
        say(f"The next %%claude cell continues {session.label}.")
        from claude_magic._render.settled.session_recap import recap_bundle, recap_text

        if found := self._state.sessions.exchanges(session):
            self._put(recap_bundle(found), recap_text(found))

    def rename(self, title: str) -> None:
        """Give the current session a name.

        :raises UsageError: when there is no current session.
        """
        session = self._state.current
        if session is None:
            raise UsageError("%claude_session: there is no current session to name; run a %%claude cell first")
        self._state.sessions.rename(session, title)
        say(f"Now called {session.label}.")

    def delete(self, wanted: str) -> None:
        """Delete a session for good.

        :raises SessionNotFoundError: when there is none, or more than one.
        """
        say(f"Deleted {self._state.delete(wanted).label}.")

    def show_unloaded(self) -> None:
        """Print what of the directory would be loaded after a yes."""
        unloaded = self._state.trust.unloaded(self._state.directory)
        for one in unloaded:
            say(f"--- {one}\n{one.text}\n")
        say("%claude_session trust loads it." if unloaded else "There is nothing here that waits for a yes.")

    def trust_directory(self) -> None:
        """Load what the directory holds from the next cell on, as it is now."""
        directory = self._state.directory
        loaded = self._state.trust.add(directory)
        if not self._state.trust.covers(directory):
            say(f"Not loaded, as it cannot be judged: {', '.join(map(str, self._state.trust.unloaded(directory)))}.")
        elif loaded:
            say(f"From the next cell on these are loaded: {', '.join(map(shorten_home, loaded))}.")
        else:
            say("This directory has nothing to load. What comes later waits for another yes.")
        if self._state.trust.obstacle:
            say(f"That holds for this kernel only: it cannot be written to {self._state.trust.obstacle}.")

    def export(self, typed: str) -> None:
        """Write the current session to a file.

        :raises UsageError: when there is nothing to write, or it cannot be written there.
        """
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
        say(f"Wrote {len(found)} {'turn' if len(found) == 1 else 'turns'} of {session.label} to {file.shown}.")

    def _show_static(self) -> None:
        from claude_magic._render.live.session_panel import panel_bundle, panel_text

        facts, rows = self._contents()
        self._put(panel_bundle(facts, rows), panel_text(facts, rows))

    def _put(self, bundle: dict[str, str], text: str) -> None:
        if self._frontend.is_text_only:
            say(text)
        else:
            Place().display(bundle)

    def _resume_by_click(self, session_id: str) -> None:
        # Deleted meanwhile: the repainted panel shows that it is gone.
        with contextlib.suppress(SessionNotFoundError):
            self._state.continue_session(self._state.find(session_id))
        if self._panel is not None:
            self._panel.update(*self._contents())

    def _stop_by_click(self, task_id: str) -> None:
        if self._state.current is not None:
            self._state.client.stop_work(self._state.current.session_id, task_id)
        if self._panel is not None:
            self._panel.update(*self._contents())

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
            # The transcript tells of turns before this kernel, the kernel of those that no prompt began.
            turns=max(current.turns, (row.turns if row else None) or 0),
            tokens=current.tokens or None,
            cost_usd=None if self._state.settings.presentation else current.cost_usd,
            context_used=current.context_used,
            played=self._state.sessions.is_played(current),
            work=self._state.client.work(current.session_id),
            command=self._state.client.resume_command(current.session_id, current.directory),
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
