"""The thing to compare with: a plain script that keeps one `ClaudeSDKClient` connected and runs a turn per line of input.

It reads prompts as JSON lines and answers each with what the turn took; nothing of claude_magic is in it.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time

from claude_agent_sdk import ClaudeAgentOptions, ClaudeSDKClient, ResultMessage, StreamEvent


async def turn(client: ClaudeSDKClient, prompt: str) -> dict[str, float]:
    cpu_s, began = time.process_time(), time.perf_counter()
    first_s, pieces, api_s = 0.0, [], 0.0
    await client.query(prompt)
    async for message in client.receive_response():
        if isinstance(message, StreamEvent):
            text = message.event.get("delta", {}).get("text")
            if text:
                first_s = first_s or time.perf_counter() - began
                pieces.append(text)
        elif isinstance(message, ResultMessage):
            api_s = message.duration_ms / 1000
    wall_s = time.perf_counter() - began
    length = len("".join(pieces))
    cpu_s = time.process_time() - cpu_s
    return {"wall_s": wall_s, "first_s": first_s, "cpu_s": cpu_s, "api_s": api_s, "length": length}


async def main() -> None:
    options = ClaudeAgentOptions(include_partial_messages=True, system_prompt={"type": "preset", "preset": "claude_code"})
    async with ClaudeSDKClient(options) as client:
        for line in sys.stdin:
            print(json.dumps(await turn(client, json.loads(line))), flush=True)


asyncio.run(main())
