"""What comes with a tool call besides what it does itself: files that the CLI loads with it, programs that git would run.

Both can come into a folder at any time, so they are looked for at each call. If either is new, the person is asked even about
a call that was allowed before.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Final

from claude_magic.sdk._folder.contents import UNKNOWN, Below, contents, loaded_below, missing
from claude_magic.sdk._folder.git_settings import (
    INSIDE,
    MOST_BELOW,
    git_programs,
    is_written,
    leads_to_repository,
    odd_entries,
    repositories_below,
    unfinished,
)
from claude_magic.sdk._folder.memories import memories_of_agents
from claude_magic.sdk._gate.call import Call, named_in, places_of, within
from claude_magic.sdk._gate.commands import acted_on, goes_on_behind, only_prints, parts_of, words_of, writes, writes_anything
from claude_magic.sdk._gate.git_words import LOOKS, SIMPLE, STORED, changes_work_tree, git_use, is_plain_git, names_git
from claude_magic.sdk._gate.rules import Rules
from claude_magic.sdk._gate.tool_list import COMMANDS, EDITING, HELPERS

_ALL_OF_GIT: Final = frozenset({"Bash(git *)", "Bash(git:*)"})
"""Rules that allow every git command."""

_LONGEST_COMMAND: Final = 50_000
"""The longest command that is searched for paths, in characters: it takes half a second."""

_BUILT_IN: Final = frozenset({"general-purpose", "Explore", "Plan", "statusline-setup", "claude-code-guide"})
"""The helpers that come with the CLI (2.1.332)."""

_MOST_INSIDE: Final = 30
"""The most repositories inside others that are looked at; each may be nested in all others."""

_MOST_WORDS: Final = 500
"""The most words of a command with git that are looked up in the file system."""

_MOST_FOLDERS: Final = 100
"""The most folders named by a call that are looked at."""


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What may change between the question about a call and its answer.

    `loaded`: what the CLI loads with the call's files, by path. `asks_anew`: a reason to ask about the call even if it was
    allowed before. `files`: the states of the files that it changes.
    """

    loaded: Mapping[str, Below]
    asks_anew: str
    files: tuple[object, ...]


class SideEffects:
    """Looks for the side effects of the calls of one process.

    :param directory: the folder of the conversation, as a real path.
    :param rules: the person's rules. If they allow all of git, nothing is asked about git's settings.
    :param trusted: whether the person trusts the folder as it is when this object is made.
    :param asks_below: whether a person must agree before the CLI loads anything from a subfolder.
    """

    def __init__(self, directory: str, rules: Rules, *, trusted: bool, asks_below: bool) -> None:
        self._directory = directory
        self._rules = rules
        self._is_trusted = trusted
        self._git_trusted = git_programs(directory, only_looks=False) if trusted else {}
        """What git would run in the folder when the process was started, if the person trusts it."""
        self._trusted = [*contents(directory), *missing(directory)] if trusted else []
        """The files that the person trusts, such as a hook's script. The process would run them even after a change."""
        self._allowed: dict[str, str] | None = {} if asks_below else None
        """By path in a subfolder: the state in which a person allowed the CLI to load it; `None` allows all."""

    def circumstances(self, call: Call) -> Circumstances:
        """Return what the answer about a call depends on now, besides the call itself."""
        files = tuple((path, _state(path)) for path in call.paths) if call.tool in EDITING else ()
        loaded = self._loaded(call)
        return Circumstances(
            loaded, self._not_allowed(loaded, call) or self.changes_trusted(call) or self.git_runs(call), files
        )

    def accept(self, circumstances: Circumstances) -> None:
        """Remember as allowed what the CLI loads with the files of a call, because a person has allowed the call."""
        if self._allowed is not None:
            self._allowed |= {path: below.state for path, below in circumstances.loaded.items()}

    def loads(self, call: Call) -> str:
        """Return why to ask about a call: with its files the CLI would load what nobody has allowed. Empty if it would not."""
        if _is_own_helper(call) and not self._is_trusted and (found := memories_of_agents(self._directory)):
            return f"with it Claude Code may load {found[0]}, which nobody has approved"
        return self._not_allowed(self._loaded(call), call)

    def _not_allowed(self, found: Mapping[str, Below], call: Call) -> str:
        if self._allowed is None:
            return ""
        if len(call.command) > _LONGEST_COMMAND:
            return "it is too long to be searched for what Claude Code loads with its files"
        allowed = self._allowed
        new = {path: below for path, below in found.items() if below.state == UNKNOWN or allowed.get(path) != below.state}
        named = ", ".join(_named(path, below.target) for path, below in new.items())
        return f"with it Claude Code loads {named}, which nobody has approved" if new else ""

    def changes_trusted(self, call: Call) -> str:
        """Return why to ask about a call that may change a file that the person trusts, such as a hook's script.

        A command may do so if it names the file, unless it only reads or runs it.
        """
        if not self._trusted:
            return ""
        if len(call.command) > _LONGEST_COMMAND:
            return "it is too long to be searched for files that are trusted"
        changed, names = call.paths if call.tool in EDITING else [], set[str]()
        parts = parts_of(call.command, with_all_lines=True) if call.tool in COMMANDS else []
        trusted = self._trusted
        if any(map(writes_anything, parts)):
            changed = [self._directory]
        elif any(map(changes_work_tree, parts)):
            changed, trusted = [self._directory], [path for path in trusted if ".git" not in path.split(os.sep)]
        else:
            words = acted_on(call.command, _changes_nothing) if parts else ""
            named = named_in(call.tool, {"command": words}, call.cwd)
            # After `cd` in the command, a path starts at another folder, so its last name is compared, too.
            names = {os.path.basename(os.path.normpath(path)) for path in named}
            changing = (part for part in parts if not _changes_nothing(part))
            bundled = (
                word for part in changing for word in words_of(part) if word.startswith("-") and not word.startswith("--")
            )
            options = [*islice(bundled, _MOST_FOLDERS)]
            names |= {name for path in trusted if any(word.endswith(name := os.path.basename(path)) for word in options)}
            if plainly := any(writes(part) or (names_git(part) and not is_plain_git(part)) for part in parts):
                # A program may put a file into a folder, keeping its name.
                folders = [*filter(os.path.isdir, named)][:_MOST_FOLDERS]
                named += [os.path.join(folder, os.path.basename(path)) for folder in folders for path in named[:_MOST_FOLDERS]]
            changed += [os.path.realpath(path) for path in named if plainly or os.path.isfile(path)]
            names = names if plainly else names & {*map(os.path.basename, trusted)}
        files = {_identity(path) for path in changed} - {None}  # a hard link is another name of a file
        around = {folder for path in changed for folder in _with_parents(path)}
        # From a subfolder, a hook with a relative path would run another file with the same end.
        ends = "\0".join((*changed, ""))
        found = (
            path
            for path in (trusted if changed or names else ())
            for real, inside in [(os.path.realpath(path), os.path.relpath(path, self._directory))]
            if real in around
            or not _with_parents(real).isdisjoint(changed)
            or f"/{inside}\0" in ends
            or not names.isdisjoint(inside.split(os.sep))
            or _identity(path) in files
        )
        return f"it may change {path}, which is trusted" if (path := next(found, "")) else ""

    def git_runs(self, call: Call) -> str:
        """Return why to ask about a command, skill or helper that may call git: settings would make git run programs.

        The CLI (2.1.332) runs the commands in a skill without asking, also when the definition of a helper names the skill.

        These settings may be newer than the process, or those of a folder that the command names, as in
        `git -C vendor status`. In another folder, such as a helper's worktree, any command counts: its program may call git.
        """
        runs_skills = call.tool == "Skill" or _is_own_helper(call)
        may_call_git = runs_skills or (
            call.tool in COMMANDS and (names_git(call.command) or os.path.realpath(call.cwd) != self._directory)
        )
        tool = "Bash" if runs_skills else call.tool
        if not may_call_git or self._rules.allow_all(tool) or not _ALL_OF_GIT.isdisjoint(self._rules.texts):
            return ""
        if len(call.command) > _LONGEST_COMMAND:
            return "it is too long to be searched for folders with git settings"
        use = git_use(call.command)
        if names_git(call.command) and not use.is_clear:
            return "git may use settings or programs that cannot be looked at beforehand"
        # What is looked at here may have changed when git begins.
        stays_behind = call.tool in COMMANDS and (call.arguments.get("run_in_background") or goes_on_behind(call.command))
        if stays_behind or call.tool == "Monitor" or (use.waits and not self._is_trusted):
            return "git's settings may change until it runs"
        named_commands, only_looks = use.commands - {""}, use.commands <= LOOKS and not runs_skills
        if not self._is_trusted and not named_commands <= STORED:
            return "the folder is not trusted, and this may do more with git than a rule can tell"
        is_simple = named_commands <= SIMPLE
        if len(call.command.split()) > _MOST_WORDS:
            return "it has more words than are looked up"
        places = places_of(call.tool, call.arguments, call.cwd)
        folders = {*map(os.path.dirname, places)}
        if not only_looks:  # git also tries a remote's path with `.git` added
            places += [f"{path}.git" for path in (*folders, *places)]
            folders |= set(places)
        if not is_simple and (file := next(filter(leads_to_repository, places), "")):
            return f"{file} leads git to another repository"
        if len(named := sorted(filter(os.path.isdir, folders))) > _MOST_FOLDERS:
            return "it names more folders than are searched for git settings"
        if outside := self._outside(use.words, [call.cwd, *(folder for folder in named if within(folder, self._directory))]):
            return f"it names {outside}, outside the folder"
        if not is_simple and (state := next(filter(None, map(unfinished, (call.cwd, *named))), "")):
            return f"git would go on with what {state} says, which may name programs"
        trusts_inside = any(INSIDE in programs for programs in self._git_trusted.values())
        below = [] if trusts_inside else repositories_below((call.cwd, *named))
        if below is None:
            return f"more than {MOST_BELOW:,} folders are there, in which git may find other repositories"
        if len(below) > _MOST_INSIDE:
            return f"more than {_MOST_INSIDE} other repositories are inside"
        for folder in (call.cwd, *named, *below):
            for place, entries in odd_entries(folder).items():
                if not set(entries) <= set(self._git_trusted.get(place, ())):
                    return f"git may reach files elsewhere: {place} is no plain repository ({entries[0]})"
                if not only_looks and (link := next(filter(is_written, entries), "")):
                    return f"git may write into another file: {place} holds {link}"
            for place, programs in git_programs(folder, only_looks=only_looks).items():
                if not set(programs) <= set(self._git_trusted.get(place, ())):
                    return f"git would run programs here: {place} says so"
        return ""

    def _outside(self, words: Iterable[str], folders: Collection[str]) -> str:
        """Return the first of these words that is a path out of the folder, read from one of `folders`."""
        names = {os.path.expanduser(word) for word in words if word and "\0" not in word}
        paths = (os.path.join(folder, name) for name in sorted(names) for folder in folders)
        found = (path for path in paths if path != os.devnull and os.path.lexists(path))
        return next((path for path in found if not within(os.path.realpath(path), self._directory)), "")

    def _loaded(self, call: Call) -> dict[str, Below]:
        if self._allowed is None or len(call.command) > _LONGEST_COMMAND:
            return {}
        return loaded_below(places_of(call.tool, call.arguments, call.cwd), self._directory)


def _changes_nothing(part: str) -> bool:
    return only_prints(part) or (part.startswith("git") and is_plain_git(part) and not writes(part))


def _named(path: str, target: str | None) -> str:
    return f"{path} (which leads out of its folder, to {target})" if target else path


def _is_own_helper(call: Call) -> bool:
    """Whether a call starts a helper that the person has defined, perhaps with skills or a memory."""
    return call.tool in HELPERS and call.arguments.get("subagent_type", "general-purpose") not in _BUILT_IN


def _with_parents(path: str) -> set[str]:
    parts = path.split(os.sep)
    return {os.sep.join(parts[:count]) or os.sep for count in range(1, len(parts) + 1)}


def _identity(path: str) -> tuple[int, int] | None:
    try:
        state = os.stat(path)
    except OSError:
        return None
    return state.st_dev, state.st_ino


def _state(path: str) -> object:
    """Return a value that changes when the file does. Nobody can set `st_ctime_ns`; on Windows it never changes."""
    try:
        state = os.stat(path)
    except OSError:
        return None
    return state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns
