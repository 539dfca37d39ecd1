"""Runs each row in several ways. If the score is a prompt, it then lets that prompt judge the replies.

Replies and judgements share one budget and one progress. The caller adds each outcome to the `trial`.
"""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from claude_magic.sdk._rows.request import RowsRequest
from claude_magic.sdk._rows.results import RowOutcome
from claude_magic.sdk._rows.run import RowRun, Take
from claude_magic.sdk._trials.judging import Judge, Judgement
from claude_magic.sdk._trials.request import TrialRequest
from claude_magic.sdk._trials.trial import Trial
from claude_magic.sdk.config import ClaudeConfig, TurnOptions


class TrialRun(RowRun):
    """A trial that is ready to run. Everything is checked before anything is sent.

    Its progress is first that of the replies, then that of the judgements.

    :param config: how the CLI is found and started.
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
            said = f"the judge chose by place, not by reply, in {by_place:,} of {pairs:,} pairs"
            # With a judge, the checkpoint always holds other work as well, which needs no remark.
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
