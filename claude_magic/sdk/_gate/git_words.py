"""Reads git's part of a shell command: whether its words tell where git works, and what its commands may do there.

What is not understood counts as not clear, which costs only a question. Where git is an argument, as in `xargs git`, only
expansions and git's variables count: a rule for such a program allows anything in any case.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from string import ascii_letters
from typing import Final, NamedTuple

from claude_magic.sdk._gate.commands import (
    LITERAL,
    MOST_LETTERS,
    PIPELINE,
    READERS,
    called,
    only_filters,
    only_prints,
    parts_of,
    runs_anything,
    substitutes,
    words_of,
    writes,
)

_GIT: Final = re.compile(r"(?<![A-Za-z])git(?![A-Za-z])", re.IGNORECASE)
_GIT_WORD: Final = re.compile(r"(?<![\w.-])git(?![\w.-])")
_QUOTES: Final = re.compile(r"[\"'\\]")
STORED: Final = frozenset(
    {"status", "log", "show", "ls-files", "ls-tree", "rev-parse", "rev-list", "describe", "shortlog"}
    | {"cat-file", "merge-base", "for-each-ref", "diff-tree"}
)
"""Commands that print only what git has stored and names of files, not what an odd index or link leads them to."""

LOOKS: Final = STORED | {"diff", "blame", "grep"}
"""Commands that write at most the index, and so run few hooks."""

_WITHOUT_SUBMODULES: Final = frozenset({"commit", "add"})
"""Commands without an option that leads into repositories below."""

SIMPLE: Final = LOOKS | _WITHOUT_SUBMODULES | {"branch", "tag"}
"""Commands that run programs only by settings and hooks."""

KNOWN: Final = (
    SIMPLE
    | {"checkout", "switch", "restore", "stash", "merge", "rebase", "cherry-pick", "revert", "reset", "rm", "mv"}
    | {"fetch", "pull", "push"}
)
"""All other commands may run programs that files name, such as the template of `git clone`."""

_CALL_NOTHING: Final = [[program] for program in READERS if program != "find"]
_HARMLESS_OPTIONS: Final = frozenset({"--no-pager", "-P", "--paginate", "-p"})
_FAR_OPTION: Final = re.compile(
    r"--(?:sub|rec|re?(?:=|$)|up|ex(?!cl|act|it)|op|ou(?!rs)|str|fi(?:l(?:t(?:e(?:rs?)?)?)?)?$|t(?:e|ex|extc\w*)?$|show-si)|-[^SG\W]*[Ox]|(?s:.*)%G"
)
"""The starts of options that lead into repositories below, name a program or file, or call one; git takes any abbreviation."""

_VERBOSE: Final = re.compile(r"--v|-\w*v")

_OF_BRANCH: Final = re.compile(r"[@^]\{[^}{,.]*\}")
_READS_FILE: Final = re.compile(r"<|-[^-mSG\W]*[FtS]|--(?:fi|te|pathspec-f|cont|ig)")
"""The starts of words before the name of a file that git reads."""
_EXPANDED: Final = re.compile(r"[$`*?\[{~]")
_FAR_MADE: Final = re.compile(r"\.\.\S{0,200}[*?\[{$]|[*?\[{$]\S{0,200}\.\.|~\d*[+/-]|(?<!\S)(?:-\S{0,200})?/\S{0,200}[*?\[]")
"""What a shell may turn into a path out of the folder."""

_FAR_ADDRESS: Final = re.compile(r"::|(?i:file):")
"""An address that names a program, or a folder as a URL."""

_BRACES: Final = r"(?<![@^])\{|[@^]\{[^}{]*(?:[,{]|\.\.)"
_MADE_WORDS: Final = re.compile(rf"[$`]|{_BRACES}|(?<!\S)(?:-\S*)?[*?\[]")
"""What a shell may turn into an option, such as `*` if a file is named like an option. `HEAD@{1}` stays as it is."""
_CHOSEN: Final = re.compile(rf"[$`*?\[]|(?<!\S)~|{_BRACES}")
"""What a shell may expand to any path."""


class GitUse(NamedTuple):
    """How a command uses git. If it is not clear where, settings cannot be looked at beforehand.

    `commands`: git's; `git` if unknown, empty if no call. `words`: the words of git's parts that may be paths. `waits`: whether
    other programs run before git.
    """

    is_clear: bool
    waits: bool
    commands: frozenset[str]
    words: tuple[str, ...]


def names_git(command: str) -> bool:
    """Whether a command has the word `git`, or a variable of git's."""
    return _GIT.search(_QUOTES.sub("", command)) is not None


def git_use(command: str) -> GitUse:
    """Read all parts of a command, with the lines of here-documents, which may be commands."""
    goes, is_clear, commands, named = 0, True, set[str](), list[str]()
    parts = [part for part in parts_of(command, with_all_lines=True) if part]
    beside, waits = _beside_git(command)
    if len(parts) > 1:  # what another part of the command writes is not there yet
        is_clear = not any(map(writes, parts)) and all(only_prints(part) or runs_anything(part) for part in beside)
    for part in parts:
        words, unquoted = called(part), LITERAL.sub("", part)
        if words[:1] in (["cd"], ["pushd"], ["popd"]):
            goes += 1
            is_clear = is_clear and not _CHOSEN.search(unquoted)
        elif names_git(part) and (words[:1] not in _CALL_NOTHING or substitutes(part)):
            rest = words[1:] if words[:1] == ["git"] else []
            while rest and rest[0].startswith("-"):
                option = rest.pop(0)
                if option == "-C" and rest:
                    goes += 1
                    is_clear = is_clear and not _CHOSEN.search(rest.pop(0))
                else:
                    is_clear = is_clear and option in _HARMLESS_OPTIONS
            # In `env git status`, say, it is not known what git does.
            name = (rest or ["git" if _GIT_WORD.search(_QUOTES.sub("", part)) else ""])[0]
            commands.add(name)
            if name == "status" and any(map(_VERBOSE.match, rest)):
                commands.add("diff")
            named += (word for each in rest[1:] for word in _parts_of_word(each))
            expanded = _OF_BRANCH.sub("", unquoted)
            is_clear = is_clear and not _FAR_MADE.search(expanded)
            is_clear = is_clear and not (any(map(_READS_FILE.match, rest)) and _EXPANDED.search(expanded))
            is_clear = is_clear and KNOWN.issuperset(rest[:1]) and not any(map(_FAR_ADDRESS.search, rest))
            is_clear = is_clear and not any(word.startswith(("GIT_", "--git-dir", "--work-tree")) for word in words_of(part))
            if name not in _WITHOUT_SUBMODULES:
                made = _MADE_WORDS if name in SIMPLE else _CHOSEN
                is_clear = is_clear and not any(map(_FAR_OPTION.match, rest)) and not made.search(unquoted)
    # The folders that the words name are looked at one by one, but a second `cd` or `-C` starts where the first has led.
    return GitUse(is_clear and goes <= 1, waits, frozenset(commands), tuple(named))


def _beside_git(command: str) -> tuple[list[str], bool]:
    """Return the parts that run before or with git, but for `cd` and git itself, and whether git waits for one of them."""
    lines = [parts_of(line) for line in parts_of(command, separator=PIPELINE)]
    last = max((at for at, parts in enumerate(lines) if any(map(names_git, parts))), default=-1)
    beside, waits = list[str](), False
    for at, parts in enumerate(lines[: last + 1]):
        is_behind = False  # whether this pipeline has begun with git
        for number, part in enumerate(parts):
            program = called(part)[0]
            if part and program not in ("git", "cd"):
                beside.append(part)
                is_quick = program in ("echo", "true") or (number and only_filters(part)) or (at == last and is_behind)
                waits = waits or not is_quick
            is_behind = is_behind or names_git(part)
    return beside, waits


def _parts_of_word(word: str) -> Iterator[str]:
    """Yield what may be a path in a word: the word, its end after `=`, or after the letters of options."""
    yield word
    yield word.partition("=")[2]
    if word.startswith("-"):
        yield word.lstrip("-").lstrip(ascii_letters)
        yield from (word[at:] for at in range(2, min(len(word), MOST_LETTERS)))


def is_plain_git(part: str) -> bool:
    """Whether the program of a part of a command is git, without an option that names a program or a file to write."""
    program, *words = called(part)
    return program == "git" and not substitutes(part) and not any(map(_FAR_OPTION.match, words))


def changes_work_tree(part: str) -> bool:
    """Whether a part of a command is git, and may change files beside the repository's own."""
    program, *rest = called(part)
    while rest and (rest[0] == "-C" or rest[0] in _HARMLESS_OPTIONS):
        rest = rest[2:] if rest[0] == "-C" else rest[1:]
    return program == "git" and not (SIMPLE | {"fetch", "push"}).issuperset(rest[:1])
