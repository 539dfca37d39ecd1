"""What to do, and to tell the person, when another process has written to a session or its transcript is damaged.

Decides where a turn continues: in its session, in a branch of it, or nowhere. `watch` finds out what has happened.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from claude_magic._paths import shorten_home
from claude_magic.errors import SessionLostError, SessionNotFoundError
from claude_magic.sdk._history.branches import branch_on_disk
from claude_magic.sdk._history.places import belongs, projects_of, told_directory, transcript_of
from claude_magic.sdk._history.sessions import name_of
from claude_magic.sdk._history.transcripts import is_before_compaction
from claude_magic.sdk._history.watch import Found, SessionWatch

LONGEST_QUOTE = 60
_KNOWN_AS_LONG = "Claude knows it for as long as its process lives"


@dataclass(slots=True)
class Standing:
    """Where a turn continues, and what to tell the person.

    `branch` is the session that was made for the turn; `None`: the turn stays in its session. `is_behind` says that the live
    process lacks messages that are on disk.
    """

    remarks: tuple[str, ...] = ()
    branch: str | None = None
    is_behind: bool = False


class Writers:
    """The sessions of one client, and who else writes to them.

    :param env: the variables of the client's CLIs, which say where transcripts are.
    :param sent: the UUIDs of the client's prompts.
    """

    def __init__(self, env: Mapping[str, str], sent: Collection[str]) -> None:
        self._env = env
        self._sent = sent
        self._watches: dict[str, SessionWatch] = {}
        self._told: dict[str, frozenset[str]] = {}
        """By session: messages that are lost on disk and live only in a process, and that the person was told of."""

    def note(self, session_id: str, message_id: str | None) -> None:
        """Remember the end of a turn of this client."""
        self._watch(session_id).note(message_id)

    def look(self, session_id: str, seen: str | None, *, keeps: bool) -> Standing:
        """Decide where a turn of a session continues, and what to tell the person.

        :param seen: the last message that the caller knows.
        :param keeps: whether a live process serves the turn; it still knows what the disk has lost.
        :raises SessionLostError: if nothing is left of the session.
        """
        watch = self._watch(session_id)
        try:
            found = watch.look(seen)
        except SessionLostError as lost:
            if not keeps:
                raise
            words = f"{lost.message.rstrip('.')}. {_KNOWN_AS_LONG}; a later resume will not find it."
            return Standing(self._once(session_id, watch.known, words))
        remarks: tuple[str, ...] = ()
        if found.lost:
            words = _missing_words(session_id, found, keeps=keeps)
            remarks = self._once(session_id, found.lost, words) if keeps else (words,)
            if not keeps:
                self._told.pop(session_id, None)
                watch.accept()
        if found.ends or found.is_ambiguous or found.is_going_on:
            return self._part(session_id, watch, found, remarks)
        if found.theirs:
            watch.accept_new()
            how = "This turn goes on from there" if found.behind else "Claude knows that"
            said = f"Another process went on with the session {session_id[:8]}: {_quoted(found.theirs)}. {how}."
            return Standing((*remarks, said), is_behind=found.behind)
        return Standing(remarks)

    def needs_branch(self, session_id: str, at: str | None) -> bool:
        """Whether the CLI would not find the message to branch off from, so that the branch must be made on disk."""
        watch = self._watch(session_id)
        path = watch.path
        return bool(at and path and (is_before_compaction(path, at) or watch.has_branches()))

    def branch_where_needed(self, session_id: str, at: str | None) -> str | None:
        """Branch off on disk, after the message `at`, if the CLI would not find it; return the new session, else `None`.

        :raises SessionNotFoundError: if the message is no longer there.
        """
        path = self._watch(session_id).path
        return branch_on_disk(path, at) if path and at and self.needs_branch(session_id, at) else None

    def check_directory(self, session_id: str, directory: str) -> None:
        """Check that a session belongs to the directory: one folder of the CLI can hold transcripts of several directories.

        :raises SessionNotFoundError: if it belongs to another directory.
        """
        path = transcript_of(session_id, projects_of(self._env))
        if path is not None and not belongs(path, directory):
            told = shorten_home(told_directory(path) or str(path.parent))
            raise SessionNotFoundError(f"The session {session_id[:8]} belongs to {told}, not to {shorten_home(directory)}.")

    def _part(self, session_id: str, watch: SessionWatch, found: Found, remarks: tuple[str, ...]) -> Standing:
        """Continue our turns in a branch, and make a branch of each chain that another process wrote beside ours."""
        path = watch.path
        if path is None or found.end is None:
            return Standing(remarks)
        name = name_of(path) or session_id[:8]
        others = [branch_on_disk(path, end, name=f"{name} (elsewhere)") for end in found.ends]
        own = branch_on_disk(path, found.end, name=f"{name} (here)")
        watch.accept_new()
        if others:
            theirs = ", ".join(other[:8] for other in others)
            said = (
                f"Another process went on with the session {session_id[:8]} at the same time: {_quoted(found.theirs)}. "
                f'Its turns went to {theirs}, "{name} (elsewhere)"; '
            )
        elif found.is_going_on:
            said = f"Another process is at work in the session {session_id[:8]}: {_quoted(found.theirs)}; "
        else:
            said = f"The session {session_id[:8]} has been continued in two ways; "
        return Standing((*remarks, f'{said}your conversation goes on as {own[:8]}, "{name} (here)".'), own, is_behind=True)

    def _watch(self, session_id: str) -> SessionWatch:
        return self._watches.setdefault(session_id, SessionWatch(session_id, projects_of(self._env), self._sent))

    def _once(self, session_id: str, lost: frozenset[str], words: str) -> tuple[str, ...]:
        """Return these words unless the person was told already; again only if more messages are lost."""
        told = self._told.get(session_id, frozenset())
        self._told[session_id] = told | lost
        return () if lost and lost <= told else (words,)


def _missing_words(session_id: str, found: Found, *, keeps: bool) -> str:
    prompts = f"{_quoted(found.missing)} with the answer" if found.missing else "an answer"
    after = _KNOWN_AS_LONG if keeps else "Claude goes on without it"
    return f"The transcript of the session {session_id[:8]} was damaged and lacks {prompts}. {after}."


def _quoted(prompts: Sequence[str]) -> str:
    """Return prompts in one line: the first one, and how many more there are."""
    first = " ".join(prompts[0].split()) if prompts else ""
    shown = f'"{first[:LONGEST_QUOTE]}…"' if len(first) > LONGEST_QUOTE else f'"{first}"'
    return f"{shown} and {len(prompts) - 1} more" if len(prompts) > 1 else shown
