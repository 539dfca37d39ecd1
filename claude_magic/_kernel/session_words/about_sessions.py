"""The words of `%claude_session` about sessions and their directory: panel, list, new, resume, name, delete, trust, export.

`resume` and `restore` lead a restarted kernel back to the conversation of its notebook.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING

from IPython.core.error import UsageError

from claude_magic._kernel.advice import say
from claude_magic._kernel.frontend import Frontend
from claude_magic._kernel.session_words.export_file import export_file
from claude_magic._kernel.state.directory_trust import named
from claude_magic._kernel.state.kernel_state import KernelState
from claude_magic._kernel.state.notebook_file import in_one_kernel, notebook_path, notebooks_with, saved_turns, told_name
from claude_magic._kernel.state.turns import Session
from claude_magic._paths import shorten_home
from claude_magic._redaction import redact
from claude_magic._render.parts.redacted_reply import clean_line
from claude_magic._render.parts.reply_wording import one_line
from claude_magic.errors import ConfigError, SessionNotFoundError
from claude_magic.sdk._workspaces import working_directory

if TYPE_CHECKING:
    from claude_magic._render.live.session_panel import SessionFacts, SessionPanel
    from claude_magic._render.settled.session_list import SessionRow
    from claude_magic.sdk._history.sessions import SessionInfo

_ID_LENGTH = 8
"""The number of characters of an ID that are shown, and that are needed to delete a session."""

_ALL = "--all"

MOST_ASKED = 9
"""The most sessions that a person is offered to choose from."""


class SessionWords:
    """The words about the sessions of the kernel's directory, and of its notebook."""

    def __init__(self, state: KernelState, frontend: Frontend) -> None:
        self._state = state
        self._frontend = frontend
        self._panel: SessionPanel | None = None
        self._listed: tuple[str, ...] = ()
        """The session IDs of the list that was shown last, in order of its rows."""

    def show_panel(self) -> None:
        """Show the current session and those of the directory; with buttons to continue each, if the frontend has them."""
        from claude_magic._render.live.session_panel import SessionPanel, panel_bundle, panel_text

        facts, rows = self._contents()
        if self._frontend.has_widgets():
            self._panel = SessionPanel(facts, rows, self._resume_by_click, self._stop_by_click)
            self._panel.show()
        else:
            self._frontend.put(panel_bundle(facts, rows), panel_text(facts, rows, self._frontend.columns))

    def close_panel(self) -> None:
        """Replace the panel by plain output; called when the next cell runs, so that a saved notebook holds no dead widget."""
        if self._panel is not None:
            self._panel.close()

    def show_list(self, wanted: str) -> None:
        """List the sessions of the directory.

        :param wanted: a text in the name or first prompt, or the start of the ID; `--all` for all; empty for the latest.
        """
        from claude_magic._render.settled.session_list import ROWS_SHOWN, listing_bundle

        text = "" if wanted == _ALL else wanted
        found = [info for info in self._state.sessions.all(self._state.directory) if _fits(info, text.casefold())]
        if text and not found:
            where = shorten_home(self._state.directory)
            say(f"No session in {where} has {text!r} in its name or first prompt, or at the beginning of its ID.")
            return
        shown = found if wanted else found[:ROWS_SHOWN]
        self._listed = tuple(info.session_id for info in shown)
        rows, more = self._rows(shown), len(found) - len(shown)
        self._frontend.put(listing_bundle(rows, more=more, columns=self._frontend.columns))

    def begin_new(self) -> None:
        """Let the next cell begin another session."""
        self._state.continue_session(None)
        say("The next %%claude cell starts a new session.")

    def resume(self, wanted: str) -> None:
        """Let the next cell continue the wanted session, and show its last turns; if `wanted` is empty, the notebook's session.

        :raises SessionNotFoundError: there is none, or more than one.
        """
        session = self._state.find(self._meant(wanted)) if wanted else self._own_session()
        self._state.continue_session(session)
        say(f"The next %%claude cell continues {session.label}.")
        from claude_magic._render.settled.export import recap_bundle

        if found := self._state.sessions.exchanges(session):
            self._frontend.put(recap_bundle(found))

    def _own_session(self) -> Session:
        """Return the session of this notebook: of those in its saved replies the one used last, else one of its directory.

        :raises SessionNotFoundError: there is none, or there are several and no person can choose.
        """
        path = notebook_path(self._frontend.shell.user_ns)
        saved: set[str] = set()
        with contextlib.suppress(ConfigError):  # the notebook cannot be read
            saved = {turn.session_id for turn in saved_turns(path) if turn.chosen} if path else set()
        there = self._state.sessions.all(self._state.directory)
        own = [info.session_id for info in there if info.session_id in saved]
        if own:
            return self._state.find(self._state.sessions.used_last(own))
        if len(there) > 1:
            return self._state.find(self._asked(there))
        if not there:
            where = shorten_home(self._state.directory)
            raise SessionNotFoundError(
                f"There is no session in {where} to continue.", next_step="The next %%claude cell starts one."
            )
        return self._state.find(there[0].session_id)

    def restore(self, typed: str) -> None:
        """Add the turns of the notebook's saved replies to this kernel, and continue the last one.

        :raises ConfigError: there is no such notebook, it holds no replies, or this kernel has turns already.
        """
        told = Path(working_directory(), os.path.expanduser(typed)) if typed else notebook_path(self._frontend.shell.user_ns)
        if told is None:
            name = told_name(self._frontend.shell.user_ns)
            missing = f"There is no notebook {name} here (any more)." if name else "This kernel does not know its notebook."
            raise ConfigError(missing, next_step="Save it and name it: %claude_session restore PATH.")
        turns = saved_turns(told)
        if not turns:
            raise ConfigError(
                f"No saved reply in {shorten_home(str(told))} says which turn it belongs to.",
                next_step="Save the notebook after a %%claude cell has run; %claude_session resume finds sessions, too.",
            )
        if len(self._state.turns):
            raise ConfigError(
                "This kernel already has turns; restored ones could have the same numbers.",
                next_step="Restore right after %load_ext, or continue one session with %claude_session resume.",
            )
        sessions = self._found({saved.session_id for saved in turns})
        restored = in_one_kernel([saved for saved in turns if saved.session_id in sessions])
        for saved, turn in restored:
            self._state.restore(turn, sessions[saved.session_id], saved.about)
        if not restored:
            raise SessionNotFoundError(
                f"The sessions of {shorten_home(str(told))} are not on this machine, or not in this directory.",
                next_step="If a cassette was played, run the notebook from its top; otherwise the next cell starts a session.",
            )
        last = next((saved for saved, _ in reversed(restored) if saved.chosen), restored[-1][0])
        session = sessions[last.session_id]
        self._state.continue_session(session)
        lost = sum(saved.session_id not in sessions for saved in turns)
        elsewhere = "sessions that are not on this machine, or not in this directory"
        missing = f"; {lost} more belong{'s' * (lost == 1)} to {elsewhere}" if lost else ""
        say(f"Restored {len(restored)} {'turn' if len(restored) == 1 else 'turns'}{missing}.")
        if anew := [f"{saved.number} is now {turn.number}" for saved, turn in restored if saved.number != turn.number]:
            say(f"Numbers that two kernels had used are changed: {', '.join(anew)}.")
        here = self._state.current_turn
        say(f"The next %%claude cell goes on from turn {here}.")
        if last.message_id and session.message_id != last.message_id:
            say(f"Its session has more turns than this notebook. Claude knows them, unless you say --at {here}.")

    def rename(self, title: str) -> None:
        """Give the current session a name.

        :raises UsageError: there is no current session.
        """
        session = self._state.current
        if session is None:
            raise UsageError("%claude_session: there is no current session to name; run a %%claude cell first")
        self._state.sessions.rename(session, title)
        say(f"Now called {session.label}.")

    def delete(self, wanted: str) -> None:
        """Print which session will be deleted, and delete it for good. A person, if there is one, must confirm that.

        :raises SessionNotFoundError: there is none, or more than one.
        """
        meant = self._meant(wanted)
        names = {(info.name or "").casefold() for info in self._state.sessions.all(self._state.directory)}
        if len(meant) < _ID_LENGTH and meant.casefold() not in names:
            raise SessionNotFoundError(
                f"No session is called {meant}, and it is too short for an ID.",
                next_step=f"Give {_ID_LENGTH} characters of the ID, or its row in %claude_session list.",
            )
        session = self._state.find(meant)
        said = self._state.sessions.exchanges(session)
        turns = f"{len(said)} {'turn' if len(said) == 1 else 'turns'}"
        last = f", last prompt: {one_line(clean_line(said[-1].prompt), 60)}" if said else ""
        say(f"To be deleted for good: {session.label}, {turns}{last}.")
        if self._frontend.can_answer() and input("Delete it? (y/n) ").strip().casefold() not in ("y", "yes"):
            say("Nothing was deleted.")
            return
        self._state.delete(session)
        say(f"Deleted {session.label}.")

    def _meant(self, wanted: str) -> str:
        """Return a name or ID. If a row of the last list was typed, return the ID of that row.

        :raises SessionNotFoundError: the list has no such row, or the number is also the name of another session.
        """
        if not (wanted.isdecimal() and len(wanted) < _ID_LENGTH // 2):
            return wanted
        infos = self._state.sessions.all(self._state.directory)
        named = [info.session_id for info in infos if info.name == wanted]
        row = self._listed[int(wanted) - 1] if 0 < int(wanted) <= len(self._listed) else None
        if row is not None and named in ([], [row]):
            return row
        if named and row is None:
            return wanted
        what = f"a row and the name of another session: {', '.join(each[:8] for each in named)}" if named else "no row"
        raise SessionNotFoundError(
            f"{wanted} is {what}." if named else f"There is no row {wanted} in a list that was shown.",
            next_step="%claude_session list numbers the sessions; the beginning of an ID names one, too.",
        )

    def _found(self, session_ids: set[str]) -> dict[str, Session]:
        """Return those of the sessions that exist in this directory. A notebook from elsewhere may name any others."""
        there = {info.session_id for info in self._state.sessions.on_disk(working_directory())}
        found: dict[str, Session] = {}
        for session_id in session_ids & there:
            with contextlib.suppress(SessionNotFoundError):  # deleted meanwhile
                found[session_id] = self._state.find(session_id)
        return found

    def _asked(self, there: list[SessionInfo]) -> str:
        if not self._frontend.can_answer():
            raise SessionNotFoundError(
                f"None of {len(there)} sessions in {shorten_home(self._state.directory)} is known to be this notebook's.",
                next_step="%claude_session list shows them; %claude_session resume ID continues one.",
            )
        from claude_magic._render.settled.session_list import moment

        infos = there[:MOST_ASKED]
        for number, info in enumerate(infos, 1):
            what = one_line(redact(info.name or info.first_prompt or ""), 60)
            say(f"{number}  {info.session_id[:8]}  {moment(info.last_used)}  {what}")
        reply = input("Which session is this notebook's? A number, or the beginning of an ID: ").strip()
        if reply.isdecimal() and 1 <= int(reply) <= len(infos):
            return infos[int(reply) - 1].session_id
        if not reply:
            raise SessionNotFoundError("No session was chosen.", next_step="%claude_session resume ID continues one.")
        return reply

    def show_unloaded(self) -> None:
        """Print what `%claude_session trust` would load from the directory."""
        from claude_magic._render.live.typed_line import rows_of

        unloaded = self._state.trust.shown(self._state.directory)
        for one in unloaded:
            # No line of a file begins where ours do.
            say("\n".join((*rows_of(f"--- {one}\n{one.text}"), "")))
        if unloaded:
            say("\n".join(rows_of(f"%claude_session trust loads {len(unloaded)}: {', '.join(map(str, unloaded))}.")))
        else:
            say("Nothing here waits for your approval.")

    def trust_directory(self) -> None:
        """Trust the present content of the directory: it is loaded from the next cell on."""
        directory = self._state.directory
        if changed := self._state.trust.changed_since_shown(directory):
            say(f"Nothing is loaded, because this has changed since it was shown: {', '.join(changed)}.")
            say("%claude_session trust show prints it as it is now.")
            return
        loaded = self._state.trust.add(directory)
        if not self._state.trust.covers(directory):
            say(f"Not loaded, because it cannot be checked: {', '.join(map(str, self._state.trust.unloaded(directory)))}.")
        elif loaded:
            say(f"From the next cell on these are loaded: {', '.join(named(path, directory) for path in loaded)}.")
        else:
            say("This directory has nothing to load. What is added later needs your approval again.")
        if self._state.trust.obstacle:
            say(f"That holds for this kernel only: it cannot be written to {self._state.trust.obstacle}.")

    def export(self, typed: str) -> None:
        """Write the current session to a file.

        :raises UsageError: there is nothing to write, or the file cannot be written.
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

    def _resume_by_click(self, session_id: str) -> None:
        # The session may have been deleted; the repainted panel then shows that it is gone.
        with contextlib.suppress(SessionNotFoundError):
            self._state.continue_session(self._state.find(session_id))
        if self._panel is not None:
            self._panel.update(*self._contents())

    def _stop_by_click(self, task_id: str) -> None:
        if self._state.current is not None:
            client = self._state.client
            client.background.call(client.get().stop_work, self._state.current.session_id, task_id)
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
            # Only the transcript knows turns before this kernel; only the kernel knows turns that Claude began by itself.
            turns=max(current.turns, (row.turns if row else None) or 0),
            tokens=current.tokens or None,
            cost_usd=None if self._state.settings.presentation else current.cost_usd,
            context_used=current.context_used,
            played=self._state.sessions.is_played(current),
            work=self._state.client.get().work(current.session_id),
            request=self._state.client.context(current.session_id),
            servers=tuple(map(str, self._state.client.get().servers(current.session_id))),
            command=self._state.client.resume_command(current.session_id, current.directory),
        )
        return facts, rows

    def _rows(self, found: Sequence[SessionInfo]) -> list[SessionRow]:
        from claude_magic._render.settled.session_list import ROWS_SHOWN, SessionRow

        notebooks = notebooks_with([info.session_id for info in found], self._state.directory)
        if own := told_name(self._frontend.shell.user_ns):
            notebooks |= {turn.session_id: own for turn in self._state.turns if turn.session_id}
        current, rows = self._state.current, []
        for number, info in enumerate(found):
            is_read = number < ROWS_SHOWN  # reading a transcript is slow
            said = self._state.sessions.said(info) if is_read else []
            row = SessionRow(
                **{known.name: getattr(info, known.name) for known in fields(info)},
                turns=len(said) if is_read else None,
                current=current is not None and info.session_id == current.session_id,
                last_prompt=said[-1].prompt if said else None,
                branch_of=self._state.sessions.branch_of(info),
                notebook=notebooks.get(info.session_id),
            )
            rows.append(row)
        return rows


def _fits(session: SessionInfo, wanted: str) -> bool:
    texts = (session.name or "", session.first_prompt or "")
    return session.session_id.startswith(wanted) or any(wanted in text.casefold() for text in texts)
