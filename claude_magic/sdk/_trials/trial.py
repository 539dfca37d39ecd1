"""The results of a trial: a score for each variant with each model, and which differences are more than noise.

`asking` sends the prompts. How the results are displayed is decided elsewhere.
"""

from __future__ import annotations

import inspect
import math
import numbers
import os
import reprlib
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import combinations
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from claude_magic._libraries import library
from claude_magic.errors import ClaudeError, ConfigError, ScoreError
from claude_magic.sdk._rows.request import Arm
from claude_magic.sdk._rows.results import Results, RowOutcome, new_frame
from claude_magic.sdk._rows.work import Template
from claude_magic.sdk._trials.findings import ArmResult, Best, Difference, Disagreement, mean_interval
from claude_magic.sdk._trials.request import Judgement, Verdicts
from claude_magic.sdk.config import TurnOptions
from claude_magic.sdk.response import as_json, plain_data
from claude_magic.sdk.schema import Rows, Schema

if TYPE_CHECKING:
    import pandas

_SCORER = "score"
"""The name of the score in a log of Inspect (`inspect_ai`)."""


class Trial(Results):
    """The replies of a trial. The replies to one row have consecutive positions, in the order of `arms`.

    :param score: a function of a row and its reply.
    :param is_judged: whether a prompt scores instead.
    """

    def __init__(
        self,
        arms: tuple[Arm, ...],
        template: Template,
        options: TurnOptions,
        *,
        score: Callable[[Any, Any], object] | None = None,
        is_judged: bool = False,
        schema: Schema | None = None,
        frame: Any = None,
        total: int | None = None,
    ) -> None:
        super().__init__(frame, total)
        self.arms = arms
        self._template = template
        self._options = options
        self._schema = schema
        self._score = score
        self._scores: dict[int, float | ClaudeError] = {}
        self._verdicts = Verdicts() if is_judged else None
        self._judge_usd = 0.0

    @property
    def is_scored(self) -> bool:
        """Whether replies have scores."""
        return self._score is not None or self._verdicts is not None

    def add(self, outcome: RowOutcome) -> ClaudeError | None:
        """Add a reply and score it, or add a judgement. After the run was stopped, nothing is scored."""
        if isinstance(outcome, Judgement):
            assert self._verdicts is not None
            self._verdicts.add(outcome)
            self._judge_usd += 0.0 if outcome.from_checkpoint else outcome.cost_usd
            return None
        super().add(outcome)
        if self._score is None or outcome.error is not None or self.stopped:
            return None
        score = self._scores[outcome.position] = _score_of(self._score, outcome.row, outcome.value)
        return score if isinstance(score, ClaudeError) else None

    @property
    def scores(self) -> dict[int, float | ClaudeError]:
        """The score of each reply by its position, or the reason why it has none."""
        return self._verdicts.scores() if self._verdicts else dict(self._scores)

    def judged_by_place(self) -> tuple[int, int]:
        """Count the pairs that the same place (first or second) won in both orders, and all pairs judged in both."""
        return self._verdicts.by_place() if self._verdicts else (0, 0)

    @property
    def errors(self) -> dict[int, ClaudeError]:
        """Why replies failed or have no score, by their positions."""
        unscored = {place: score for place, score in self.scores.items() if isinstance(score, ClaudeError)}
        return dict(sorted({**unscored, **super().errors}.items()))

    @property
    def cost_usd(self) -> float:
        """The cost of this run and its judge, in US dollars. Rows from a checkpoint were paid for earlier."""
        return super().cost_usd + self._judge_usd

    @property
    def table(self) -> Rows[ArmResult]:
        """The result of each variant with each model: the highest mean first, then the lowest cost."""
        found = Rows(map(self._arm_result, range(len(self.arms))))
        found.sort(key=lambda arm: (-math.inf if arm.mean is None else -arm.mean, arm.cost_usd or 0.0))
        return found

    @property
    def differences(self) -> Rows[Difference]:
        """Each two arms compared on the rows that both have a score for; `one` has the higher mean."""
        order = [arm.label for arm in self.table if arm.mean is not None]
        scores = {arm.label: self._of_arm(number) for number, arm in enumerate(self.arms)}
        pairs = list(combinations(order, 2))
        compared = (Difference.of(one, other, scores[one], scores[other], pairs=len(pairs)) for one, other in pairs)
        return Rows(difference for difference in compared if difference is not None)

    @property
    def disagreements(self) -> Rows[Disagreement]:
        """The rows whose scores (or replies, if unscored) differ; the most different first."""
        scores, found = self.scores, Rows[Disagreement]()
        width = len(self.arms)
        for first in range(0, len(self), width):
            outcomes = [(arm.label, self[first + i]) for i, arm in enumerate(self.arms) if first + i < len(self)]
            answered = {label: outcome for label, outcome in outcomes if outcome.error is None}
            points = {label: scores.get(outcome.position) for label, outcome in answered.items()}
            numbers = {label: score for label, score in points.items() if isinstance(score, float)}
            replies = {label: outcome.value for label, outcome in answered.items()}
            if self.is_scored:
                spread = max(numbers.values()) - min(numbers.values()) if numbers else 0.0
            else:
                spread = float(len({repr(reply) for reply in replies.values()}) - 1)
            if spread > 0:
                content = next(outcome.row for outcome in answered.values())
                found.append(Disagreement(first // width, content, spread, replies, numbers))
        found.sort(key=lambda row: (-row.spread, row.row))
        return found

    @property
    def best(self) -> Best:
        """The arm with the highest score, to use again.

        :raises ClaudeError: if nothing was scored.
        """
        first = self.table[0]
        if first.mean is None:
            raise ClaudeError("No reply has a score.", next_step="Set `score`; with a checkpoint, no reply is asked for again.")
        arm = next(arm for arm in self.arms if arm.label == first.label)
        return Best(
            arm.label,
            arm.variant,
            arm.model or self._options.model,
            self._options.system,
            self._template.text,
            bool(self._options.bare),
            self._schema.kind if self._schema else None,
        )

    @property
    def verdict(self) -> str:
        """One sentence that says which differences are more than noise; empty if nothing is compared."""
        differences = self.differences
        if not differences:
            return ""
        if not any(difference.is_told for difference in differences):
            return "No difference can be told from noise: chance alone could explain all of them."
        best = self.table[0].label
        alike = [difference.other for difference in differences if difference.one == best and not difference.is_told]
        if not alike:
            return f"{best} scores higher than every other, and that is more than noise."
        return f"{best} scores highest, but cannot be told from {'; '.join(alike)}."

    def to_frame(self) -> pandas.DataFrame | Any:
        """Return a table with a line for each reply: row, variant, model, reply, score, cost, time, error.

        :raises ConfigError: if pandas is not installed.
        """
        scores, errors = self.scores, self.errors
        records = [
            {
                "row": outcome.position // len(self.arms),
                "variant": self._arm(outcome).variant_label,
                "model": self._arm(outcome).model,
                "reply": outcome.value,
                "score": score if isinstance(score := scores.get(outcome.position), float) else None,
                "cost_usd": outcome.cost_usd,
                "duration_s": outcome.duration_s,
                "error": error.message if (error := errors.get(outcome.position)) else None,
            }
            for outcome in self
        ]
        return new_frame(records, self._frame)

    def plot(self) -> Any:
        """Draw each mean with its interval, and return the axes.

        :raises ConfigError: if matplotlib is not installed, or nothing was scored.
        """
        pyplot = library("matplotlib.pyplot", "A plot needs")
        drawn = [(arm.label, arm.mean, arm.low, arm.high) for arm in self.table if arm.mean is not None][::-1]
        if not drawn:
            raise ConfigError("No reply has a score: there is nothing to plot.", next_step="Give a score.")
        _, axes = pyplot.subplots(figsize=(5, 0.8 + 0.35 * len(drawn)), layout="constrained")
        centres = [mean for _, mean, _, _ in drawn]
        below = [mean - (mean if low is None else low) for _, mean, low, _ in drawn]
        above = [(mean if high is None else high) - mean for _, mean, _, high in drawn]
        axes.errorbar(centres, range(len(drawn)), xerr=[below, above], fmt="o", capsize=3)
        axes.set_yticks(range(len(drawn)), [label for label, *_ in drawn])
        axes.set_ylim(-0.5, len(drawn) - 0.5)
        axes.set_xlabel("mean score, with its 95 % interval")
        return axes

    def to_inspect(self, path: str | os.PathLike[str]) -> None:
        """Write the trial as a log of Inspect, `.eval` or `.json`, with a sample for each reply.

        :raises ConfigError: if inspect_ai is not installed, or the file name ends neither in .eval nor in .json.
        """
        if Path(path).suffix not in (".eval", ".json"):
            raise ConfigError(
                f"{os.fspath(path)} cannot be the name of a log of Inspect.", next_step="Let it end in .eval or .json."
            )
        log = library("inspect_ai.log", "A log of Inspect needs")
        scores, errors = self.scores, self.errors
        samples = [self._sample(outcome, scores.get(outcome.position), errors.get(outcome.position)) for outcome in self]
        metrics = [
            log.EvalScore(
                name=arm.label,
                scorer=_SCORER,
                scored_samples=arm.n,
                metrics={"mean": log.EvalMetric(name="mean", value=arm.mean)},
            )
            for arm in self.table
            if arm.mean is not None
        ]
        written = log.EvalLog(
            status="cancelled" if self.stopped else "success",
            eval=log.EvalSpec(
                created=datetime.now(UTC).isoformat(timespec="seconds"),
                task="trial",
                dataset=log.EvalDataset(name="rows", samples=len(samples)),
                model=", ".join(dict.fromkeys(self._arm(outcome).model or "default" for outcome in self)),
                config=log.EvalConfig(),
                metadata={"template": self._template.text},
            ),
            results=log.EvalResults(
                total_samples=len(samples), completed_samples=sum(sample.error is None for sample in samples), scores=metrics
            ),
            samples=samples,
        )
        log.write_eval_log(written, os.fspath(path))

    def _sample(self, outcome: RowOutcome, score: float | ClaudeError | None, error: ClaudeError | None) -> Any:
        """Return one reply as a sample of Inspect's log."""
        from inspect_ai.log import EvalError, EvalSample
        from inspect_ai.model import ChatMessageAssistant, ChatMessageUser, ModelOutput, ModelUsage
        from inspect_ai.scorer import Score

        arm, row, value = self._arm(outcome), outcome.position // len(self.arms), outcome.value
        model, prompt = arm.model or "default", self._template.fill(outcome.row, arm.variant) if outcome.asked else ""
        said = "" if value is None else value if isinstance(value, str) else as_json(value)
        counts = {name: int(outcome.usage.get(name, 0)) for name in ("input_tokens", "output_tokens")}
        output = ModelOutput.from_content(model, said)
        output.usage = ModelUsage(**counts, total_tokens=sum(counts.values()), total_cost=outcome.cost_usd)
        return EvalSample(
            id=f"{row} {arm.label}".strip(),
            epoch=1,
            input=prompt,
            target="",
            messages=[ChatMessageUser(content=prompt), ChatMessageAssistant(content=said, model=model)],
            output=output,
            scores={_SCORER: Score(value=score, answer=said)} if isinstance(score, float) else None,
            metadata={"row": row, "model": model, "variant": plain_data(dict(arm.variant))},
            model_usage={model: output.usage},
            total_time=outcome.duration_s,
            error=None if error is None else EvalError(message=error.message, traceback="", traceback_ansi=""),
        )

    def summary(self) -> str:
        """Return the outcome in one line."""
        width, failed, kept = len(self.arms), len(self.errors), sum(outcome.from_checkpoint for outcome in self)
        unscored = len(self) - len(super().errors) - len(self.scores) if self.is_scored else 0
        parts = (
            f"{self._row_count(math.ceil(len(self) / width))} in {width} way{'s' if width > 1 else ''}",
            f"{failed:,} of {len(self):,} replies failed" if failed else f"{len(self):,} replies",
            f"{kept:,} from the checkpoint" if kept else "",
            f"{unscored:,} without a score" if unscored else "",
            f"${self.cost_usd:.4f}",
        )
        return ", ".join(filter(None, parts)) + self._partial()

    def _arm(self, outcome: RowOutcome) -> Arm:
        return self.arms[outcome.position % len(self.arms)]

    def _of_arm(self, number: int) -> dict[int, float]:
        """Return the scores of an arm by row."""
        width = len(self.arms)
        return {
            place // width: score
            for place, score in self.scores.items()
            if place % width == number and isinstance(score, float)
        }

    def _arm_result(self, number: int) -> ArmResult:
        arm, width, errors = self.arms[number], len(self.arms), self.errors
        outcomes = [self[place] for place in range(number, len(self), width)]
        answered = [outcome for outcome in outcomes if outcome.error is None]
        scores = list(self._of_arm(number).values())
        low, high = mean_interval(scores) or (None, None)
        times = [outcome.duration_s for outcome in answered if outcome.duration_s is not None]
        return ArmResult(
            arm.variant_label,
            arm.model,
            fmean(scores) if scores else None,
            low,
            high,
            n=len(scores) if self.is_scored else len(answered),
            errors=sum(outcome.position in errors for outcome in outcomes),
            cost_usd=fmean(outcome.cost_usd for outcome in answered) if answered else None,
            duration_s=fmean(times) if times else None,
            label=arm.label,
        )


def _score_of(function: Callable[[Any, Any], object], row: Any, reply: Any) -> float | ScoreError:
    """Return the score that the person's function gives a reply to a row, or the reason why it has none."""
    try:
        given = function(row, reply)
    except Exception as error:  # noqa: BLE001 - the function is the person's own, and may raise anything
        failure = ScoreError(f"The score raised {type(error).__name__}: {error}.")
        failure.__cause__ = error
        return failure
    if inspect.iscoroutine(given):
        given.close()
        return ScoreError("The score is a coroutine; give a function that returns the number itself.")
    # Convert numbers and bools of numpy to Python's.
    value = given.item() if getattr(given, "shape", None) == () and hasattr(given, "item") else given
    if not isinstance(value, numbers.Real) or not math.isfinite(value):
        return ScoreError(f"The score is {reprlib.repr(given)}, which is not a number.")
    return float(value)
