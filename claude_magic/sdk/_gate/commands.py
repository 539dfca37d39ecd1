"""Reads shell commands as far as the gate needs: into which parts they divide, and whether these only read."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from itertools import dropwhile
from typing import Final

Inside = Callable[[str], bool]
"""Whether a word, read as a path, leads inside the folder."""

QUOTED: Final = re.compile(r"""\\.|'[^']*'|"(?:[^"\\]|\\.)*\"""", re.DOTALL)
_PIECE: Final = re.compile(rf"(?P<joined>\\\n)|{QUOTED.pattern}|[^\\'\"#]+|.", re.DOTALL)
_BEFORE_A_COMMENT: Final = frozenset("\t\n ;&|()")
_HERE_DOCUMENT: Final = re.compile(r"(?<!<)<<(?!<)-?[ \t]*(?P<quote>['\"]?)(?P<end>[A-Za-z_]\w*)(?P=quote)(?!\S)")

_SEPARATOR: Final = re.compile(r"&&|\|\||[;|\n]|(?<![<>])&(?!>)")
PIPELINE: Final = re.compile(r"&&|\|\||[;\n]|(?<![<>|])&(?!>)")
_NO_FILE: Final = re.compile(r"(?<!\s)\s*(?:[12]?>&[12]|[12&]?>\s*/dev/null)(?!\S)")
"""A redirection into no file."""

MOST_LETTERS: Final = 8
"""The most letters of options that may stand right before a path in the same word."""

LITERAL: Final = re.compile(r"""'[^'\n]*'|"[^"$`\\!\n]*\"""")
"""Text that a shell does not change."""

_MOST_WORDS: Final = 200
"""The most words of a part of a command that are looked up in the file system."""

_SUBSTITUTION: Final = re.compile(r"[$`]|[<>]\(")
_SORTS: Final = re.compile(r"-[bdfghinrRuVz]*(?:[kt]\S*)?")
"""Options with which `sort` only prints."""
_LINES: Final = re.compile(r"[\d$]+(?:,[\d$]+)?p")
"""A script with which `sed` only prints lines."""

_PLAIN: Final = re.compile(r"[\w./:@%+, =-]+")
"""Text that a shell neither expands nor reads as an operator."""
_GLOBBED: Final = re.compile(r"[\w./:@%+, =*?-]+")
_UNCLEAR: Final = re.compile(r"[^\w./:@%+, =*?>&-]")
"""What may hide a word of a command: a substitution, a variable, a quote that is not literal, a block of commands."""

BEFORE: Final = re.compile(r"^(?:\w+=[^ \t\n\\]*[ \t]+|(?:time|nohup|nice|timeout[ \t]+[^ \t\n]+)[ \t]+)+", re.ASCII)
"""Words that may come before the program; the CLI's rules skip them, too."""

BLANKS: Final = " \t\n"
"""White space of a shell. All else that Python takes for it, such as a no-break space, is part of a name."""

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
"""Programs that only read. Listed are their flags that name no other file and follow no link."""

EDITORS: Final = ("mkdir", "touch", "rm", "rmdir", "mv", "cp", "sed")
"""Programs that the CLI (2.1.332) runs unasked in the mode `acceptEdits`, inside the folder."""

_UNPACKERS: Final = frozenset(
    {"tar", "bsdtar", "unzip", "7z", "pax", "ar", "dpkg", "rsync", "patch", "cpio", "gunzip", "bunzip2", "unxz", "unzstd"}
    | {"gzip", "xz", "zstd", "split", "csplit"}
)
"""Programs that write files which their words do not name."""

_STARTERS: Final = frozenset(
    {
        "env",
        "command",
        "builtin",
        "exec",
        "sudo",
        "nice",
        "ionice",
        "nohup",
        "setsid",
        "stdbuf",
        "time",
        "timeout",
        "xargs",
        "busybox",
    }
)
_BEFORE_A_PROGRAM: Final = re.compile(r"\w+=.*|[{(!]+|if|then|else|elif|do|while|until", re.DOTALL)
_MOST_BEFORE: Final = 50
"""The most words between a program that only starts another one, and that one."""
_COPIERS: Final = frozenset({"cp", "mv", "ln", "install"})
_WIDE_OPTION: Final = re.compile(r"-\w*[rRabS]|--(?:rec|arc|bac|suf|par)")
"""The starts of options with which a copier writes files that its words do not name."""

_MAKES_LINKS: Final = re.compile(
    rf"(?:{'|'.join((*_UNPACKERS, *_COPIERS, 'pushd', 'popd'))})\b"
    r"|git\b.*\b(?:checkout|switch|restore|stash|reset|merge|rebase|revert|cherry-pick|pull|mv|apply|am|clone|worktree)\b",
    re.DOTALL,
)
"""The start of a command that may put a link into the folder, or go elsewhere."""

_PRINTERS: Final = frozenset({"echo", "true", "false", "test", "cd", "cut", "tr"})
_INTERPRETERS: Final = frozenset({"sh", "bash", "zsh", "python", "python3", "node"})
_RUNS_ANYTHING: Final = _INTERPRETERS | {"make", "pytest", "tox"}

_WRITERS: Final = _UNPACKERS.union(
    {*EDITORS, "ln", "tee", "dd", "install", "sort", "truncate", "chmod", "unlink", "shred", "rename", "sponge"}
)
_WRITES: Final = re.compile(r">(?!&\d+(?![^\s;&|<>()])|\s*/dev/null(?!\S))")
"""A redirection into a file."""


def trimmed(command: str) -> str:
    """Remove the white space around a command that a shell ignores; after a backslash, it is part of a name."""
    rest = command.strip(BLANKS)
    return command.lstrip(BLANKS) if rest.endswith("\\") else rest


def parts_of(command: str, *, with_all_lines: bool = False, separator: re.Pattern[str] = _SEPARATOR) -> list[str]:
    """Divide a command where a shell would start another program. Quoted text stays whole; comments are left out.

    :param with_all_lines: whether the text of here-documents counts.
    :param separator: what stands between two parts.
    """
    command, documents = _without_documents(command)
    more = [part for text in documents if with_all_lines for part in parts_of(text, with_all_lines=True)]
    hidden = QUOTED.sub(lambda match: "q" * len(match[0]), command)
    ends = [*separator.finditer(hidden)]
    begins = [0, *(found.end() for found in ends)]
    return [
        trimmed(command[begin:end])
        for begin, end in zip(begins, [*(found.start() for found in ends), len(hidden)], strict=True)
    ] + more


def without_comments(command: str) -> str:
    """Return the command with continued lines joined and without comments; a comment is not continued."""
    pieces, last, at = [], "\n", 0
    while found := _PIECE.match(command, at):
        at = found.end()
        if found[0] == "#" and last in _BEFORE_A_COMMENT:
            at = command.find("\n", at) % (len(command) + 1)
        elif not found["joined"]:
            pieces.append(found[0].replace("\\\n", ""))
            last = found[0][-1] if found[0][0] != "\\" else ""
    return "".join(pieces)


def _without_documents(command: str) -> tuple[str, list[str]]:
    """Return the command without comments and here-documents, and the documents; in doubt, these stay in the command."""
    kept, documents, at = [], list[str](), 0
    while (begins := _HERE_DOCUMENT.search(command, at)) and (end := command.find("\n", begins.end()) + 1):
        line = without_comments(command[at:end])
        outside = QUOTED.sub("", line)
        kept.append(line)
        at = end
        if "<<" not in line:  # it is in a comment
            continue
        ends = re.compile(rf"^\t*{begins['end']}$", re.MULTILINE).search(command, at)
        text = command[at : ends.start()] if ends else ""
        # `<<` may be in quotes, or arithmetic; several on one line have several documents.
        is_sure = outside.count("<<") == 1 and not re.search(r"[\"'\\]|\(\(", outside)
        if not is_sure or ends is None or (not begins["quote"] and re.search(r"[$`\\]", text)):
            return without_comments(command), []
        documents.append(text)
        at = ends.end()
    return "".join((*kept, without_comments(command[at:]))), documents


def words_of(part: str) -> list[str]:
    """Return the words of a part of a command, as a shell reads them before it expands anything."""
    lexer = shlex.shlex(part, posix=True, punctuation_chars=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    try:
        return [*lexer]
    except ValueError:  # a quote is not closed
        return part.split()


def called(part: str) -> list[str]:
    """Return the program of a part of a command and its words; one empty word if there is none."""
    return words_of(BEFORE.sub("", part)) or [""]


def writes(part: str) -> bool:
    """Whether a part of a command plainly changes files: it redirects into a file, or its program is made to change files."""
    return _is_writer(part) or bool(_WRITES.search(QUOTED.sub("", part)))


def _is_writer(part: str) -> bool:
    return _started(part)[0] in _WRITERS and not _known_to_read(_simple_words(part))


def _started(part: str) -> list[str]:
    """Return the name of the program that a part of a command starts in the end, as in `env /bin/cp a b`, and its words."""
    words = [*dropwhile(_BEFORE_A_PROGRAM.fullmatch, words_of(part))] or [""]
    names = [word.rpartition("/")[2] for word in words[:_MOST_BEFORE]]
    at = next((at for at, name in enumerate(names) if name in _WRITERS), 0) if names[0] in _STARTERS else 0
    return [names[at], *words[at + 1 :]]


def _known_to_read(words: list[str]) -> bool:
    """Whether a program that can write only sorts, prints lines or lists an archive."""
    match words:
        case ["sort", *rest]:
            return all(_SORTS.fullmatch(word) for word in rest if word.startswith("-"))
        case ["uniq", *rest]:
            return all(word.startswith("-") for word in rest)
        case ["sed", "-n" | "-nE", script, *rest]:
            return bool(_LINES.fullmatch(script)) and not any(word.startswith("-") for word in rest)
        case ["tar" | "unzip" as program, mode, *rest]:
            lists = r"-?[vzjJ]*t[vzjJ]*f?" if program == "tar" else "-l"
            return bool(re.fullmatch(lists, mode)) and not any(word.startswith("-") for word in rest)
    return False


_SUBSTITUTES: Final = re.compile(r"s([/|,#])(?:(?!\1)[^\n])*\1(?:(?!\1)[^\n])*\1[gI0-9]*")
"""An expression of `sed` that writes no other file and runs nothing."""


def searches(part: str) -> bool:
    """Whether a part of a command looks into everything below a directory."""
    program, *words = called(part)
    return program == "find" or (program in ("grep", "ls") and any(re.match(r"-\w*[rR]", word) for word in words))


def substitutes(part: str) -> bool:
    """Whether a shell may run another command inside a part, or expand a variable."""
    return _SUBSTITUTION.search(LITERAL.sub("", part)) is not None


def only_prints(part: str) -> bool:
    """Whether a part of a command certainly writes no file: its program only reads or prints."""
    program, *words = _simple_words(part) or [""]
    flags = [word for word in words if word.startswith("-")]
    if program in READERS:
        return program != "find" or all(re.fullmatch(READERS["find"], flag) for flag in flags)
    # For these, a file with the name of an option, to which a shell may expand a wildcard, changes nothing.
    reads = called(part)[0] in READERS.keys() - {"find"} and _GLOBBED.fullmatch(LITERAL.sub("q", _NO_FILE.sub("", part)))
    return bool(reads) or program in _PRINTERS or _known_to_read([program, *words])


def only_filters(part: str) -> bool:
    """Whether a part of a command only reads what another one pipes into it, and so ends with that one."""
    program, *words = _simple_words(part) or [""]
    return program in READERS.keys() - {"find", "ls", "grep"} and all(word.startswith("-") for word in words)


def runs_anything(part: str) -> bool:
    """Whether the program of a part runs whatever code it is given, so that a rule for it allows everything."""
    program, *words = called(part)
    return program in _RUNS_ANYTHING and words[:1] != ["-m"]


def goes_on_behind(command: str) -> bool:
    """Whether a shell would start the next part of a command without waiting for the one before."""
    return re.search(r"(?<![<>&|\\])&(?![>&])", QUOTED.sub("q", command)) is not None


def acted_on(command: str, is_harmless: Callable[[str], bool]) -> str:
    """Return the words of a command that may name a file that it changes, all of them in doubt.

    Left out are a program, a script that an interpreter runs, and pipelines whose parts are all harmless.
    """
    _, documents = _without_documents(command)
    pipelines = [[part for part in parts_of(line) if part] for line in parts_of(command, separator=PIPELINE)]
    if documents or ">|" in command or any(_UNCLEAR.search(LITERAL.sub("q", part)) for parts in pipelines for part in parts):
        return command
    changing = [part for parts in pipelines if not all(map(is_harmless, parts)) for part in parts]
    return "\n".join(shlex.quote(word) for part in changing for word in _not_run(part))


def _not_run(part: str) -> list[str]:
    """Return the words of a part without what is run: the program, and the script if it is an interpreter."""
    rest = BEFORE.sub("", part)
    words = words_of(rest) or [""]
    count = 2 if words[0] in _INTERPRETERS and not "".join(words[1:2]).startswith("-") else 1
    return [*words_of(part[: len(part) - len(rest)]), *words[count:]]


def writes_anything(part: str) -> bool:
    """Whether a part may write files that its words do not name."""
    program, *words = _started(part)
    if not writes(part):
        return False
    if program in _UNPACKERS or (program in _COPIERS and any(map(_WIDE_OPTION.match, words))):
        return True
    if program == "sed" and not (words[:1] == ["-i"] and _SUBSTITUTES.fullmatch(" ".join(words[1:2]))):
        return any(word.startswith("-") or "w" in word or "e" in word for word in words)
    target = "" if _is_writer(part) else r">[>&|]?\s*[^\s;&|<>]*"
    return re.search(rf"{target}[$`*?\[{{]", LITERAL.sub("", part)) is not None


def only_reads(command: str, is_inside: Inside) -> bool:
    """Whether all programs of a command only read, and no word leads out of the folder."""
    return len(command.split()) <= _MOST_WORDS and all(_reads(part, is_inside) for part in parts_of(command))


def only_edits(command: str, is_inside: Inside) -> bool:
    """Whether a command is one program that the mode `acceptEdits` covers, and no word leads out of the folder."""
    program, *words = _plain_words(command) or [""]
    named = [word for word in words if not word.startswith("-")]
    # `cp` and `mv` may put a file into a folder, keeping its name.
    into = [f"{folder}/{word.rstrip('/').rpartition('/')[2]}" for folder in named[-1:] + named[:1] for word in named]
    return program in EDITORS and is_inside(".") and all(map(is_inside, (*named, *into)))


def is_plain(command: str) -> bool:
    """Whether a command is one program with its words, of which a shell changes none."""
    return bool(_plain_words(command))


def covered(command: str, exact: frozenset[str], is_allowed: Callable[[str], bool], is_inside: Inside) -> bool:
    """Whether rules may cover a command: they allow a part, and the others only read, or only `cd` inside the folder."""
    if trimmed(command) in exact:
        return True
    parts = [part for part in parts_of(command) if part]
    others = [part for part in parts if not is_allowed(BEFORE.sub("", part))]
    if not others or len(others) == len(parts):
        return not others and bool(parts)
    # Paths were checked before the command runs; a part could then make a link.
    makes_links = any(_MAKES_LINKS.match(BEFORE.sub("", part)) for part in parts)
    are_few = sum(len(part.split()) for part in others) <= _MOST_WORDS
    reads = are_few and not makes_links and all(_reads(part, is_inside) for part in others)
    return reads or all(_goes(part, is_inside) for part in others)


def _reads(part: str, is_inside: Inside) -> bool:
    program, *words = _plain_words(part) or [""]
    if program not in READERS:
        return False
    flags = re.compile(READERS[program])
    return is_inside(".") and all(bool(flags.fullmatch(word)) if word.startswith("-") else is_inside(word) for word in words)


def _goes(part: str, is_inside: Inside) -> bool:
    program, *words = _plain_words(part) or [""]
    return program == "cd" and len(words) == 1 and not words[0].startswith("-") and is_inside(words[0])


def _simple_words(part: str) -> list[str]:
    """Return the words of a part of a command without harmless redirections; none if it has other ones, or assignments."""
    part = _NO_FILE.sub("", part)
    rest = BEFORE.sub("", part)
    return [] if "=" in part[: len(part) - len(rest)] else _plain_words(rest)


def _plain_words(part: str) -> list[str]:
    """Return the words of a command, or nothing if a shell would expand any of them."""
    words = shlex.split(part) if _PLAIN.fullmatch(LITERAL.sub("q", part)) else []
    if len(words) > _MOST_WORDS:
        return []
    # zsh replaces "=NAME" by the path of the program NAME. A quoted "~" is a name, but may pass for the home.
    return [] if any(word.startswith(("=", "~")) for word in words) else words
