"""Reads git's part of a shell command: whether its words tell where git works, and whether it only looks there.

What is not understood counts as not clear, which costs only a question. Where git is an argument, as in `xargs git`, only what
the shell does to the words is judged: a rule for such a program allows anything in any case.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

from claude_magic.sdk._gate.commands import BEFORE, LITERAL, QUOTED, READERS, parts_of, words_of, writes

_GIT: Final = re.compile(r"(?<![A-Za-z])git(?![A-Za-z])", re.IGNORECASE)
_PIECE: Final = re.compile(rf"(?P<joined>\\\n)|{QUOTED.pattern}|[^\\'\"#]+|.", re.DOTALL)
_BEFORE_A_COMMENT: Final = frozenset("\t\n ;&|()")

_LOOKS: Final = frozenset(
    {"status", "diff", "log", "show", "blame", "ls-files", "ls-tree", "rev-parse", "rev-list", "describe", "shortlog"}
    | {"grep", "cat-file", "merge-base", "for-each-ref", "diff-tree"}
)
"""Commands that write at most the index, and so run few hooks."""

_WITHOUT_SUBMODULES: Final = frozenset({"commit", "add"})
"""Commands without an option that leads into repositories below."""

_CALL_NOTHING: Final = [[program] for program in READERS if program != "find"]
_HARMLESS_OPTIONS: Final = frozenset({"--no-pager", "-P", "--paginate", "-p"})
_SUBMODULES: Final = re.compile(r"--(?:sub|rec|re?(?:=|$))")
"""The starts of options that lead into repositories below; git takes any unique abbreviation."""

_BRACES: Final = r"(?<!@)\{|\{[^}]*(?:,|\.\.)"
_MADE_WORDS: Final = re.compile(rf"[$`]|{_BRACES}|(?<!\S)(?:-\S*)?[*?\[]")
"""What a shell may turn into an option, such as `*` if a file is named like an option. `HEAD@{1}` stays as it is."""
_COMMAND: Final = re.compile(r"[a-z][a-z-]*")
_CHOSEN: Final = re.compile(rf"[$`*?\[]|(?<!\S)~|{_BRACES}")
"""What a shell may expand to any path."""


class GitUse(NamedTuple):
    """How a command uses git. If it is not clear where, settings cannot be looked at beforehand."""

    is_clear: bool
    only_looks: bool


def names_git(command: str) -> bool:
    """Whether a command has the word `git`, or a variable of git's."""
    return _GIT.search(command) is not None


def git_use(command: str) -> GitUse:
    """Read all parts of a command, with the lines of here-documents, which may be commands."""
    goes, is_clear, only_looks = 0, True, True
    parts = [part for part in parts_of(_without_comments(command), with_all_lines=True) if part]
    for part in parts:
        words = words_of(BEFORE.sub("", part))
        # What another part of the command writes is not there yet.
        is_clear = is_clear and not (len(parts) > 1 and writes(part))
        if words[:1] in (["cd"], ["pushd"], ["popd"]):
            goes += 1
            is_clear = is_clear and not _CHOSEN.search(LITERAL.sub("", part))
        elif _GIT.search(part) and words[:1] not in _CALL_NOTHING:
            rest = words[1:] if words[:1] == ["git"] else []
            while rest and rest[0].startswith("-"):
                option = rest.pop(0)
                if option == "-C" and rest:
                    goes += 1
                    is_clear = is_clear and not _CHOSEN.search(rest.pop(0))
                else:
                    is_clear = is_clear and option in _HARMLESS_OPTIONS
            only_looks = only_looks and rest[:1] != [] and rest[0] in _LOOKS
            # A redirection may stand before more options.
            is_clear = is_clear and (words[:1] != ["git"] or not rest or _COMMAND.fullmatch(rest[0]) is not None)
            is_clear = is_clear and not any(word.startswith(("GIT_", "--git-dir", "--work-tree")) for word in words_of(part))
            if not _WITHOUT_SUBMODULES.issuperset(rest[:1] or [""]):
                into = rest[:1] == ["submodule"] or any(map(_SUBMODULES.match, rest))
                is_clear = is_clear and not into and not _MADE_WORDS.search(LITERAL.sub("", part))
    # The folders that the words name are looked at one by one, but a second `cd` or `-C` starts where the first has led.
    return GitUse(is_clear and goes <= 1, only_looks)


def _without_comments(command: str) -> str:
    """Return the command with continued lines joined and without comments; a comment is not continued."""
    pieces, last, at = [], "\n", 0
    while found := _PIECE.match(command, at):
        at = found.end()
        if found[0] == "#" and last in _BEFORE_A_COMMENT:
            at = command.find("\n", at) % (len(command) + 1)
        elif not found["joined"]:
            pieces.append(found[0].replace("\\\n", ""))
            last = found[0][-1]
    return "".join(pieces)
