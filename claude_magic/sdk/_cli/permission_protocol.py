"""Permission requests and in-process tools, between claude-agent-sdk's words and ours."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

import claude_agent_sdk as sdk

from claude_magic.sdk.host import (
    DENIED,
    SERVER,
    Decision,
    PermissionAnswer,
    PermissionRequest,
    Tool,
    ToolResult,
    directory_words,
    mode_words,
)


def request_of(tool: str, arguments: dict[str, Any], context: sdk.ToolPermissionContext, directory: str) -> PermissionRequest:
    """Return our request for one of the SDK's."""
    return PermissionRequest(
        call_id=context.tool_use_id or "",
        tool=tool,
        input=arguments,
        directory=directory,
        reason=context.decision_reason,
        rules=tuple(word for update in _for_session(context.suggestions) for word in _in_words(update)),
        by_helper=context.agent_id is not None,
    )


def result_of(answer: PermissionAnswer, request: PermissionRequest, context: sdk.ToolPermissionContext) -> sdk.PermissionResult:
    """Return the SDK's result for our answer."""
    match answer.decision:
        case Decision.ONCE:
            return sdk.PermissionResultAllow(updated_input=request.input)
        case Decision.SESSION:
            # Handed back as they come, the CLI would write them into the directory's settings file.
            updates = [replace(update, destination="session") for update in _for_session(context.suggestions)]
            return sdk.PermissionResultAllow(updated_input=request.input, updated_permissions=updates)
        case Decision.DENY:
            return sdk.PermissionResultDeny(message=answer.word or DENIED)


def server_of(tools: Sequence[Tool], call: Callable[[str, dict[str, Any]], Awaitable[ToolResult]]) -> sdk.McpSdkServerConfig:
    """Return an in-process MCP server whose tools are done by `call`."""
    return sdk.create_sdk_mcp_server(SERVER, tools=[_tool(tool, call) for tool in tools])


def rule_of(tool: Tool) -> str:
    """Return the rule that allows one of our tools."""
    return f"mcp__{SERVER}__{tool.name}"


def _tool(tool: Tool, call: Callable[[str, dict[str, Any]], Awaitable[ToolResult]]) -> sdk.SdkMcpTool[Any]:
    async def handle(arguments: dict[str, Any]) -> dict[str, Any]:
        result = await call(tool.name, arguments)
        images = [{"type": "image", "data": image.data, "mimeType": image.media_type} for image in result.images]
        return {"content": [{"type": "text", "text": result.text}, *images], "is_error": result.is_error}

    annotations = sdk.ToolAnnotations(readOnlyHint=tool.read_only)
    return sdk.SdkMcpTool(tool.name, tool.description, tool.schema, handle, annotations)


def _for_session(suggestions: Sequence[sdk.PermissionUpdate]) -> list[sdk.PermissionUpdate]:
    """Choose the narrowest of what the CLI suggests, which are alternatives: a rule, else a directory, else a mode."""
    kinds = ("addRules", "replaceRules"), ("addDirectories",), ("setMode",)
    choices = ([update for update in suggestions if update.type in kind] for kind in kinds)
    return next((choice for choice in choices if choice), [])


def _in_words(update: sdk.PermissionUpdate) -> list[str]:
    match update.type:
        case "addRules" | "replaceRules" if update.behavior == "allow":
            return [
                f"{rule.tool_name}({rule.rule_content})" if rule.rule_content else rule.tool_name for rule in update.rules or []
            ]
        case "setMode":
            return [mode_words(update.mode)]
        case "addDirectories":
            return [directory_words(directory) for directory in update.directories or []]
    return []
