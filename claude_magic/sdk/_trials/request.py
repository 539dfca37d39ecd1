"""What a trial compares, each variant of a template with each model, and how replies are scored: by a function or a judge.

The judge is a prompt, and learns neither variant nor model. A prompt with `{{ first }}` and `{{ second }}` compares each pair
of a row's replies, in both orders. Any other prompt gets one reply, as `{{ reply }}`. `asking` sends the prompts, `trial`
computes the results.
"""

from __future__ import annotations

import inspect
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import combinations, product
from typing import Any, Final

from claude_magic._libraries import library
from claude_magic.errors import ClaudeError, ConfigError, ScoreError
from claude_magic.sdk._rows.request import Arm
from claude_magic.sdk._rows.results import RowOutcome
from claude_magic.sdk._rows.work import ROW, Template, columns_of
from claude_magic.sdk.response import plain_data
from claude_magic.sdk.schema import Schema

Score = str | Callable[[Any, Any], object]
"""A function that returns a number or a bool for a row and its reply, or a prompt that judges."""

REPLY: Final = "reply"
FIRST: Final = "first"
SECOND: Final = "second"

# The schemas of a judgement, which has one field.
_ALONE: Final = {"score": {"type": "number"}}
_COMPARED: Final = {"better": {"enum": [FIRST, SECOND, "neither"]}}
_POINTS: Final = {FIRST: (1.0, 0.0), SECOND: (0.0, 1.0), "neither": (0.5, 0.5)}


@dataclass(frozen=True, slots=True, kw_only=True)
class TrialRequest:
    """What a trial compares, without its rows.

    `vary` has the values of each varying name. `score` is a function of a row and a reply, or a prompt that judges with
    `judge_model`. `model` is the one model for all arms, if one was named.

    :raises ConfigError: if a value is not valid.
    """

    vary: Mapping[str, Iterable[object]] = field(default_factory=dict)
    models: Iterable[str] = ()
    score: Score | None = None
    judge_model: str | None = None
    model: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "vary", _checked_vary(self.vary))
        object.__setattr__(self, "models", _checked_models(self.models))
        _check_differ("vary", [arm.label for arm in self.arms])
        if self.model is not None and self.models:
            raise _refused("model and models exclude each other.", "Name all of them in models")
        if self.judge_model is not None and not isinstance(self.score, str):
            raise _refused("judge_model is for a score that is a prompt.", "Leave it out")
        if self.score is not None:
            library("numpy", "Scores need", next_step="pip install numpy; nothing was sent.")  # `findings` computes with it
        if callable(self.score):
            _check_function(self.score)
        elif self.score is not None and not isinstance(self.score, str):
            raise _refused(
                f"The score cannot be of type {type(self.score).__name__}.",
                "Give a function of a row and its reply, or a prompt as text",
            )

    @property
    def arms(self) -> tuple[Arm, ...]:
        """Every variant with every model, grouped by model."""
        values = list(product(*self.vary.values()))
        return tuple(
            Arm(dict(zip(self.vary, chosen, strict=True)), model)
            for model in tuple(self.models) or (None,)
            for chosen in values
        )

    def judge(self) -> Judge | None:
        """Return the judge, if the score is a prompt.

        :raises ConfigError: if the prompt is not valid, or would show the judge which variant it sees.
        """
        if not isinstance(self.score, str):
            return None
        judge = Judge(self.score)
        if told := sorted(self.vary.keys() & judge.template.columns):
            raise _refused(
                f"The score names {{{{ {told[0]} }}}}, a variant: it would not judge blind.",
                "Leave it out of the score's prompt",
            )
        return judge

    def check(self, template: Template) -> None:
        """Raise `ConfigError` if the template does not name every varying name."""
        if unnamed := sorted(self.vary.keys() - template.columns):
            raise _refused(
                f"The template does not name {{{{ {unnamed[0]} }}}}: every variant would get the same prompt.",
                f"Write {{{{ {unnamed[0]} }}}} where it belongs",
            )


def _checked_vary(vary: object) -> dict[str, tuple[object, ...]]:
    if not isinstance(vary, Mapping):
        raise _refused(
            f"vary cannot be of type {type(vary).__name__}.",
            'Give the values of each name, such as {"tone": ["formal", "plain"]}',
        )
    checked = {}
    for name, values in vary.items():
        if not isinstance(name, str) or not name.isidentifier() or name == ROW:
            raise _refused(f"vary cannot have the name {name!r}.", "Give it a name such as tone")
        if isinstance(values, str | Mapping) or not isinstance(values, Iterable):
            raise _refused(f"vary: the values of {name} are not a list.", "Give at least two")
        checked[name] = tuple(values)
        texts = list(map(str, checked[name]))
        if len(texts) < 2:
            raise _refused(f"vary: {name} has fewer than two values.", "Give two, or write it in the template")
        _check_differ(f"vary: {name}", texts)
    return checked


def _checked_models(models: object) -> tuple[str, ...]:
    if isinstance(models, str) or not isinstance(models, Iterable):
        raise _refused("models is not a list of names.", "Give ['sonnet', 'opus'] or the like")
    checked = tuple(models)
    if not all(isinstance(model, str) and model.strip() for model in checked):
        raise _refused("models must hold only names.", "Give ['sonnet', 'opus'] or the like")
    _check_differ("models", checked)
    return checked


def _check_differ(what: str, texts: Collection[str]) -> None:
    if twice := [text for number, text in enumerate(texts) if text in list(texts)[:number]]:
        raise _refused(f"{what} has {twice[0]!r} twice.", "Leave one out")


def _check_function(score: Callable[[Any, Any], object]) -> None:
    if inspect.iscoroutinefunction(score):
        raise _refused("The score is an async function.", "Give one that returns the number itself")
    try:
        signature = inspect.signature(score)
    except (TypeError, ValueError):  # some C functions have no signature
        return
    try:
        signature.bind(None, None)
    except TypeError as error:
        raise _refused(
            f"The score cannot be called with a row and its reply: {error}.", "Give a function such as lambda row, reply: ..."
        ) from error


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
            raise _refused("The prompt of the score is empty.", "Say what to judge by")
        if not named & {REPLY, FIRST, SECOND}:
            text = f"{text.rstrip()}\n\n<reply>\n{{{{ {REPLY} }}}}\n</reply>"
        self.template = Template(text)
        self.compares = bool(named & {FIRST, SECOND})
        if self.compares and (not {FIRST, SECOND} <= named or REPLY in named):
            raise _refused("The score must name one reply, or two.", "Name {{ reply }}, or {{ first }} and {{ second }}")
        fields = _COMPARED if self.compares else _ALONE
        self.schema = Schema.of({"type": "object", "properties": fields, "required": [*fields], "additionalProperties": False})

    def check(self, row: Any) -> None:
        """Raise `ConfigError` if a row lacks a column of the prompt, or has one with a name that is needed for a reply."""
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


def _refused(message: str, next_step: str) -> ConfigError:
    return ConfigError(message, next_step=f"{next_step}; nothing was sent.")
