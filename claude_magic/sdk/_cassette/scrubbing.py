"""What a cassette must not hold: credentials, account, home directory, login name and machine name.

Texts are scrubbed when they are recorded. A prompt that is compared with a recording is scrubbed in the same way. A
placeholder in a recording matches any word, or path, that another machine has there.
"""

from __future__ import annotations

import builtins
import contextlib
import getpass
import keyword
import os
import re
import socket
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Final

from claude_magic._paths import shorten_home
from claude_magic._redaction import redact
from claude_magic._text import well_formed, with_texts

_IDENTIFIERS: Final = frozenset({"call_id", "data", "media_type", "message_id", "parent_id", "session_id"})
"""Fields with IDs or encoded images; changing them would break references and images."""

_DATA: Final = frozenset({"arguments", "input", "schema", "structured", "structured_output", "tool_input"})
"""Fields with a person's data, whose keys are not ours."""

_ACCOUNT: Final = re.compile(
    r"(?:^|_)(?:e?mail(?:_?address)?|account|organi[sz]ation|org)(?:_?(?:uu)?id|_?name)?$", re.IGNORECASE
)

_COMMON_NAMES: Final = frozenset(
    {"admin", "claude", "codespace", "default", "home", "jovyan", "kernel", "localhost", "notebook", "root", "runner"}
    | {"sandbox", "test", "ubuntu", "user", "users", "vagrant", "vscode"}
    | {word.lower() for word in (*keyword.kwlist, *dir(builtins))}
)
"""Login and machine names that identify nobody and occur in ordinary text or code."""

# The length of a placeholder is bounded, as otherwise the pattern would backtrack over every division of it.
_STANDS_FOR_ANYTHING: Final = re.compile(
    r"(\[(?:user|host|credential|(?=\w{1,64}\])\w*?(?:KEY|TOKEN|SECRET|PASS|CREDENTIAL|AUTH|PWD|PAT|DSN|UR[IL]|CONN|COOKIE)\w*)\]|~)"
)
_SPACE: Final = re.compile(r"\s")
_PATH: Final = re.compile(r"(?P<root>[A-Za-z]:|/)[\w./\\-]*")

_MOST_PLACES: Final = 200_000
"""A text with more possible places of placeholders counts as different; trying all of them would block the kernel."""


class Scrubber:
    """Replace what is private on this machine by placeholders.

    :param env: variables that a client gives its CLI in addition to this process's own.
    """

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = {**os.environ, **env}
        homes = {os.path.expanduser("~"), self._env.get("HOME", "")} - {""}
        self._homes = sorted(homes | {os.path.realpath(home) for home in homes}, key=len, reverse=True)

    def text(self, text: str, *, name: str = "", runs: bool = False) -> str:
        """Return the text with a placeholder for each private part.

        :param name: the key of this text, if it is a value in data.
        :param runs: whether it is code that will run again. There a login name may be a variable, so names are replaced
            only in paths.
        """
        text = redact(well_formed(text), self._env, name=name, runs=runs)
        for home in self._homes:
            text = shorten_home(text, home)
        for anywhere, in_paths, placeholder in self._names:
            text = (in_paths if runs else anywhere).sub(placeholder, text)
        return text

    def value(self, value: Any, *, runs: bool = False) -> Any:
        """Return the value of a cassette's line with all texts scrubbed, and without fields that name an account."""
        match value:
            case str():
                return self.text(value)
            case dict():
                kept = ((key, inner) for key, inner in value.items() if not _ACCOUNT.search(str(key)))
                return {
                    key: inner if key in _IDENTIFIERS else (self.data if key in _DATA else self.value)(inner, runs=runs)
                    for key, inner in kept
                }
            case list() | tuple():
                return [self.value(inner, runs=runs) for inner in value]
        return value

    def data(self, value: Any, *, runs: bool = False) -> Any:
        """Return a person's data with all texts scrubbed, keys included; nothing is left out."""
        return with_texts(value, lambda text, name: self.text(text, name=name, runs=runs))

    def pieces(self, pieces: Sequence[str]) -> list[str]:
        """Scrub a text that came in pieces, even if something private spans several of them.

        A line that holds something private is moved as a whole to the piece in which it begins.
        """
        whole = "".join(pieces)
        before, after = whole.split("\n"), self.text(whole).split("\n")
        if before == after:
            return list(pieces)
        if len(before) != len(after):
            return ["\n".join(after), *("" for _ in pieces[1:])]
        changed = [old != new for old, new in zip(before, after, strict=True)]
        scrubbed, line, begun = [], 0, False
        for piece in pieces:
            kept = []
            for number, part in enumerate(piece.split("\n")):
                if number:
                    kept.append("\n")
                    line, begun = line + 1, False
                if not changed[line]:
                    kept.append(part)
                elif part and not begun:
                    kept.append(after[line])
                    begun = True
            scrubbed.append("".join(kept))
        return scrubbed

    @cached_property
    def _names(self) -> list[tuple[re.Pattern[str], re.Pattern[str], str]]:
        users = {os.path.basename(home) for home in self._homes} | {self._env.get(name, "") for name in ("LOGNAME", "USER")}
        with contextlib.suppress(KeyError, OSError):  # a user ID without a name
            users.add(getpass.getuser())
        host = socket.gethostname()
        return [*_patterns(users, "[user]"), *_patterns({host, host.partition(".")[0]}, "[host]")]


def same_text(recorded: str, asked: str, scrubbed: str) -> bool:
    """Whether a recorded text matches the prompt; a placeholder from another machine matches any one word or path."""
    if recorded in (asked, scrubbed):
        return True
    pieces = _STANDS_FOR_ANYTHING.split(recorded)
    # A text of placeholders alone would match any prompt with as many words.
    if not any(character.isalnum() for piece in pieces[::2] for character in piece):
        return False
    return any(_fits(pieces, text) for text in (asked, scrubbed))


def _fits(pieces: Sequence[str], text: str) -> bool:
    """Whether pieces and placeholders, which alternate, match a text.

    All positions are followed at once, because a regular expression would backtrack over every division of the text.
    """
    if not (text.endswith(pieces[-1]) and all(piece in text for piece in pieces[::2])):
        return False
    places = [0]
    work = 0
    for number, piece in enumerate(pieces):
        work += len(places)
        if work > _MOST_PLACES:
            return False
        if number % 2:
            places = _behind_any(piece, text, places)
        else:
            places = [place + len(piece) for place in places if text.startswith(piece, place)]
    return len(text) in places


def _behind_any(placeholder: str, text: str, places: Sequence[int]) -> list[int]:
    """Return the positions at which a placeholder can end, given those at which it can begin; both ascending."""
    span = _home if placeholder == "~" else _word
    ends: list[int] = []
    for place in places:
        first, last = span(text, place)
        ends += range(max(first, ends[-1] + 1 if ends else 0), last + 1)
    return ends


def _word(text: str, place: int) -> tuple[int, int]:
    space = _SPACE.search(text, place)
    return place + 1, space.start() if space else len(text)


def _home(text: str, place: int) -> tuple[int, int]:
    if text.startswith("~", place):
        return place + 1, place + 1
    path = _PATH.match(text, place)
    return (path.end("root"), path.end()) if path else (place, -1)


def _patterns(names: set[str], placeholder: str) -> list[tuple[re.Pattern[str], re.Pattern[str], str]]:
    telling = sorted((name for name in names if len(name) >= 3 and name.lower() not in _COMMON_NAMES), key=len, reverse=True)
    words = (rf"(?<![^\W_]){re.escape(name)}(?![^\W_])" for name in telling)
    return [
        (re.compile(word, re.IGNORECASE), re.compile(rf"(?<=[/\\@~]){word}|{word}(?=[/\\@])", re.IGNORECASE), placeholder)
        for word in words
    ]
