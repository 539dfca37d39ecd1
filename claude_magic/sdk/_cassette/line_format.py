"""What is recorded of a turn, as data and as lines of a cassette.

A turn is a `turn` line that identifies it, a line for each thing that happened, and an `end` line. This module writes and
reads lines. It leaves the file to `cassette_file`, and the choice of a turn for a prompt to `turn_matching`.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final, Literal, get_args

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.dataclasses import dataclass as checked

from claude_magic._text import parse_json
from claude_magic.sdk import events
from claude_magic.sdk._cassette.scrubbing import Scrubber
from claude_magic.sdk.config import TurnOptions
from claude_magic.sdk.content import Prompt
from claude_magic.sdk.events import Event
from claude_magic.sdk.host import SERVER

UNKNOWN: Final = "unrecorded"
"""The point of a conversation that began without being recorded."""

_MOST_DIGITS: Final = 18
_FORBID: Final = ConfigDict(extra="forbid")
_EVENTS: Final[dict[str, type]] = {kind.__name__: kind for kind in get_args(Event)}
_NOT_RECORDED: Final = frozenset({"messages", "recorded"})
_OWN: Final = frozenset({"turn", "parent", "take", "sample", "session", "date", "by_itself", "after", "context"})
"""Fields of a turn's first line that are no part of its `Identity`."""


class LineError(ValueError):
    """A line that cannot be read. The message says why, as the rest of a sentence that begins with "it"."""


@checked(frozen=True, slots=True, kw_only=True, config=_FORBID)
class Identity:
    """What identifies a turn: its prompt and options. `attachments` are media types, each with a hash of the content."""

    prompt: str
    attachments: tuple[str, ...] = ()
    model: str | None = None
    effort: str | None = None
    system: str | None = None
    style: str | None = None
    schema: Any = None

    def lineage(self, parent: str | None) -> str:
        """Return the name of the point that a conversation at the point `parent` reaches with this turn."""
        asked = dataclasses.asdict(self)
        if self.style is None:  # older versions hashed no style
            del asked["style"]
        known = json.dumps([parent, asked], sort_keys=True)
        return hashlib.sha256(known.encode("utf-8", "surrogatepass")).hexdigest()[:16]


@checked(frozen=True, slots=True, kw_only=True, config=_FORBID)
class Begun:
    """The first line of a turn: the points before it (`parent`) and after it (`turn`), and what identifies it.

    `take` counts the recordings made to the file, `sample` the turns with the same prompt at `parent` in one take, from 1. A
    turn that the CLI began `by_itself` has no prompt, and its two points are the same; it ended `after` seconds after the last
    prompted turn. `context` was sent along with the prompt; it is there for readers and does not identify the turn.
    """

    turn: str
    parent: str | None = None
    take: int = 1
    sample: int = 1
    session: str
    identity: Identity
    date: str = ""
    by_itself: bool = False
    after: float = 0.0
    context: str = ""


@checked(frozen=True, slots=True, kw_only=True, config=_FORBID)
class Asked:
    """A permission request and its answer; no answer if the turn ended first."""

    call_id: str
    tool: str
    input: dict[str, Any]
    reason: str | None = None
    rules: tuple[str, ...] = ()
    answer: Literal["allowed once", "allowed for this session", "denied", "answered"] | None = None
    word: str = ""


@checked(frozen=True, slots=True, kw_only=True, config=_FORBID)
class Called:
    """A call of one of our own tools."""

    tool: str
    arguments: dict[str, Any]


@checked(frozen=True, slots=True, kw_only=True, config=_FORBID)
class Ended:
    """The last line of a turn: how it ended, and its error, if any.

    `seal` proves, on the machine that made it, that the turn was recorded there and was not edited.
    """

    outcome: Literal["answered", "failed", "interrupted", "unfinished"]
    error: str | None = None
    message: str = ""
    next_step: str = ""
    status: int | None = None
    seal: str = ""


UNFINISHED: Final = Ended(outcome="unfinished")
"""The end of a turn that was only partly written; it is not played."""

Fact = Event | Asked | Called


@dataclass(slots=True)
class RecordedTurn:
    """A turn of a cassette: its facts, each with seconds since the turn began. `line` is the number of its first line.

    `is_from_here` says that this person recorded it on this machine, and that nobody has edited it since.
    """

    begun: Begun
    line: int = 0
    facts: list[tuple[float, Fact]] = field(default_factory=list)
    ended: Ended | None = None
    ended_at: float = 0.0
    is_from_here: bool = False

    @property
    def lineage(self) -> str:
        """The name of the point after this turn."""
        return self.begun.turn

    @property
    def answered(self) -> bool:
        """Whether the turn neither failed nor was stopped."""
        return self.ended is not None and self.ended.outcome == "answered"

    @property
    def places(self) -> dict[str, str]:
        """By message of this turn: the name of the point after it."""
        message_ids = [fact.message_id for _, fact in self.facts if isinstance(fact, events.MessageEnded)]
        places = {message_id: f"{self.lineage}:{number}" for number, message_id in enumerate(message_ids, start=1)}
        return places | dict.fromkeys(message_ids[-1:], self.lineage)

    @property
    def last_session(self) -> str:
        """The session that the turn ended in. It differs from the first one if the conversation was cleared."""
        reached = (fact for _, fact in reversed(self.facts) if isinstance(fact, events.SessionStarted | events.SessionReplaced))
        return next((fact.session_id for fact in reached), self.begun.session)


def identity_of(prompt: Prompt, options: TurnOptions, scrubber: Scrubber) -> Identity:
    """Return what identifies a turn, without private data."""
    blocks = [] if isinstance(prompt.content, str) else prompt.content
    system = options.system
    return Identity(
        prompt=scrubber.text(prompt.text),
        attachments=tuple(_fingerprint(block) for block in blocks if block["type"] != "text"),
        model=options.model,
        effort=options.effort,
        system=None if system is None else scrubber.text(system),
        style=options.style,
        # in the form in which it comes back from a line of JSON
        schema=scrubber.data(json.loads(options.schema)) if options.schema else None,
    )


def line_of(at: float | None, fact: Fact | Begun | Ended, scrubber: Scrubber) -> str:
    """Return a fact as a line of JSON, without fields that have their default value.

    Private data is replaced by placeholders; in deltas `Scrubber.pieces` has done that already.
    """
    match fact:
        case Begun():
            data = {**_plain(fact, "identity"), **_plain(fact.identity)}
        case Asked():
            data = {"ask": fact.tool} | _plain(fact, "tool")
        case Called():
            data = {"call": fact.tool} | _plain(fact, "tool")
        case Ended():
            data = {"end": fact.outcome} | _plain(fact, "outcome")
        case _:
            data = {"event": type(fact).__name__} | _plain(fact)
    is_delta = isinstance(fact, events.TextDelta | events.ThinkingDelta)
    public = data if is_delta else scrubber.value(data, runs=_runs(fact))
    return json_line(({} if at is None else {"at": round(at, 3)}) | public)


def _runs(fact: Fact | Begun | Ended) -> bool:
    """Whether a fact holds code that runs again."""
    match fact:
        case events.ToolCalled(name=name) | Asked(tool=name):
            return name.startswith(f"mcp__{SERVER}__")
    return isinstance(fact, Called)


def json_line(data: dict[str, Any]) -> str:
    """Return an object as one line of JSON, with non-ASCII characters as they are."""
    return json.dumps(data, ensure_ascii=False)


def read_line(line: str) -> tuple[float, Fact | Begun | Ended]:
    """Return the time of a line in seconds, and the fact that it states.

    :raises LineError: if this version does not know such a line.
    """
    data = parsed(line)
    match data:
        case {"turn": str()}:
            own = {key: data.pop(key) for key in _OWN & data.keys()}
            return 0.0, _checked(Begun, own | {"identity": data})
        case {"at": float() | int() as at} if isinstance(at, bool) or at < 0:
            raise LineError(f"has an impossible time: {at}")
        case {"at": float() | int() as at, "event": str(name), **rest} if name in _EVENTS:
            kind = _EVENTS[name]
            if unknown := rest.keys() - ({known.name for known in dataclasses.fields(kind)} - _NOT_RECORDED):
                raise LineError(f"has fields that do not belong to {name}: {', '.join(sorted(map(str, unknown)))}")
            return at, _checked(kind, rest)
        case {"at": float() | int() as at, "ask": tool, **rest}:
            return at, _checked(Asked, rest | {"tool": tool})
        case {"at": float() | int() as at, "call": tool, **rest}:
            return at, _checked(Called, rest | {"tool": tool})
        case {"at": float() | int() as at, "end": outcome, **rest}:
            return at, _checked(Ended, rest | {"outcome": outcome})
    raise LineError("is neither the beginning of a turn, nor an event, a question, a call or an end")


def parsed(line: str) -> Any:
    """Return the value of a line of JSON; any other line raises `LineError`."""
    try:
        return parse_json(line, parse_constant=_finite, parse_float=_finite, parse_int=_fitting)
    except (ValueError, RecursionError) as error:
        raise LineError("is not JSON, or only a part of it") from error


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is not a number in JSON")
    return number


def _fitting(text: str) -> int:
    if len(text) > _MOST_DIGITS:
        raise ValueError("a number has too many digits")
    return int(text)


_adapter = cache(TypeAdapter[Any])


def _checked(kind: type, data: dict[Any, Any]) -> Any:
    try:
        # Types are checked strictly; a list may then fill a tuple field only if it comes from JSON.
        return _adapter(kind).validate_json(json.dumps(data), strict=True)
    except RecursionError as error:
        raise LineError("is nested too deeply") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise LineError(f"has a field that cannot be read, {where}: {first['msg']}") from error


def _plain(fact: Any, *without: str) -> dict[str, Any]:
    data = {}
    for known in dataclasses.fields(fact):
        value = getattr(fact, known.name)
        default = known.default_factory() if known.default_factory is not dataclasses.MISSING else known.default
        if value != default and known.name not in without and known.name not in _NOT_RECORDED:
            data[known.name] = _jsonable(value)
    return data


def _jsonable(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return _plain(value)
    if isinstance(value, tuple | list):
        return [_jsonable(inner) for inner in value]
    return value


def _fingerprint(block: dict[str, Any]) -> str:
    source = block.get("source") or {}
    data = json.dumps(source.get("data", source), sort_keys=True)
    return f"{source.get('media_type', block['type'])} sha256:{hashlib.sha256(data.encode()).hexdigest()[:32]}"
