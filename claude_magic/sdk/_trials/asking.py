"""Run one prompt over many rows, as it is or in variants, and collect the outcomes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from dataclasses import fields, replace
from typing import Any

from claude_magic.errors import ClaudeError
from claude_magic.sdk._rows.limits import Progress
from claude_magic.sdk._rows.request import CONCURRENCY, OnError, RowsRequest, rules_of
from claude_magic.sdk._rows.results import Results, RowOutcome
from claude_magic.sdk._rows.run import RowRun, Take
from claude_magic.sdk._trials.request import Judge, Judgement, Score, TrialRequest
from claude_magic.sdk._trials.trial import Trial
from claude_magic.sdk.config import ClaudeConfig, TurnOptions
from claude_magic.sdk.schema import Schema


class TrialRun(RowRun):
    """Runs each row in several ways. If the score is a prompt, it then lets that prompt judge the replies.

    The request and the first row are checked before anything is sent. Replies and judgements share one budget. The progress
    counts the replies, then the judgements, too. The caller adds each outcome to the `trial`.

    :param config: the settings of the CLI and of all rows; `None` for the defaults.
    :raises ConfigError: if the request is not valid.
    """

    def __init__(self, request: RowsRequest, wanted: TrialRequest, config: ClaudeConfig | None = None) -> None:
        self._judge_model = wanted.judge_model
        self._judge = judge = wanted.judge()
        super().__init__(request, config, arms=wanted.arms, check=judge.check if judge else lambda row: None)
        wanted.check(self.template)
        self._replies: list[RowOutcome] = []
        self.trial = Trial(
            wanted.arms,
            self.template,
            request.options,
            score=wanted.score if callable(wanted.score) else None,
            is_judged=judge is not None,
            schema=request.schema,
            frame=self.rows.frame,
            total=self.rows.total,
        )

    async def run(self, take: Take) -> None:
        """Run all rows, let the judge judge, and pass on each outcome as it comes. Cancelling this stops the run.

        :raises ClaudeError: why the run could not continue, or why a row failed if `on_error` is `raise`.
        """
        judge = self._judge
        if judge is None:
            await super().run(take)
            return

        async def keep(outcome: RowOutcome) -> None:
            self._replies.append(outcome)
            await take(outcome)

        try:
            await super().run(keep)
            items = list(judge.items(self._replies, len(self.trial.arms)))
            if items and not self.stopped:
                await self._judge_all(judge, items, take)
        finally:
            by_place, pairs = self.trial.judged_by_place()
            said = f"the judge chose by position, not by reply, in {by_place:,} of {pairs:,} pairs"
            # Drops the remark on other work in the checkpoint: with a judge, some is there.
            self.remarks = [said] if by_place else []

    async def _judge_all(self, judge: Judge, items: list[tuple[tuple[int, ...], dict[str, Any]]], take: Take) -> None:
        async def hand_over(outcome: RowOutcome) -> None:
            values = {choice.name: getattr(outcome, choice.name) for choice in fields(outcome)}
            await take(Judgement(**values, about=items[outcome.position][0]))

        request = replace(
            self._request,
            template=judge.template.text,
            rows=[filling for _, filling in items],
            options=TurnOptions(bare=True, model=self._judge_model or self._request.options.model),
            schema=judge.schema,
        )
        judging = RowRun(request, self._config, progress=self.progress)
        try:
            await judging.run(hand_over)
        finally:
            self.stopped = self.stopped or judging.stopped


def made_ready(request: RowsRequest, wanted: TrialRequest, config: ClaudeConfig | None = None) -> tuple[RowRun, Results]:
    """Return a run that has not begun, and its empty results, which are a `Trial` if anything is compared or scored.

    :raises ConfigError: an argument is invalid.
    """
    if wanted.vary or wanted.models or wanted.score is not None:
        trial = TrialRun(request, wanted, config)
        return trial, trial.trial
    run = RowRun(request, config)
    return run, Results(run.rows.frame, run.rows.total)


async def ask_each(
    template: str,
    rows: object,
    *,
    schema: object = None,
    model: str | None = None,
    system: str | None = None,
    bare: bool = True,
    tools: Iterable[str] = (),
    concurrency: int = CONCURRENCY,
    executor: Executor | Any = None,
    checkpoint: str | os.PathLike[str] | None = None,
    budget_usd: float | None = None,
    max_retries: int = 3,
    on_error: OnError = "return",
    vary: Mapping[str, Iterable[object]] | None = None,
    models: Iterable[str] = (),
    score: Score | None = None,
    judge_model: str | None = None,
    config: ClaudeConfig | None = None,
    on_progress: Callable[[Progress], object] = lambda progress: None,
) -> Results:
    """Send one prompt for every row, each in a session of its own, and return the outcomes in the order of the rows.

    With `vary` or `models` every row is sent once for each combination of them. With these or `score` the result is a `Trial`.
    Cancelling this stops the run; only a checkpoint keeps the answered rows then. `stream_each` yields each row as it comes.

    Parameters that are not named here, and errors, are those of `claude_magic.ask_each`.

    :param model: the model for all rows; `None` for that of `config`. It excludes `models`.
    :param judge_model: the judge's model, if `score` is a prompt; `None` for `model` or, without it, that of `config`.
    :param config: the settings of the CLI and of all rows; `None` for the defaults. Its `default_timeout` limits each row; its
        `tools`, `max_retries` and `max_concurrent_processes` do not count.
    :param on_progress: called after each row, with the progress so far.
    """
    request = RowsRequest(
        template=template,
        rows=rows,
        options=TurnOptions(model=model, system=system, bare=bare, allowed_tools=rules_of(tools)),
        schema=Schema.of(schema) if schema is not None else None,
        concurrency=concurrency,
        executor=executor,
        checkpoint=checkpoint,
        budget_usd=budget_usd,
        max_retries=max_retries,
        on_error=on_error,
    )
    wanted = TrialRequest(vary=vary or {}, models=models, score=score, judge_model=judge_model, model=model)
    run, results = made_ready(request, wanted, config)

    async def take(outcome: RowOutcome) -> None:
        if failure := results.add(outcome):
            run.fail(failure)
        on_progress(run.progress)

    try:
        await run.run(take)
    except ClaudeError as error:
        error.results = results
        raise
    finally:
        results.stopped, results.remarks = run.stopped, run.remarks
    return results
