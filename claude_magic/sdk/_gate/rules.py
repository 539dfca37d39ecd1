"""The person's own rules: whether one of them may allow a call.

Nothing is allowed here: if a rule seems to cover a call, the CLI decides about it. But the CLI (2.1.332) allows some calls that
no rule covers, so a pattern must fit the whole command or path. Only `surely_allow` claims to know.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from claude_magic._paths import object_in
from claude_magic.sdk._gate.commands import BLANKS, Inside, covered, is_plain, trimmed
from claude_magic.sdk._gate.tool_list import COMMANDS, EDITING, READING

_GLOB: Final = re.compile(r"[*?\[]")
_SIGN: Final = re.compile(r"\*+|\?|\[[^\]]+\]|.", re.DOTALL)
"""One sign of a pattern for paths."""

_URL: Final = re.compile(r"(?i:https?)://([A-Za-z0-9.-]+)(?::[0-9]{1,5})?(?:[/?#][^\\\x00-\x20\x7f-\xa0\s]*)?")
"""An address that every parser reads alike. For `https://a\\@b/`, Python's finds the host `b`, and the CLI's finds `a`."""


@dataclass(frozen=True, slots=True)
class Settings:
    """Allow rules and additional directories from the settings of the person and of a trusted folder."""

    rules: tuple[str, ...] = ()
    directories: tuple[str, ...] = ()


def settings_in(files: Iterable[Path]) -> Settings:
    """Read settings files; skip those that are missing or broken."""
    rules: list[str] = []
    directories: list[str] = []
    for file in files:
        permissions = object_in(file).get("permissions")
        if isinstance(permissions, dict):
            rules += _texts(permissions.get("allow"))
            directories += _texts(permissions.get("additionalDirectories"))
    return Settings(tuple(rules), tuple(directories))


@dataclass(frozen=True, slots=True)
class Rules:
    """Rules of one person, who works in `directory` and whose home is `home`."""

    texts: tuple[str, ...]
    directory: str
    home: str

    def may_allow(self, tool: str, arguments: Mapping[str, Any], paths: Sequence[str], is_inside: Inside) -> bool:
        """Whether a rule may allow a call.

        :param paths: the resolved paths in the call.
        :param is_inside: tells whether a word of a command leads inside the folder.
        """
        if self.allow_all(tool):
            return True
        given = [content for content in self._contents(tool) if content]
        if tool in COMMANDS:
            command, exact = str(arguments.get("command", "")), frozenset(given)
            return covered(command, exact, lambda part: any(_fits(part, each) for each in given), is_inside)
        if tool in READING | EDITING:
            patterns = [self._pattern(content) for content in given]
            return bool(paths) and all(any(pattern.fullmatch(path) for pattern in patterns) for path in paths)
        if tool == "WebFetch":
            host = host_of(arguments)
            return host is not None and any(fnmatch.fnmatchcase(host, content.removeprefix("domain:")) for content in given)
        value = arguments.get("skill" if tool == "Skill" else "subagent_type")
        return isinstance(value, str) and any(_fits(value, content) for content in given)

    def surely_allow(self, tool: str, arguments: Mapping[str, Any]) -> bool:
        """Whether a rule certainly covers a call: it names the tool, its server, the command or its start, host or skill."""
        named = tool.split("__")
        server = "__".join(named[:2]) if named[0] == "mcp" and len(named) == 3 else tool
        names = {tool, server, f"{server}__*"}
        contents = [content for name, content in map(_divided, self.texts) if name in names]
        if None in contents:
            return True
        if tool == "WebFetch":
            return f"domain:{host_of(arguments)}" in contents
        if tool == "Skill":
            return arguments.get("skill") in contents
        command = trimmed(str(arguments.get("command", "")))
        if tool not in COMMANDS or not is_plain(command):
            return False
        starts = [
            start for content in contents if content for start in (content.removesuffix(":*"), content.removesuffix(" *"))
        ]
        return any(
            command == start or (command.startswith(f"{start} ") and start not in contents)
            for start in starts
            if not _GLOB.search(start)
        )

    def allow_all(self, tool: str) -> bool:
        """Whether a rule may cover the whole tool."""
        return None in self._contents(tool)

    def _contents(self, tool: str) -> Iterator[str | None]:
        """Yield the text in parentheses of each rule for a tool, `None` for a rule that covers the whole tool."""
        return (content for name, content in map(_divided, self.texts) if _same_tool(name, tool))

    def _pattern(self, rule: str) -> re.Pattern[str]:
        """Return what fits the paths that a rule covers; like a line of `.gitignore`, a folder's name covers its files."""
        if rule.startswith("//"):
            root, rule = "", rule[1:]
        elif rule.startswith("~/"):
            root, rule = self.home, rule[1:]
        else:
            at_any_depth = "/" not in rule.removesuffix("/")
            root, rule = self.directory, f"/{'**/' * at_any_depth}{rule.removeprefix('./').removeprefix('/')}"
        parts = [part for part in rule.split("/") if part not in ("", ".")]
        below = ("(?:/[^/]+)*" if part == "**" else "/" + _SIGN.sub(_any_of, part) for part in parts)
        return re.compile(f"{re.escape(root)}{''.join(below)}(?:/.*)?", re.DOTALL)


def host_of(arguments: Mapping[str, Any]) -> str | None:
    """Return the host of an address to fetch; `None` if parsers could disagree about it."""
    found = _URL.fullmatch(str(arguments.get("url", "")))
    return found[1].lower() if found else None


def _divided(rule: str) -> tuple[str, str | None]:
    """Return the tool that a rule names, and the text in its parentheses; `None` if it covers the whole tool."""
    name, bracket, content = rule.strip(BLANKS).partition("(")
    content = content.removesuffix(")").strip(BLANKS)
    return name, content if bracket and content not in ("", "*") else None


def _same_tool(name: str, tool: str) -> bool:
    if tool in EDITING:
        return name in EDITING
    if tool in READING:
        return name in READING | EDITING
    if tool in COMMANDS:
        return name in (tool, "Bash")
    if name.startswith("mcp__"):
        # A rule may name a whole server.
        return tool == name or tool.startswith(f"{name}__") or fnmatch.fnmatchcase(tool, name)
    return name == tool


def _any_of(sign: re.Match[str]) -> str:
    return "[^/]*" if sign[0][0] == "*" else "[^/]" if sign[0] == "?" or len(sign[0]) > 1 else re.escape(sign[0])


def _fits(text: str, pattern: str) -> bool:
    """Whether a pattern fits a whole text: `*` stands for anything, `:*` or ` *` at its end for any further words, or none."""
    start = pattern.removesuffix(":*").removesuffix(" *")
    ways = [start] if start == pattern else [start, *(f"{start}{blank}*" for blank in BLANKS)]
    return any(_matches(text, *way.split("*")) for way in ways)


def _matches(text: str, first: str, *rest: str) -> bool:
    """Whether a text has these parts, the first at its beginning and the last at its end; in linear time."""
    if not rest:
        return text == first
    at = len(first) if text.startswith(first) else -1
    for part in rest[:-1]:
        at = found + len(part) if at >= 0 and (found := text.find(part, at)) >= 0 else -1
    return 0 <= at <= len(text) - len(rest[-1]) and text.endswith(rest[-1])


def _texts(found: object) -> list[str]:
    return [text for text in found if isinstance(text, str)] if isinstance(found, list) else []
