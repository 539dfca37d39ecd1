"""What a cassette must not hold: credentials, and the names of the person, their home directory and their machine.

Texts are scrubbed while they are recorded. What is compared with a recording is scrubbed in the same way, and a placeholder
of a recording stands for whatever another machine has in its place.
"""

from __future__ import annotations

import contextlib
import getpass
import os
import re
import socket
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Final

from claude_magic.paths import shorten_home
from claude_magic.redaction import redact

_IDENTIFIERS: Final = frozenset({"call_id", "data", "media_type", "message_id", "parent_id", "session_id"})
"""Fields that hold no text of anybody: changing them would break what refers to them, and an image."""

_ACCOUNT: Final = re.compile(
    r"(?:^|_)(?:e?mail(?:_?address)?|account|organi[sz]ation|org)(?:_?(?:uu)?id|_?name)?$", re.IGNORECASE
)

_COMMON_NAMES: Final = frozenset(
    {"admin", "claude", "codespace", "default", "home", "jovyan", "kernel", "localhost", "notebook", "root", "runner"}
    | {"sandbox", "test", "ubuntu", "user", "users", "vagrant", "vscode"}
)
"""Login and machine names that tell nothing of anybody and stand in ordinary text."""

_PLACEHOLDER: Final = re.compile(r"\\\[(?:user|host|credential|\w*(?:KEY|TOKEN|SECRET|PASS|CREDENTIAL|AUTH)\w*)\\\]")
_ANY_HOME: Final = r"(?:~|(?:[A-Za-z]:|/)[\w./\\-]*?)"


class Scrubber:
    """Take out what is private on this machine.

    :param env: variables that a client gives its CLI beyond this process's own.
    """

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = {**os.environ, **env}
        homes = {os.path.expanduser("~"), self._env.get("HOME", "")} - {""}
        self._homes = sorted(homes | {os.path.realpath(home) for home in homes}, key=len, reverse=True)

    def text(self, text: str) -> str:
        """Return the text with a placeholder for each thing that is private."""
        text = redact(_whole(text), self._env)
        for home in self._homes:
            text = shorten_home(text, home)
        for pattern, placeholder in self._names:
            text = pattern.sub(placeholder, text)
        return text

    def value(self, value: Any) -> Any:
        """Return plain data with all its texts scrubbed; what names an account is left out of it."""
        match value:
            case str():
                return self.text(value)
            case dict():
                kept = ((key, inner) for key, inner in value.items() if not _ACCOUNT.search(str(key)))
                return {key: inner if key in _IDENTIFIERS else self.value(inner) for key, inner in kept}
            case list() | tuple():
                return [self.value(inner) for inner in value]
        return value

    def pieces(self, pieces: Sequence[str]) -> list[str]:
        """Scrub a text that came in pieces, also where something private was divided among them.

        A line that holds something private comes whole, with the piece that began it.
        """
        pieces = list(_undivided(pieces))
        whole = "".join(pieces)
        before, after = whole.split("\n"), self.text(whole).split("\n")
        if before == after:
            return pieces
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
    def _names(self) -> list[tuple[re.Pattern[str], str]]:
        users = {os.path.basename(home) for home in self._homes} | {self._env.get(name, "") for name in ("LOGNAME", "USER")}
        with contextlib.suppress(KeyError, OSError):  # a user ID without a name
            users.add(getpass.getuser())
        host = socket.gethostname()
        return [*_patterns(users, "[user]"), *_patterns({host, host.partition(".")[0]}, "[host]")]


def same_text(recorded: str, asked: str, scrubbed: str) -> bool:
    """Whether a recorded text is the one asked for; what another machine scrubbed may be anything here."""
    if recorded in (asked, scrubbed):
        return True
    pattern = _PLACEHOLDER.sub(r"[^\\n]+?", re.escape(recorded).replace(r"\~", _ANY_HOME))
    return any(re.fullmatch(pattern, text) is not None for text in (asked, scrubbed))


def _undivided(pieces: Iterable[str]) -> Iterator[str]:
    """Put characters together that were divided between two pieces."""
    begun = ""
    for piece in pieces:
        text, begun = begun + piece, ""
        if text and "\ud800" <= text[-1] <= "\udbff":
            text, begun = text[:-1], text[-1]
        yield _whole(text)


def _whole(text: str) -> str:
    """Make pairs of surrogates the characters they mean; half of one is none, and no UTF-8 can hold it."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def _patterns(names: set[str], placeholder: str) -> list[tuple[re.Pattern[str], str]]:
    telling = sorted((name for name in names if len(name) >= 3 and name.lower() not in _COMMON_NAMES), key=len, reverse=True)
    return [(re.compile(rf"(?<![^\W_]){re.escape(name)}(?![^\W_])", re.IGNORECASE), placeholder) for name in telling]
