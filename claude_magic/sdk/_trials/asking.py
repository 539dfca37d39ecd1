"""Run one prompt over many rows, in one way or in several, and collect the outcomes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from typing import Any

from claude_magic.errors import ClaudeError
from claude_magic.sdk._rows.limits import Progress
from claude_magic.sdk._rows.request import CONCURRENCY, OnError, RowsRequest, rules_of
from claude_magic.sdk._rows.results import Results, RowOutcome
from claude_magic.sdk._rows.run import RowRun
from claude_magic.sdk._trials.request import Score, TrialRequest
from claude_magic.sdk._trials.trial_run import TrialRun
from claude_magic.sdk.config import ClaudeConfig, TurnOptions
from claude_magic.sdk.schema import Schema


def made_ready(
    request: RowsRequest, wanted: TrialRequest, config: ClaudeConfig | None = None
) -> tuple[RowRun | TrialRun, Results]:
    """Return a run that has not begun, and its empty results: a `Trial` if anything is compared or scored.

    :raises ConfigError: if the arguments are not valid.
    :raises CheckpointError: if the checkpoint belongs to other work.
    """
    if wanted.is_one:
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
    """Send one prompt for every row, each in a conversation of its own, and return the outcomes in the order of the rows.

    With `vary` or `models` every row is sent once for each combination of them. With these or `score` the result is a `Trial`.

    :param template: the prompt, with `{{ column }}` for a value of the row and `{{ row }}` for the whole row.
    :param rows: a DataFrame of pandas or polars, a list of dicts or texts, or any iterable.
    :param schema: what each reply must be: a pydantic model, a dataclass, a JSON schema.
    :param model: the model for all rows.
    :param system: text that is added to the system prompt; with `bare` it is the whole system prompt.
    :param bare: send only the prompt and `system`, without Claude Code's own prompt, tools, settings and memory.
    :param tools: rules for tools that rows may use, such as `WebSearch`.
    :param concurrency: how many rows run at once, each in a process of about 220 MB.
    :param executor: an executor of `concurrent.futures`, or a client of Dask, whose workers send the rows. `concurrency` then
        counts for each worker process. The workers get the prompts and the config with its `env`, and return replies.
    :param checkpoint: an SQLite file that keeps answered rows: when the run is started again, they are not sent again.
    :param budget_usd: US dollars; the run stops before the row that would exceed it.
    :param max_retries: how often a row is sent again when the API refuses it for a while, or the CLI dies.
    :param on_error: `return` returns the error as the outcome of its row, `raise` ends the run with it.
    :param vary: values for names in the template, such as `{"tone": ["formal", "plain"]}`; several names are combined.
    :param models: the models that answer each row.
    :param score: a function of a row and its reply, which returns a number or a bool; or the prompt for a judge, who does not
        know variant or model. It rates each `{{ reply }}`, or compares two, `{{ first }}` and `{{ second }}`, in both orders.
    :param judge_model: the judge's model, if `score` is a prompt.
    :param config: the settings of the CLI and of all rows; `None` for the defaults.
    :param on_progress: called after each row, with the progress so far.
    :raises ConfigError: if the arguments are not valid; nothing was sent.
    :raises ClaudeError: why the run could not continue; its `results` has the outcomes so far.
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
