"""A row of the list, and the kinds of rows."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Kind(Enum):
    """What a row names, which decides where the test looks for it."""

    PYTHON = "a name in a package: `module:Name`, or `module:Name(parameter)`"
    SHELL = "an expression that is true in the cell of a running kernel"
    FLAG = "a flag that the CLI takes but does not list in --help"
    WORDS = "a text in the CLI's executable"
    SAID = "a text in what the CLI sends"
    MESSAGE = "a field of a message that the CLI sends: `type/subtype.field`"
    ENTRY = "a field of an entry in the CLI's transcripts: `type/subtype.field`"
    WRITTEN = "a text in the CLI's transcripts, byte by byte"
    FILE = "a file below the CLI's configuration directory"
    REQUEST = "the beginning of something that the SDK's client writes to its transport"
    SOURCE = "a text in the source of a Python module: `module:text`"
    PAGE = "a text in the files of JupyterLab or its extensions"
    APART = "something that this test cannot look up: another test does, or it is not installed where tests run"


@dataclass(frozen=True, slots=True)
class Foreign:
    """One thing that is not ours.

    `used_in` is our module or folder that uses it, below the package. `written` is the text to find there, by default the last
    part of `name`. `seen_in` are the versions in which it was seen.
    """

    kind: Kind
    name: str
    used_in: str
    why: str
    seen_in: str
    written: str = ""


def rows(kind: Kind, seen_in: str, *given: tuple[str, str, str] | tuple[str, str, str, str]) -> tuple[Foreign, ...]:
    """Return rows of one kind that were seen in the same versions: `(name, used_in, why)`, optionally with `written`."""
    return tuple(Foreign(kind, *row[:3], seen_in, *row[3:]) for row in given)
