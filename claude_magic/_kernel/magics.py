"""`%%claude`, `%claude` and `%claude_session`, what they return, and the hooks around each cell. Others do the work."""

from __future__ import annotations

import asyncio
import contextlib
from collections import ChainMap
from collections.abc import Generator, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Self

from IPython.core.error import UsageError
from IPython.core.interactiveshell import ExecutionResult, InteractiveShell
from IPython.core.magic import Magics, line_cell_magic, line_magic, magics_class, needs_local_scope, no_var_expand

from claude_magic._kernel.advice import in_a_notebook, say
from claude_magic._kernel.completion import matcher_for
from claude_magic._kernel.frontend import Frontend
from claude_magic._kernel.nested_asyncio import NestedAsyncio
from claude_magic._kernel.notebook.outline import Outline
from claude_magic._kernel.notebook.ran_cells import RanCells
from claude_magic._kernel.options.cell_options import Options, usage
from claude_magic._kernel.options.parsing import asks_for_help, parse_cell, parse_line
from claude_magic._kernel.options.settings import Settings
from claude_magic._kernel.prompt.cell_request import CellRequest, own_tools, schema_named
from claude_magic._kernel.session_words.word_table import SessionMagic, words_usage
from claude_magic._kernel.state.kernel_state import KernelState
from claude_magic._kernel.state.notebook_file import notebook_path
from claude_magic._kernel.transform import transform_for
from claude_magic._kernel.turn import cell_turns
from claude_magic._kernel.turn.permission_answers import OpenQuestions
from claude_magic.errors import ClaudeError
from claude_magic.sdk.response import SessionAwareResponse

if TYPE_CHECKING:
    from claude_magic._kernel.rows import CellRows


class Replies(list[SessionAwareResponse]):
    """The replies of a comparison. They can be awaited, as one reply can: the result is the same list."""

    def __await__(self) -> Generator[None, None, Self]:
        yield from ()
        return self


Given = SessionAwareResponse | Replies


@magics_class
class ClaudeMagics(Settings, Magics):
    """Claude in the cells of this kernel. `Settings` holds the traits: the defaults of every cell."""

    def __init__(self, shell: InteractiveShell, earlier: KernelState | None = None, **kwargs: Any) -> None:
        super().__init__(shell=shell, **kwargs)
        self.frontend = Frontend(shell)
        self.state = KernelState(self, self.frontend.import_views, self._wake, earlier)
        self.sessions = SessionMagic(self.state, self.frontend)
        self.questions = OpenQuestions(self.state.client, self.frontend)
        self.transform = transform_for(self.frontend)
        self.matcher = matcher_for(self.state, shell)
        self.ran_cells = RanCells(shell)
        self.outline = Outline(shell, self.ran_cells, lambda: notebook_path(shell.user_ns))
        self.nested_asyncio = NestedAsyncio(shell, self)
        self._shown: Given | None = None
        """The value that the last magic returned and showed. IPython would show it again if the cell ends with that call."""
        self._last_error: BaseException | None = None
        """The error of the last failed cell, for `--error`."""
        self._idle: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def before_cell(self, info: object = None) -> None:
        """Settle what earlier cells left open, so that a saved notebook holds no dead button.

        :param info: about the cell that begins; `None` when the idle timer or `close` calls this.
        """
        self._forget_idle()
        self._shown = None
        self.frontend.note_cell()
        if info is not None:
            code, is_counted = getattr(info, "raw_cell", ""), getattr(info, "store_history", True)
            self.ran_cells.begin(code, cell_id=self.frontend.cell_id(), is_counted=is_counted)
        self.state.in_cell.note_cell()
        self.state.take_own_turns()
        self.questions.close()
        self.sessions.close_panel()
        self.state.settle_comparison()
        if info is not None:
            self.frontend.show_lost_replies()

    def after_cell(self, result: ExecutionResult) -> None:
        """Show open questions, and remember the cell's error for `--error`, except a `ClaudeError` or `UsageError`."""
        self.ran_cells.end(result)
        self.state.take_own_turns()
        self.questions.show()
        # A timer removes the buttons if no cell follows. A terminal has no loop, and no buttons.
        self._forget_idle()
        with contextlib.suppress(RuntimeError):
            self._loop = asyncio.get_running_loop()
            self._idle = self._loop.call_later(self.idle_timeout, self.before_cell)
        error = result.error_before_exec or result.error_in_exec
        if error is not None:  # its traceback keeps alive a stream that nobody reads any more
            self.state.in_cell.end_stream(of_earlier_cell=False)
        if isinstance(error, Exception) and not isinstance(error, ClaudeError | UsageError):
            self._last_error = error

    def close(self) -> None:
        """End every process and thread of this kernel's Claude; in a forked child, which has none, do nothing."""
        if self.state.client.background.is_forked:
            return
        self.before_cell()
        self.ran_cells.close()
        self.state.client.close()

    @line_cell_magic
    @no_var_expand
    @needs_local_scope
    def claude(
        self, line: str, cell: str | None = None, local_ns: dict[str, Any] | None = None
    ) -> Given | None:  # help: see below
        if (parsed := self._parsed(line, cell)) is None:
            return None
        options, prompt = parsed
        if options.each is not None:
            with self._rows(options, prompt, local_ns) as rows:
                rows.run()
            return None
        request = self._request(options, prompt, local_ns, one_line=cell is None)
        given = self._bound(options, cell_turns.run(self.state, self.frontend, request))
        self._shown = None if options.quiet else given
        return given

    async def claude_async(self, line: str, cell: str | None = None) -> Given | None:
        """Do what `%%claude` does, without blocking: the transformed cell awaits it."""
        if (parsed := self._parsed(line, cell)) is None:
            return None
        options, prompt = parsed
        if options.each is not None:
            with self._rows(options, prompt) as rows:
                await rows.run_async()
            return None
        request = self._request(options, prompt, one_line=cell is None)
        return self._bound(options, await cell_turns.run_async(self.state, self.frontend, request))

    def keep(self, given: Given | None) -> None:
        """Put the value of a `%%claude` cell into `_` and `Out`, as with any other cell; called by the transformed cell."""
        self._shown = None
        if given is not None:
            self.frontend.shell.displayhook.update_user_ns(given)

    def skip_shown(self, value: object) -> None:
        """Show nothing for the value that a magic has shown, once. IPython calls this for each reply that it would show.

        :raises NotImplementedError: it is another value; IPython then shows it as usual.
        """
        if self._shown is None or value is not self._shown:
            raise NotImplementedError
        self._shown = None

    @line_magic
    def claude_session(self, line: str) -> None:  # help: see below
        self.sessions.run(line)

    def _wake(self) -> None:
        """Let the main thread show turns that background work began; called on the background thread."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the kernel is ending
                self._loop.call_soon_threadsafe(self._show_own_turns)

    def _show_own_turns(self) -> None:
        """Show turns that Claude began by itself; during a cell's turn they wait, or its buttons would move."""
        if not self.state.in_cell.is_running:
            self.state.take_own_turns()
            self.questions.moved()

    def _forget_idle(self) -> None:
        if self._idle is not None:
            self._idle.cancel()

    @in_a_notebook()
    def _parsed(self, line: str, cell: str | None) -> tuple[Options, str] | None:
        """Return the options and the prompt; or print the help if it was requested, and return `None`."""
        if asks_for_help(line, one_line=cell is None):
            say(f"%%claude [options]      %claude [options] PROMPT\n\n{usage(self.frontend.text_columns)}")
            return None
        options, prompt = parse_line(line) if cell is None else (parse_cell(line), cell.strip("\n").rstrip())
        if not options.each and (lone := options.misplaced()):
            raise UsageError(f"%claude: --{lone} works only with --each; name rows, such as --each df, or leave it out")
        return options, prompt

    @in_a_notebook()
    def _request(
        self, options: Options, prompt: str, local_ns: Mapping[str, Any] | None = None, *, one_line: bool
    ) -> CellRequest:
        from claude_magic._kernel.prompt.composition import EXPLAIN, compose  # late imports keep `%load_ext` fast
        from claude_magic._kernel.prompt.template import unfilled

        if not prompt.strip() and options.error:
            prompt = EXPLAIN
        if not prompt.strip():
            where = "after the options" if one_line else "below the %%claude line"
            raise UsageError(f"%claude: the prompt is empty; write it {where}")
        shell = self.frontend.shell
        schema = schema_named(shell, options.schema) if options.schema else None
        # Inside a function, the local variables come first.
        namespace = ChainMap(dict(local_ns or {}), shell.user_ns)
        unfilled_words = unfilled(prompt, namespace) if one_line and not options.raw else ()
        composed = compose(shell, prompt, options, limit=self.value_limit, namespace=namespace, last_error=self._last_error)
        tools, missing = own_tools(shell, options.tool, self.trait_values()["tools"])
        remarks = (*composed.remarks, *unfilled_words, *missing)
        return CellRequest(prompt, composed.prompt, options, remarks, schema, tools, self.outline)

    @contextlib.contextmanager
    def _rows(self, options: Options, template: str, local_ns: Mapping[str, Any] | None = None) -> Iterator[CellRows]:
        """Yield the run of a cell with `--each`; bind its results also after an error, because they were paid for."""
        from claude_magic._kernel.rows import rows_of_cell  # late import: keeps `%load_ext` fast

        with in_a_notebook():
            if not template.strip():
                raise UsageError("%claude: the prompt is empty; write one with {{ column }} in it")
            namespace = ChainMap(dict(local_ns or {}), self.frontend.shell.user_ns)
            rows = rows_of_cell(self, self.frontend, options, template, namespace)
        try:
            yield rows
        finally:
            if options.output is not None:
                self.frontend.shell.push({options.output: rows.results})

    def _bound(self, options: Options, replies: list[SessionAwareResponse]) -> Given:
        found: Given = replies[0] if len(replies) == 1 else Replies(replies)
        if options.output is not None:
            self.frontend.shell.push({options.output: found})
        return found


ClaudeMagics.claude.__doc__ = f"""Send the cell to Claude and show the reply; the next cell continues the conversation.

    %%claude [options]
    What is a median?

    %claude [options] What is a median?

{usage()}
"""

ClaudeMagics.claude_session.__doc__ = f"""Show and manage the sessions of this kernel and this directory.

{words_usage()}
"""
