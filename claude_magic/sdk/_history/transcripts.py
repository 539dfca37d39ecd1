"""What a session's transcript says: its prompts, each with everything that answered it.

Reads the CLI's entries: which of them are prompts, and which answers belong to which prompt. `places` knows where transcripts
are, and `sessions` what sessions are called.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import claude_agent_sdk as sdk

from claude_magic._paths import file_bytes
from claude_magic.errors import SessionNotFoundError
from claude_magic.sdk import response
from claude_magic.sdk._history.branches import in_a_loop
from claude_magic.sdk._history.places import is_id, read_entries, readable_entries, transcript_of
from claude_magic.sdk.content import CONTEXT_TAG

_SUMMARY = "This session is being continued from a previous conversation"
"""The first words of the summary by which the CLI (2.1.331) replaces a compacted conversation."""

_ADDED_BY_CLI = (
    _SUMMARY,
    "<bash-input>",
    "<bash-stdout>",
    "<command-",
    "<ide_",
    "<local-command-",
    "<system-reminder>",
    "<task-notification>",
    "[Request interrupted",
    "Your response above was cut off",
)
"""Beginnings of texts that the CLI (2.1.331) writes into a transcript in the user's name."""

_NO_MODEL = "<synthetic>"
_NO_ANSWER = "No response requested."
"""What the CLI (2.1.331) writes, with the model `_NO_MODEL`, where it resumed a turn that had no answer."""

_FIRST = 20
"""How many entries are searched for `forkedFrom`, which each message of a branch has."""

_ATTACHED = {"image": "an image", "document": "a document"}
"""By type of a part of a prompt: what the person is told of it."""

_FILE = re.compile(r"(?P<name>[^\n]+):\n`{3,}\n")


@dataclass(frozen=True, slots=True)
class Exchange:
    """A prompt and what answered it.

    `blocks` are the answer's texts and tool calls in their order, without the tools' results. `attachments` name the files
    and images that were sent with the prompt. `trouble` says why the answer is missing or incomplete. `message_id` is
    Claude's last message, after which a branch can begin. `messages` are the IDs of all messages; `model` is who answered.
    """

    prompt: str
    blocks: tuple[response.Block, ...] = ()
    attachments: tuple[str, ...] = ()
    trouble: str = ""
    message_id: str | None = None
    is_command: bool = False
    model: str | None = None
    messages: frozenset[str] = frozenset()

    @property
    def reply(self) -> str:
        """All text of the answer, in Markdown."""
        return "\n\n".join(block.text for block in self.blocks if isinstance(block, response.Text))


def exchanges(session_id: str, directory: str | None) -> list[Exchange]:
    """Return a session's exchanges in order, including those before a compaction; empty if there is no such session."""
    path = transcript_of(session_id, directory=directory)
    try:
        messages = _messages(path) if path else []
        if path and any(text.startswith(_SUMMARY) for message in messages for text in _texts(_parts(message.message))):
            messages = _messages(path, whole=True) or messages
    except OSError:
        return []
    found: list[Exchange] = []
    for message in messages:
        parts = _parts(message.message)
        if message.type == "user" and (asked := _asked(parts)):
            found.append(asked)
        elif found:
            found[-1] = _answered(found[-1], message, parts) if message.type == "assistant" else _noted(found[-1], parts)
        if found:
            found[-1] = replace(found[-1], messages=found[-1].messages | {message.uuid})
    # A command that the CLI handles itself, such as /clear, is no turn; a command that Claude answers is one.
    return [exchange for exchange in found if exchange.blocks or exchange.trouble or not exchange.is_command]


def reply_of(exchange: Exchange, session_id: str | None = None, directory: str | None = None) -> response.SessionAwareResponse:
    """Rebuild a reply from an exchange. Remarks say what was sent with the prompt, and why the answer is incomplete."""
    sent = f"Sent with the prompt: {', '.join(exchange.attachments)}." if exchange.attachments else ""
    before, after = ([response.Remark(text)] if text else [] for text in (sent, exchange.trouble))
    last = exchange.blocks[-1] if exchange.blocks else None
    calls = (
        block for block in exchange.blocks if isinstance(block, response.ToolCall) and block.name == response.STRUCTURED_OUTPUT
    )
    data = next(reversed([block.input for block in calls if not block.is_error]), None)
    structured = data[response.VALUE] if data is not None and data.keys() == {response.VALUE} else data
    content = (
        response.as_json(structured) if data is not None else last.text if isinstance(last, response.Text) else exchange.reply
    )
    return response.SessionAwareResponse(
        content=content,
        session_id=session_id,
        metadata={"model": exchange.model} if exchange.model else {},
        blocks=[*before, *exchange.blocks, *after],
        structured=structured,
        model=exchange.model,
        directory=directory,
        message_id=exchange.message_id,
    )


def last_message_id(session_id: str, directory: str | None) -> str | None:
    """Return the UUID of the message that the next turn continues from; `None` if nothing has been said yet.

    :raises SessionNotFoundError: if the transcript is missing or cannot be read.
    """
    if (path := transcript_of(session_id, directory=directory)) is None:
        raise SessionNotFoundError(f"There is no transcript of the session {session_id}.")
    try:
        messages = _messages(path)
    except OSError as error:
        raise SessionNotFoundError(f"The transcript of the session {session_id} cannot be read: {error.strerror}.") from error
    ids = (message.uuid for message in reversed(messages) if message.type == "user" or not _is_synthetic(message))
    return next(ids, None)


def forked_from(session_id: str, directory: str | None) -> str | None:
    """Return the ID of the session that this one was forked from, by its first messages; `None` if it is no fork."""
    for entry in islice(readable_entries(transcript_of(session_id, directory=directory)), _FIRST):
        match entry:
            case {"forkedFrom": {"sessionId": str(origin)}} if is_id(origin):
                return origin
    return None


def last_said_at(session_id: str) -> str:
    """Return the time of a session's last message in ISO 8601 (UTC), which sorts as text; empty if there is none.

    The file's own time is later: the CLI (2.1.331) writes to the file again when it ends.
    """
    said = (entry for entry in readable_entries(transcript_of(session_id)) if entry.get("type") in ("user", "assistant"))
    return max((str(entry.get("timestamp", "")) for entry in said), default="")


def prompt_in(entry: dict[str, Any]) -> str | None:
    """Return the prompt that a person typed in this entry of a transcript, `None` if it holds none."""
    if entry.get("type") != "user" or entry.get("isMeta") or entry.get("isSidechain"):
        return None
    parts = _parts(entry.get("message"))
    asked = None if any(part.get("type") == "tool_result" for part in parts) else _asked(parts)
    return asked.prompt if asked is not None and not asked.is_command else None


def is_before_compaction(path: Path, message_id: str) -> bool:
    """Whether the CLI has compacted the session after this message, so that it cannot go back to it."""
    # Bytes are searched, not parsed: a transcript can be large, and each turn that goes back needs this.
    try:
        entries = file_bytes(path)
    except OSError:
        return False
    return entries.rfind(b'"subtype":"compact_boundary"') > entries.find(f'"uuid":"{message_id}"'.encode()) >= 0


def _messages(path: Path, *, whole: bool = False) -> list[sdk.SessionMessage]:
    """Read a session's messages from our own parsing: the SDK's file reader fails on one bad character.

    :param whole: include the messages before a compaction; only `logicalParentUuid` links them to the later ones.
    """
    entries = [entry for entry in read_entries(path) if isinstance(entry.get("type"), str)]
    if whole:
        for entry in entries:
            entry["parentUuid"] = entry.get("parentUuid") or entry.get("logicalParentUuid")

    async def read() -> list[sdk.SessionMessage]:
        store = sdk.InMemorySessionStore()
        key = sdk.project_key_for_directory("/")
        await store.append({"project_key": key, "session_id": path.stem}, entries)  # type: ignore[arg-type]
        return await sdk.get_session_messages_from_store(store, path.stem, directory="/")

    return in_a_loop(read)


def is_added(text: str) -> bool:
    """Whether a text in the user's name was not typed by a person: the CLI added it, or it is context of a prompt."""
    return text.startswith((*_ADDED_BY_CLI, f"<{CONTEXT_TAG}>"))


def _asked(parts: list[dict[str, Any]]) -> Exchange | None:
    """Read a user's message as a prompt; `None` if it is none."""
    said = _texts(parts)
    texts = [text for text in said if not is_added(text)]
    commands = (text for text in said if text.startswith("<command-"))
    if command := next((text for text in commands if _inside(text, "command-name") is not None), None):
        words = [(_inside(command, tag) or "").strip() for tag in ("command-name", "command-args")]
        return Exchange(" ".join(filter(None, words)), is_command=True)
    attachments = [_ATTACHED[kind] for part in parts if (kind := str(part.get("type"))) in _ATTACHED]
    if not texts:
        return Exchange("", attachments=tuple(attachments)) if attachments else None
    # Files are sent before the prompt's own text, which is the last block.
    *before, prompt = texts
    written: list[str] = []
    for text in before:
        if match := _FILE.match(text):
            attachments.append(match["name"])
        else:
            written.append(text)
    return Exchange("\n\n".join((*written, prompt)), attachments=tuple(attachments))


def _inside(text: str, tag: str) -> str | None:
    inside, end, _ = text.partition(f"<{tag}>")[2].partition(f"</{tag}>")
    return inside if end else None


def _answered(exchange: Exchange, message: sdk.SessionMessage, parts: list[dict[str, Any]]) -> Exchange:
    """Add a message of Claude's to the exchange."""
    blocks: list[response.Block] = []
    for part in parts:
        number = len(exchange.blocks) + len(blocks)
        match part:
            case {"type": "text"} if text := "".join(_texts([part])).strip("\n"):
                blocks.append(response.Text(number, response.Growing(text), complete=True))
            case {"type": "tool_use" | "server_tool_use", "id": str(call_id), "name": str(name), "input": dict(given)}:
                blocks.append(response.ToolCall(number, call_id, name, given))
    if _is_synthetic(message):
        said = "\n".join(block.text for block in blocks if isinstance(block, response.Text))
        return exchange if said == _NO_ANSWER else replace(exchange, trouble=said)
    model = message.message.get("model") if isinstance(message.message, dict) else None
    return replace(
        exchange,
        blocks=(*exchange.blocks, *blocks),
        message_id=message.uuid,
        model=model if isinstance(model, str) else exchange.model,
    )


def _noted(exchange: Exchange, parts: list[dict[str, Any]]) -> Exchange:
    """Mark tool calls that have a result, or note that the person interrupted the turn."""
    failed = {part.get("tool_use_id"): bool(part.get("is_error")) for part in parts if part.get("type") == "tool_result"}
    if failed:
        blocks = (
            replace(block, complete=True, is_error=failed[block.call_id])
            if isinstance(block, response.ToolCall) and block.call_id in failed
            else block
            for block in exchange.blocks
        )
        exchange = replace(exchange, blocks=tuple(blocks))
    interrupted = any(text.startswith("[Request interrupted") for text in _texts(parts))
    return replace(exchange, trouble="Interrupted.") if interrupted else exchange


def _is_synthetic(message: sdk.SessionMessage) -> bool:
    return isinstance(message.message, dict) and message.message.get("model") == _NO_MODEL


def _parts(message: object) -> list[dict[str, Any]]:
    content = message.get("content") if isinstance(message, dict) else None
    if isinstance(content, str):
        return [{"type": "text", "text": content}]
    return [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []


def _texts(parts: list[dict[str, Any]]) -> list[str]:
    texts = (part.get("text") for part in parts if part.get("type") == "text")
    return [text for text in texts if isinstance(text, str)]
