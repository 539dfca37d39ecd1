"""What a turn's process is started with: the turn's options, what its folder holds, and what was allowed in its session.

`_cli` makes the command line of it, and the runner decides when a turn runs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from claude_magic.sdk._cli.command_line import Launch
from claude_magic.sdk._cli.environment import fingerprint, login_settings
from claude_magic.sdk._folder.contents import fingerprint_of, settings_files
from claude_magic.sdk._folder.memories import memories
from claude_magic.sdk._gate.rules import settings_in
from claude_magic.sdk._offers.servers import server_files
from claude_magic.sdk.config import ClaudeConfig
from claude_magic.sdk.host import SERVER, Tool, typeable
from claude_magic.sdk.turn_request import TurnRequest


class Launches:
    """What the processes of one client are started with.

    :param tools: our own tools.
    :param asks: whether hosts can be asked for permission.
    """

    def __init__(self, config: ClaudeConfig, tools: Sequence[Tool], *, asks: bool) -> None:
        self._config = config
        self._tools = tools
        self._asks = asks
        self._granted: dict[str, tuple[tuple[str, str | None], ...]] = {}
        """By session: the rules that a person has allowed for it, which its next process gets.

        A rule for a server's tool comes with a hash of the files that named servers: another file may reuse a server's name.
        """
        self._model_chosen: set[str] = set()
        """Sessions in which a turn named a model: on resume, the CLI would use it again, also for a turn that names none."""

    def launch(self, request: TurnRequest) -> Launch:
        """Return what a process for this turn is started with.

        :raises ConfigError: for a file of servers that cannot be used.
        """
        options = request.options
        if options.bare:
            request = replace(request, trusted=False, use_tools=False)
        offered = (*(self._tools if request.use_tools else ()), *request.tools)
        if request.trusted:
            # The CLI ignores the rules of a directory that was not trusted in the CLI's own dialog, so we pass them.
            own = settings_in(settings_files(request.directory)).rules
            rules = (*(options.allowed_tools or ()), *typeable(own))
            options = replace(options, allowed_tools=rules or None)
        if options.model is None and request.session_id in self._model_chosen:
            options = replace(options, model="default")
        servers = server_files(options.mcp or ())
        contents = fingerprint_of(request.directory) if request.trusted else ""
        known = (None, servers.digest + contents)
        granted = tuple(rule for rule, named_by in self._granted.get(request.session_id or "", ()) if named_by in known)
        return Launch(
            directory=request.directory,
            options=replace(options, mcp=servers.paths or None),
            safe_mode=self._config.safe_mode,
            resume=request.session_id,
            fork=request.fork,
            at=request.at,
            trusted=request.trusted,
            # Without trust, the CLI loads neither the directory's settings nor its `CLAUDE.md`, so we pass the text.
            memory="" if request.trusted or options.bare else memories(request.directory).text,
            contents=contents,
            asks_below=request.trusted and not request.trusts_below,
            asks=self._asks,
            tools=offered,
            servers=servers,
            surroundings=fingerprint(self._config.env),
            granted=granted,
            login=login_settings(self._config.env) if options.bare else "",
        )

    def inherit(self, session_id: str, before: str) -> None:
        """Let a branch begin with what was allowed and chosen in the session that it comes from."""
        self._granted[session_id] = self._granted.get(before, ())
        if before in self._model_chosen:
            self._model_chosen.add(session_id)

    def remember(self, session_id: str, request: TurnRequest, launch: Launch, granted: Sequence[str]) -> None:
        """Remember for this session what was allowed and chosen in its latest turn, on a process with this launch."""
        before = request.session_id or session_id
        named_by = launch.servers.digest + launch.contents
        new = (
            (rule, named_by if rule.startswith("mcp__") and not rule.startswith(f"mcp__{SERVER}__") else None)
            for rule in granted
        )
        self._granted[session_id] = (*self._granted.get(before, ()), *new)
        if request.options.model is not None or before in self._model_chosen:
            self._model_chosen.add(session_id)
