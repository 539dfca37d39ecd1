"""Translates permission requests, modes and in-process tools between claude-agent-sdk's terms and ours."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final, Literal

import claude_agent_sdk as sdk
from claude_agent_sdk.types import PreToolUseHookSpecificOutput, SyncHookJSONOutput

from claude_magic._paths import cli_home, home_directory
from claude_magic._text import well_formed
from claude_magic.errors import ConfigError
from claude_magic.sdk import events
from claude_magic.sdk._cli.command_line import Launch
from claude_magic.sdk._gate.call import Call
from claude_magic.sdk._gate.gate import Gate, Verdict
from claude_magic.sdk.host import (
    DENIED,
    QUESTION,
    SERVER,
    Decision,
    PermissionAnswer,
    PermissionRequest,
    Tool,
    ToolResult,
    TurnHost,
)

_NOBODY: Final = "Nobody can be asked here, and no rule allows it."
_DECLINED: Final = "The person does not answer. Go on without an answer, or stop where there is no way without it."
_CHANGED: Final = "the file has changed since you were asked"
_FOLDER_CHANGED: Final = "what Claude Code loads from the folder has changed since you were asked"
_UNANSWERED: Final = "The person has not answered."
_LONG_S: Final = 10.0**6
"""The timeout of our hook, longer than our event loop can be blocked: after it, the CLI would run the call unjudged."""


class PermissionMode:
    """The permission mode of one process, which was started with `chosen`; `None` leaves it to the CLI's own settings."""

    def __init__(self, chosen: str | None, set_mode: Callable[[Any], Awaitable[object]], is_alive: Callable[[], bool]) -> None:
        self._set_mode = set_mode
        self._is_alive = is_alive
        self.now = chosen
        """The mode as last set or reported; `None` while only the CLI's settings decide."""
        self._unchosen = None if chosen is None else "default"
        """The mode of a turn that chooses none: the first one reported; `default` if we set one first; `None` before either."""

    def note(self, reported: str | None) -> None:
        self.now = reported or self.now
        self._unchosen = self._unchosen or self.now

    async def choose(self, chosen: str | None) -> None:
        """Set the mode of the next turn; raise `ConfigError` if the CLI refuses it."""
        mode = chosen or self._unchosen
        if mode == self.now:
            return
        # From now on the CLI reports the mode that we set, and never again that of its settings.
        self._unchosen = self._unchosen or "default"
        try:
            await self._set_mode(mode)
        except Exception as error:  # the SDK raises plain Exception for what the CLI refuses
            if not self._is_alive():
                raise
            raise ConfigError(
                f"The CLI refuses the permission mode {mode}: {error}", next_step="Choose another permission_mode."
            ) from error
        self.now = mode


class Permissions:
    """Decides about the tool calls of one process. The gate judges first; if it or the CLI asks, the host of the turn decides.

    :param host_of: returns the host of the turn that a call belongs to.
    :param mode: returns the permission mode of the process.
    :param waited: is told for how many seconds a call has waited for a person.
    """

    def __init__(
        self,
        launch: Launch,
        env: Mapping[str, str],
        host_of: Callable[[str | None], TurnHost],
        mode: Callable[[], str | None],
        waited: Callable[[str, float], None],
    ) -> None:
        self._launch = launch
        self._host_of = host_of
        self._mode = mode
        self._waited = waited
        self._open: dict[str, tuple[tuple[str, ...], asyncio.Future[PermissionAnswer]]] = {}
        """The open requests: the rules that each one needs, and its future answer."""
        self._places: dict[str, str] = {}
        """By call ID, for calls outside the folder: their directory. A helper may work in a worktree."""
        self._gate = Gate(
            launch.directory,
            cli_home(env),
            home=env.get("HOME") or home_directory(),
            rules=() if launch.safe_mode else launch.options.allowed_tools or (),
            granted=launch.granted,
            harmless=launch.harmless,
            trusted=launch.trusted,
            asks_below=launch.asks_below,
        )

    def add_to(self, options: sdk.ClaudeAgentOptions) -> None:
        """Let the CLI announce each call to us, and ask us for permission."""
        # If our hook raises, the call is blocked. By default it would go ahead.
        options.hooks = {"PreToolUse": [sdk.HookMatcher(hooks=[self._announced], timeout=_LONG_S, on_failure="block")]}
        if self._launch.trusted:
            # The CLI watches its folder and would load changed or new files at once. A new process loads
            # them, once they are trusted. The SDK does not know this event, but passes it on as it is (0.2.189).
            changes: Any = "ConfigChange"
            options.hooks[changes] = [sdk.HookMatcher("project_settings|local_settings|skills", [_settings_stay])]
        if self._launch.asks:
            options.can_use_tool = self._asked

    async def _announced(self, announced: Any, call_id: str | None, context: sdk.HookContext) -> SyncHookJSONOutput:
        transcript, _ = os.path.splitext(str(announced.get("transcript_path") or ""))
        call = Call(
            announced["tool_name"],
            announced["tool_input"],
            announced.get("permission_mode") or "default",
            announced["cwd"],
            announced["session_id"],
            own_files=transcript,
            by_helper=bool(announced.get("agent_id")),
        )
        # Our own tools run in this process, so the CLI's directory does not matter to them.
        if not call.tool.startswith(f"mcp__{SERVER}__") and self._gate.is_elsewhere(call.cwd):
            self._places[call_id or ""] = call.cwd
        match self._gate.judge(call, self._mode()):
            case Verdict.PASS, _:
                return SyncHookJSONOutput()
            case Verdict.ASK, reason:
                return _verdict("ask", reason if self._launch.asks else f"{_NOBODY} {reason}".rstrip())
            case _, reason:
                self._host_of(call_id).emit(events.PermissionAnswered(call_id or "", Decision.DENY.value, word=reason))
                return _verdict("deny", reason)

    async def _asked(self, tool: str, arguments: dict[str, Any], context: sdk.ToolPermissionContext) -> sdk.PermissionResult:
        call_id = context.tool_use_id or ""
        place = self._places.pop(call_id, self._launch.directory)
        # The call's ID finds its host, as a helper may go on after the turn that started it.
        host = self._host_of(context.tool_use_id)
        call = Call(tool, arguments, self._mode() or "default", place, "", by_helper=context.agent_id is not None)
        now, changed = self._gate.effects.circumstances(call), ""
        while True:
            shown = now
            rules = () if shown.asks_anew else self._gate.rules_for(tool, arguments, context.decision_reason, place)
            if self._gate.was_granted(rules) and not changed:
                return sdk.PermissionResultAllow(updated_input=arguments)
            why = changed or context.decision_reason or self._gate.reason_for(tool, context.blocked_path, place)
            offered = rules if self._gate.adds_to_rules(rules) else ()
            request = PermissionRequest(call_id, tool, arguments, place, why, offered, call.by_helper)
            answer, now = await self._answer(host, request, rules), self._gate.effects.circumstances(call)
            if not answer.decision.allows or now == shown:
                break
            # What the person saw is no longer true.
            changed = "; ".join(filter(None, (_CHANGED if now.files != shown.files else "", now.asks_anew))) or _FOLDER_CHANGED
        granted = rules if answer.decision is Decision.SESSION else ()
        word = answer.word if answer.decision in (Decision.DENY, Decision.ANSWERED) else ""
        # The CLI gets no rules: it would write them into the directory's settings file, and allow more by them.
        self._grant(granted)
        if answer.decision.allows:
            self._gate.effects.accept(shown)
        host.emit(events.PermissionAnswered(request.call_id, answer.decision.value, granted, word))
        if answer.decision is Decision.DENY:
            return sdk.PermissionResultDeny(message=word or (_DECLINED if request.questions else DENIED))
        if answer.decision is Decision.ANSWERED:
            # Answers that the model wrote itself are dropped.
            answers = {text: well_formed(said) for text, said in answer.answers.items()}
            return sdk.PermissionResultAllow(updated_input={"questions": arguments["questions"], "answers": answers})
        return sdk.PermissionResultAllow(updated_input=arguments)

    async def _answer(self, host: TurnHost, request: PermissionRequest, rules: tuple[str, ...]) -> PermissionAnswer:
        """Return the person's answer to this request, or to another one that covers it."""
        asking = asyncio.ensure_future(host.ask(request))
        self._open[request.call_id] = rules, asking
        began = time.monotonic()
        try:
            await asyncio.wait([asking])
            is_covered = asking.cancelled() and self._gate.was_granted(rules)
            answer = PermissionAnswer(Decision.SESSION) if is_covered else await asking
        except asyncio.CancelledError:
            host.emit(events.PermissionAnswered(request.call_id, Decision.DENY.value, word="the turn was stopped"))
            raise
        finally:
            del self._open[request.call_id]
            asking.cancel()
        self._waited(request.call_id, time.monotonic() - began)
        return _fitting(request, answer)

    def _grant(self, rules: tuple[str, ...]) -> None:
        """Allow these rules for the session, and close open requests that they cover."""
        self._gate.grant(rules)
        for needed, asking in self._open.values():
            if self._gate.was_granted(needed):
                asking.cancel()


def _fitting(request: PermissionRequest, answer: PermissionAnswer) -> PermissionAnswer:
    """Return a valid answer: `AskUserQuestion` takes answers or a denial, and any other tool takes no answers."""
    texts = [question.text for question in request.questions]
    answers = {text: said for text in texts if (said := answer.answers.get(text, "").strip())}
    is_question, is_answered = request.tool == QUESTION, answer.decision is Decision.ANSWERED
    if is_question and is_answered and answers:
        return PermissionAnswer(Decision.ANSWERED, "; ".join(answers.values()), answers)
    if (is_question or is_answered) and answer.decision is not Decision.DENY:
        return PermissionAnswer(Decision.DENY, _UNANSWERED if is_question else "")
    return answer


def _verdict(decision: Literal["ask", "deny"], reason: str) -> SyncHookJSONOutput:
    output = PreToolUseHookSpecificOutput(hookEventName="PreToolUse", permissionDecision=decision)
    if reason:
        output["permissionDecisionReason"] = reason
    return SyncHookJSONOutput(hookSpecificOutput=output)


async def _settings_stay(*about: object) -> sdk.HookJSONOutput:
    return {"decision": "block", "reason": "What changed is loaded when a person has said yes to it."}


def server_of(tools: Sequence[Tool], call: Callable[[str, dict[str, Any]], Awaitable[ToolResult]]) -> sdk.McpSdkServerConfig:
    """Return an in-process MCP server. `call` runs its tools."""
    return sdk.create_sdk_mcp_server(SERVER, tools=[_tool(tool, call) for tool in tools])


def _tool(tool: Tool, call: Callable[[str, dict[str, Any]], Awaitable[ToolResult]]) -> sdk.SdkMcpTool[Any]:
    async def handle(arguments: dict[str, Any]) -> dict[str, Any]:
        result = await call(tool.name, arguments)
        images = [{"type": "image", "data": image.data, "mimeType": image.media_type} for image in result.images]
        return {"content": [{"type": "text", "text": well_formed(result.text)}, *images], "is_error": result.is_error}

    annotations = sdk.ToolAnnotations(readOnlyHint=tool.read_only)
    schema = tool.schema | {"additionalProperties": False}  # what nobody uses would only mislead the person who is asked
    return sdk.SdkMcpTool(tool.name, tool.description, schema, handle, annotations)
