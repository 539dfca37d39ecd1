"""The one list of the CLI's tools: each is allowed unasked, asked, or off. A tool that is in no list is asked."""

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
"""Allowed unasked: Claude's own notes, and the end or the output of work that it has begun itself."""

HELPERS: Final = frozenset({"Agent", "Task"})
"""Allowed unasked where they do nothing but send off a helper, each of whose calls is judged like Claude's own."""

EDITING: Final = frozenset({"Write", "Edit", "MultiEdit", "NotebookEdit"})
"""Asked; the permission mode `acceptEdits`, a rule, or a yes for the session allows them inside the folder."""

COMMANDS: Final = frozenset({"Bash", "Monitor", "PowerShell"})
"""Asked, but for a command of Bash that only reads files of the folder."""

WEB: Final = frozenset({"WebFetch", "WebSearch"})
"""Asked, whatever the site."""

QUESTIONS: Final = frozenset({QUESTION})
"""Asked each time, whatever the rules and the mode: the person's answer is what it is for. Off where nobody can be asked."""

ASKED: Final = EDITING | COMMANDS | WEB | QUESTIONS | {"Skill", "Workflow", "EnterPlanMode", "ExitPlanMode"}
"""Asked each time. Here stand those that are known, for a reader; what is in no list is asked like them."""

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
"""Not offered to Claude: what acts later, elsewhere, or on other sessions.

A rule of the person's that names one offers it again.
"""

HARMLESS: Final = READING | UNASKED | HELPERS | WEB | QUESTIONS | {"ExitPlanMode"}
"""What plan mode leaves possible, asked or not: it changes nothing."""


def switched_off(rules: Iterable[str], *, asks: bool) -> tuple[str, ...]:
    """Return the tools that are off for somebody with these rules; `asks` says whether somebody can be asked."""
    named = {rule.partition("(")[0].strip() for rule in rules}
    return tuple(sorted((OFF - named) | (frozenset() if asks else QUESTIONS)))
