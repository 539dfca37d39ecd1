"""One turn, from the request to the reply: where it comes from, timeout, retries, and what to remember of its session."""

from __future__ import annotations

import asyncio
import math
import os
import uuid
import weakref
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import replace
from typing import Any

import anyio

from claude_magic.errors import (
    APIError,
    CassetteError,
    ClaudeError,
    CLIDiedError,
    NotLoggedInError,
    SessionNotFoundError,
    TurnNotFoundError,
    TurnTimeoutError,
)
from claude_magic.sdk._cassette.cassette import Cassette
from claude_magic.sdk._cassette.recorder import Recorder
from claude_magic.sdk._cassette.scrubbing import Scrubber
from claude_magic.sdk._cli.command_line import Command, Launch, find_cli, printed
from claude_magic.sdk._cli.environment import environment, fingerprint, login_settings
from claude_magic.sdk._cli.failures import directory_gone
from claude_magic.sdk._cli.process import LiveProcess
from claude_magic.sdk._cli.process_pool import ProcessPool
from claude_magic.sdk._folder.contents import allow_rules, fingerprint_of
from claude_magic.sdk._folder.git_settings import git_programs
from claude_magic.sdk._folder.memories import memories
from claude_magic.sdk._history.kept_turns import KeptTurns
from claude_magic.sdk._history.places import all_projects, is_id, transcript_of
from claude_magic.sdk._history.writers import Writers
from claude_magic.sdk._log import ClientLog
from claude_magic.sdk._turn.live_turn import AskLater, LiveTurn
from claude_magic.sdk._turn.own_turns import OwnTurns
from claude_magic.sdk.config import ClaudeConfig
from claude_magic.sdk.content import check_mentions
from claude_magic.sdk.events import Event, Notice, Queued
from claude_magic.sdk.host import (
    Decision,
    PermissionAnswer,
    PermissionRequest,
    Tool,
    ToolResult,
    TurnHost,
    TurnSource,
    rule_of,
    typeable,
)
from claude_magic.sdk.response import Remark, SessionAwareResponse, fold
from claude_magic.sdk.turn_request import TurnRequest


class TurnRunner:
    """Run turns on the pool's processes, or play them from a cassette.

    :param tools: our own tools, which the hosts of the turns do.
    :param asks: whether those hosts can be asked for permission; otherwise the CLI denies what its rules do not allow.
    :param on_own_turn: called with the response of each turn that the CLI began by itself, when it has ended.
    :param on_own_question: answers the permission requests of such turns, however long that takes.
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
        self._asks = asks
        self._log = log
        self.pool = ProcessPool(
            self._make,
            max_processes=config.max_concurrent_processes,
            max_warm=config.max_warm,
            idle_timeout_s=config.idle_timeout,
        )
        self._model_chosen: set[str] = set()
        """Sessions that a turn has chosen a model for: on resume the CLI would go on with that unasked."""
        self.directories: dict[str, str] = {}
        """Where the sessions of this client live."""
        self.last_session_id: str | None = None
        self._kept = KeptTurns(all_projects(config.env))
        self._own_turns = OwnTurns(on_own_turn, on_own_question, log, self._kept, config.env)
        self._sent: dict[str, None] = {}
        """The UUIDs of the prompts that were sent, in their order."""
        self._placing: weakref.WeakValueDictionary[str, asyncio.Lock] = weakref.WeakValueDictionary()
        self._writers = Writers(config.env, self._sent)
        self._granted: dict[str, tuple[str, ...]] = {}
        """What a person has allowed for a session: its next process must be told of it."""

    async def run(self, request: TurnRequest, host: TurnHost, cassette: Cassette | None = None) -> SessionAwareResponse:
        """Run one turn for `host` and return what its events add up to.

        :param cassette: where the turn is played from, or recorded to.
        :raises TurnTimeoutError: after the request's timeout; the turn is interrupted.
        :raises CassetteMismatchError: when it can only be played, and is not recorded.
        :raises AttachmentError: for an `@path` that leads out of the directory by a link.
        :raises ClaudeError: why it failed, with the session ID and the text that had arrived.
        """
        request = self._with_defaults(request)
        check_mentions(request.prompt, request.directory)
        await self._own_turns.catch_up(request.session_id)
        if cassette is None or cassette.mode == "off":
            return await self._run_live(cassette.live(request) if cassette else request, host)
        scrubber = Scrubber(self._config.env)
        done_again = [tool for tool in self._tools if not tool.read_only] if request.use_tools else []
        # What a function of the person's gave back may be kept under a name, which a later call needs.
        effects = {rule_of(tool): tool for tool in (*done_again, *request.tools)}
        playing = cassette.play(request, scrubber, effects=effects, is_kept=self._is_kept)
        if playing is not None:
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
        except (ClaudeError, asyncio.CancelledError) as failure:
            # That somebody was not logged in is no part of a lesson.
            if not isinstance(failure, NotLoggedInError):
                try:
                    cassette.record(request, recorder, scrubber, sample=sample, failure=failure)
                except CassetteError as error:
                    failure.add_note(str(error))
            raise
        try:
            cassette.record(request, recorder, scrubber, sample=sample)
        except CassetteError as error:
            error.session_id, error.content = response.session_id, response.text
            raise
        self._own_turns.recorded(response.session_id, cassette)
        return response

    async def aclose(self) -> None:
        """End every process, and play no more."""
        await self._own_turns.aclose()
        await self.pool.aclose()

    def command(self, request: TurnRequest) -> Command:
        """Return what a person would type in a terminal for this turn.

        :raises CLINotFoundError: when there is no CLI to name.
        """
        request = self._with_defaults(request)
        return self._printed(request, self._launch(request))

    def prepare(self, request: TurnRequest) -> None:
        """Start a process ahead of a turn that begins a session or a branch; its prompt does not matter."""
        request = self._with_defaults(request)
        fork = request.fork and request.session_id is not None
        if not fork or not self._writers.needs_branch(str(request.session_id), request.at):
            self.pool.prepare(self._launch(request))

    def unkept(self, request: TurnRequest) -> LiveProcess:
        """Return a process, not yet started, for turns that nobody goes on from: it writes nothing to disk."""
        return self._make(replace(self._launch(self._with_defaults(request)), kept=False))

    def _with_defaults(self, request: TurnRequest) -> TurnRequest:
        """Fill in what the request leaves to the client's config: the one place where the two meet.

        :raises SessionNotFoundError: when the session's ID is none.
        :raises TurnNotFoundError: when the message's is none.
        """
        _check_ids(request)
        timeout_s = self._config.default_timeout if request.timeout_s is None else request.timeout_s
        return replace(request, options=self._config.options(request.options), timeout_s=timeout_s)

    def _printed(self, request: TurnRequest, launch: Launch) -> Command:
        return printed(find_cli(self._config.cli_path), request.prompt.text, launch)

    async def _run_live(self, request: TurnRequest, host: TurnHost, remarks: Sequence[str] = ()) -> SessionAwareResponse:
        launch = self._launch(request)
        command = self._printed(request, launch)
        self._log.turn(command)
        # Turns of a session keep their order; behind this they queue in the pool, which is reached without waiting.
        async with self._placing.setdefault(request.session_id, asyncio.Lock()) if request.session_id else nullcontext():
            if request.fork and self._kept.is_missing(request.session_id, request.at):
                raise TurnNotFoundError(
                    "The turn to branch off from is not kept on disk; only the process of its session knows it.",
                    next_step="Go on in that session, or branch off from an earlier turn.",
                )
            placed, found = await self._placed(request, launch)
        if placed is not request:
            request, launch = placed, self._launch(placed)
        response = await self._run(request, host, LiveTurn(self.pool, launch, self._kept, (*remarks, *found)))
        response.metadata["command"] = command.text
        self._own_turns.recorded(response.session_id, None)
        return response

    async def _placed(self, request: TurnRequest, launch: Launch) -> tuple[TurnRequest, tuple[str, ...]]:
        """Find out who else has written to the session, and return where the turn begins after all, and what to say of it.

        :raises SessionNotFoundError: when nothing is left of the session, or it belongs to another directory.
        """
        session_id = request.session_id
        if session_id is None:
            return request, ()
        await asyncio.to_thread(self._writers.check_directory, session_id, request.directory)
        if request.fork:
            branch = await asyncio.to_thread(self._writers.branch_where_needed, session_id, request.at)
            # The CLI (2.1.331) would refuse, or hand on the summary instead of what it was made of.
            return (self._in_branch(request, branch), ()) if branch else (request, ())
        if self.pool.is_busy(session_id):
            return request, ()
        keeps = self.pool.keeps(launch)
        found = await asyncio.to_thread(self._writers.look, session_id, request.seen, keeps=keeps)
        if found.is_behind:
            process = self.pool.warm(session_id)
            ended = process.work if process else ()
            await self.pool.close_session(session_id)
            found.remarks += (
                (f"Ended with the process that was behind: {'; '.join(work.about for work in ended)}.",) if ended else ()
            )
        return (self._in_branch(request, found.branch) if found.branch else request), found.remarks

    def _in_branch(self, request: TurnRequest, branch: str) -> TurnRequest:
        """Return the same turn in a branch that was made on disk, with what was allowed and chosen before it."""
        before = str(request.session_id)
        self._granted[branch] = self._granted.get(before, ())
        if before in self._model_chosen:
            self._model_chosen.add(branch)
        return replace(request, session_id=branch, fork=False, at=None, seen=None)

    async def _run(self, request: TurnRequest, host: TurnHost, source: TurnSource) -> SessionAwareResponse:
        # What is played again would only fail again.
        attempts = self._config.max_retries + 1 if isinstance(source, LiveTurn) else 1
        attempt = _Attempt(request, host, self._log)
        try:
            with anyio.fail_after(request.timeout_s) as clock:
                for left in reversed(range(attempts)):
                    attempt = _Attempt(request, host, self._log, clock)
                    if isinstance(host, Recorder):
                        host.begin()
                    try:
                        await source.run_turn(request.prompt, request.options, attempt)
                    except ClaudeError as error:
                        said = any(not isinstance(block, Remark) for block in attempt.response.blocks)
                        if left == 0 or said or not _worth_repeating(error):
                            raise
                        self._log.logger.info("asking again in %g s: %s", self._config.retry_delay, error.message)
                        await asyncio.sleep(self._config.retry_delay)
                    else:
                        break
        except SessionNotFoundError:
            attempt.reached_cli = False
            raise
        except ClaudeError as error:
            error.session_id = error.session_id or attempt.response.session_id
            error.content = attempt.response.arrived
            error.leave_out(self._config.env)
            raise
        except TimeoutError as error:
            response = attempt.response
            message = f"The turn took longer than {request.timeout_s:g} s."
            raise TurnTimeoutError(message, session_id=response.session_id, content=response.arrived) from error
        finally:
            if attempt.reached_cli:
                self._remember(request, attempt, is_live=isinstance(source, LiveTurn))
        return attempt.response

    def _launch(self, request: TurnRequest) -> Launch:
        """Return what a process for this turn is started with."""
        options = request.options
        if options.bare:
            request = replace(request, trusted=False, use_tools=False)
        granted = self._granted.get(request.session_id or "", ())
        offered = (*(self._tools if request.use_tools else ()), *request.tools)
        if request.trusted:
            rules = (*(options.allowed_tools or ()), *typeable(allow_rules(request.directory)))
            options = replace(options, allowed_tools=rules or None)
        if options.model is None and request.session_id in self._model_chosen:
            options = replace(options, model="default")
        return Launch(
            directory=request.directory,
            options=options,
            safe_mode=self._config.safe_mode,
            resume=request.session_id,
            fork=request.fork,
            at=request.at,
            trusted=request.trusted,
            # The CLI drops it together with the directory's settings.
            memory="" if request.trusted or options.bare else memories(request.directory).text,
            contents=fingerprint_of(request.directory) if request.trusted else "",
            asks_for_git=not (request.trusted or options.bare) and bool(git_programs(request.directory)),
            asks_below=request.trusted and not request.trusts_below,
            asks=self._asks,
            tools=offered,
            surroundings=fingerprint(self._config.env),
            granted=granted,
            login=login_settings(self._config.env) if options.bare else "",
        )

    def _remember(self, request: TurnRequest, attempt: _Attempt, *, is_live: bool) -> None:
        session_id = attempt.response.session_id
        if session_id is None:
            return
        self.last_session_id = session_id
        self.directories[session_id] = request.directory
        # What was played is nothing that the CLI knows, and what was allowed in it is allowed to no live turn.
        if not is_live:
            return
        # A branch begins with what was allowed and chosen in the session that it comes from.
        before = request.session_id or session_id
        self._granted[session_id] = (*self._granted.get(before, ()), *attempt.granted)
        self._writers.note(session_id, attempt.response.message_id)
        if request.options.model is not None or before in self._model_chosen:
            self._model_chosen.add(session_id)

    def _make(self, launch: Launch) -> LiveProcess:
        if not os.path.isdir(launch.directory):
            raise directory_gone(launch.directory)
        return LiveProcess(
            find_cli(self._config.cli_path),
            launch,
            env=environment(self._config.env, launch.directory, bare=bool(launch.options.bare)),
            close_timeout_s=self._config.process_cleanup_timeout,
            begin_own=self._own_turns.begin,
            new_prompt_id=self._new_prompt_id if launch.kept else lambda: str(uuid.uuid4()),
        )

    def _is_kept(self, session_id: str) -> bool:
        """Whether a session is one that the CLI keeps here."""
        projects = all_projects(self._config.env)
        return self.pool.warm(session_id) is not None or transcript_of(session_id, projects) is not None

    def _new_prompt_id(self) -> str:
        prompt_id = str(uuid.uuid4())
        self._sent[prompt_id] = None
        return prompt_id


class _Attempt:
    """The host of one attempt: adds up its events, and stops the clock while a person is asked."""

    def __init__(self, request: TurnRequest, host: TurnHost, log: ClientLog, clock: anyio.CancelScope | None = None) -> None:
        self.response = SessionAwareResponse(session_id=None if request.fork else request.session_id)
        self.reached_cli = False
        self.granted: list[str] = []
        self._clock = clock or anyio.CancelScope()
        self._host = host
        self._log = log

    def emit(self, event: Event) -> None:
        self.reached_cli = self.reached_cli or not isinstance(event, Notice | Queued)
        self._log.event(event)
        fold(self.response, event)
        self._host.emit(event)

    async def ask(self, request: PermissionRequest) -> PermissionAnswer:
        left_s = self._clock.deadline - anyio.current_time()
        self._clock.deadline = math.inf
        try:
            answer = await self._host.ask(request)
        finally:
            self._clock.deadline = anyio.current_time() + left_s
        if answer.decision is Decision.SESSION:
            self.granted += request.rules
        return answer

    async def call(self, tool: str, arguments: dict[str, Any]) -> ToolResult:
        return await self._host.call(tool, arguments)


def _check_ids(request: TurnRequest) -> None:
    """See that IDs are IDs: the CLI (2.1.332) takes a path for one, and loads what is there, and looks others up as titles."""
    if request.session_id is not None and not is_id(request.session_id):
        raise SessionNotFoundError(f"No session has the ID {request.session_id!r}: an ID is a UUID.")
    if request.at is not None and not is_id(request.at):
        raise TurnNotFoundError(f"No message has the ID {request.at!r}: an ID is a UUID.")


def _worth_repeating(error: ClaudeError) -> bool:
    match error:
        case CLIDiedError():
            return True
        case APIError(status=status):
            return status is None or status == 429 or status >= 500
    return False
