"""What git would run because of a repository's settings, hooks and index.

The CLI (2.1.332) lets Claude run `git status`, `git diff` and similar commands without a question. Settings that come with a
folder can make them run any program: filters, monitors, hooks, included settings, repositories inside it. Keys that are known
to run nothing are listed; all others count.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from claude_magic._paths import file_bytes
from claude_magic.sdk._folder.memories import upwards
from claude_magic.sdk._folder.named_files import named_files, words_of

_HARMLESS: Final = re.compile(
    r"""core\.(repositoryformatversion|filemode|bare|logallrefupdates|ignorecase|precomposeunicode|symlinks|autocrlf|eol
        |safecrlf|quotepath|longpaths|fscache|abbrev|untrackedcache|preloadindex|compression|commentchar)
    |remote\.(url|fetch|push|pushurl|tagopt|prune|gh-resolved)
    |branch\.(merge|rebase|description|autosetupmerge|autosetuprebase|vscode-merge-base|gh-merge-base)
    |user\.(name|email|useconfigonly) | pull\.(rebase|ff) | push\.(default|autosetupremote) | init\.defaultbranch
    |color\.\w+ | advice\.\w+ | gc\.(auto|autodetach) | fetch\.prune | merge\.(ff|conflictstyle) | rerere\.enabled""",
    re.VERBOSE,
)
_SECTION: Final = re.compile(r'\[([\w.-]+)(?:\s+"[^"\\]*")?\]\s*(.*)')
_VALUE_END: Final = re.compile(r"\s*[#;].*")
_KEY: Final = re.compile(r"([A-Za-z][\w-]*)\s*(?:=.*)?")

_FAR: Final = re.compile(r"(?:https?|ssh|git)://\S+|[\w.-]+@[\w.-]+:\S+|(?!ext:|file:)[\w.-]{2,}:(?!:)\S+")
"""The address of a repository on another machine. A push to a repository on this machine would run that repository's hooks."""

_NAMED_REMOTE: Final = ("branch.remote", "branch.pushremote")
"""Keys whose value is the name of a remote. git takes an unknown remote's name for a path."""

_SUBMODULE: Final = bytes.fromhex("0000e000")
"""The mode of another repository in git's index."""

_HOOKS_OF_A_LOOK: Final = ("post-index-change", "fsmonitor-watchman")
"""The hooks that git runs when a command only looks at the repository."""

_STATES: Final = ("sequencer", "rebase-merge", "rebase-apply")
"""The folders of git with the commands, options and strategies of a rebase or cherry-pick that goes on."""

_USUAL: Final = {
    "": {
        *("HEAD", "config", "description", "hooks", "info", "objects", "refs", "logs", "index", "packed-refs", "shallow"),
        *("COMMIT_EDITMSG", "ORIG_HEAD", "FETCH_HEAD", "MERGE_HEAD", "MERGE_MSG", "MERGE_MODE", "AUTO_MERGE", "SQUASH_MSG"),
        *("CHERRY_PICK_HEAD", "REVERT_HEAD", "REBASE_HEAD", "TAG_EDITMSG", "gc.log", "gc.pid", "gitk.cache", "branches"),
        *("lfs", "rr-cache", *_STATES),
    },
    "info": {"exclude", "refs"},
    os.path.join("objects", "info"): {"packs", "commit-graph", "commit-graphs"},
}
"""What git (2.39) makes in a repository, by folder. All else there, such as `worktrees`, leads elsewhere."""

_PACKS: Final = os.path.join("objects", "pack")
"""The folder in which a clone on the same disk has hard links."""

_MOST_ENTRIES: Final = 20_000

_A_LINK: Final = " -> "

_SAMPLE: Final = ".sample"
"""The end of the names of hooks that come with git and never run."""

_HEAD: Final = re.compile(rb"(?:ref: refs/[\w./-]+|[0-9a-f]{40})\n")
INSIDE: Final = "repositories inside this one"
MOST_BELOW: Final = 20_000
"""The most folders that are searched for repositories inside others; that takes half a second."""

_MAX_BYTES: Final = 50_000_000
_MAX_CONFIG_BYTES: Final = 1_000_000
_MAX_NAMES: Final = 100
_MAX_KEYS_LENGTH: Final = 20_000
_MOST_HOOK_FOLDERS: Final = 10
_MAX_NAME_BYTES: Final = 1_100_000
"""More than git (2.39) reads of a `.git` file."""


def git_programs(directory: str, *, only_looks: bool = True) -> dict[str, list[str]]:
    """Return what git could run in a directory, by the file or folder that says so; usually empty.

    :param only_looks: leave out odd entries, hooks and old remotes that count only for changes.
    """
    found = {} if only_looks else odd_entries(directory)
    for place in {place: None for repository in _repositories(directory) for place in _settings_of(repository)}:
        for name in ("HEAD", "commondir"):  # git would hang on a named pipe
            if wrong := _judged(lambda path, state: (), path := os.path.join(place, name)):
                found[path] = list(wrong)
        keys = _judged(_unknown_keys, config := os.path.join(place, "config"), _MAX_CONFIG_BYTES)
        if len(keys) > _MAX_NAMES or sum(map(len, keys)) > _MAX_KEYS_LENGTH:
            found[config] = ["(cannot be judged)"]
        elif keys:
            files = files_named(config, keys)
            found[config] = [*keys, *(" ".join((file, *_judged(_hash, file, _MAX_CONFIG_BYTES))) for file in files)]
        folder = os.path.join(place, "hooks")
        names = [name for name in _listed(folder) if name in _HOOKS_OF_A_LOOK or not (only_looks or name.endswith(_SAMPLE))]
        if len(names) > _MAX_NAMES:
            found[folder] = ["(cannot be judged)"]
        elif names:
            found[folder] = [" ".join((name, *_judged(_hash, os.path.join(folder, name), _MAX_CONFIG_BYTES))) for name in names]
        # Old git kept the addresses of remotes here, and git (2.39) still reads them.
        old = [os.path.join(place, name) for name in ("remotes", "branches")]
        found |= {folder: names for folder in old if not only_looks and (names := _listed(folder))}
        is_shared = any(name.startswith("sharedindex.") for name in _listed(place))
        if _judged(_submodules, index := os.path.join(place, "index")) or is_shared:
            found[index] = [INSIDE]
    return found


def unfinished(directory: str) -> str:
    """Return the folder in which git keeps what it was about to do, as in a stopped rebase; empty if there is none."""
    places = (place for repository in _repositories(directory) for place in _settings_of(repository))
    states = (os.path.join(place, name) for place in places for name in _STATES)
    return next(filter(os.path.lexists, states), "")


def odd_entries(directory: str) -> dict[str, list[str]]:
    """Return what a directory's repositories hold that no plain one does, by repository: links and what leads elsewhere.

    Through these git may read and write files outside, or find other settings than those that can be looked at.
    """
    found = {repository: sorted(_odd_entries(repository))[:_MAX_NAMES] for repository in _repositories(directory)}
    return {repository: entries for repository, entries in found.items() if entries}


def _odd_entries(repository: str) -> Iterator[str]:
    if os.path.basename(repository) != ".git" or os.path.islink(repository) or not os.path.isdir(repository):
        yield "no .git folder"
        return
    left, folders = _MOST_ENTRIES, [""]
    for folder in folders:
        # Meanwhile git may remove what is found.
        with contextlib.suppress(OSError), os.scandir(os.path.join(repository, folder)) as entries:
            for entry in entries:
                left -= 1
                if left < 0:
                    yield "too much to look at"
                    return
                path, is_folder = os.path.join(folder, entry.name), entry.is_dir(follow_symlinks=False)
                is_usual = entry.name in _USUAL.get(folder, (entry.name,)) or entry.name.endswith(".lock")
                if entry.is_symlink():
                    yield f"{path}{_A_LINK}{os.readlink(entry)}"
                elif not is_folder and folder != _PACKS and _name_count(entry) > 1:
                    yield f"{path}{_A_LINK}a file with another name, too"
                elif not is_usual or not (is_folder or entry.is_file()):
                    yield path
                elif is_folder and (folder != "objects" or entry.name in ("info", "pack")):  # there may be very many objects
                    folders.append(path)


def _name_count(entry: os.DirEntry[str]) -> int:
    try:
        return entry.stat(follow_symlinks=False).st_nlink
    except OSError:  # it is gone
        return 0


def is_written(entry: str) -> bool:
    """Whether an odd entry is a link through which git may write another file."""
    return _A_LINK in entry and not entry.startswith(("hooks", "info", "lfs"))


def leads_to_repository(path: str) -> bool:
    """Whether a file names a repository elsewhere, as the `.git` of a worktree does."""
    return os.path.isfile(path) and _content(path).startswith(b"gitdir:")


def files_named(config: str, lines: Iterable[str]) -> list[str]:
    """Return files of the repository's folder that its settings' lines name, or that are in its `core.hooksPath` folder."""
    found: list[str] = []
    root = os.path.dirname(place := os.path.dirname(config))
    values = {line: words_of(line.partition("=")[2]) for line in lines}
    found += sorted(named_files({word for words in values.values() for word in words}, (root, place), root))
    for line, words in values.items():
        hooks = sorted(words)[:_MOST_HOOK_FOLDERS] if "hookspath" in line.lower() else []
        for folder in (os.path.join(base, word) for base in (root, place) for word in hooks):
            found += filter(os.path.isfile, (os.path.join(folder, name) for name in _listed(folder)[: _MAX_NAMES + 1]))
    return [path for path in dict.fromkeys(map(os.path.normpath, found)) if path.startswith(os.path.join(root, ""))]


def work_trees_of(directory: str) -> Iterator[str]:
    """Yield the folders around a directory's repositories. The CLI (2.1.332) takes their files for a worktree's own."""
    for repository in _repositories(directory):
        yield from (os.path.dirname(os.path.realpath(place)) for place in _settings_of(repository))


def repositories_below(directories: Iterable[str], most: int = MOST_BELOW) -> list[str] | None:
    """Return the folders with a `.git` below the repositories of these directories; `None` if there is too much to search.

    A git command can make each of them a part of the repository around it, whatever the index says beforehand.
    """
    roots = {
        os.path.dirname(path) if os.path.basename(path) == ".git" else path
        for each in directories
        for path in _repositories(each)
    }
    found, left = [], most
    for root in sorted(roots):
        for folder, names, files in os.walk(root):
            left -= 1
            if left < 0:
                return None
            if folder != root and any(name.lower() == ".git" for name in (*names, *files)):
                found.append(folder)
            names[:] = [name for name in names if name.lower() != ".git"]
    return found


def _repositories(directory: str) -> Iterator[str]:
    """Yield all that git could take for the repository: git passes over an incomplete repository, and looks further up."""
    for parent in map(str, upwards(os.path.realpath(directory))):
        if os.path.exists(repository := os.path.join(parent, ".git")):
            yield repository
        holds = [os.path.lexists(os.path.join(parent, name)) for name in ("HEAD", "objects", "commondir")]
        if holds[0] and any(holds[1:]):
            yield parent
        if _is_complete(repository):
            return


def _is_complete(repository: str) -> bool:
    """Whether git certainly takes this directory for a repository."""
    parts = [os.path.join(repository, name) for name in ("objects", "refs")]
    return (
        all(os.path.isdir(part) and os.access(part, os.X_OK) for part in parts)
        and not os.path.islink(os.path.join(repository, "HEAD"))
        and not os.path.lexists(os.path.join(repository, "commondir"))
        and _HEAD.fullmatch(_content(os.path.join(repository, "HEAD"))) is not None
    )


def _settings_of(repository: str) -> Iterator[str]:
    """Yield the directories with the repository's settings. `.git` may be a file that names one."""
    found = [repository]
    if os.path.isfile(repository):
        found = [os.path.join(os.path.dirname(repository), name) for name in _named(repository, b"gitdir:")]
    for place in found:
        yield place
        yield from (os.path.join(place, name) for name in _named(os.path.join(place, "commondir")))


def _named(path: str, start: bytes = b"") -> list[str]:
    """Return each path that the text of a file could mean: git only removes ends of lines, so blanks are part of a name."""
    # For git, which is written in C, a null character ends the path. The CLI even takes a path from a file git refuses.
    content = _content(path).partition(start)[2] if start else _content(path)
    content = content.partition(b"\0")[0]
    rest = content.removeprefix(b" ")
    ways = (content, rest, content.rstrip(b"\r\n"), rest.rstrip(b"\r\n"), content.strip())
    return [os.fsdecode(way) for way in dict.fromkeys(ways) if way]


def _listed(folder: str) -> list[str]:
    try:
        return sorted(os.listdir(folder))
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError:
        return [*_HOOKS_OF_A_LOOK]


def _judged(
    judge: Callable[[str, tuple[int, ...]], tuple[str, ...]], path: str, max_bytes: int = _MAX_BYTES
) -> tuple[str, ...]:
    try:
        state = os.stat(path)
        if state.st_size > max_bytes or not stat.S_ISREG(state.st_mode):
            return ("(cannot be judged)",)
        return judge(path, (state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns))
    except (FileNotFoundError, NotADirectoryError):
        return ()
    except OSError:
        return ("(cannot be read)",)


@functools.lru_cache(maxsize=64)
def _unknown_keys(path: str, state: tuple[int, ...]) -> tuple[str, ...]:
    """Return the lines of a settings file that may run something. `state` changes when the file does, so the cache is right."""
    section, head, unknown, remotes, named = "", "", [], {"."}, []
    for line in file_bytes(path).decode("latin-1").split("\n"):
        rest = line.strip()
        if header := _SECTION.match(rest):
            section, rest = header.group(1).lower(), header.group(2)
            head = line.strip().removesuffix(rest).strip()
        if not rest or rest[0] in "#;":
            continue
        key = _KEY.fullmatch(rest)
        # The next line of a continued value could look like a section.
        name = f"{section}.{key.group(1).lower()}" if key and not rest.endswith("\\") else ""
        value = rest.partition("=")[2].strip()
        is_near = name in ("remote.url", "remote.pushurl") and not _FAR.fullmatch(value)
        if name in _NAMED_REMOTE:
            named.append((f"{head} {rest}", _VALUE_END.sub("", value)))
        elif is_near or not _HARMLESS.fullmatch(name):
            unknown.append(f"{head} {rest}")
        elif name == "remote.url":
            remotes.add(head.partition('"')[2].removesuffix('"]'))
    return (*unknown, *(line for line, remote in named if remote not in remotes))


@functools.lru_cache(maxsize=256)
def _hash(path: str, state: tuple[int, ...]) -> tuple[str, ...]:
    return (hashlib.sha256(file_bytes(path)).hexdigest()[:16],)


@functools.lru_cache(maxsize=64)
def _submodules(path: str, state: tuple[int, ...]) -> tuple[str, ...]:
    return ("submodules",) if _SUBMODULE in file_bytes(path) else ()


def _content(path: str) -> bytes:
    try:
        return file_bytes(path, _MAX_NAME_BYTES)
    except OSError:
        return b""
