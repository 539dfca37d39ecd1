"""Commands for a shell, as far as they must be understood to be judged: their parts, and whether those only read."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from typing import Final

Inside = Callable[[str], bool]
"""Whether a word, taken for a path, leads to a place inside the folder."""

_QUOTED: Final = re.compile(r"""'[^']*'|"(?:[^"\\]|\\.)*\"""", re.DOTALL)
_SEPARATOR: Final = re.compile(r"&&|\|\||[;|\n]|(?<![<>])&(?!>)")

_LITERAL: Final = re.compile(r"""'[^'\n]*'|"[^"$`\\!\n]*\"""")
"""What a shell takes as it stands."""

_PLAIN: Final = re.compile(r"[\w./:@%+, =-]+")
"""What a shell neither expands nor takes for an operator."""

_BEFORE: Final = re.compile(r"^(?:\w+=\S*\s+|(?:time|nohup|nice|timeout\s+\S+)\s+)+")
"""What may stand before a program without being one, for the CLI's rules, too."""

READERS: Final = {
    "pwd": "",
    "ls": "-[aAlhtrSF1dRsi]+",
    "cat": "-[nbsAEvT]+",
    "head": r"-[nc]?\d*",
    "tail": r"-[nc]?\d*",
    "wc": "-[lwcm]+",
    "grep": r"-[rniIlLwcEFHhovxsqABCme]+\d*|--(include|exclude|exclude-dir)=[^/]+",
    "find": "-(name|iname|type|maxdepth|mindepth|size|not|print)",
}
"""Programs that read what they are told to, with those of their flags that name no other file and follow no link."""

EDITORS: Final = ("mkdir", "touch", "rm", "rmdir", "mv", "cp", "sed")
"""What the CLI (2.1.332) runs unasked in the mode `acceptEdits`, inside the folder."""


def parts_of(command: str) -> list[str]:
    """Divide a command where a shell would begin another program; what is quoted stays whole."""
    hidden = _QUOTED.sub(lambda match: "q" * len(match[0]), command)
    # What follows a here-document is its text, as far as we know.
    hidden = hidden.partition("\n")[0] if "<<" in hidden else hidden
    ends = [*_SEPARATOR.finditer(hidden)]
    begins = [0, *(found.end() for found in ends)]
    return [
        command[begin:end].strip() for begin, end in zip(begins, [*(found.start() for found in ends), len(hidden)], strict=True)
    ]


def only_reads(command: str, is_inside: Inside) -> bool:
    """Whether a command is programs that do nothing but read, and no word leads out of the folder."""
    return is_inside(".") and all(_reads(part, is_inside) for part in parts_of(command))


def only_edits(command: str, is_inside: Inside) -> bool:
    """Whether a command is one program that the mode `acceptEdits` covers, and no word leads out of the folder."""
    program, *words = _plain_words(command) or [""]
    return program in EDITORS and is_inside(".") and all(is_inside(word) for word in words if not word.startswith("-"))


def covered(command: str, exact: frozenset[str], starts: tuple[str, ...], is_inside: Inside) -> bool:
    """Whether rules may cover a command: at least one of its parts, and others only read, or go to a place inside first."""
    if command.strip() in exact:
        return True
    parts = [_BEFORE.sub("", part) for part in parts_of(command) if part]
    others = [part for part in parts if part not in exact and not part.startswith(starts)]
    goes = all(_goes(part, is_inside) for part in others)
    return len(others) < len(parts) and (goes or all(_reads(part, is_inside) for part in others))


def _reads(part: str, is_inside: Inside) -> bool:
    program, *words = _plain_words(part) or [""]
    if program not in READERS:
        return False
    flags = re.compile(READERS[program])
    return all(bool(flags.fullmatch(word)) if word.startswith("-") else is_inside(word) for word in words)


def _goes(part: str, is_inside: Inside) -> bool:
    program, *words = _plain_words(part) or [""]
    return program == "cd" and len(words) == 1 and not words[0].startswith("-") and is_inside(words[0])


def _plain_words(part: str) -> list[str]:
    """Return the words of a command in which nothing is expanded; none of any other."""
    words = shlex.split(part) if _PLAIN.fullmatch(_LITERAL.sub("q", part)) else []
    # zsh puts the path of a program in the place of its name behind "=".
    return [] if any(word.startswith("=") for word in words) else words
