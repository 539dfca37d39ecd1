"""The notebook file of this kernel: where it is, and the turns that its saved replies describe.

Only reads. The frontend saves the file, so the file may be older than the page. Anybody may have written it: where an ID should
be, anything else is left out, and other modules check that the sessions are in this directory.
"""

from __future__ import annotations

import contextlib
import itertools
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from claude_magic._kernel.state.turns import BY_ITSELF, OWN_PROMPT, Point, Start, Turn
from claude_magic._paths import file_bytes, shorten_home
from claude_magic._text import parse_json
from claude_magic.errors import ConfigError
from claude_magic.sdk._history.places import is_id
from claude_magic.sdk._workspaces import directory_if_there

_Key = tuple[str, str | int]
_MOST_TURNS = 1_000_000
_LONGEST_HOW = 60
_NOTEBOOKS = 30
_SEARCHED_BYTES = 50_000_000
"""The most bytes of notebooks that are searched for sessions."""
_NO_PATH = "Name it: %claude_session restore PATH."


@dataclass(frozen=True, slots=True)
class SavedTurn:
    """A turn as a saved reply describes it. `number` counts within the kernel that ran it.

    `chosen` is false only for the alternatives of a comparison that the next cell did not continue from.
    """

    number: int
    session_id: str
    prompt: str
    cell_id: str | None
    about: Mapping[str, Any]
    chosen: bool
    message_id: str | None = None
    """The last message of the turn, if it has one."""
    origin: Point | None = None
    """The point in a session that the turn began at."""

    @property
    def key(self) -> _Key:
        """What identifies the turn, also in a copied cell."""
        return self.session_id, self.message_id or self.number

    def turn(self, number: int, parent: int | None) -> Turn:
        """Return it as a turn of this kernel."""
        about = self.about
        how = " ".join((_text(about.get("how")) or "").split())[:_LONGEST_HOW]
        start = Start(self.origin, parent, bool(about.get("fork")), how)
        end = Point(self.session_id, self.message_id)
        return Turn(number, self.prompt, start, self.cell_id, end, failed=bool(about.get("failed")))


def notebook_path(namespace: Mapping[str, Any]) -> Path | None:
    """Return the path of this kernel's notebook, `None` if it is unknown or the file is not there.

    Jupyter's server passes it as `JPY_SESSION_NAME`, which is stale after a rename; VS Code sets a variable.
    """
    told = _told(namespace)
    if told is None:
        return None
    # The path may be relative to the server's root. The kernel runs in the notebook's directory, so the name is tried there.
    here = directory_if_there()
    candidates = (Path(told), Path(here, told), Path(here, Path(told).name))
    return next((path for path in candidates if path.is_absolute() and os.path.isfile(path)), None)


def told_name(namespace: Mapping[str, Any]) -> str | None:
    """Return the name of this kernel's notebook, perhaps from before a rename; `None` if it is unknown."""
    told = _told(namespace)
    return told and Path(told).name


def saved_turns(path: Path) -> list[SavedTurn]:
    """Return the turns whose replies a notebook holds, in the order of its cells.

    :raises ConfigError: if the file is not a readable notebook.
    """
    try:
        notebook = parse_json(file_bytes(path).decode("utf-8-sig"))
    except OSError as error:
        raise ConfigError(
            f"{shorten_home(str(path))} cannot be read: {error.strerror or error}.", next_step=_NO_PATH
        ) from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{shorten_home(str(path))} is not a notebook.", next_step=_NO_PATH) from error
    match notebook:
        case {"cells": list(cells)}:
            return [turn for cell in cells for turn in _turns_of(cell)]
    raise ConfigError(f"{shorten_home(str(path))} is not a notebook of today's format.", next_step=_NO_PATH)


def notebooks_with(session_ids: Collection[str], directory: str) -> dict[str, str]:
    """Return, by session, the name of a notebook in the directory that mentions it; only the latest notebooks are read."""
    found: dict[str, str] = {}
    files = []
    for path in Path(directory).glob("*.ipynb"):
        with contextlib.suppress(OSError):
            files.append((path.stat().st_mtime, path.stat().st_size, path))
    left = _SEARCHED_BYTES
    for _, size, path in sorted(files, reverse=True)[:_NOTEBOOKS]:
        if size > left:
            continue
        left -= size
        with contextlib.suppress(OSError):
            data = file_bytes(path)  # not parsed: there may be many
            found = {session_id: path.name for session_id in session_ids if session_id.encode() in data} | found
    return found


def in_one_kernel(saved: Sequence[SavedTurn]) -> list[tuple[SavedTurn, Turn]]:
    """Return saved turns as turns of one kernel, sorted by number. Several kernels may have answered in the notebook.

    Each turn began after a message. Its parent is the turn that ended with this message, or the turn that was saved as its
    parent, if that one has no answer. A turn gets a higher number than its parent. If two turns have the same number, the
    first one keeps it. If a cell with its reply was copied, the last copy counts.
    """
    waiting: dict[_Key | None, SavedTurn] = {turn.key: turn for turn in saved}
    ends = {turn.message_id: turn.key for turn in waiting.values() if turn.message_id}
    nothing = {turn.key for turn in waiting.values() if not turn.message_id}
    free = itertools.count(max((turn.number for turn in saved), default=0) + 1)
    turns: dict[int, tuple[SavedTurn, Turn]] = {}
    numbers: dict[_Key | None, int] = {}

    def before(turn: SavedTurn) -> _Key | None:
        match turn.origin, turn.about.get("parent"):
            case Point() as origin, int(parent) if (origin.session_id, parent) in nothing:
                return origin.session_id, parent
            case Point(message_id=str(message_id)), _:
                return ends.get(message_id)
        return None

    for last in sorted(waiting.values(), key=lambda turn: turn.number):
        path: list[tuple[SavedTurn, _Key | None]] = []
        turn = waiting.pop(last.key, None)
        while turn is not None:
            path.append((turn, before(turn)))
            turn = waiting.pop(path[-1][1], None)
        for turn, parent in reversed(path):
            behind = numbers.get(parent)
            number = next(free) if turn.number in turns or turn.number <= (behind or 0) else turn.number
            numbers[turn.key] = number
            turns[number] = turn, turn.turn(number, behind)
    return [turns[number] for number in sorted(turns)]


def _told(namespace: Mapping[str, Any]) -> str | None:
    told = namespace.get("__vsc_ipynb_file__") or os.environ.get("JPY_SESSION_NAME")
    return told if isinstance(told, str) and told.endswith(".ipynb") else None


def _turns_of(cell: object) -> Iterator[SavedTurn]:
    match cell:
        case {"cell_type": "code", "outputs": list(outputs), **rest}:
            source = rest.get("source")
            prompt = _prompt_of("".join(map(str, source)) if isinstance(source, list) else _text(source) or "")
            for about, chosen in itertools.chain.from_iterable(map(_told_by, outputs)):
                own = about.get("how") == BY_ITSELF
                cell_id = None if own else _text(rest.get("id"))
                number, session_id, said = about["turn"], about["session_id"], OWN_PROMPT if own else prompt
                ids = _id(about.get("message_id")), _origin(about.get("origin"))
                yield SavedTurn(number, session_id, said, cell_id, about, chosen, *ids)


def _told_by(output: object) -> Iterator[tuple[dict[str, Any], bool]]:
    """Yield what an output says about each of its turns, and whether that turn was chosen."""
    match output:
        case {"metadata": {"claude_magic": dict(told)}}:
            alternatives = told.get("alternatives")
            shown = alternatives if isinstance(alternatives, list) and alternatives else [told]
            later = told.get("later")
            for about in [*shown, *(later if isinstance(later, list) else ())]:
                match about:
                    case {"turn": bool()}:  # which is an `int`, too
                        pass
                    case {"turn": int(number), "session_id": str(session_id)} if 0 < number < _MOST_TURNS and is_id(session_id):
                        yield about, session_id == told.get("session_id")


def _id(value: object) -> str | None:
    return value if isinstance(value, str) and is_id(value) else None


def _origin(value: object) -> Point | None:
    match value:
        case {"session_id": session_id, "message_id": message_id} if _id(session_id) and message_id in (None, _id(message_id)):
            return Point(session_id, message_id)
    return None


def _prompt_of(source: str) -> str:
    """Return the prompt of a cell: the text below its `%%claude` line, or after `%claude`."""
    lines = source.strip("\n").split("\n")
    first = next((number for number, line in enumerate(lines) if line.startswith("%%claude")), None)
    if first is not None:
        return "\n".join(lines[first + 1 :]).strip()
    return source.partition("%claude")[2].strip() or source.strip()


def _text(value: object) -> str | None:
    return value if isinstance(value, str) else None
