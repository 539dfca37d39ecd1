"""Runs each row in several ways. If the score is a prompt, it then lets that prompt judge the replies.

Replies and judgements share one budget and one progress. The caller adds each outcome to the `trial`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import fields, replace
from typing import Any

from claude_magic.errors import ClaudeError
from claude_magic.sdk._rows.limits import Progress
from claude_magic.sdk._rows.request import RowsRequest
from claude_magic.sdk._rows.results import RowOutcome
from claude_magic.sdk._rows.run import RowRun
from claude_magic.sdk._rows.work import Rows
from claude_magic.sdk._trials.judging import Judge, Judgement
from claude_magic.sdk._trials.request import TrialRequest
from claude_magic.sdk._trials.trial import Trial
from claude_magic.sdk.config import ClaudeConfig, TurnOptions


class TrialRun:
    """A trial that is ready to run. Everything is checked before anything is sent.

    :param config: how the CLI is found and started.
    :raises ConfigError: if the request is not valid.
    """

    def __init__(self, request: RowsRequest, wanted: TrialRequest, config: ClaudeConfig | None = None) -> None:
        self._request = request
        self._config = config
        self._judge_model = wanted.judge_model
        self._judge = judge = wanted.judge()
        arms = wanted.arms
        self._asking = RowRun(request, config, arms=arms, check=judge.check if judge else lambda row: None)
        wanted.check(self._asking.template)
        self._judging: RowRun | None = None
        self._replies: list[RowOutcome] = []
        score = wanted.score if callable(wanted.score) else None
        self.trial = Trial(
            arms,
            self._asking.template,
            request.options,
            score=score,
            is_judged=judge is not None,
            schema=request.schema,
            frame=self._asking.rows.frame,
            total=self._asking.rows.total,
        )

    @property
    def rows(self) -> Rows:
        """The rows of the trial."""
        return self._asking.rows

    @property
    def progress(self) -> Progress:
        """The progress: first of the replies, then of the judgements."""
        return self._asking.progress

    @property
    def stopped(self) -> str:
        """Why the run ended before its last row."""
        return self._asking.stopped or (self._judging.stopped if self._judging else "")

    @stopped.setter
    def stopped(self, why: str) -> None:
        self._asking.stopped = why

    @property
    def remarks(self) -> list[str]:
        """Remarks for the person. With a judge, the checkpoint always holds other work as well, which needs no remark."""
        if self._judge is None:
            return self._asking.remarks
        by_place, pairs = self.trial.judged_by_place()
        said = f"the judge chose by place, not by reply, in {by_place:,} of {pairs:,} pairs"
        return [said] if by_place else []

    def fail(self, error: ClaudeError) -> None:
        """End the run for an error found in an outcome, if `on_error` is `raise`. Any thread may call this."""
        self._asking.fail(error)

    async def run(self, take: Callable[[RowOutcome], Awaitable[object]]) -> None:
        """Run all rows, let the judge judge, and pass on each outcome as it comes. Cancelling this stops the run.

        :raises ClaudeError: why the run could not continue, or why a row failed if `on_error` is `raise`.
        """
        judge = self._judge
        if judge is None:
            await self._asking.run(take)
            return

        async def keep(outcome: RowOutcome) -> None:
            self._replies.append(outcome)
            await take(outcome)

        await self._asking.run(keep)
        items = list(judge.items(self._replies, len(self.trial.arms)))
        if items and not self._asking.stopped:
            await self._judge_all(judge, items, take)

    async def _judge_all(
        self,
        judge: Judge,
        items: list[tuple[tuple[int, ...], dict[str, Any]]],
        take: Callable[[RowOutcome], Awaitable[object]],
    ) -> None:
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
        self._judging = RowRun(request, self._config, progress=self.progress)
        await self._judging.run(hand_over)
