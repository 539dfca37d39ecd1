"""Who else writes to a session: what another process has changed in its transcript, and what to do and to say about that.

A session should have one writer. But another kernel, a terminal or an orphaned process can write to it, and its file can be
cut or deleted. We choose the UUIDs of our own prompts, so a prompt that we neither knew nor sent is somebody else's.
`SessionWatch` only reads. `Writers` decides where a turn continues: in its session, in a branch of it, or nowhere.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from claude_magic._paths import regular, shorten_home
from claude_magic.errors import SessionLostError, SessionNotFoundError
from claude_magic.sdk._history.branches import branch_on_disk, parent_of
from claude_magic.sdk._history.places import belongs, parsed, projects_of, told_directory, transcript_of
from claude_magic.sdk._history.sessions import name_of
from claude_magic.sdk._history.transcripts import is_before_compaction, prompt_in

_MARK_BYTES = 256
"""How many of the last bytes read we remember. If the file has other bytes there now, it was rewritten."""

LONGEST_QUOTE = 60
_KNOWN_AS_LONG = "Claude knows it for as long as its process lives"


@dataclass(frozen=True, slots=True)
class Found:
    """The result of one look at a transcript. A chain is a message and everything that led to it.

    `end` is the last message of our own chain, `None` if there is none. `theirs` are the prompts of others. `behind` says that
    some of them continue our chain; `ends` are the last messages of the chains beside ours. `missing` are the prompts that are
    gone, `lost` the IDs of all messages gone. `is_ambiguous` says that a resume would continue another chain than ours,
    `is_going_on` that the last prompt that continues our chain has no answer yet.
    """

    end: str | None = None
    theirs: tuple[str, ...] = ()
    behind: bool = False
    ends: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    lost: frozenset[str] = frozenset()
    is_ambiguous: bool = False
    is_going_on: bool = False


@dataclass(slots=True)
class _Entry:
    parent: str | None
    prompt: str | None
    prompt_id: str | None
    is_said: bool
    """Whether the person or Claude said it in the conversation itself: no helper did, and the CLI did not add it."""
    is_unanswered: bool
    """Whether more must follow: it is a prompt, or a tool's call or result."""


class SessionWatch:
    """One session as this client knows it.

    :param projects: where transcripts are; `None`: where the CLI of our own environment keeps them.
    :param sent: the UUIDs of the prompts that this client has sent, in any session.
    """

    def __init__(self, session_id: str, projects: Path | None, sent: Collection[str]) -> None:
        self._session_id = session_id
        self._projects = projects
        self._sent = sent
        self._path: Path | None = None
        self._entries: dict[str, _Entry] = {}
        self._choice: str | None = None
        """The message that the CLI would continue from: the latest, or the one that it writes down when it ends."""
        self._offset = 0
        self._mark = b""
        self._known: dict[str, str] = {}
        """The messages that we know of: a prompt with its text, an answer with an empty one."""
        self._end: str | None = None
        """The last message of our own chain."""

    @property
    def path(self) -> Path | None:
        """The transcript, `None` while there is none."""
        if self._path is None or not os.path.exists(self._path):
            self._path = transcript_of(self._session_id, self._projects)
        return self._path

    def note(self, message_id: str | None) -> None:
        """Add what a turn of ours has written to what is known; `message_id` is its last message, if there is one."""
        try:
            self._read()
        except (OSError, SessionLostError):
            return  # the next look says so
        if not self._known:
            # A branch begins with a copy of what it branches off from.
            sent = [prompt for prompt in self._sent if prompt in self._entries]
            self._know({known for start in (message_id, *sent[-1:]) if start for known in self._chain(start)})
        self._know_own()
        if message_id in self._entries:
            self._end = message_id

    @property
    def known(self) -> frozenset[str]:
        """The messages that we know of, also those that are gone."""
        return frozenset(self._known)

    def look(self, seen: str | None) -> Found:
        """Compare the transcript with what is known, and add new messages of our own to what is known.

        :param seen: the last message that the caller knows; `None`: the caller knows all that is there.
        :raises SessionLostError: when nothing is left of what was known.
        """
        first = not self._known
        try:
            self._read()
        except SessionLostError:
            if first:
                return Found()  # the CLI will say whether the session exists
            raise
        except OSError as error:
            raise SessionLostError(self._session_id, f"cannot be read: {error.strerror}") from error
        if first:
            there = list(self._entries)
            self._know(set(there[: there.index(seen) + 1] if seen in self._entries else there))
            self._end = seen if seen in self._entries else next(reversed(self._known), None)
        self._know_own()
        gone = {message_id: prompt for message_id, prompt in self._known.items() if message_id not in self._entries}
        new = [
            message_id
            for message_id, entry in self._entries.items()
            if entry.prompt is not None and message_id not in self._known
        ]
        end = self._end if self._end in self._entries else None
        before_end = set(self._chain(end)) if end else set()
        aside = [prompt for prompt in new if prompt not in before_end and end not in set(self._chain(prompt))]
        behind = [prompt for prompt in new if prompt not in before_end and prompt not in aside]
        return Found(
            end=end,
            theirs=tuple(self._entries[prompt].prompt or "" for prompt in new),
            behind=bool(behind),
            ends=tuple(self._ends(aside)) if end else (),
            missing=tuple(prompt for prompt in gone.values() if prompt),
            lost=frozenset(gone),
            is_going_on=any(self._entries[prompt].is_unanswered for prompt in self._ends(behind)),
            is_ambiguous=not behind and self._would_resume_elsewhere(before_end, end),
        )

    def accept(self) -> None:
        """Treat the transcript, as it is now, as the whole session."""
        self._known.clear()
        self._know(self._entries)
        if self._end not in self._entries:
            self._end = next(reversed(self._known), None)

    def accept_new(self) -> None:
        """Add what others have written to what is known."""
        self._know(self._entries)

    def has_branches(self) -> bool:
        """Whether the transcript branches, so that the CLI finds only some of its prompts."""
        try:
            self._read()
        except (OSError, SessionLostError):
            return False
        prompts = [message_id for message_id, entry in self._entries.items() if entry.prompt is not None]
        followed = {ancestor for prompt in prompts for ancestor in self._chain(self._entries[prompt].parent)}
        return sum(prompt not in followed for prompt in prompts) > 1

    def _read(self) -> None:
        """Read what was appended to the file since the last look; the whole file if it changed otherwise.

        :raises SessionLostError: if the file is gone or holds nothing readable.
        """
        if (path := self.path) is None:
            self._forget_file()
            raise SessionLostError(self._session_id, "is gone")
        with open(path, "rb", opener=regular) as file:
            file.seek(max(0, self._offset - len(self._mark)))
            if os.fstat(file.fileno()).st_size < self._offset or file.read(len(self._mark)) != self._mark:
                self._forget_file()
                file.seek(0)
            added = file.read()
        lines = added[: added.rfind(b"\n") + 1]
        self._offset += len(lines)
        self._mark = (self._mark + lines)[-_MARK_BYTES:]
        for line in lines.split(b"\n"):
            self._add(line)
        if not self._entries:
            raise SessionLostError(self._session_id, "holds nothing that can be read")

    def _forget_file(self) -> None:
        self._entries.clear()
        self._offset, self._mark, self._choice = 0, b"", None

    def _add(self, line: bytes) -> None:
        match parsed(line.decode("utf-8", errors="replace")) if line else None:
            case {"type": "last-prompt", "leafUuid": str(leaf)}:
                self._choice = leaf
            case {"type": str(kind), "uuid": str(message_id), **rest} if "message" in rest or "parentUuid" in rest:
                entry: dict[str, Any] = {"type": kind, **{str(name): value for name, value in rest.items()}}
                said = kind in ("user", "assistant") and not rest.get("isSidechain") and not rest.get("isMeta")
                told = rest.get("promptId")
                self._entries[message_id] = _Entry(
                    parent_of(entry),
                    prompt_in(entry),
                    told if isinstance(told, str) else None,
                    said,
                    (kind == "user" and b"[Request interrupted" not in line) or b'"type":"tool_use"' in line,
                )
                self._choice = message_id if said else self._choice

    def _know(self, message_ids: Collection[str]) -> None:
        for message_id, entry in self._entries.items():
            if message_id in message_ids and entry.is_said:
                self._known[message_id] = entry.prompt or ""

    def _know_own(self) -> None:
        """Add to what is known the messages of our own prompts, and those that follow known ones; the last becomes our end."""
        own: set[str] = set()
        own_prompts = {entry.prompt_id for sent in self._sent if (entry := self._entries.get(sent)) and entry.prompt_id}
        for message_id, entry in self._entries.items():
            follows = entry.prompt is None and (entry.parent in own or entry.parent in self._known)
            if message_id in self._known or message_id in self._sent or entry.prompt_id in own_prompts or follows:
                own.add(message_id)
                if entry.is_said and message_id not in self._known:
                    self._known[message_id] = entry.prompt or ""
                    self._end = message_id

    def _chain(self, start: str | None) -> Iterator[str]:
        """Yield a message and everything that led to it, the latest first."""
        walked: set[str] = set()
        while start in self._entries and start not in walked:
            walked.add(start)
            yield start
            start = self._entries[start].parent

    def _ends(self, prompts: list[str]) -> Iterator[str]:
        """Yield the last message of each chain that holds one of these prompts."""
        followed = {ancestor for prompt in prompts for ancestor in self._chain(self._entries[prompt].parent)}
        for prompt in prompts:
            if prompt not in followed:
                after = [said for said, entry in self._entries.items() if entry.is_said and prompt in set(self._chain(said))]
                yield after[-1]

    def _would_resume_elsewhere(self, before_end: set[str], end: str | None) -> bool:
        if end is None or self._choice not in self._entries or self._choice in before_end:
            return False
        return end not in set(self._chain(self._choice))


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
        """Raise `SessionNotFoundError` if a session belongs to another directory: a folder can hold transcripts of several."""
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
