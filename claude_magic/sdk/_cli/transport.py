"""The pipes of one CLI process, which carry claude-agent-sdk's control protocol.

The SDK's own subprocess transport is private. It starts the CLI in our process group, so an interrupt of the kernel would end
the CLI; it drops fields of the result message about the cost; it may need 20 s to close. This one starts the CLI in another
group, keeps the raw messages of the turn, and closes within a time limit. `Transport` is public but declared unstable:
pyproject.toml caps the SDK's version for that reason.
"""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import anyio
from claude_agent_sdk import CLIConnectionError, Transport

from claude_magic._characters import strip_controls
from claude_magic._redaction import redact
from claude_magic._text import has_half, parse_json, well_formed_data
from claude_magic.sdk._cli.child import Child

MAX_STDERR_LINE_BYTES = 2_000

_GRACEFUL, _TERMINATED = 0.6, 0.3
"""Shares of the closing time: for an exit after the end of input, which flushes transcripts, and for one after SIGTERM."""


class CLITransport(Transport):
    """Run the CLI and carry JSON lines to and from it.

    :param first_request: fields that are added to the first control request; the SDK cannot set them.
    :param close_timeout_s: how long `close` may take before the process and its children are killed.
    """

    def __init__(
        self,
        command: Sequence[str],
        *,
        directory: str,
        env: Mapping[str, str],
        close_timeout_s: float,
        first_request: Mapping[str, Any] | None = None,
    ) -> None:
        self.command = command
        self.env = env
        self._directory = directory
        self._first_request = first_request or {}
        self._close_timeout_s = close_timeout_s
        self._process: Child | None = None
        self._stderr_task: asyncio.Task[None] | None = None
        self._stderr: deque[str] = deque(maxlen=40)
        self._raw: deque[dict[str, Any]] = deque()
        """Messages that `taken` has not returned yet. The many pieces of a stream are not kept."""
        self._pieces = _Pieces()
        self._unanswered: list[str] = []
        """Control requests that the CLI has not answered yet."""

    @property
    def exit_code(self) -> int | None:
        """How the CLI ended, negative for a signal; `None` while it runs."""
        return self._process.returncode if self._process else None

    @property
    def pid(self) -> int | None:
        """The process ID, `None` before `connect`."""
        return self._process.pid if self._process else None

    @property
    def stderr(self) -> str:
        """The last lines of the CLI's standard error. Secrets of its environment are masked."""
        return redact("\n".join(self._stderr), self.env)

    def taken(self, message_id: str | None = None) -> list[dict[str, Any]]:
        """Return and forget the CLI's raw messages, up to the one with this UUID; without a UUID, all of them."""
        ids = [raw.get("uuid") for raw in self._raw]
        if message_id is not None and message_id not in ids:
            return []
        count = len(ids) if message_id is None else ids.index(message_id) + 1
        return [self._raw.popleft() for _ in range(count)]

    async def connect(self) -> None:
        self._process = await Child.start(self.command, directory=self._directory, env=self.env)
        self._stderr_task = asyncio.create_task(self._read_stderr(self._process), name="claude-stderr")

    async def write(self, data: str) -> None:
        process = self._process
        if process is None or process.returncode is not None:
            raise CLIConnectionError("the CLI is not running")
        if data.startswith('{"type": "control_request"'):
            asked = json.loads(data)
            self._unanswered.append(asked["request_id"])
            if asked["request"]["subtype"] == "initialize":
                data = json.dumps(asked | {"request": asked["request"] | self._first_request}) + "\n"
        try:
            process.stdin.write(data.encode())
            await process.stdin.drain()
        except (ConnectionError, RuntimeError) as error:
            raise CLIConnectionError("the CLI no longer reads its input") from error

    async def read_messages(self) -> AsyncIterator[dict[str, Any]]:
        if (process := self._process) is None:
            raise CLIConnectionError("the CLI is not running")
        async for line in _lines(process.stdout):
            # Some builds write diagnostics between the messages. A message is always an object.
            if not line.startswith(b"{"):
                continue
            try:
                is_piece = b'"stream_event"' in line[:30]
                *pieces, message = self._pieces.parse(line.decode()) if is_piece else [parse_json(line)]
            except (ValueError, RecursionError):
                continue  # cut off: the CLI was killed while it wrote
            for piece in pieces:
                yield piece
            match message:
                case {"type": "control_response", "response": {"request_id": request_id}}:
                    self._unanswered = [waiting for waiting in self._unanswered if waiting != request_id]
                case {"type": "stream_event", "abandoned_blocks": {} as abandoned}:
                    # The blocks that a broken stream has lost (CLI 2.1.332). The SDK keeps only the event.
                    message["event"]["abandoned_blocks"] = abandoned
                case {"type": "stream_event" | "control_request" | "control_cancel_request"}:
                    pass
                case {"type": "command_lifecycle"}:
                    # Tells when the CLI begins and finishes a prompt (2.1.332). The SDK would drop this type.
                    message = {**message, "type": "system", "subtype": "command_lifecycle"}
                case {"type": str()}:
                    self._raw.append(message)
                case _:
                    continue
            yield message
        await process.wait()
        # The SDK would wait for these answers until its own time limit, a minute later.
        for request_id in self._unanswered:
            ended = {"subtype": "error", "request_id": request_id, "error": "the CLI ended"}
            yield {"type": "control_response", "response": ended}

    async def close(self) -> None:
        if (process := self._process) is None:
            return
        with anyio.CancelScope(shield=True):
            process.stdin.close()
            if not await self._ended(process, self._close_timeout_s * _GRACEFUL):
                process.terminate()
                if not await self._ended(process, self._close_timeout_s * _TERMINATED):
                    self.kill()
                    await process.wait()
            if self._stderr_task is not None:
                self._stderr_task.cancel()
                await asyncio.wait([self._stderr_task])

    async def wait(self) -> None:
        """Return when the process has ended and everything it wrote to stderr has been read."""
        if self._process is not None:
            await self._process.wait()
        if self._stderr_task is not None:
            await asyncio.wait([self._stderr_task])

    def kill(self) -> None:
        """End the process and everything that it has started, at once."""
        if self._process is not None:
            self._process.kill()

    async def abandon(self) -> None:
        """End the process from another event loop, because its own does not run."""
        if self._process is not None:
            self._process.abandon()
            with anyio.move_on_after(self._close_timeout_s):
                await self._process.wait_elsewhere()

    def is_ready(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def end_input(self) -> None:
        if self._process is not None:
            self._process.stdin.close()

    async def _ended(self, process: Child, timeout_s: float) -> bool:
        with anyio.move_on_after(timeout_s):
            await process.wait()
        return process.returncode is not None

    async def _read_stderr(self, process: Child) -> None:
        async for line in _lines(process.stderr):
            self._stderr.append(strip_controls(line[:MAX_STDERR_LINE_BYTES].decode(errors="replace")).rstrip())


class _Pieces:
    """Pieces of streamed text. A character may be split between two of them."""

    def __init__(self) -> None:
        self._begun: dict[tuple[Any, Any], tuple[str, str]] = {}
        """By block: `text` or `thinking`, and the half of a character that its last piece ended with."""

    def parse(self, line: str) -> list[dict[str, Any]]:
        """Return the message of a line. If its text ends with half a character, that half is kept for the next piece.

        A half that no piece follows comes as a piece of its own before the end of its block.
        :raises ValueError: if the line is not JSON.
        """
        message = json.loads(line)
        if not self._begun and not has_half(line):
            return [message]
        found = [message]
        match message.get("event"):
            case {"index": index, "delta": {"text": str(text)} | {"thinking": str(text)} as delta} if text:
                block, kind = (message.get("parent_tool_use_id"), index), "text" if "text" in delta else "thinking"
                text = self._begun.pop(block, ("", ""))[1] + text
                if "\ud800" <= text[-1] <= "\udbff":
                    text, self._begun[block] = text[:-1], (kind, text[-1])
                delta[kind] = text
            case {"type": "content_block_stop", "index": index}:
                kind, half = self._begun.pop((message.get("parent_tool_use_id"), index), ("", ""))
                delta = {"type": "content_block_delta", "index": index, "delta": {"type": f"{kind}_delta", kind: half}}
                found = [{**message, "event": delta}, message] if half else found
        return [well_formed_data(message) for message in found]


async def _lines(stream: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Yield lines of any length; messages with images are long.

    `StreamReader.readline` needs a limit as large as the longest line. With that limit nothing would slow down a CLI that
    writes faster than we read, and the answer to an interrupt would wait behind all its output.
    """
    pending: list[bytes] = []
    while chunk := await stream.read(65536):
        first, *others = chunk.split(b"\n")
        pending.append(first)
        for start in others:
            yield b"".join(pending)
            pending = [start]
    if last := b"".join(pending):
        yield last
