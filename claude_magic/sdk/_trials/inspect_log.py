"""Writes a trial as a log of Inspect (`inspect_ai`), with Inspect's own classes, which are imported when needed."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from claude_magic.errors import ClaudeError, ConfigError
from claude_magic.sdk._rows.request import Arm
from claude_magic.sdk._rows.results import RowOutcome
from claude_magic.sdk.response import as_json, plain_data

_SCORER = "score"


@dataclass(frozen=True, slots=True)
class LoggedReply:
    """One reply, as a sample of the log."""

    arm: Arm
    prompt: str
    outcome: RowOutcome
    row: int
    score: float | None
    error: ClaudeError | None


def write_log(
    path: str | os.PathLike[str],
    replies: Sequence[LoggedReply],
    means: Sequence[tuple[str, float | None, int]],
    *,
    template: str,
    is_whole: bool,
) -> None:
    """Write a sample for each reply, and each mean with the number of its scores.

    :raises ConfigError: if inspect_ai is not installed, or the file name ends neither in .eval nor in .json.
    """
    if Path(path).suffix not in (".eval", ".json"):
        raise ConfigError(
            f"{os.fspath(path)} cannot be the name of a log of Inspect.", next_step="Let it end in .eval or .json."
        )
    try:
        from inspect_ai import log
    except ImportError as error:
        raise ConfigError(
            "A log of Inspect needs inspect_ai, which is not installed here.", next_step="pip install inspect_ai"
        ) from error
    models = list(dict.fromkeys(reply.arm.model or "default" for reply in replies))
    metrics = [
        log.EvalScore(
            name=label, scorer=_SCORER, scored_samples=count, metrics={"mean": log.EvalMetric(name="mean", value=mean)}
        )
        for label, mean, count in means
        if mean is not None
    ]
    written = log.EvalLog(
        status="success" if is_whole else "cancelled",
        eval=log.EvalSpec(
            created=datetime.now(UTC).isoformat(timespec="seconds"),
            task="trial",
            dataset=log.EvalDataset(name="rows", samples=len(replies)),
            model=", ".join(models),
            config=log.EvalConfig(),
            metadata={"template": template},
        ),
        results=log.EvalResults(
            total_samples=len(replies), completed_samples=sum(reply.error is None for reply in replies), scores=metrics
        ),
        samples=[_sample(reply) for reply in replies],
    )
    log.write_eval_log(written, os.fspath(path))


def _sample(reply: LoggedReply) -> Any:
    from inspect_ai.log import EvalError, EvalSample
    from inspect_ai.model import ChatMessageAssistant, ChatMessageUser, ModelOutput, ModelUsage
    from inspect_ai.scorer import Score

    value, usage, model = reply.outcome.value, reply.outcome.usage, reply.arm.model or "default"
    said = "" if value is None else value if isinstance(value, str) else as_json(value)
    counts = {name: int(usage.get(name, 0)) for name in ("input_tokens", "output_tokens")}
    output = ModelOutput.from_content(model, said)
    output.usage = ModelUsage(**counts, total_tokens=sum(counts.values()), total_cost=reply.outcome.cost_usd)
    error = None if reply.error is None else EvalError(message=reply.error.message, traceback="", traceback_ansi="")
    return EvalSample(
        id=f"{reply.row} {reply.arm.label}".strip(),
        epoch=1,
        input=reply.prompt,
        target="",
        messages=[ChatMessageUser(content=reply.prompt), ChatMessageAssistant(content=said, model=model)],
        output=output,
        scores=None if reply.score is None else {_SCORER: Score(value=reply.score, answer=said)},
        metadata={"row": reply.row, "model": model, "variant": plain_data(dict(reply.arm.variant))},
        model_usage={model: output.usage},
        total_time=reply.outcome.duration_s,
        error=error,
    )
