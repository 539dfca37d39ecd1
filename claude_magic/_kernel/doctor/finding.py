"""The doctor's findings, and how they are written: as lines for a bug report, or as JSON."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from claude_magic._characters import strip_controls
from claude_magic._paths import shorten_home
from claude_magic._redaction import redact
from claude_magic._text import word_wrapper

_WIDTH = 100
_NARROWEST = 20


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the report. `next_step` says what to do; it is empty if nothing is wrong."""

    topic: str
    text: str
    next_step: str = ""


def report(findings: Sequence[Finding], columns: int | None = None) -> str:
    """Write the findings as text: a line each, with `!` if something must be done, and at the end what to do.

    :param columns: the greatest width of a line.
    """
    width = max(len(finding.topic) for finding in findings)
    lines = []
    for finding in map(_shareable, findings):
        head = f"{'!' if finding.next_step else ' '} {finding.topic:<{width}}  "
        room = max(_NARROWEST, min(_WIDTH, (columns or _WIDTH) - len(head)))
        wrapped = word_wrapper(room).wrap(finding.text) or [""]
        lines += [head + wrapped[0], *(" " * len(head) + line for line in wrapped[1:])]
    steps = list(dict.fromkeys(finding.next_step for finding in map(_shareable, findings) if finding.next_step))
    if not steps:
        return "\n".join([*lines, "", "Nothing is in the way."])
    return "\n".join([*lines, "", "What to do:", *(f"{number}. {step}" for number, step in enumerate(steps, 1))])


def as_json(findings: Sequence[Finding]) -> str:
    """Write the findings as a JSON object: whether all is well, and each finding by its topic."""
    told = [asdict(_shareable(finding)) for finding in findings]
    found = {one.pop("topic"): one for one in told}
    return json.dumps({"ok": not any(one.next_step for one in findings), "findings": found}, indent=2, ensure_ascii=False)


def _shareable(finding: Finding) -> Finding:
    return Finding(finding.topic, _for_anybody(finding.text), _for_anybody(finding.next_step))


def _for_anybody(text: str) -> str:
    """Leave out credentials, and the home directory in both of its spellings."""
    home = os.path.expanduser("~")
    return strip_controls(redact(shorten_home(shorten_home(text), os.path.realpath(home))))
