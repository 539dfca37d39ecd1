"""Judges each tool call before it runs: it passes to the CLI, the person is asked, or it is denied.

The gate never allows a call: the CLI may still ask about or deny what passes here. Asking too much costs only a question. What
runs unasked must be in our list, or allowed by a rule or the mode.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum, auto
from functools import lru_cache
from pathlib import Path
from typing import Any, Final

from claude_magic._paths import home_directory, our_config, our_data
from claude_magic.sdk._folder.contents import settings_files
from claude_magic.sdk._gate.call import Call, paths_of, resolved, within
from claude_magic.sdk._gate.commands import BLANKS, only_edits, only_reads, parts_of, searches, trimmed
from claude_magic.sdk._gate.rules import Rules, host_of, settings_in
from claude_magic.sdk._gate.side_effects import SideEffects
from claude_magic.sdk._gate.tool_list import COMMANDS, EDITING, HARMLESS, HELPERS, OFF, QUESTIONS, READING, UNASKED

PLANNING: Final = "Plan mode changes nothing. Read, think, and hand in the plan; nothing else is allowed until it is accepted."
NOT_ASKED: Final = "It was not allowed before, and this permission mode does not ask."
RAISED: Final = "the definition of this helper gives it more permissions than this session has"
SWITCHED_OFF: Final = "This tool is off here."
UNFIT: Final = "Its arguments cannot be used here: a path is not valid, or an argument has another type."

_LONGEST_PATH: Final = 4096
"""The most characters of a path. Linux opens no longer one, and looking at it would take very long."""

_HELPER_ARGUMENTS: Final = {"description", "prompt", "subagent_type", "model", "effort", "run_in_background", "name"}
"""Any other argument gives a helper another directory or other permissions."""

_ALL_EDITS: Final = ("Edit(**)",)
"""What "yes, for this session" allows if it is said to an edit inside the folder."""

_RAISED: Final = ("acceptEdits", "bypassPermissions", "auto")

_CLI_ASKS: Final = ("default", "acceptEdits", "plan", "dontAsk")
"""The modes in which, if no rule covers a call, the CLI is known to ask, deny or edit as the mode says.

In `auto` a model would judge (2.1.332), and later modes are unknown: there, the gate itself asks.
"""


class Verdict(Enum):
    """The result of judging a call."""

    PASS = auto()
    ASK = auto()
    DENY = auto()


class Gate:
    """Judges the calls of one process.

    :param directory: the folder of the conversation.
    :param home: the person's home directory; `~` in rules means it.
    :param cli_home: the CLI's directory. Unasked, a session uses only its own files there, and in plan mode its own plans.
    :param rules: the person's own allow rules.
    :param granted: rules that were allowed for the session, as `rules_for` returns them.
    :param harmless: names of our own tools that only look.
    :param trusted: whether the settings of the folder apply.
    :param asks_below: whether a person must agree before the CLI loads anything from a subfolder.
    """

    def __init__(
        self,
        directory: str,
        cli_home: Path,
        *,
        home: str,
        rules: Iterable[str] = (),
        granted: Iterable[str] = (),
        harmless: Iterable[str] = (),
        trusted: bool = False,
        asks_below: bool = False,
    ) -> None:
        settings = settings_in([cli_home / "settings.json", *(settings_files(directory) if trusted else ())])
        self._directory = os.path.realpath(directory)
        self._cli_home, self._home = os.path.realpath(cli_home), os.path.realpath(home)
        self._programs_own = [self._cli_home, os.path.realpath(our_config()), os.path.realpath(our_data())]
        self._roots = [self._directory, *(resolved(path, directory) for path in settings.directories)]
        self._rules = Rules((*rules, *settings.rules), self._directory, home)
        self._granted = set(granted)
        self._plans: set[str] = set()
        self._harmless = UNASKED | frozenset(harmless)
        self.effects = SideEffects(self._directory, self._rules, trusted=trusted, asks_below=asks_below)

    def judge(self, call: Call, own_mode: str | None) -> tuple[Verdict, str]:
        """Return the verdict and its reason in words. `own_mode` is the process's mode; a helper's may differ."""
        try:
            return self._judged(call, own_mode)
        except (ValueError, TypeError, RecursionError):  # a null character, half a surrogate, an argument of another type
            return Verdict.DENY, UNFIT

    def _judged(self, call: Call, own_mode: str | None) -> tuple[Verdict, str]:
        if any(len(path) > _LONGEST_PATH for path in paths_of(call.tool, call.arguments)):
            return Verdict.DENY, UNFIT
        # A helper's definition may name a mode with more permissions, but only the person may give these.
        raised = call.by_helper and call.mode in _RAISED and call.mode != own_mode
        if not raised and not (call.by_helper and own_mode == "plan"):
            return self._judge(call, call.mode)
        verdict, reason = self._judge(call, own_mode or "default", cli_asks=not raised)
        if raised and verdict is Verdict.PASS and call.tool in EDITING:
            return (Verdict.DENY, NOT_ASKED) if own_mode == "dontAsk" else (Verdict.ASK, RAISED)
        return verdict, reason

    def _judge(self, call: Call, mode: str, *, cli_asks: bool = True) -> tuple[Verdict, str]:
        """Judge a call as in a mode.

        :param cli_asks: whether the CLI asks about a call if we pass it because of a rule that does not really cover it.
        """
        cli_asks = cli_asks and mode in _CLI_ASKS
        if_not_allowed = Verdict.DENY if mode == "dontAsk" else Verdict.ASK
        if call.tool in QUESTIONS and mode != "dontAsk":
            return Verdict.ASK, ""
        if mode == "bypassPermissions":
            return Verdict.PASS, ""
        reason = ""
        # The order matters: what is denied or asked about above cannot pass below.
        if mode == "plan" and not self._changes_nothing(call):
            return Verdict.DENY, PLANNING
        if new := self.effects.loads(call) or self.effects.changes_trusted(call):
            return if_not_allowed, new
        if call.tool in READING | EDITING:
            paths = call.paths
            elsewhere = [path for path in paths if not self._is_open(path, call)]
            written = (_written(path, call.cwd) for path in paths_of(call.tool, call.arguments))
            elsewhere += [path for path, real in zip(written, paths, strict=True) if self._hides(path, real)]
            # We ask: by default the CLI (2.1.332) lets through edits of what it takes for its own memory, wherever that is.
            is_asked = mode not in ("acceptEdits", "plan") and not (mode in _CLI_ASKS and self.was_granted(_ALL_EDITS))
            may_be_open = call.tool in READING or not is_asked
            if paths and ((may_be_open and not elsewhere) or self._may_allow(call, paths, cli_asks=cli_asks)):
                return Verdict.PASS, ""
            reason = self._why_closed(elsewhere[0]) if elsewhere else ""
        elif call.tool not in HELPERS and self._is_free(call, mode):
            return Verdict.PASS, ""
        elif runs := self.effects.git_runs(call):
            return if_not_allowed, runs
        elif self._is_free(call, mode) or self._may_allow(call, cli_asks=cli_asks):
            return Verdict.PASS, ""
        elif call.tool in OFF:
            return Verdict.DENY, SWITCHED_OFF
        # An ASK that a grant covers is answered without a question, in `dontAsk`, too.
        if if_not_allowed is Verdict.DENY and not self.was_granted(self.rules_for(call.tool, call.arguments, reason, call.cwd)):
            return Verdict.DENY, NOT_ASKED
        return Verdict.ASK, reason

    def rules_for(
        self, tool: str, arguments: Mapping[str, Any], reason: str | None = None, cwd: str | None = None
    ) -> tuple[str, ...]:
        """Return what "yes, for this session" allows, as rules that can be typed, no broader than what the person sees.

        :param reason: why the call is asked about. With a reason, an edit inside the folder is asked about each time.
        :param cwd: the call's directory, `None` for the folder. Elsewhere the same command does something else, and is asked
            about each time.
        """
        cwd = cwd or self._directory
        if tool in COMMANDS:
            if self.is_elsewhere(cwd) or arguments.get("dangerouslyDisableSandbox"):
                return ()
            return (f"{tool}({trimmed(str(arguments.get('command', '')))})",)
        if tool in READING | EDITING:
            paths = [resolved(path, cwd) for path in paths_of(tool, arguments)]
            if any(map(self._is_private, paths)):
                return ()
            if paths and all(within(path, self._directory) for path in paths):
                return _ALL_EDITS if tool in EDITING and not reason else ()
            return tuple(_outside_rule(tool, path) for path in paths)
        if tool == "WebFetch":
            host = host_of(arguments)
            return (f"WebFetch(domain:{host})",) if host else ()
        if tool == "Skill":
            return (f"Skill({arguments.get('skill', '')})",)
        return () if tool in HELPERS | QUESTIONS | {"Workflow", "EnterPlanMode", "ExitPlanMode"} else (tool,)

    def reason_for(self, tool: str, path: str | None, cwd: str) -> str | None:
        """Say in words why the CLI asks about a command; it (2.1.332) names only a path."""
        if path is None or tool not in COMMANDS:
            return None
        path = resolved(path, cwd)
        return f"because of {os.path.relpath(path, cwd)}" if within(path, os.path.realpath(cwd)) else _leads_out(path)

    def is_elsewhere(self, cwd: str) -> bool:
        """Whether `cwd` is any but the folder itself, even a subfolder, as in the worktree of a helper."""
        return os.path.realpath(cwd) != self._directory

    def grant(self, rules: Iterable[str]) -> None:
        """Remember what a person has allowed for the session."""
        self._granted |= set(rules)

    def was_granted(self, rules: tuple[str, ...]) -> bool:
        """Whether all rules that a call needs were allowed for the session."""
        return bool(rules) and self._granted >= set(rules)

    def adds_to_rules(self, rules: Iterable[str]) -> bool:
        """Whether these rules allow anything that the person's own rules do not."""
        return not set(rules) <= {text.strip(BLANKS) for text in self._rules.texts}

    def _changes_nothing(self, call: Call) -> bool:
        if call.tool in HARMLESS | self._harmless or self._reads(call):
            return True
        # The CLI keeps the plan in a file that it names. Other edits are denied.
        plans = os.path.join(self._cli_home, "plans")
        paths = call.paths if call.tool in EDITING else []
        return bool(paths) and all(within(path, plans) for path in paths)

    def _is_free(self, call: Call, mode: str) -> bool:
        """Whether a call of a tool outside `READING | EDITING` may pass to the CLI."""
        if call.tool in HELPERS:
            return call.arguments.keys() <= _HELPER_ARGUMENTS
        if mode == "acceptEdits" and self._edits_files(call):
            return True
        # The CLI always asks about ExitPlanMode, and its question contains the plan.
        return call.tool in self._harmless or call.tool == "ExitPlanMode" or self._reads(call)

    def _may_allow(self, call: Call, paths: Sequence[str] = (), *, cli_asks: bool) -> bool:
        """Whether a rule covers a call. If the CLI asks wherever none does, a possible match is enough."""
        if not cli_asks:
            return self._rules.surely_allow(call.tool, call.arguments)
        return self._rules.may_allow(call.tool, call.arguments, paths, lambda word: self._leads_inside(word, call))

    def _reads(self, call: Call) -> bool:
        return call.tool == "Bash" and only_reads(call.command, lambda word: self._leads_inside(word, call))

    def _edits_files(self, call: Call) -> bool:
        return call.tool == "Bash" and only_edits(call.command, lambda word: self._leads_inside(word, call))

    def _leads_inside(self, word: str, call: Call) -> bool:
        real = resolved(word, call.cwd)
        return self._is_open(real, call) and not self._hides(_written(word, call.cwd), real)

    def _is_open(self, path: str, call: Call) -> bool:
        """Whether the CLI may decide about this path: it is inside the folder, or belongs to the session."""
        own = call.own_files and within(path, os.path.realpath(call.own_files))
        if call.tool not in EDITING and (own or (call.session_id and call.session_id in path.split(os.sep))):
            return True
        if (within(self._cli_home, path) or within(self._home, path)) and _searches(call):
            return False
        if self._is_private(path):
            return call.mode == "plan" and self._is_own_plan(path, call)
        # The CLI (2.1.332) writes `launch.json` and agents' memory unasked.
        if call.tool in EDITING and ".claude" in path.lower().split(os.sep):
            return False
        if _is_device(path):
            return False
        return any(within(path, root) for root in self._roots)

    def _hides(self, path: str, real: str) -> bool:
        """Whether a path is private, and a link, as many keep them, to a place that is not."""
        return self._is_private(path) and not self._is_private(real)

    def _is_private(self, path: str) -> bool:
        """Whether a path is Claude Code's or ours, or hidden in the home directory, where keys and programs' settings are.

        A session or a setting that names a hidden folder of the home directory opens it.
        """
        if any(within(path, place) for place in self._programs_own) or path.startswith(f"{self._cli_home}.json"):
            return True
        name = os.path.relpath(path, self._home).split(os.sep)[0] if within(path, self._home) else ""
        is_named = any(within(path, root) and within(root, os.path.join(self._home, name)) for root in self._roots)
        return len(name) > 1 and name.startswith(".") and not is_named

    def _is_own_plan(self, path: str, call: Call) -> bool:
        """Whether a plan was written in this session, or would be new. The CLI does not say which plan is the session's."""
        is_plan = within(path, os.path.join(self._cli_home, "plans")) and path.endswith(".md")
        if is_plan and call.tool in EDITING and not os.path.lexists(path):
            self._plans.add(path)
        return path in self._plans

    def _why_closed(self, path: str) -> str:
        if within(self._cli_home, path) or within(self._home, path):
            return "would search Claude Code's own files, or hidden ones of the home folder, too"
        if _is_device(path):
            return "because this is a pipe or a device, and no file"
        if not within(path, self._directory):
            return _leads_out(path)
        return "because this file may belong to Claude Code, or hold keys or settings of a program"


def _written(path: str, cwd: str) -> str:
    """Return the absolute path, with its links."""
    return os.path.normpath(os.path.join(os.path.realpath(cwd), os.path.expanduser(path)))


def _searches(call: Call) -> bool:
    """Whether a call looks into everything below a directory."""
    return call.tool in ("Glob", "Grep") or _searches_below(call.command)


@lru_cache(maxsize=16)
def _searches_below(command: str) -> bool:
    return any(map(searches, parts_of(command)))


def _is_device(path: str) -> bool:
    """Whether a path is neither a file nor a folder. Reading a pipe could take for ever."""
    return os.path.exists(path) and not os.path.isfile(path) and not os.path.isdir(path)


def _leads_out(path: str) -> str:
    return f"leads to {path}, outside the folder"


def _outside_rule(tool: str, path: str) -> str:
    """Return a rule for a path outside the folder.

    For an edit it allows this file. For a search, which names a directory, it allows this directory and all below. For another
    read it allows the files of its directory, but in the home directory or one above only this file.
    """
    if tool not in EDITING and os.path.isdir(path):
        return f"Read(/{path}/**)"
    directory = os.path.dirname(path)
    if tool in EDITING or within(os.path.realpath(home_directory()), directory):
        return f"{'Edit' if tool in EDITING else 'Read'}(/{path})"
    return f"Read(/{directory}/*)"
