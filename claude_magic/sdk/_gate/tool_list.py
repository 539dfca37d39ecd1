"""The only list of the CLI's tools: each is allowed unasked, asked about, or off. A tool in no list is asked about."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from claude_magic.sdk.host import QUESTION

READING: Final = frozenset({"Read", "Glob", "Grep"})
"""Allowed unasked inside the folder of the conversation; asked elsewhere."""

UNASKED: Final = frozenset(
    {
        "ToolSearch",
        "ReportFindings",
        "StructuredOutput",
        "TodoWrite",
        "TaskCreate",
        "TaskGet",
        "TaskList",
        "TaskUpdate",
        "TaskOutput",
        "TaskStop",
    }
)
"""Allowed unasked: Claude's own notes, and stopping or reading work that Claude itself has started."""

HELPERS: Final = frozenset({"Agent", "Task"})
"""Allowed unasked if they only start a helper. Each call of the helper is judged like one of Claude's own."""

EDITING: Final = frozenset({"Write", "Edit", "MultiEdit", "NotebookEdit"})
"""Asked unless a rule or a yes for the session allows them, or, inside the folder, the permission mode `acceptEdits`."""

COMMANDS: Final = frozenset({"Bash", "Monitor", "PowerShell"})
"""Asked, except for Bash commands that only read files of the folder."""

WEB: Final = frozenset({"WebFetch", "WebSearch"})
"""Asked; a yes for the session allows one site, or all web searches."""

QUESTIONS: Final = frozenset({QUESTION})
"""Asked each time, whatever the rules and the mode: the person's answer is its purpose. Off where nobody can be asked."""

ASKED: Final = EDITING | COMMANDS | WEB | QUESTIONS | {"Skill", "Workflow", "EnterPlanMode", "ExitPlanMode"}
"""Asked if nothing allows them. This list is only for readers and tests, as a tool in no list is asked about as well."""

OFF: Final = frozenset(
    {
        "CronCreate",
        "CronDelete",
        "CronList",
        "ScheduleWakeup",
        "EnterWorktree",
        "ExitWorktree",
        "ListAgents",
        "SendMessage",
        "SendUserMessage",
        "SendUserFile",
        "PushNotification",
        "RemoteTrigger",
    }
)
"""Not offered to Claude: tools that act later, in another directory, or on other sessions.

A rule of the person that names one of them offers it again.
"""

HARMLESS: Final = READING | UNASKED | HELPERS | WEB | QUESTIONS | {"ExitPlanMode"}
"""Possible in plan mode, unasked or after a question: these tools change nothing."""


def switched_off(rules: Iterable[str], *, asks: bool) -> tuple[str, ...]:
    """Return the tools that are off with these rules. `asks` says whether somebody can be asked."""
    named = {rule.partition("(")[0].strip() for rule in rules}
    return tuple(sorted((OFF - named) | (frozenset() if asks else QUESTIONS)))
