"""`ask_each()` and `%%claude --each`: send the rows on a background thread, paint progress, return the results.

An interrupt stops the run and returns the rows that are answered. `ask_each()` also works where the extension is not loaded,
as in a script.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import deque
from collections.abc import Iterable, Mapping
from concurrent.futures import Executor
from typing import Any

from claude_magic._kernel.advice import in_a_notebook
from claude_magic._kernel.background import Background, Stream
from claude_magic._kernel.frontend import Frontend, loaded_magics
from claude_magic._kernel.prompt.cell_request import schema_of
from claude_magic._kernel.turn.interrupts import held_back
from claude_magic._render.live.row_progress import RowProgress, row_progress
from claude_magic.errors import ClaudeError, ConfigError, ExecutorError
from claude_magic.sdk._cassette.cassette import active_cassette
from claude_magic.sdk._rows.request import CONCURRENCY, OnError, RowsRequest
from claude_magic.sdk._rows.results import Results, RowOutcome
from claude_magic.sdk._trials.asking import made_ready
from claude_magic.sdk._trials.request import Score, TrialRequest
from claude_magic.sdk.config import ClaudeConfig, TurnOptions

INTERRUPTED = "interrupted"


class CellRows:
    """A run over rows, from its start to its results.

    :param wanted: the variants, models and score to try.
    :param frontend: that of the loaded extension; `None` where it is not loaded, as in a script.
    :param shown: whether progress is shown.
    :param with_table: whether a table of the results replaces the progress at the end.
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
        _check_cassette()
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
                with held_back(drop=True):
                    self._stop(stream, view)
                    for batch in stream.batches():
                        self._take(batch, view)
            return self._finish(stream)

    async def run_async(self) -> Results:
        """Send every row and return the results. The kernel's loop runs other callbacks meanwhile.

        :raises ClaudeError: the run could not go on; the error's `results` holds the rows that are answered.
        """
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
            # The progress bar is removed, also after an error.
            stack.callback(lambda: view.close(self.results))
            stream: Stream[RowOutcome, None] = self._background.stream(self._work)
            try:
                yield stream, view
            except BaseException:  # an error or interrupt in the cell also stops the run; answered rows are kept
                with held_back(drop=True):
                    self._stop(stream, view)
                    for batch in stream.batches():
                        self._take(batch, view)
                raise

    async def _work(self, put: Any) -> None:
        async def take(outcome: RowOutcome) -> None:
            put(outcome)

        await self._run.run(take)

    def _take(self, batch: list[RowOutcome], view: RowProgress) -> None:
        self._come.extend(batch)
        while self._come:  # one by one: an interrupt while a row is scored keeps the rest
            if failure := self.results.add(self._come.popleft()):
                self._run.fail(failure)
        view.update(self._run.progress)

    def _stop(self, stream: Stream[RowOutcome, None], view: RowProgress) -> None:
        self._run.stopped = self.results.stopped = self._run.stopped or INTERRUPTED
        stream.stop()
        self._take([], view)

    def _finish(self, stream: Stream[RowOutcome, None]) -> Results:
        self.results.stopped, self.results.remarks = self._run.stopped, self._run.remarks
        with in_a_notebook() if self._frontend else contextlib.nullcontext():
            try:
                stream.result()
            except ClaudeError as error:
                # An interrupt also reaches the processes of an executor, and ends those that are idle.
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


def _check_cassette() -> None:
    """Check that no cassette that only plays is active: rows are never played, and would be sent live.

    :raises ConfigError: such a cassette is active.
    """
    magics = loaded_magics()
    cassette = magics.state.cassette() if magics else active_cassette()
    if cassette is not None and cassette.plays_only:
        raise ConfigError("Rows cannot be played from a cassette.", next_step="Switch the cassette off to ask them live.")


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
    """Send one prompt for every row, each in a conversation of its own, and return the outcomes in the order of the rows.

    With `vary` or `models` every row is sent once for each combination of them. With these or `score` the result is a `Trial`.
    An interrupt stops the run and returns what is done. The async version is `claude_magic.sdk.ask_each`.

    :param template: the prompt, with `{{ column }}` for a value of the row and `{{ row }}` for the whole row.
    :param rows: a DataFrame of pandas or polars, a list of dicts or texts, or any iterable.
    :param schema: what each reply must be: a pydantic model, a dataclass, a JSON schema.
    :param model: the model for all rows.
    :param system: text that is added to the system prompt; with `bare` it is the whole system prompt.
    :param bare: send only the prompt and `system`, without Claude Code's own prompt, tools, settings and memory.
    :param tools: rules for tools that rows may use, such as `WebSearch`.
    :param concurrency: how many rows run at once, each in a process of about 220 MB.
    :param executor: an executor of `concurrent.futures`, or a client of Dask, whose workers send the rows. `concurrency` then
        counts for each worker process. The workers get the prompts and the config, and return replies.
    :param checkpoint: an SQLite file that keeps answered rows: when the run is started again, they are not sent again.
    :param budget_usd: US dollars; the run stops before the row that would exceed it.
    :param max_retries: how often a row is sent again when the API refuses it for a while, or the CLI dies.
    :param on_error: `return` returns the error as the outcome of its row, `raise` ends the run with it.
    :param vary: values for names in the template, such as `{"tone": ["formal", "plain"]}`; several names are combined.
    :param models: the models that answer each row.
    :param score: a function of a row and its reply, which returns a number or a bool; or the prompt for a judge, who does not
        know variant or model. It rates each `{{ reply }}`, or compares two, `{{ first }}` and `{{ second }}`, in both orders.
    :param judge_model: the judge's model, if `score` is a prompt.
    :param progress: whether progress is shown: as a bar, or as lines of text where there can be no bar.
    :raises ConfigError: an argument is invalid; nothing was sent.
    :raises ClaudeError: the run could not go on; the error's `results` holds the rows that are answered.
    """
    request = RowsRequest(
        template=template,
        rows=rows,
        options=TurnOptions(model=model, system=system, bare=bare, allowed_tools=tuple(tools) or None),
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
