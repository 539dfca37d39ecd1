"""Lets a prompt judge replies. The judge learns neither variant nor model.

A prompt with `{{ first }}` and `{{ second }}` compares each pair of a row's replies, in both orders. Any other prompt gets one
reply, as `{{ reply }}`. `asking` sends the prompts.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Any, Final

from claude_magic.errors import ClaudeError, ConfigError, ScoreError
from claude_magic.sdk._rows.results import RowOutcome
from claude_magic.sdk._rows.work import ROW, Template, columns_of
from claude_magic.sdk.response import plain_data
from claude_magic.sdk.schema import Schema

REPLY: Final = "reply"
FIRST: Final = "first"
SECOND: Final = "second"

_ALONE: Final = {
    "type": "object",
    "properties": {"score": {"type": "number"}},
    "required": ["score"],
    "additionalProperties": False,
}
_COMPARED: Final = {
    "type": "object",
    "properties": {"better": {"enum": [FIRST, SECOND, "neither"]}},
    "required": ["better"],
    "additionalProperties": False,
}
_POINTS: Final = {FIRST: (1.0, 0.0), SECOND: (0.0, 1.0), "neither": (0.5, 0.5)}


@dataclass(frozen=True, slots=True)
class Judgement(RowOutcome):
    """The judge's answer. `about` has the position of the judged reply, or of both replies in the order shown."""

    about: tuple[int, ...] = ()


class Judge:
    """A prompt that judges replies.

    :raises ConfigError: if it cannot be read, or names only one of two replies.
    """

    def __init__(self, text: str) -> None:
        named = Template.names(text)
        if not text.strip():
            raise ConfigError("The prompt of the score is empty.", next_step="Say what to judge by; nothing was sent.")
        if not named & {REPLY, FIRST, SECOND}:
            text = f"{text.rstrip()}\n\n<reply>\n{{{{ {REPLY} }}}}\n</reply>"
        self.template = Template(text)
        self.compares = bool(named & {FIRST, SECOND})
        if self.compares and (not {FIRST, SECOND} <= named or REPLY in named):
            raise ConfigError(
                "The score must name one reply, or two.",
                next_step="Name {{ reply }}, or {{ first }} and {{ second }}; nothing was sent.",
            )
        self.schema = Schema.of(_COMPARED if self.compares else _ALONE)

    def check(self, row: Any) -> None:
        """Check that the prompt fits a row.

        :raises ConfigError: if a column is missing, or has a name that the prompt needs for a reply.
        """
        names = (FIRST, SECOND) if self.compares else (REPLY,)
        self.template.fill(row, dict.fromkeys(names, "x"))

    def items(self, replies: Iterable[RowOutcome], arms: int) -> Iterator[tuple[tuple[int, ...], dict[str, Any]]]:
        """Yield each judgement to make: the positions of the replies, and the values for the prompt."""
        answered = [outcome for outcome in replies if outcome.error is None]
        if not self.compares:
            for outcome in answered:
                yield (outcome.position,), _filling(outcome.row) | {REPLY: plain_data(outcome.value)}
            return
        rows: defaultdict[int, list[RowOutcome]] = defaultdict(list)
        for outcome in answered:
            rows[outcome.position // arms].append(outcome)
        for _, found in sorted(rows.items()):
            for one, other in combinations(sorted(found, key=lambda outcome: outcome.position), 2):
                for first, second in ((one, other), (other, one)):
                    shown = {FIRST: plain_data(first.value), SECOND: plain_data(second.value)}
                    yield (first.position, second.position), _filling(one.row) | shown


class Verdicts:
    """The judge's answers, and the scores computed from them."""

    def __init__(self) -> None:
        self._said: dict[tuple[int, ...], str | float | ClaudeError] = {}

    def add(self, judgement: Judgement) -> None:
        """Add one answer of the judge."""
        if judgement.error is None:
            (said,) = judgement.value.values()
            self._said[judgement.about] = said
        elif judgement.asked:
            self._said[judgement.about] = judgement.error

    def scores(self) -> dict[int, float | ClaudeError]:
        """Return the score of each judged reply: the judge's number, or the share of comparisons that it won.

        A pair counts if it was judged in both orders.
        """
        points: defaultdict[int, list[float]] = defaultdict(list)
        failed: dict[int, ClaudeError] = {}
        for about, said in self._said.items():
            if isinstance(said, ClaudeError):
                failed |= dict.fromkeys(about, ScoreError(f"The score could not be asked for: {said.message}"))
            elif isinstance(said, str):
                if isinstance(self._said.get(about[::-1]), str):
                    for place, won in zip(about, _POINTS[said], strict=True):
                        points[place].append(won)
            else:
                points[about[0]].append(float(said))
        return {**failed, **{place: sum(won) / len(won) for place, won in points.items()}}

    def by_place(self) -> tuple[int, int]:
        """Return for how many pairs the judge preferred the same slot in both orders, and how many were judged in both."""
        pairs = [
            (said, self._said.get(about[::-1]))
            for about, said in self._said.items()
            if len(about) == 2 and about[0] < about[1] and isinstance(said, str)
        ]
        both = [(said, back) for said, back in pairs if isinstance(back, str)]
        return sum(said == back != "neither" for said, back in both), len(both)


def _filling(row: Any) -> dict[str, Any]:
    return {ROW: row, **columns_of(row)}
