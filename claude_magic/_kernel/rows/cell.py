"""Build the run of a `%%claude --each` cell from the cell's options and the settings."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from IPython.core.error import UsageError

from claude_magic._kernel.frontend import Frontend
from claude_magic._kernel.options.cell_options import Options
from claude_magic._kernel.options.settings import Settings, time_limit_s, turn_options
from claude_magic._kernel.prompt.cell_request import schema_named
from claude_magic._kernel.prompt.named_functions import looked_up
from claude_magic._kernel.rows.each import CellRows
from claude_magic.sdk._rows.request import CONCURRENCY, RowsRequest
from claude_magic.sdk._trials.request import Score, TrialRequest


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
