"""What a trial compares: each variant of a template with each model, and how replies are scored.

Only data and its checks. `asking` sends the prompts, `trial` computes the results.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any

from claude_magic._libraries import library
from claude_magic.errors import ConfigError
from claude_magic.sdk._rows.request import Arm
from claude_magic.sdk._rows.work import ROW, Template
from claude_magic.sdk._trials.judging import Judge

Score = str | Callable[[Any, Any], object]
"""A function that returns a number or a bool for a row and its reply, or a prompt that judges."""

_NOTHING_SENT = "nothing was sent."


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
            raise ConfigError("model and models exclude each other.", next_step=f"Name all of them in models; {_NOTHING_SENT}")
        if self.judge_model is not None and not isinstance(self.score, str):
            raise ConfigError("judge_model is for a score that is a prompt.", next_step=f"Leave it out; {_NOTHING_SENT}")
        if self.score is not None:
            library("numpy", "Scores need", next_step=f"pip install numpy; {_NOTHING_SENT}")  # `findings` computes with it
        if callable(self.score):
            _check_function(self.score)
        elif self.score is not None and not isinstance(self.score, str):
            raise ConfigError(
                f"The score cannot be of type {type(self.score).__name__}.",
                next_step=f"Give a function of a row and its reply, or a prompt as text; {_NOTHING_SENT}",
            )

    @property
    def is_trial(self) -> bool:
        """Whether there is anything to compare or to score."""
        return bool(self.vary or self.models or self.score is not None)

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
            raise ConfigError(
                f"The score names {{{{ {told[0]} }}}}, a variant: it would not judge blind.",
                next_step=f"Leave it out of the score's prompt; {_NOTHING_SENT}",
            )
        return judge

    def check(self, template: Template) -> None:
        """Check that the template names every varying name.

        :raises ConfigError: if it does not.
        """
        if unnamed := sorted(self.vary.keys() - template.columns):
            raise ConfigError(
                f"The template does not name {{{{ {unnamed[0]} }}}}: every variant would get the same prompt.",
                next_step=f"Write {{{{ {unnamed[0]} }}}} where it belongs; {_NOTHING_SENT}",
            )


def _checked_vary(vary: object) -> dict[str, tuple[object, ...]]:
    if not isinstance(vary, Mapping):
        raise ConfigError(
            f"vary cannot be of type {type(vary).__name__}.",
            next_step=f'Give the values of each name, such as {{"tone": ["formal", "plain"]}}; {_NOTHING_SENT}',
        )
    checked = {}
    for name, values in vary.items():
        if not isinstance(name, str) or not name.isidentifier() or name == ROW:
            raise ConfigError(f"vary cannot have the name {name!r}.", next_step=f"Give it a name such as tone; {_NOTHING_SENT}")
        if isinstance(values, str | Mapping) or not isinstance(values, Iterable):
            raise ConfigError(f"vary: the values of {name} are not a list.", next_step=f"Give at least two; {_NOTHING_SENT}")
        checked[name] = tuple(values)
        texts = list(map(str, checked[name]))
        if len(texts) < 2:
            raise ConfigError(
                f"vary: {name} has fewer than two values.", next_step=f"Give two, or write it in the template; {_NOTHING_SENT}"
            )
        _check_differ(f"vary: {name}", texts)
    return checked


def _checked_models(models: object) -> tuple[str, ...]:
    if isinstance(models, str) or not isinstance(models, Iterable):
        raise ConfigError("models is not a list of names.", next_step=f"Give ['sonnet', 'opus'] or the like; {_NOTHING_SENT}")
    checked = tuple(models)
    if not all(isinstance(model, str) and model.strip() for model in checked):
        raise ConfigError("models must hold only names.", next_step=f"Give ['sonnet', 'opus'] or the like; {_NOTHING_SENT}")
    _check_differ("models", checked)
    return checked


def _check_differ(what: str, texts: Collection[str]) -> None:
    twice = [text for number, text in enumerate(texts) if text in list(texts)[:number]]
    if twice:
        raise ConfigError(f"{what} has {twice[0]!r} twice.", next_step=f"Leave one out; {_NOTHING_SENT}")


def _check_function(score: Callable[[Any, Any], object]) -> None:
    if inspect.iscoroutinefunction(score):
        raise ConfigError(
            "The score is an async function.", next_step=f"Give one that returns the number itself; {_NOTHING_SENT}"
        )
    try:
        signature = inspect.signature(score)
    except (TypeError, ValueError):  # some C functions have no signature
        return
    try:
        signature.bind(None, None)
    except TypeError as error:
        raise ConfigError(
            f"The score cannot be called with a row and its reply: {error}.",
            next_step=f"Give a function such as lambda row, reply: ...; {_NOTHING_SENT}",
        ) from error
