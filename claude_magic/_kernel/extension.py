"""Load the magics into a shell and unload them again, any number of times."""

from __future__ import annotations

import atexit
import sys
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from IPython.core.interactiveshell import InteractiveShell
from traitlets import TraitError
from traitlets.config import Config

from claude_magic._characters import strip_controls
from claude_magic._kernel.background import held_back
from claude_magic._kernel.magics import ClaudeMagics, Replies
from claude_magic._kernel.options.settings import Settings
from claude_magic.sdk.response import SessionAwareResponse

_NAME = ClaudeMagics.__name__
_KEPT = "claude_magic"
"""The key in `shell.meta` of the state that `unload` leaves for a `load` in the same cell."""
_RESULTS = "claude_magic.sdk._rows.results.Results"
"""By name, so that `%load_ext` need not import it."""


def load(shell: InteractiveShell) -> None:
    """Register magics, input transformer and completer; start the CLI in the background."""
    if _NAME in shell.magics_manager.registry:
        return
    # An interrupt in between would leave a half-started thread, which could not be ended.
    with held_back():
        _leave_out_unfit(shell.config.ClaudeMagics)
        magics = ClaudeMagics(shell, shell.meta.pop(_KEPT, None))
        shell.register_magics(magics)
        shell.input_transformers_cleanup.insert(0, magics.transform)
        shell.Completer.custom_matchers.append(magics.matcher)
        for formatter, kind, shows in _formats(shell, magics):
            formatter.for_type(kind, shows)
        for hooks in (magics, magics.nested_asyncio):
            shell.events.register("pre_run_cell", hooks.before_cell)
            shell.events.register("post_run_cell", hooks.after_cell)
        atexit.register(magics.close)
        if shell.history_manager is not None:  # the cell that loads the extension may itself call `asyncio.run`
            magics.nested_asyncio.before_code(shell.history_manager.input_hist_raw[-1])


def unload(shell: InteractiveShell) -> None:
    """Remove everything that `load` added, and end every process and thread that it started."""
    magics = shell.magics_manager.registry.pop(_NAME, None)
    if magics is None:
        return
    for kind, names in magics.magics.items():
        for name in names:
            shell.magics_manager.magics[kind].pop(name, None)
    shell.input_transformers_cleanup.remove(magics.transform)
    shell.Completer.custom_matchers.remove(magics.matcher)
    shell.configurables.remove(magics)
    for formatter, kind, _ in _formats(shell, magics):
        formatter.pop(kind, None)
    for hooks in (magics, magics.nested_asyncio):
        shell.events.unregister("pre_run_cell", hooks.before_cell)
        shell.events.unregister("post_run_cell", hooks.after_cell)
    atexit.unregister(magics.close)
    magics.close()
    _keep_for_reload(shell, magics)
    # Last: it restores methods of the loop's class, whose patched forms the processes use until they have ended.
    magics.nested_asyncio.close()


def _keep_for_reload(shell: InteractiveShell, magics: ClaudeMagics) -> None:
    """Keep the state until the cell ends: `%reload_ext` unloads and loads, and the conversations go on."""

    def forget(*_: object) -> None:
        shell.events.unregister("post_run_cell", forget)
        shell.meta.pop(_KEPT, None)

    shell.meta[_KEPT] = magics.state
    shell.events.register("post_run_cell", forget)


def _leave_out_unfit(config: Config) -> None:
    """Remove invalid values from a configuration, and print that; otherwise `%reload_ext` would fail and leave no magics."""
    for name, value in list(config.items()):
        try:
            if Settings.class_traits(config=True).get(name) is not None:
                Settings(**{name: value})
        except TraitError as error:
            del config[name]
            print(strip_controls(f"ClaudeMagics.{name} = {value!r} is ignored: {error}"), file=sys.stderr)


def _formats(shell: InteractiveShell, magics: ClaudeMagics) -> Iterator[tuple[Any, Any, Callable[..., object]]]:
    """Yield the formatters for our values, each with a type and the function that shows a value of it."""
    display: Any = shell.display_formatter
    for kind, shown in ((SessionAwareResponse, partial(_reply_as, magics)), (_RESULTS, _results_as)):
        for media_type in ("text/html", "text/markdown"):
            yield display.formatters[media_type], kind, partial(shown, media_type)
        yield display.formatters["text/plain"], kind, partial(_print, partial(shown, "text/plain"))
    for given in (SessionAwareResponse, Replies):
        # IPython tries this one first; it skips a value that is shown already.
        yield display.ipython_display_formatter, given, magics.skip_shown


def _reply_as(settings: Settings, media_type: str, reply: SessionAwareResponse) -> str:
    from claude_magic._render.place import as_shown  # late import: keeps `%load_ext` fast
    from claude_magic._render.settled.reply import SettledReply, reply_bundle

    shown: str = as_shown(reply_bundle(SettledReply(reply), for_audience=settings.presentation))[media_type]
    return shown


def _results_as(media_type: str, results: Any) -> str:
    from claude_magic._render.settled.row_table import settled_rows

    return strip_controls(settled_rows(results)[media_type])


def _print(text_of: Callable[[Any], str], value: Any, printer: Any, cycle: bool) -> None:
    printer.text(text_of(value))
