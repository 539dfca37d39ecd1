"""The words of `%claude_session` that lead a restarted kernel back to the conversation of its notebook."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING

from claude_magic._kernel.advice import say
from claude_magic._kernel.frontend import Frontend
from claude_magic._kernel.state.kernel_state import KernelState
from claude_magic._kernel.state.notebook_file import in_one_kernel, notebook_path, saved_turns, told_name
from claude_magic._kernel.state.turns import Session
from claude_magic._paths import shorten_home
from claude_magic._redaction import redact
from claude_magic._render.parts.reply_wording import one_line
from claude_magic.errors import ConfigError, SessionNotFoundError
from claude_magic.sdk._workspaces import working_directory

if TYPE_CHECKING:
    from claude_magic.sdk._history.sessions import SessionInfo

MOST_ASKED = 9
"""The most sessions that a person is offered to choose from."""


class NotebookWords:
    """What `%claude_session` does with the notebook that this kernel belongs to."""

    def __init__(self, state: KernelState, frontend: Frontend) -> None:
        self._state = state
        self._frontend = frontend

    def own_session(self) -> Session:
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
        missing = (
            f"; {lost} more belong{'s' * (lost == 1)} to sessions that are not on this machine, or not in this directory"
            if lost
            else ""
        )
        say(f"Restored {len(restored)} {'turn' if len(restored) == 1 else 'turns'}{missing}.")
        if anew := [f"{saved.number} is now {turn.number}" for saved, turn in restored if saved.number != turn.number]:
            say(f"Numbers that two kernels had used are changed: {', '.join(anew)}.")
        here = self._state.current_turn
        say(f"The next %%claude cell goes on from turn {here}.")
        if last.message_id and session.message_id != last.message_id:
            say(f"Its session has more turns than this notebook. Claude knows them, unless you say --at {here}.")

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
