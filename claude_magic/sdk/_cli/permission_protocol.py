"""Permission requests and in-process tools, between claude-agent-sdk's words and ours."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import claude_agent_sdk as sdk
from claude_agent_sdk.types import PreToolUseHookSpecificOutput, SyncHookJSONOutput

from claude_magic._paths import cli_home
from claude_magic._text import well_formed
from claude_magic.sdk import events
from claude_magic.sdk._cli.command_line import Launch
from claude_magic.sdk._gate.gate import Call, Gate, Verdict
from claude_magic.sdk.host import DENIED, SERVER, Decision, PermissionRequest, Tool, ToolResult, TurnHost

_NOBODY: Final = "Nobody can be asked here, and no rule allows it."
_LONG_S: Final = 10.0**6
"""Longer than our loop can be kept from answering: a judgement that comes too late would not hold the call back."""


class Permissions:
    """Who decides about the calls of one process: the gate before the CLI, then, where that asks, the host of the turn.

    :param host_of: returns who hosts the turn that a call belongs to.
    :param mode: returns the permission mode of the process.
    """

    def __init__(
        self, launch: Launch, env: Mapping[str, str], host_of: Callable[[str | None], TurnHost], mode: Callable[[], str | None]
    ) -> None:
        self._launch = launch
        self._host_of = host_of
        self._mode = mode
        self._gate = Gate(
            launch.directory,
            cli_home(env),
            home=env.get("HOME") or str(Path.home()),
            rules=() if launch.safe_mode else launch.options.allowed_tools or (),
            granted=launch.granted,
            harmless=launch.harmless,
            trusted=launch.trusted,
        )

    def add_to(self, options: sdk.ClaudeAgentOptions) -> None:
        """Let the CLI announce each call, and ask us."""
        # A judgement that fails blocks the call; without that it would count as none.
        options.hooks = {"PreToolUse": [sdk.HookMatcher(hooks=[self._announced], timeout=_LONG_S, on_failure="block")]}
        if self._launch.trusted:
            # The CLI watches the files of its directory and would obey what is changed or added there; a turn that comes later
            # gets a process of its own for that. The SDK does not name this event, and hands on what it is given (0.2.189).
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
        match self._gate.judge(call, self._mode()):
            case Verdict.PASS, _:
                return SyncHookJSONOutput()
            case Verdict.ASK, reason:
                return _answer("ask", reason if self._launch.asks else f"{_NOBODY} {reason}".rstrip())
            case _, reason:
                self._host_of(call_id).emit(events.PermissionAnswered(call_id or "", Decision.DENY.value, word=reason))
                return _answer("deny", reason)

    async def _asked(self, tool: str, arguments: dict[str, Any], context: sdk.ToolPermissionContext) -> sdk.PermissionResult:
        reason = context.decision_reason
        rules = self._gate.rules_for(tool, arguments, reason)
        if self._gate.was_granted(rules):
            return sdk.PermissionResultAllow(updated_input=arguments)
        call_id, by_helper = context.tool_use_id or "", context.agent_id is not None
        request = PermissionRequest(call_id, tool, arguments, self._launch.directory, reason, rules, by_helper)
        # A helper goes on behind the turn that it was sent off in.
        host = self._host_of(context.tool_use_id)
        try:
            answer = await host.ask(request)
        except asyncio.CancelledError:
            host.emit(events.PermissionAnswered(request.call_id, Decision.DENY.value, word="the turn was stopped"))
            raise
        granted = rules if answer.decision is Decision.SESSION else ()
        word = answer.word if answer.decision is Decision.DENY else ""
        # Nothing of it is handed to the CLI, which would keep rules in the directory's settings file, and read more into them.
        self._gate.grant(granted)
        host.emit(events.PermissionAnswered(request.call_id, answer.decision.value, granted, word))
        if answer.decision is Decision.DENY:
            return sdk.PermissionResultDeny(message=word or DENIED)
        return sdk.PermissionResultAllow(updated_input=arguments)


def _answer(decision: Literal["ask", "deny"], reason: str) -> SyncHookJSONOutput:
    output = PreToolUseHookSpecificOutput(hookEventName="PreToolUse", permissionDecision=decision)
    if reason:
        output["permissionDecisionReason"] = reason
    return SyncHookJSONOutput(hookSpecificOutput=output)


async def _settings_stay(*about: object) -> sdk.HookJSONOutput:
    return {"decision": "block", "reason": "What changed is loaded when a person has said yes to it."}


def server_of(tools: Sequence[Tool], call: Callable[[str, dict[str, Any]], Awaitable[ToolResult]]) -> sdk.McpSdkServerConfig:
    """Return an in-process MCP server whose tools are done by `call`."""
    return sdk.create_sdk_mcp_server(SERVER, tools=[_tool(tool, call) for tool in tools])


def _tool(tool: Tool, call: Callable[[str, dict[str, Any]], Awaitable[ToolResult]]) -> sdk.SdkMcpTool[Any]:
    async def handle(arguments: dict[str, Any]) -> dict[str, Any]:
        result = await call(tool.name, arguments)
        images = [{"type": "image", "data": image.data, "mimeType": image.media_type} for image in result.images]
        return {"content": [{"type": "text", "text": well_formed(result.text)}, *images], "is_error": result.is_error}

    annotations = sdk.ToolAnnotations(readOnlyHint=tool.read_only)
    return sdk.SdkMcpTool(tool.name, tool.description, tool.schema, handle, annotations)
