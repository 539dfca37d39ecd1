"""Rows that a cell or a script asks about: run them on a background thread, paint progress, return what is done.

An interrupt stops the run, and what was answered is returned. It works where the extension is not loaded, too.
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

    :param frontend: of the notebook; `None` in a script.
    :param shown: whether progress is shown.
    :param with_table: whether a table of the results stays where it was.
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
        """Ask every row, blocking the thread.

        :raises ClaudeError: why the run could not go on; its `results` holds what there is.
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
        """Ask every row, and let the loop of the cell go on meanwhile.

        :raises ClaudeError: why the run could not go on; its `results` holds what there is.
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
            # Whatever happens, no bar stays.
            stack.callback(lambda: view.close(self.results))
            stream: Stream[RowOutcome, None] = self._background.stream(self._work)
            try:
                yield stream, view
            except BaseException:  # whatever ends the cell, the run ends with it, and what was answered is kept
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
        while self._come:  # an interrupt of a score loses none of them
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
                # An interrupt reaches the processes of an executor, too, and ends those that have nothing to do.
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
            return "terminal"
        return "notebook" if self._frontend.has_widgets() else "lines"


def _check_cassette() -> None:
    """Refuse to ask live where everything else is played.

    :raises ConfigError: there.
    """
    magics = loaded_magics()
    cassette = magics.state.cassette() if magics else active_cassette()
    if cassette is not None and cassette.plays_only:
        raise ConfigError("Rows cannot be played from a cassette.", next_step="Leave the cassette to ask them live.")


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
    """Ask the same of every row, each in a conversation of its own, and return the outcomes in the order of the rows.

    With `vary`, `models` or `score` every row is asked in every way, and a `Trial` is returned. An interrupt stops the run
    and returns what is done. The async twin is `claude_magic.sdk.ask_each`.

    :param template: the prompt, with `{{ column }}` for what a row holds and `{{ row }}` for the row itself.
    :param rows: a DataFrame of pandas or polars, a list of dicts or texts, or any iterable.
    :param schema: what each reply must be: a pydantic model, a dataclass, a JSON schema.
    :param bare: ask without Claude Code's prompt, tools, settings and memory.
    :param tools: rules for tools that rows may use, such as `WebSearch`.
    :param concurrency: how many rows are asked at once, each by a process of about 220 MB.
    :param executor: whose workers ask the rows, of `concurrent.futures` or a client of Dask; `concurrency` is then for each
        worker process. All but prompts and replies stays here.
    :param checkpoint: an SQLite file that keeps answered rows: a run that is started again does not ask them anew.
    :param budget_usd: US dollars; the run stops before the row that would exceed it.
    :param max_retries: how often a row is asked again when the API refuses it for a while, or the CLI dies.
    :param on_error: `return` puts the error in the row's place, `raise` ends the run with it.
    :param vary: the values of names in the template, such as `{"tone": ["formal", "plain"]}`; of several, all combinations.
    :param models: the models that each row is asked of.
    :param score: a function of a row and its reply that gives a number or a bool; or a prompt that judges, blind: of each
        `{{ reply }}`, or of `{{ first }}` and `{{ second }}`, each two in both orders.
    :param judge_model: the model of a prompt that judges.
    :param progress: whether a bar is shown; lines of text where there can be none.
    :raises ConfigError: for arguments that cannot be meant; nothing was sent.
    :raises ClaudeError: why the run could not go on; its `results` holds what there is.
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
