"""Whether the CLI may load what a directory holds for it: hooks, agents, skills, rules, servers.

The person's consent is for the present content, and is kept in a file of this package below the user's configuration directory.
New or changed content needs consent again. Until then only `CLAUDE.md`, which is only text, is loaded from the directory.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from claude_magic._characters import spelled_name, spelled_out
from claude_magic._paths import cli_file, file_bytes, object_in, our_config, outside, shorten_home
from claude_magic.sdk._folder.contents import UNKNOWN, contents
from claude_magic.sdk._folder.git_settings import git_programs
from claude_magic.sdk._folder.memories import upwards

MAX_SHOWN = 20_000
"""The most characters of a file that are shown to a person before the consent."""

_CUT: Final = "\n... and {:,} more characters; the consent is for all of the file, so open it"


@dataclass(frozen=True, slots=True)
class Unloaded:
    """A file or folder that waits for consent. `how` says why: it is new, changed, gone, or too much to be judged.

    `directory` is the folder that it is loaded for.
    """

    path: str
    how: str
    directory: str

    def __str__(self) -> str:
        name = named(self.path, self.directory)
        return name if self.how == "new" else f"{name} ({self.how})"

    @property
    def waits_for_a_change(self) -> bool:
        """Whether these are new hooks that only git's changing commands run. The question about such a command names them."""
        return self.how == "new" and self.path.endswith(os.sep + "hooks") and not self._programs(only_looks=True)

    def _programs(self, *, only_looks: bool) -> list[str]:
        return git_programs(os.path.dirname(self.path), only_looks=only_looks).get(self.path, [])

    @property
    def text(self) -> str:
        """The content of the file, or of the hooks in the folder. Invisible characters are spelled out; nothing is masked."""
        texts: list[str] = []
        try:
            for line in (programs := self._programs(only_looks=False)):
                texts.append(line)
                if os.path.isfile(hook := os.path.join(self.path, line.split(" ")[0])):
                    texts.append(file_bytes(hook).decode(errors="replace"))
            text = "\n".join(texts) if programs else file_bytes(self.path).decode(errors="replace")
        except OSError as error:
            return f"({error.strerror})"
        rest = len(text) - MAX_SHOWN
        return spelled_out(text[:MAX_SHOWN].replace("\r\n", "\n")) + (_CUT.format(rest) if rest > 0 else "")


def named(path: str, directory: str) -> str:
    """Return the path of a file as people should see it; for a link that leads out of its folder, also the target."""
    absolute = os.path.abspath(directory)
    inside = path.startswith(os.path.join(absolute, ""))
    # A link in a parent folder leads out if its target is outside that parent folder.
    target = outside(path, absolute if inside else os.path.commonpath([path, absolute]))
    shown = shorten_home(spelled_name(path))
    return shown if target is None else f"{shown} (leads out of its folder, to {shorten_home(spelled_name(target))})"


class Trust:
    """The person's consent to directories.

    :param store: the file that keeps it; by default below the user's configuration directory.
    """

    def __init__(self, store: Path | None = None) -> None:
        self._store = store or our_config() / "trust.json"
        self._seen: set[str] = set()
        self._shown: dict[str, dict[str, str]] = {}
        """The contents of directories when they were shown to the person."""
        self._unwritten: dict[str, Any] = {}
        """Consent that could not be written to the file; it holds in this kernel."""
        self.obstacle = ""
        """Why the last consent could not be written for other kernels; empty if it was."""

    def covers(self, directory: str) -> bool:
        """Whether the person has consented to exactly what the directory holds now.

        Trust given in the CLI's own dialog counts as consent to what the directory holds when this kernel first checks it.
        """
        said = self._said(directory)
        if said is None and directory not in self._seen:
            self._seen.add(directory)
            if _cli_trusts(directory):
                self.add(directory)
                said = self._said(directory)
        if said is None:
            return False
        found = contents(directory)
        return said == found and UNKNOWN not in found.values()

    def unloaded(self, directory: str) -> list[Unloaded]:
        """Return the directory's files that have no consent, and those that are gone since the consent."""
        said, found = self._said(directory) or {}, contents(directory)
        new = {path: "changed" if path in said else "new" for path in found if said.get(path) != found[path]}
        unknown = {path: "too much" for path, digest in found.items() if digest == UNKNOWN == said.get(path)}
        gone = {path: "gone" for path in said if path not in found}
        # Upper folders first, JSON settings first at each depth: they matter most, and a message may not name all files.
        return sorted(
            (Unloaded(path, how, directory) for path, how in {**new, **unknown, **gone}.items()),
            key=lambda one: (one.path.count(os.sep), not one.path.endswith(".json"), one.path),
        )

    def shown(self, directory: str) -> list[Unloaded]:
        """Return the same as `unloaded`, to be shown before the consent, and remember the content that is shown."""
        self._shown[directory] = contents(directory)
        return self.unloaded(directory)

    def changed_since_shown(self, directory: str) -> list[str]:
        """Return the names of files that changed since they were shown; empty if none were shown since the last consent."""
        shown, found = self._shown.get(directory), contents(directory)
        if shown is None:
            return []
        return [named(path, directory) for path in sorted(shown.keys() | found) if shown.get(path) != found.get(path)]

    def changed(self, directory: str, seen: dict[str, str]) -> bool:
        """Whether the directory's content differs from the one in `seen`, which is then updated."""
        state = repr(sorted(contents(directory).items()))
        return seen.get(directory) != state and not seen.update({directory: state})

    def add(self, directory: str) -> list[str]:
        """Record consent to what was shown of the directory, otherwise to everything that it holds now; return the paths."""
        found = self._shown.pop(directory) if directory in self._shown else contents(directory)
        self.obstacle = ""
        try:
            known = object_in(self._store) | {os.path.realpath(directory): found}
            self._store.parent.mkdir(parents=True, exist_ok=True)
            beside = self._store.with_suffix(f".{os.getpid()}")
            beside.write_text(json.dumps(known, indent=2, sort_keys=True) + "\n", encoding="utf-8")
            beside.replace(self._store)
        except OSError as error:
            self.obstacle = f"{shorten_home(str(self._store))}: {error.strerror or error}"
            self._unwritten[os.path.realpath(directory)] = found
        return list(found)

    def _said(self, directory: str) -> dict[str, str] | None:
        said = (object_in(self._store) | self._unwritten).get(os.path.realpath(directory))
        # Earlier versions kept one hash for three files.
        return said if isinstance(said, dict) else None


def _cli_trusts(directory: str) -> bool:
    """Whether the directory, or one above it in its repository, was trusted in the CLI's dialog; only reads the CLI's file."""
    projects = object_in(cli_file({})).get("projects")
    if not isinstance(projects, dict):
        return False
    answers = (projects.get(str(parent)) for parent in _of_repository(directory))
    return any(isinstance(answer, dict) and answer.get("hasTrustDialogAccepted") is True for answer in answers)


def _of_repository(directory: str) -> Iterator[Path]:
    """Yield a directory and those above it, up to the root of its repository; without a repository only the directory."""
    parents = list(upwards(directory))
    root = next((place for place, parent in enumerate(parents) if os.path.exists(parent / ".git")), 0)
    yield from parents[: root + 1]
