"""Run a turn: choose its source, enforce its timeout, retry it, and remember its session."""

from __future__ import annotations

import asyncio
import math
import os
import uuid
import weakref
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace

import anyio

from claude_magic import errors
from claude_magic.sdk._cassette.cassette import Cassette
from claude_magic.sdk._cassette.recorder import Recorder
from claude_magic.sdk._cassette.scrubbing import Scrubber
from claude_magic.sdk._cli.command_line import Command, Launch, find_cli, printed
from claude_magic.sdk._cli.environment import environment
from claude_magic.sdk._cli.failures import directory_gone
from claude_magic.sdk._cli.process import LiveProcess
from claude_magic.sdk._cli.process_pool import ProcessPool
from claude_magic.sdk._history.kept_turns import KeptTurns
from claude_magic.sdk._history.places import all_projects, is_id, transcript_of
from claude_magic.sdk._history.writers import Writers
from claude_magic.sdk._log import ClientLog
from claude_magic.sdk._offers.choices import Choices
from claude_magic.sdk._turn.launches import Launches
from claude_magic.sdk._turn.live_turn import AskLater, LiveTurn, OwnTurns
from claude_magic.sdk.config import ClaudeConfig
from claude_magic.sdk.content import check_command, check_mentions
from claude_magic.sdk.events import Event, Notice, PermissionAnswered, Queued
from claude_magic.sdk.host import PassingHost, PermissionAnswer, PermissionRequest, Tool, TurnHost, TurnSource, rule_of
from claude_magic.sdk.response import SessionAwareResponse, fold, has_answer
from claude_magic.sdk.turn_request import TurnRequest


class TurnRunner:
    """Run turns on the pool's processes, or play them from a cassette.

    `tools`, `asks`, `on_own_turn` and `on_own_question` are those of `ClaudeClient`.
    """

    def __init__(
        self,
        config: ClaudeConfig,
        log: ClientLog,
        *,
        tools: Sequence[Tool],
        asks: bool,
        on_own_turn: Callable[[SessionAwareResponse], None],
        on_own_question: AskLater,
    ) -> None:
        self._config = config
        self._tools = tools
        self._launches = Launches(config, tools, asks=asks)
        self._log = log
        self.pool = ProcessPool(
            self._make,
            max_processes=config.max_concurrent_processes,
            max_warm=config.max_warm,
            idle_timeout_s=config.idle_timeout,
        )
        self.directories: dict[str, str] = {}
        """The directory of each session of this client."""
        self.last_session_id: str | None = None
        self.choices = Choices({})
        """What the CLI that was started last offers: models and styles."""
        self._kept = KeptTurns(all_projects(config.env))
        self._own_turns = OwnTurns(on_own_turn, on_own_question, log, self._kept, config.env)
        self._sent: dict[str, None] = {}
        """The UUIDs that this client made for prompts of kept sessions; a set that keeps their order."""
        self._placing: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()
        """By session: the lock that a turn holds while it finds out where it begins; gone when no turn uses it."""
        self._writers = Writers(config.env, self._sent)

    async def run(self, request: TurnRequest, host: TurnHost, cassette: Cassette | None = None) -> SessionAwareResponse:
        """Run one turn for `host` and return the response that its events add up to.

        :param cassette: plays the turn, or records it.
        :raises TurnTimeoutError: after the timeout, which covers retries, not waits for a person; the turn is interrupted.
        :raises CassetteMismatchError: if the cassette may only play, and does not hold the turn.
        :raises AttachmentError: for an `@path` that leads out of the directory through a link.
        :raises ConfigError: for a slash command in a folder that is not trusted, if git would run programs there.
        :raises ClaudeError: the subclass says why the turn failed; it carries the session ID and the text so far.
        """
        request = self._with_defaults(request)
        asks_below = request.trusted and not request.trusts_below and not request.options.bare
        check_mentions(request.prompt, request.directory, asks_below=asks_below)
        if not request.trusted:
            check_command(request.prompt, request.directory)
        await self._own_turns.catch_up(request.session_id)
        if cassette is None or cassette.mode == "off":
            return await self._run_live(cassette.live(request) if cassette else request, host)
        scrubber = Scrubber(self._config.env)
        done_again = [tool for tool in self._tools if not tool.read_only] if request.use_tools else []
        # The person's functions run again, too: a later call may need the name of an earlier result.
        effects = {rule_of(tool): tool for tool in (*done_again, *request.tools)}
        if playing := cassette.play(request, scrubber, effects=effects, is_kept=self._is_kept):
            response = await self._run(request, host, playing)
            response.metadata["command"] = None
            self._own_turns.play(response.session_id, cassette.following(playing), cassette.speed)
            return response
        known = cassette.live(request)
        if not cassette.adds:
            return await self._run_live(known, host, (cassette.remark,))
        sample, recorder = cassette.sample(request, scrubber), Recorder(host)
        try:
            response = await self._run_live(known, recorder)
        except (errors.ClaudeError, asyncio.CancelledError) as failure:
            # Never record a missing login: everybody who plays the cassette would see it.
            if not isinstance(failure, errors.NotLoggedInError):
                try:
                    cassette.record(request, recorder, scrubber, sample=sample, failure=failure)
                except errors.CassetteError as error:
                    failure.add_note(str(error))
            raise
        try:
            cassette.record(request, recorder, scrubber, sample=sample)
        except errors.CassetteError as error:
            error.session_id, error.content = response.session_id, response.text
            raise
        self._own_turns.recorded(response.session_id, cassette)
        return response

    async def aclose(self) -> None:
        """End every process, and stop playing."""
        await self._own_turns.aclose()
        await self.pool.aclose()

    def command(self, request: TurnRequest) -> Command:
        """Return the command that a person would type in a terminal for this turn; raise `CLINotFoundError` without a CLI."""
        request = self._with_defaults(request)
        return self._printed(request, self._launches.launch(request))

    def prepare(self, request: TurnRequest) -> None:
        """Start a process ahead of a turn that begins a session or a branch; the turn's prompt does not matter."""
        request = self._with_defaults(request)
        fork = request.fork and request.session_id is not None
        if not fork or not self._writers.needs_branch(str(request.session_id), request.at):
            self.pool.prepare(self._launches.launch(request))

    def unkept(self, request: TurnRequest) -> LiveProcess:
        """Return an unstarted process for sessions that are never resumed: it writes nothing to disk."""
        return self._make(replace(self._launches.launch(self._with_defaults(request)), kept=False))

    def _with_defaults(self, request: TurnRequest) -> TurnRequest:
        """Check the IDs, and fill in what the request leaves to the client's config: the one place where the two meet."""
        _check_ids(request)
        timeout_s = self._config.default_timeout if request.timeout_s is None else request.timeout_s
        return replace(request, options=self._config.options(request.options), timeout_s=timeout_s)

    def _printed(self, request: TurnRequest, launch: Launch) -> Command:
        return printed(find_cli(self._config.cli_path), request.prompt.text, launch)

    async def _run_live(self, request: TurnRequest, host: TurnHost, remarks: Sequence[str] = ()) -> SessionAwareResponse:
        launch = self._launches.launch(request)
        command = self._printed(request, launch)
        self._log.turn(command)
        # Turns of a session keep their order: nothing suspends between leaving this lock and entering the pool's queue.
        async with self._placing.setdefault(request.session_id, asyncio.Lock()) if request.session_id else nullcontext():
            if request.fork and await self._kept.is_missing(request.session_id, request.at, request.directory):
                raise errors.TurnNotFoundError(
                    "The turn to branch off from is not kept on disk; only the process of its session knows it.",
                    next_step="Go on in that session, or branch off from an earlier turn.",
                )
            placed, found = await self._placed(request, launch)
        if placed is not request:
            request, launch = placed, self._launches.launch(placed)
        response = await self._run(request, host, LiveTurn(self.pool, launch, self._kept, (*remarks, *found)))
        response.metadata["command"] = command.text
        self._own_turns.recorded(response.session_id, None)
        return response

    async def _placed(self, request: TurnRequest, launch: Launch) -> tuple[TurnRequest, tuple[str, ...]]:
        """Check whether others wrote to the session; return the request with its real beginning, and remarks about that.

        A process that lacks what others wrote is ended.

        :raises SessionNotFoundError: if nothing is left of the session, or it belongs to another directory.
        """
        if (session_id := request.session_id) is None:
            return request, ()
        await asyncio.to_thread(self._writers.check_directory, session_id, request.directory)
        if request.fork:
            # After a compaction the CLI (2.1.331) would fail here, or send the summary instead of the messages.
            branch = await asyncio.to_thread(self._writers.branch_where_needed, session_id, request.at)
            return (self._in_branch(request, branch), ()) if branch else (request, ())
        if self.pool.is_busy(session_id):
            return request, ()
        keeps = self.pool.keeps(launch)
        found = await asyncio.to_thread(self._writers.look, session_id, request.seen, keeps=keeps)
        if found.is_behind:
            process = self.pool.warm(session_id)
            ended = process.work if process else ()
            await self.pool.close_session(session_id)
            if ended:
                about = "; ".join(work.about for work in ended)
                found.remarks += (f"Background work was stopped, as its process lacked the latest turns: {about}.",)
        return (self._in_branch(request, found.branch) if found.branch else request), found.remarks

    def _in_branch(self, request: TurnRequest, branch: str) -> TurnRequest:
        """Return the same turn in a branch that we wrote to disk; the branch inherits permissions and the chosen model."""
        self._launches.inherit(branch, str(request.session_id))
        return replace(request, session_id=branch, fork=False, at=None, seen=None)

    async def _run(self, request: TurnRequest, host: TurnHost, source: TurnSource) -> SessionAwareResponse:
        # A recording fails again in the same way.
        attempts = self._config.max_retries + 1 if isinstance(source, LiveTurn) else 1
        try:
            with anyio.move_on_after(request.timeout_s) as clock:
                for left in reversed(range(attempts)):
                    attempt = _Attempt(request, host, self._log, clock)
                    if isinstance(host, Recorder):
                        host.begin()
                    try:
                        await source.run_turn(request.prompt, request.options, attempt)
                    except errors.ClaudeError as error:
                        if left == 0 or has_answer(attempt.response.blocks) or not _worth_repeating(error):
                            raise
                        self._log.logger.info("trying again in %g s: %s", self._config.retry_delay, error.message)
                        await asyncio.sleep(self._config.retry_delay)
                    else:
                        break
            if clock.cancelled_caught:
                raise errors.TurnTimeoutError(f"The turn took longer than {request.timeout_s:g} s.")
        except errors.SessionNotFoundError:
            attempt.reached_cli = False
            raise
        except errors.ClaudeError as error:
            error.session_id = error.session_id or attempt.response.session_id
            error.content = attempt.response.arrived
            error.mask(self._config.env)
            raise
        finally:
            if attempt.reached_cli:
                self._remember(request, attempt, source)
        return attempt.response

    def _remember(self, request: TurnRequest, attempt: _Attempt, source: TurnSource) -> None:
        if (session_id := attempt.response.session_id) is None:
            return
        self.last_session_id = session_id
        self.directories[session_id] = request.directory
        # The CLI does not know a played turn, and permissions given in one hold for no live turn.
        if not isinstance(source, LiveTurn):
            return
        self._launches.remember(session_id, request, source.launch, attempt.granted)
        self._writers.note(session_id, attempt.response.message_id)

    def _make(self, launch: Launch) -> LiveProcess:
        if not os.path.isdir(launch.directory):
            raise directory_gone(launch.directory)
        return LiveProcess(
            find_cli(self._config.cli_path),
            launch,
            env=environment(self._config.env, launch.directory, bare=bool(launch.options.bare), trusted=launch.trusted),
            close_timeout_s=self._config.process_cleanup_timeout,
            begin_own=self._own_turns.begin,
            new_prompt_id=self._new_prompt_id if launch.kept else lambda: str(uuid.uuid4()),
            note_choices=self._note_choices,
        )

    def _is_kept(self, session_id: str) -> bool:
        """Whether this machine has this session, on disk or in a live process."""
        projects = all_projects(self._config.env)
        return self.pool.warm(session_id) is not None or transcript_of(session_id, projects) is not None

    def _note_choices(self, choices: Choices) -> None:
        self.choices = choices

    def _new_prompt_id(self) -> str:
        prompt_id = str(uuid.uuid4())
        self._sent[prompt_id] = None
        return prompt_id


class _Attempt(PassingHost):
    """The host of one attempt: adds up its events, and stops the timeout while any question waits for a person."""

    def __init__(self, request: TurnRequest, host: TurnHost, log: ClientLog, clock: anyio.CancelScope) -> None:
        super().__init__(host)
        self.response = SessionAwareResponse(session_id=None if request.fork else request.session_id)
        self.reached_cli = False
        """Whether the CLI has the prompt, or a recording plays. Then the session is remembered."""
        self.granted: list[str] = []
        """Rules that the person allowed for the session in this attempt."""
        self._clock = clock
        self._left_s = math.inf
        self._open_questions = 0
        self._log = log

    def emit(self, event: Event) -> None:
        self.reached_cli = self.reached_cli or not isinstance(event, Notice | Queued)
        self._log.event(event)
        fold(self.response, event)
        if isinstance(event, PermissionAnswered):
            self.granted += event.rules
        super().emit(event)

    async def ask(self, request: PermissionRequest) -> PermissionAnswer:
        # The CLI asks about parallel calls at the same time: the first question stops the clock, the last answer starts it.
        if self._open_questions == 0:
            self._left_s = self._clock.deadline - anyio.current_time()
            self._clock.deadline = math.inf
        self._open_questions += 1
        try:
            return await super().ask(request)
        finally:
            self._open_questions -= 1
            if self._open_questions == 0:
                self._clock.deadline = anyio.current_time() + self._left_s


def _check_ids(request: TurnRequest) -> None:
    """Check that IDs are UUIDs: the CLI (2.1.332) would load a path as a transcript, and look up other text as a title."""
    if request.session_id is not None and not is_id(request.session_id):
        raise errors.SessionNotFoundError(f"No session has the ID {request.session_id!r}: an ID is a UUID.")
    if request.at is not None and not is_id(request.at):
        raise errors.TurnNotFoundError(f"No message has the ID {request.at!r}: an ID is a UUID.")


def _worth_repeating(error: errors.ClaudeError) -> bool:
    if isinstance(error, errors.APIError):
        return error.status is None or error.status == 429 or error.status >= 500
    return isinstance(error, errors.CLIDiedError)
