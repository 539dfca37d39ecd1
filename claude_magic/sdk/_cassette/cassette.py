"""Cassettes: files of recorded turns, each with the point in a conversation where it belongs.

A recorded turn is found by its prompt (text, model, schema). If that was recorded more than once, the point in the
conversation decides, then attachments and other options, then the latest take (all that one `Cassette` object records). A
point is named by its lineage, a hash of the prompts and options up to it. A cassette remembers the point that each session has
reached, and the one after each message. Played sessions and messages keep their recorded IDs. If a session is played from its
beginning a second time, it gets a new ID made from the recorded one, so that the two conversations stay separate.

A turn that was recorded elsewhere, or edited, is played in a separate session, never in a session of this person. No live turn
continues such a session, and `auto` adds nothing to a file with such turns.
"""

from __future__ import annotations

import math
import os
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from dataclasses import replace
from typing import Literal, Self, get_args

from claude_magic._paths import shorten_home
from claude_magic.errors import CassetteError, ConfigError, SessionNotFoundError
from claude_magic.sdk._cassette.cassette_file import CassetteFile, absolute
from claude_magic.sdk._cassette.line_format import UNKNOWN, Begun, Identity, RecordedTurn, identity_of
from claude_magic.sdk._cassette.player import PlayingTurn
from claude_magic.sdk._cassette.recorder import Recorder
from claude_magic.sdk._cassette.scrubbing import Scrubber
from claude_magic.sdk._cassette.turn_matching import answering, mismatch, samples
from claude_magic.sdk.host import Tool
from claude_magic.sdk.turn_request import TurnRequest

Mode = Literal["off", "record", "replay", "auto"]
MODES: tuple[str, ...] = get_args(Mode)

_active: ContextVar[tuple[Cassette, ...]] = ContextVar("claude_magic_cassettes", default=())


class Cassette:
    """Recorded turns in a file. Within `with cassette:` (sync or async), every turn of any client uses it.

    That includes `asyncio.to_thread` and tasks that are created inside, but not a `threading.Thread`: give that a `with` of
    its own.

    :param path: a file of JSON lines.
    :param mode: `record` (go live and add each turn), `replay` (play, and never go live), `auto` (play what the recording
        answers; go live for the rest, and record that if all turns in the file were recorded here) or `off`.
    :param speed: the pace as a multiple of the recorded one; 0: at once.
    :raises CassetteError: if the file cannot be read or, in the mode `replay`, is missing or holds no turn.
    :raises ConfigError: for an invalid path, mode or speed.
    """

    def __init__(self, path: str | os.PathLike[str], mode: str = "auto", speed: float = 1.0) -> None:
        self.path = absolute(path)
        self.speed = speed
        self._file = CassetteFile(self.path)
        self._places: dict[str, str] = {}
        """By session: the point that its conversation has reached."""
        self._messages: dict[tuple[str, str], str] = {}
        """By session and message: the point after that message."""
        self._last: dict[str, RecordedTurn] = {}
        """By session: its last turn, if that was played."""
        self._foreign: set[str] = set()
        """Sessions that began with a turn recorded elsewhere."""
        self._granted: dict[str, set[str]] = {}
        """By session: the rules that were allowed while turns were played in it. They do not hold for live turns."""
        self._plays: Counter[str] = Counter()
        """How often each point, and each session, has been played."""
        self._take: int | None = None
        """The number of this take in the file, `None` before its first turn."""
        self._asked: Counter[str] = Counter()
        """How often this take has had the same prompt at the same point."""
        self._known = 0
        """How many turns of the file were read."""
        self.use(mode)

    def __repr__(self) -> str:
        return f"<Cassette {shorten_home(str(self.path))} {self.mode}: {len(self._file.turns)} turns>"

    def __enter__(self) -> Self:
        _active.set((*_active.get(), self))
        return self

    def __exit__(self, *exc_info: object) -> None:
        # `_active.reset()` would not do: a generator may be closed, or a task may end, in another context than it began in.
        stack = _active.get()
        innermost = next((index for index in reversed(range(len(stack))) if stack[index] is self), None)
        if innermost is not None:
            _active.set(stack[:innermost] + stack[innermost + 1 :])

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(self, *exc_info: object) -> None:
        self.__exit__(*exc_info)

    def use(self, mode: str) -> None:
        """Switch to another mode; what was recorded and played stays known.

        :raises CassetteError: as the constructor does.
        :raises ConfigError: for an unknown mode.
        """
        if mode not in MODES:
            raise ConfigError(f"The mode of a cassette is one of {', '.join(MODES)}, not {mode!r}.")
        if mode != "off":
            self._read()
            if mode == "replay" and not self._file.turns:
                raise self._empty()
        self.mode = mode

    @property
    def speed(self) -> float:
        """The pace as a multiple of the recorded one; 0: at once.

        :raises ConfigError: if it is set to anything but a number of 0 or more.
        """
        return self._speed

    @speed.setter
    def speed(self, speed: float) -> None:
        if not (isinstance(speed, int | float) and math.isfinite(speed) and speed >= 0):
            raise ConfigError(f"The speed of a cassette is {speed!r}; it must be a number: 0 (at once) or more.")
        self._speed = speed

    @property
    def note(self) -> str:
        """The note in the file's header for those who play the file, such as who wrote the answers."""
        return self._file.note

    @property
    def plays_only(self) -> bool:
        """Whether all turns are played, so that no CLI is needed."""
        return self.mode == "replay"

    @property
    def adds(self) -> bool:
        """Whether live turns are recorded. `auto` adds only to a file that was recorded here, `record` to any."""
        return self.mode == "record" or (self.mode == "auto" and all(turn.is_from_here for turn in self._file.turns))

    @property
    def remark(self) -> str:
        """A remark for a live turn that is not recorded although one might expect it; else empty."""
        if self.mode != "auto" or self.adds:
            return ""
        return f"Not added to {self._shown}, which was recorded elsewhere or edited; the mode `record` adds to it."

    def play(
        self, request: TurnRequest, scrubber: Scrubber, *, effects: Mapping[str, Tool], is_kept: Callable[[str], bool]
    ) -> PlayingTurn | None:
        """Return the recorded turn that answers a request, ready to play; `None` if the turn goes live.

        If a prompt was recorded several times at one point in one take, its turns play in order, and then the last one again.
        `auto` plays no turn that failed or was stopped. After a live turn, it plays only what was recorded at that point.

        :param effects: our tools that really run while playing, by the names that the CLI gives them.
        :param is_kept: tells whether the CLI keeps a session on this machine.
        :raises CassetteMismatchError: in `replay`, if no turn is recorded for the prompt.
        """
        if self.mode not in ("replay", "auto"):
            return None
        self._read()
        if (turn := self._find(request, scrubber)) is None:
            return None
        session_id, remark = request.session_id, ""
        if session_id is not None and not turn.is_from_here and session_id not in self._foreign:
            # Only `replay` finds a foreign turn for this person's sessions; see `_find`.
            if is_kept(session_id):
                remark = f"Played from {self._shown} in a new session; the session {session_id[:8]} is not changed."
            request = replace(request, session_id=None)
        session_ids = self._session_ids(request, turn, is_kept)
        self._note(turn, session_ids)
        before = self._granted.get(request.session_id or "", set())
        last = session_ids.get(turn.last_session, turn.last_session)
        return PlayingTurn(
            turn,
            session_ids=session_ids,
            directory=request.directory,
            speed=self.speed,
            effects=effects,
            granted=self._granted.setdefault(last, set(before)),
            remark=remark,
        )

    def following(self, playing: PlayingTurn) -> list[tuple[float, PlayingTurn]]:
        """Return the turns that the CLI began by itself after a turn, each with the seconds between the ends of the two."""
        turn = playing.turn
        found = []
        for own in self._file.turns:
            behind = own.begun.parent == turn.lineage and own.begun.take == turn.begun.take
            same = own.begun.session == turn.last_session and own.is_from_here is turn.is_from_here
            if own.begun.by_itself and behind and same:
                self._note(own, playing.session_ids)
                found.append((own.begun.after, playing.behind(own)))
        return found

    def live(self, request: TurnRequest) -> TurnRequest:
        """Return the request with a session that the CLI knows, in place of a played one.

        A session that was played under its recorded ID up to its last turn goes on; else a branch begins after the played turn.

        :raises SessionNotFoundError: after a turn that was recorded elsewhere.
        :raises CassetteError: if the turn is to be recorded, and the file cannot be written.
        """
        session_id = request.session_id
        if session_id in self._foreign:
            raise SessionNotFoundError(
                f"Claude does not know the session {session_id[:8]}: it was played from {self._shown}, "
                "which was recorded elsewhere or edited.",
                next_step="Continue without a session_id. Only a session that was recorded on this machine can be continued.",
            )
        if self.adds:
            self._file.check_writable()
        if session_id is None or session_id not in self._last:
            return request
        played = self._last[session_id]
        own = [turn for turn in self._file.turns if turn.is_from_here]
        if request.at is not None:
            holders = (turn.last_session for turn in own if request.at in turn.places)
            return replace(request, session_id=next(holders, played.last_session))
        newest = next((turn for turn in reversed(own) if turn.last_session == played.last_session), played)
        if newest.begun == played.begun and session_id == played.last_session:
            return request
        behind = next(reversed(played.places), None)
        return replace(request, session_id=played.last_session, fork=True, at=behind)

    def sample(self, request: TurnRequest, scrubber: Scrubber) -> int:
        """Return how often this take has had the same prompt at the same point, including this turn, which goes live."""
        lineage = identity_of(request.prompt, request.options, scrubber).lineage(self._place(request))
        self._asked[lineage] += 1
        return self._asked[lineage]

    def record(
        self,
        request: TurnRequest,
        recording: Recorder,
        scrubber: Scrubber,
        *,
        sample: int,
        failure: BaseException | None = None,
    ) -> None:
        """Add a live turn to the file, if its session began.

        :param request: the request before `live` changed it.
        :raises CassetteError: if it cannot be written.
        """
        if self._take is None:
            self._take = 1 + max((turn.begun.take for turn in self._file.turns), default=0)
        identity, parent = identity_of(request.prompt, request.options, scrubber), self._place(request)
        begun = Begun(
            turn=identity.lineage(parent),
            parent=parent,
            take=self._take,
            sample=sample,
            session=request.session_id or "",
            identity=identity,
            context=scrubber.text(request.prompt.context),
        )
        self._add(begun, recording, scrubber, failure)

    def record_by_itself(self, session_id: str, recording: Recorder, scrubber: Scrubber, *, after_s: float) -> None:
        """Add a turn that the CLI began by itself, after the last turn of its session, if that session is being recorded.

        :raises CassetteError: if it cannot be written.
        """
        place = self._places.get(session_id)
        if place is None or self._take is None or not self.adds:
            return
        begun = Begun(
            turn=place,
            parent=place,
            take=self._take,
            session=session_id,
            identity=Identity(prompt=""),
            by_itself=True,
            after=round(after_s, 3),
        )
        self._add(begun, recording, scrubber, None)

    def _add(self, begun: Begun, recording: Recorder, scrubber: Scrubber, failure: BaseException | None) -> None:
        begun = replace(begun, date=time.strftime("%Y-%m-%d", time.gmtime()))
        if (turn := recording.turn(begun, scrubber, failure)) is not None:
            self._file.append(turn, scrubber)
            self._read()

    def _read(self) -> None:
        self._file.read()
        self._known = min(self._known, len(self._file.turns))
        for turn in self._file.turns[self._known :]:
            # Turns recorded elsewhere say nothing about this person's sessions.
            if turn.is_from_here:
                self._note(turn, {})
                self._last.pop(turn.last_session, None)
        self._known = len(self._file.turns)

    def _note(self, turn: RecordedTurn, session_ids: dict[str, str]) -> None:
        """Remember the point that a turn's session has reached with it."""
        session_id = session_ids.get(turn.last_session, turn.last_session)
        self._places[session_id] = turn.lineage
        self._messages |= {(session_id, message_id): place for message_id, place in turn.places.items()}
        self._last[session_id] = turn

    def _place(self, request: TurnRequest) -> str | None:
        """Return the point that a turn continues from, `None` if it begins a conversation."""
        if request.session_id is None:
            return None
        if request.at is None:
            return self._places.get(request.session_id, UNKNOWN)
        exact = self._messages.get((request.session_id, request.at))
        others = (place for (_, message_id), place in self._messages.items() if message_id == request.at)
        return exact or next(others, UNKNOWN)

    def _find(self, request: TurnRequest, scrubber: Scrubber) -> RecordedTurn | None:
        asked, place = identity_of(request.prompt, request.options, scrubber), self._place(request)
        prompted = [turn for turn in self._file.turns if not turn.begun.by_itself]
        found = answering(prompted, asked, request.prompt.text)
        if self.mode == "auto":
            went_live = request.session_id is not None and request.session_id not in self._last
            found = [turn for turn in found if turn.answered and (turn.begun.parent == place or not went_live)]
            if request.session_id is not None:
                # A conversation is either the CLI's or recorded elsewhere; turns from here and from elsewhere never mix in one.
                is_foreign = request.session_id in self._foreign
                found = [turn for turn in found if turn.is_from_here is not is_foreign]
        if not found:
            if self.mode == "replay":
                raise mismatch(prompted, asked, self._shown) if prompted else self._empty()
            return None
        recorded = samples(found, asked, place)
        lineage = recorded[0].lineage
        self._plays[lineage] += 1
        return recorded[min(self._plays[lineage], len(recorded)) - 1]

    def _session_ids(self, request: TurnRequest, turn: RecordedTurn, is_kept: Callable[[str], bool]) -> dict[str, str]:
        """Return the session IDs that replace the recorded ones in this play."""
        recorded, last = turn.begun.session, turn.last_session
        same = request.session_id if not request.fork else None
        session_ids = {recorded: same or self._fresh(recorded, turn, is_kept)}
        if last != recorded:
            session_ids[last] = self._fresh(last, turn, is_kept)
        return session_ids

    def _fresh(self, recorded: str, turn: RecordedTurn, is_kept: Callable[[str], bool]) -> str:
        """Return the ID for one more play of a session: at first the recorded ID, later one made from it."""
        self._plays[f"session {recorded}"] += 1
        number = self._plays[f"session {recorded}"]
        session_id = recorded if number == 1 else str(uuid.uuid5(_SESSIONS, f"{recorded} {number}"))
        if turn.is_from_here:
            return session_id
        # A recording from elsewhere never gets the ID of one of this person's sessions.
        if session_id in self._places or is_kept(session_id):
            return self._fresh(recorded, turn, is_kept)
        self._foreign.add(session_id)
        return session_id

    @property
    def _shown(self) -> str:
        return shorten_home(str(self.path))

    def _empty(self) -> CassetteError:
        shown = self._shown
        what = f"{shown} holds no turn that could be played." if self.path.exists() else f"There is no cassette {shown}."
        return CassetteError(what, next_step="Check the path, or log in and record a cassette in the mode `record` or `auto`.")


def cassette(path: str | os.PathLike[str], mode: str = "auto", speed: float = 1.0) -> Cassette:
    """Return a cassette for `with cassette("lesson.jsonl"): ...`; the parameters are those of `Cassette`."""
    return Cassette(path, mode, speed)


def active_cassette() -> Cassette | None:
    """Return the cassette of the innermost `with cassette(...)` around the caller."""
    return next(reversed(_active.get()), None)


_SESSIONS = uuid.UUID("5b1f0a52-8f0c-4b53-9c0b-6f6a7c0f2f11")
"""The UUID namespace of IDs for sessions that are played more than once."""
