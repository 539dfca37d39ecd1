"""What the CLI would load from a trusted folder and the folders above it, as hashes of the contents.

That is `.mcp.json`, what is below `.claude` except for `_NOT_LOADED` and `_WRITTEN_BY_HOOKS`, the folder's files that
their commands name, and the programs that git's settings name. A text for Claude (`CLAUDE.md`, `AGENTS.md`, an agent's
memory) counts only if it is a link out of the folder. A file that a command reaches in another way does not count: by a
wildcard, with a space in its path, as a Python module, or through a program that runs it.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
import stat
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final

from claude_magic._paths import cli_home, file_bytes, object_in, outside, with_home
from claude_magic._text import json_object, well_formed
from claude_magic.sdk._folder.git_settings import files_named, git_programs, work_trees_of
from claude_magic.sdk._folder.memories import MEMORIES_IF_TRUSTED, memories_outside, upwards
from claude_magic.sdk._folder.named_files import named_files, words_of

UNKNOWN: Final = ""
"""Used instead of a hash for what cannot be read or is too large to judge. It hides changes, so consent never covers it."""

MAX_FILES = 2000
MAX_FILE_BYTES = 10_000_000
MAX_BYTES = 50_000_000
"""The most bytes of all files together, as many links may lead to one large file."""

_MOST_FOLDERS: Final = 500
"""The most folders of a `.claude`; links can make circles."""

_MAX_TEXT: Final = 1_000_000
"""The most characters of one file that are searched for words."""

_MOST_PARTS: Final = 50_000
"""The most words of all files together that may name others; each part of a path counts."""

_MOST_BELOW: Final = 8
"""The most `.claude` in subfolders that are looked into for one call; each may take half a second."""

_LINKS_NAMED: Final = 20
"""The most links of a subfolder's `.claude` that a question names; a `.claude` with more is asked about each time."""

_SETTINGS: Final = ("settings.json", "settings.local.json")
_NOT_LOADED: Final = frozenset({"CLAUDE.md", "worktrees", "agent-memory", "agent-memory-local", "logs", "scheduled_tasks.json"})
"""Names directly below `.claude` that do not count: text that is always read, what the CLI writes, tasks, which never run."""
_WRITTEN_BY_HOOKS: Final = (".lock", ".log", ".txt", ".jsonl", ".csv", ".tmp")
"""Endings of files that hooks write directly below `.claude`."""

_COMMANDS: Final = re.compile(
    r"\A\ufeff?\s*---(.*?)(?:\n---[ \t\r\f\u00a0]*(?:\n|\Z)|\Z)"
    r"|^[ \t-]*[\"']?command[\"']?[ \t]*:(.+)|```!(.*?)(?:```|\Z)|!`([^`]+)`",
    re.MULTILINE | re.DOTALL,
)
"""How agents, skills and commands name what they run: YAML at the top; all text after `command:`; !`…` and ```!… in text."""

_NUMBERED: Final = re.compile(
    r"\\(?:x([0-9A-Fa-f]{2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(?P<octal>[0-7]{2,3}))|\\\r?\n[ \t]*"
)
"""A character that YAML or a shell names by its number, or a line that goes on."""

_MOST_MISSING: Final = 5_000
_LIKE_A_PATH: Final = re.compile(r"(?!/)(?!.*[*?\[])(?:.*/.*[^/]|\.?[^/]*\.[A-Za-z]\w{0,7})", re.DOTALL)
_WRITTEN_TO: Final = re.compile(
    r"""(?<![<=])>>?[ \t]*(?:\\?"(?:[^"\\\n`$]|\$(?!\())*\\?"|'(?:[^'\n`$]|\$(?!\())*'|[^\s;&|<>()"'`\\]+)+"""
)
"""A file that a command only writes to, as in `check.sh >> log.md`. Not the block after YAML's `command: >`."""


def contents(directory: str) -> dict[str, str]:
    """Return, by path, a hash of each file that the CLI would load for a directory, or that a command in such a file names."""
    found: dict[str, str] = {}
    total = part_count = 0

    def judged(path: str) -> tuple[str, tuple[str, ...]]:
        nonlocal total
        total += _size(path)
        return _hash_and_words(path) if total <= MAX_BYTES else (UNKNOWN, ())

    for project, path in _loaded_files(directory):
        if len(found) >= MAX_FILES:  # too many: the rest is not judged
            return found | {os.path.dirname(path): UNKNOWN}
        found[path], words = judged(path)
        part_count += sum(word.count("/") + 1 for word in words)
        if part_count > _MOST_PARTS:
            found[path], words = UNKNOWN, ()
        # Files elsewhere did not come with the folder, and hooks may change them.
        for base in {directory, project} if words else ():
            found |= {named: judged(named)[0] for named in named_files(words, (base,), base) if named not in found}
    # A link out of the folder counts: its target may be private.
    found |= {str(path): judged(str(path))[0] for path in memories_outside(directory)}
    for place, programs in git_programs(directory, only_looks=False).items():
        found[place] = hashlib.sha256("\n".join(programs).encode("utf-8", "surrogateescape")).hexdigest()
        for path in files_named(place, programs) if os.path.basename(place) == "config" else ():
            found[path] = judged(path)[0]
    return found


def missing(directory: str) -> list[str]:
    """Return the missing files that commands of a directory name; the directory itself if they are too many."""
    words = {word for _, path in _loaded_files(directory) for word in _hash_and_words(path)[1]}
    names = {name for word in words for name in (word, _behind_variable(word, directory)) if _LIKE_A_PATH.fullmatch(name)}
    if len(names) > _MOST_MISSING:
        return [directory]
    paths = (os.path.normpath(os.path.join(directory, name)) for each in names for name in (each, f"{each}.js"))
    return [path for path in paths if path.startswith(os.path.join(directory, "")) and not os.path.exists(path)]


def _behind_variable(word: str, directory: str) -> str:
    """Return what may follow a variable in a word, whose sign is not part of it, as in `CLAUDE_PROJECT_DIR/hooks/check.sh`."""
    first, _, rest = word.partition("/")
    return "" if os.path.exists(os.path.join(directory, first)) or (not first and os.path.exists(word)) else rest


@dataclass(frozen=True, slots=True)
class Below:
    """What the CLI would load from a subfolder: `state`: a hash or a link's target; `target`: set if it leads out."""

    state: str
    target: str | None


def loaded_below(paths: Iterable[str], directory: str) -> dict[str, Below]:
    """Return what the CLI would load with these files, by path.

    The CLI (2.1.332) loads the skills, rules and memories of each folder on the way to a file that Claude works on. Returned
    are each `.claude` below the directory, its files that are links out of their folder, and each `CLAUDE.md` or `AGENTS.md`
    that is such a link; any other is only text.
    """
    found: dict[str, Below] = {}
    for folder in _folders_below(paths, directory):
        settings = os.path.join(folder, ".claude")
        if len(found) >= _MOST_BELOW and os.path.isdir(settings):
            found[settings] = Below(UNKNOWN, None)
            continue
        files = [*islice(_files_of(settings), MAX_FILES + 1)]
        links = [*islice(_leading_out(files, folder), _LINKS_NAMED + 1)]
        if os.path.isdir(settings):
            state = _state_of(files) if len(links) <= _LINKS_NAMED else UNKNOWN
            found[settings] = Below(state, outside(settings, folder))
        memories = (os.path.join(folder, name) for name in MEMORIES_IF_TRUSTED)
        found |= {path: Below(target, target) for path, target in (*links, *_leading_out(memories, folder))}
    return found


def _folders_below(paths: Iterable[str], directory: str) -> dict[str, None]:
    """Return the folders on the way from a directory to these files, without the directory itself."""
    found: dict[str, None] = {}
    for path in paths:
        folder = os.path.dirname(path)
        while folder not in found and folder.startswith(os.path.join(directory, "")):
            found[folder] = None
            folder = os.path.dirname(folder)
    return found


def _leading_out(paths: Iterable[str], folder: str) -> Iterator[tuple[str, str]]:
    """Yield the files that lead out of the folder through a link, each with its target."""
    for path in paths:
        if os.path.isfile(path) and (target := outside(path, folder)):
            yield path, target


def _state_of(files: Sequence[str]) -> str:
    """Return a hash of the files of a `.claude` that the CLI would load; `UNKNOWN` if they are too many or too large."""
    if len(files) > MAX_FILES or sum(map(_size, files)) > MAX_BYTES:
        return UNKNOWN
    found = [(path, _hash_and_words(path)[0]) for path in files]
    is_known = all(digest != UNKNOWN for _, digest in found)
    return hashlib.sha256(repr(found).encode(errors="surrogateescape")).hexdigest() if is_known else UNKNOWN


def fingerprint_of(directory: str) -> str:
    """Return a hash that changes when `contents` does, so that a new process loads what is new."""
    return hashlib.sha256(repr(sorted(contents(directory).items())).encode("utf-8", "surrogateescape")).hexdigest()


def settings_files(directory: str) -> list[Path]:
    """Return the paths of a directory's own settings, whether the files exist or not."""
    return [Path(directory, ".claude", name) for name in _SETTINGS]


def _loaded_files(directory: str) -> Iterator[tuple[str, str]]:
    """Yield a directory (this one, one above it, or a worktree's main one) and a file that is loaded from it."""
    home = str(cli_home({}))
    for parent in dict.fromkeys((*map(str, upwards(directory)), *work_trees_of(directory))):
        if os.path.isfile(servers := os.path.join(parent, ".mcp.json")):
            yield parent, servers
        if (folder := os.path.join(parent, ".claude")) == home:
            continue  # the person's own settings, not the folder's
        yield from ((parent, path) for path in _files_of(folder))
        for settings in settings_files(parent):
            yield from ((parent, path) for path in _plugins_of(settings, parent))


def _plugins_of(settings: Path, directory: str) -> Iterator[str]:
    """Yield the files in folders that settings name as sources of plugins: the CLI (2.1.332) loads their hooks and skills."""
    known = object_in(settings)
    named = [_strings(value) for name, value in known.items() if "marketplace" in name.lower()]
    home = cli_home({})
    if isinstance(enabled := known.get("enabledPlugins"), dict):  # the CLI may know their folder from another folder
        others = object_in(home / "plugins/known_marketplaces.json")
        named += [_strings(others.get(name.rpartition("@")[2])) for name in enabled]
    for path in dict.fromkeys(os.path.normpath(os.path.join(directory, with_home(word))) for words in named for word in words):
        if os.path.isfile(path):  # it lists plugins by paths from its folder
            path = os.path.dirname(path).removesuffix(f"{os.sep}.claude-plugin")
        if os.path.isdir(path) and not Path(path).is_relative_to(home):
            yield from _files_of(path, ())


def _files_of(settings: str, left_out: Collection[str] = _NOT_LOADED) -> Iterator[str]:
    """Yield the files of a `.claude` that count. Links are followed, as by the CLI; a circle ends at `_MOST_FOLDERS`."""
    closed: list[OSError] = []
    for count, (place, folders, names) in enumerate(os.walk(settings, followlinks=True, onerror=closed.append)):
        if count >= _MOST_FOLDERS:
            yield settings  # no file, so it cannot be judged
            return
        if place == settings and left_out:
            folders[:] = [name for name in folders if name not in left_out]
            names = [name for name in names if name not in left_out and not name.endswith(_WRITTEN_BY_HOOKS)]
        folders.sort()
        yield from (os.path.join(place, name) for name in sorted(names))
    # Files of a folder that cannot be listed can perhaps be opened by their names.
    yield from (str(error.filename) for error in closed if os.access(error.filename, os.X_OK) and os.path.isdir(error.filename))


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except OSError:
        return 0


def _hash_and_words(path: str) -> tuple[str, tuple[str, ...]]:
    try:
        state = os.stat(path)
        if not stat.S_ISREG(state.st_mode) or state.st_size > MAX_FILE_BYTES:
            return UNKNOWN, ()
        return _read(path, (state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns))
    except (OSError, RecursionError):  # JSON that is nested too deeply
        return UNKNOWN, ()


@functools.lru_cache(maxsize=MAX_FILES)
def _read(path: str, state: tuple[int, ...]) -> tuple[str, tuple[str, ...]]:
    """Return the hash of a file and the words of its commands. `state` changes when the file does, so the cache is right."""
    content = file_bytes(path)
    words = _words(Path(path).name, content)
    return (UNKNOWN, ()) if words is None else (hashlib.sha256(content).hexdigest(), tuple(sorted(words)))


def _words(name: str, content: bytes) -> set[str] | None:
    data = json_object(content) if name.endswith(".json") else {}
    if name in (*_SETTINGS, ".mcp.json"):
        texts = list(_strings({**data, "permissions": None}))
    elif '"command"' in json.dumps(data):  # a plugin's hooks or servers; arguments may come before the command
        texts = list(_strings(data))
    elif name.endswith((".md", ".json")):
        texts = [part for match in _COMMANDS.findall(content.decode(errors="replace")) for part in match]
    else:
        return set()
    if sum(map(len, texts)) > _MAX_TEXT:
        return None  # too much to be judged
    texts = [well_formed(text) for each in texts for text in (each, _NUMBERED.sub(_character, each))]
    return {word for text in texts for word in words_of(_WRITTEN_TO.sub(" ", text))}


def _character(numbered: re.Match[str]) -> str:
    number = int(next(filter(None, numbered.groups()), "0"), 8 if numbered["octal"] else 16)
    return chr(number) if 0 < number < 0x110000 else ""


def _strings(value: Any) -> Iterator[str]:
    match value:
        case str():
            yield value
        case dict():
            for part in value.values():
                yield from _strings(part)
        case list():
            for part in value:
                yield from _strings(part)
