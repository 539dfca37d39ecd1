"""One prompt over many rows in a notebook, `ask_each()` and `%%claude --each`: paint progress, return the results.

`sdk._rows` sends the prompts, on a background thread; `_render` shows progress and results. An interrupt stops
the run and returns the rows that are answered. `ask_each()` also works where the extension is not loaded, as in a script.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import deque
from collections.abc import Iterable, Mapping
from concurrent.futures import Executor
from dataclasses import replace
from typing import Any

from IPython.core.error import UsageError

from claude_magic._kernel.advice import in_a_notebook
from claude_magic._kernel.background import Background, Stream, held_back
from claude_magic._kernel.frontend import Frontend, loaded_magics
from claude_magic._kernel.options.cell_options import Options
from claude_magic._kernel.options.settings import Settings, time_limit_s, turn_options
from claude_magic._kernel.prompt.cell_request import looked_up, schema_named, schema_of
from claude_magic._render.live.row_progress import RowProgress, row_progress
from claude_magic.errors import ClaudeError, ConfigError, ExecutorError
from claude_magic.sdk._cassette.cassette import active_cassette
from claude_magic.sdk._rows.request import CONCURRENCY, OnError, RowsRequest, rules_of
from claude_magic.sdk._rows.results import Results, RowOutcome
from claude_magic.sdk._trials.asking import made_ready
from claude_magic.sdk._trials.request import Score, TrialRequest
from claude_magic.sdk.config import ClaudeConfig, TurnOptions

INTERRUPTED = "interrupted"


class CellRows:
    """A run over rows, from its start to its results.

    :param request: the template, the rows, their options and the limits of the run.
    :param wanted: the variants, models and score to try.
    :param frontend: that of the loaded extension; `None` where it is not loaded, as in a script.
    :param shown: whether progress is shown.
    :param with_table: whether a table of the results replaces the progress at the end.
    :raises ConfigError: the request is invalid, or a cassette only plays.
    """

    def __init__(
        self,
        request: RowsRequest,
        wanted: TrialRequest,
        config: ClaudeConfig | None,
        frontend: Frontend | None,
        *,
        shown: bool,
        with_table: bool = False,
    ) -> None:
        magics = loaded_magics()
        cassette = magics.state.cassette() if magics else active_cassette()
        if cassette is not None and cassette.plays_only:  # rows cannot be played, and would be sent live
            raise ConfigError(
                "Rows cannot be played from a cassette.",
                next_step="%config ClaudeMagics.cassette = None runs them live; rows in their checkpoint cost nothing.",
            )
        with in_a_notebook() if frontend else contextlib.nullcontext():
            self._run, self.results = made_ready(request, wanted, config)
        self._come: deque[RowOutcome] = deque()
        self._background = Background()
        self._frontend = frontend
        self._shown = shown
        self._with_table = with_table

    def run(self) -> Results:
        """Send every row and return the results. Blocks the thread.

        :raises ClaudeError: the run could not go on; the error's `results` holds the rows that are answered.
        """
        with self._open() as (stream, view):
            try:
                for batch in stream.batches():
                    self._take(batch, view)
            except KeyboardInterrupt:
                self._stop_and_wait(stream, view)
            return self._finish(stream)

    async def run_async(self) -> Results:
        """Do what `run` does. The kernel's loop runs other callbacks meanwhile."""
        with self._open() as (stream, view):
            try:
                async for batch in stream.abatches():
                    self._take(batch, view)
            except (asyncio.CancelledError, KeyboardInterrupt):
                self._stop(stream, view)
                async for batch in stream.abatches():
                    self._take(batch, view)
            return self._finish(stream)

    @contextlib.contextmanager
    def _open(self) -> Any:
        with contextlib.ExitStack() as stack:
            stack.callback(self._background.close)
            view = row_progress(self._kind(), self._run.progress.total, with_table=self._with_table)
            # The progress is removed or replaced by the table, also after an error.
            stack.callback(lambda: view.close(self.results))
            stream: Stream[RowOutcome, None] = self._background.stream(self._work)
            try:
                yield stream, view
            except BaseException as error:  # an error or interrupt in the cell also stops the run; answered rows are kept
                is_stop = isinstance(error, KeyboardInterrupt | asyncio.CancelledError)
                self._stop_and_wait(stream, view, INTERRUPTED if is_stop else "an error ended the run")
                raise

    async def _work(self, put: Any) -> None:
        async def take(outcome: RowOutcome) -> None:
            put(outcome)

        await self._run.run(take)

    def _take(self, batch: list[RowOutcome], view: RowProgress) -> None:
        self._come.extend(batch)
        while self._come:  # one by one, so that an interrupt during scoring loses no row
            if failure := self.results.add(self._come.popleft()):
                self._run.fail(failure)
        view.update(self._run.progress)

    def _stop(self, stream: Stream[RowOutcome, None], view: RowProgress, why: str = INTERRUPTED) -> None:
        self._run.stopped = self.results.stopped = self._run.stopped or why
        stream.stop()
        self._take([], view)

    def _stop_and_wait(self, stream: Stream[RowOutcome, None], view: RowProgress, why: str = INTERRUPTED) -> None:
        with held_back(drop=True):
            self._stop(stream, view, why)
            for batch in stream.batches():
                self._take(batch, view)

    def _finish(self, stream: Stream[RowOutcome, None]) -> Results:
        self.results.stopped, self.results.remarks = self._run.stopped, self._run.remarks
        with in_a_notebook() if self._frontend else contextlib.nullcontext():
            try:
                stream.result()
            except ClaudeError as error:
                # An interrupt also ends idle processes of an executor, so an `ExecutorError` is expected then.
                if self._run.stopped == INTERRUPTED and isinstance(error, ExecutorError):
                    self.results.remarks = [*self.results.remarks, error.message]
                    return self.results
                error.results = self.results
                raise
        return self.results

    def _kind(self) -> str:
        if not self._shown:
            return "none"
        if self._frontend is None:
            return "script"
        if self._frontend.is_text_only:
            return "console" if hasattr(self._frontend.shell, "kernel") else "terminal"
        return "notebook" if self._frontend.has_widgets() else "lines"


def rows_of_cell(
    settings: Settings, frontend: Frontend, options: Options, template: str, namespace: Mapping[str, Any]
) -> CellRows:
    """Return the run of a cell; it has not begun yet.

    :raises UsageError: there is no such variable, or no such type.
    :raises ConfigError: the template or the rows are invalid.
    """
    assert options.each is not None
    if options.each not in namespace:
        raise UsageError(f"%claude: --each: there is no variable {options.each}; nothing was sent")
    # The budget is for all rows together, so no single turn has one.
    chosen = replace(turn_options(replace(options, bare=True), settings), max_budget_usd=None)
    budget_usd = settings.trait_values()["budget"] if options.budget is None else options.budget
    request = RowsRequest(
        template=template,
        rows=namespace[options.each],
        options=chosen,
        schema=schema_named(frontend.shell, options.schema) if options.schema else None,
        timeout_s=time_limit_s(options, settings),
        concurrency=options.concurrency or CONCURRENCY,
        checkpoint=options.checkpoint,
        budget_usd=budget_usd,
    )
    wanted = TrialRequest(
        vary=dict(options.vary), models=options.compare, score=_score(options.score, namespace) if options.score else None
    )
    return CellRows(request, wanted, settings.client_config(), frontend, shown=not options.quiet, with_table=True)


def _score(name: str, namespace: Mapping[str, Any]) -> Score:
    found = looked_up(name, namespace, option="--score", kind="function or text")
    if not callable(found) and not isinstance(found, str):
        raise UsageError(
            f"%claude: --score: {name} is neither a function nor a text: its type is {type(found).__name__}; nothing was sent"
        )
    score: Score = found
    return score


def ask_each(
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
    progress: bool = True,
) -> Results:
    """Send one prompt for every row, each in a session of its own, and return the outcomes in the order of the rows.

    With `vary` or `models` every row is sent once for each combination of them. With these or `score` the result is a `Trial`,
    a subclass of `Results`. An interrupt stops the run and returns the answered rows. `stopped` of the results says why rows
    are missing. Defaults of turns such as `%config ClaudeMagics.model` do not apply. The async version is
    `claude_magic.sdk.ask_each`.

    :param template: the prompt, with `{{ column }}` for a value of the row, `{{ row }}` for the whole row, `{{ row["a b"] }}`
        for a column with a space in its name, and the names of `vary`. It sees no other variables.
    :param rows: a DataFrame of pandas or polars, a list of dicts or texts, or any iterable.
    :param schema: what each reply must be: a dataclass, a TypedDict, a pydantic model, a list[...] of them, or a JSON schema.
    :param model: the model for all rows; `None` for the CLI's default. Not together with `models`.
    :param system: text that is added to the system prompt; with `bare` it is the whole system prompt.
    :param bare: send only the prompt and `system`, without Claude Code's own prompt, tools, settings and memory.
    :param tools: rules for tools that rows may use, such as `WebSearch`. Rows cannot call functions of yours.
    :param concurrency: how many rows run at once, each in a process of about 220 MB; memory and your account limit it.
    :param executor: an executor of `concurrent.futures`, or a client of Dask, whose workers send the rows. `concurrency` then
        counts for each worker process. Workers get the prompts, which hold values of the rows, and the config with its `env`.
    :param checkpoint: an SQLite file that keeps the replies; a later run does not send these rows again. A row is known by its
        filled-in prompt, the template, and what else the model gets (model, system, schema …). Its position does not count;
        failed rows are sent again.
    :param budget_usd: US dollars for this run, without earlier ones. A row begins only if the cost of the dearest row so far
        still fits; the first row runs alone.
    :param max_retries: how often a row is sent again when the API refuses it temporarily (all rows wait as long as it says), or
        the CLI dies. After that the row is an error.
    :param on_error: `return` returns the error as the outcome of its row, `raise` ends the run with it.
    :param vary: values for names in the template, such as `{"tone": ["formal", "plain"]}`; several names give every
        combination.
    :param models: the models that answer each row.
    :param score: a function of a row and its reply, which returns a number or a bool; or the prompt of a judge (a model), told
        neither variant nor model. It rates each `{{ reply }}`, or compares two, `{{ first }}` and `{{ second }}`, in both
        orders.
    :param judge_model: the judge's model, if `score` is a prompt; `None` for the CLI's default.
    :param progress: whether progress is shown: as a bar, or as lines of text where there can be no bar.
    :raises ConfigError: an argument is invalid; nothing was sent.
    :raises CheckpointError: the checkpoint is a file of something else, or cannot be written. It is a `ClaudeError`.
    :raises ClaudeError: the run could not go on; the error's `results` holds the rows that are answered.
    """
    request = RowsRequest(
        template=template,
        rows=rows,
        options=TurnOptions(model=model, system=system, bare=bare, allowed_tools=rules_of(tools)),
        schema=schema_of(schema) if schema is not None else None,
        concurrency=concurrency,
        executor=executor,
        checkpoint=checkpoint,
        budget_usd=budget_usd,
        max_retries=max_retries,
        on_error=on_error,
    )
    wanted = TrialRequest(vary=vary or {}, models=models, score=score, judge_model=judge_model, model=model)
    magics = loaded_magics()
    config, frontend = (magics.client_config(), magics.frontend) if magics else (None, None)
    return CellRows(request, wanted, config, frontend, shown=progress).run()
