"""As sdk_script.py, with our own `ClaudeClient`: one session, a turn per line of input."""

from __future__ import annotations

import asyncio
import json
import sys
import time

from claude_magic.sdk.client import ClaudeClient
from claude_magic.sdk.events import Event, TextDelta
from claude_magic.sdk.host import Listener


async def main() -> None:
    session_id: str | None = None
    async with ClaudeClient() as client:
        for line in sys.stdin:
            cpu_s, began = time.process_time(), time.perf_counter()
            first: list[float] = []

            def note(event: Event, first: list[float] = first, began: float = began) -> None:
                if not first and isinstance(event, TextDelta):
                    first.append(time.perf_counter() - began)

            request = client.request(json.loads(line), session_id=session_id)
            response = await client.run_turn(request, Listener(note))
            session_id = response.session_id
            took = {
                "wall_s": time.perf_counter() - began,
                "first_s": first[0] if first else 0.0,
                "cpu_s": time.process_time() - cpu_s,
                "api_s": response.ended.raw["duration_ms"] / 1000 if response.ended else 0.0,
                "length": len(response.text),
            }
            print(json.dumps(took), flush=True)


asyncio.run(main())
