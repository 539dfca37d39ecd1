"""The examples of the client's document, as a user types them; only the import says claude_magic.

python tests/documented_examples.py runs them all.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from claude_magic.errors import ClaudeError, SessionNotFoundError, TurnTimeoutError
from claude_magic.sdk import ClaudeClient, ClaudeConfig, ClaudeSDKWrapper, OutputFormat, SessionAwareResponse
from claude_magic.sdk.session_client import SessionAwareClient


async def simple_query() -> None:
    async with SessionAwareClient() as client:
        response = await client.query_with_session("What is 2 + 2?")
        print(response.content)
        print("session:", response.session_id is not None)
        print("cost:", response.metadata["cost_usd"])


async def resume_by_id() -> None:
    async with SessionAwareClient(ClaudeConfig()) as client:
        first = await client.query_with_session("Remember the number 42", output_format=OutputFormat.JSON)
        second = await client.query_with_session("Which number?", resume_session_id=first.session_id)
        print("same session:", first.session_id == second.session_id)
        if first.raw_json is not None:
            print("raw:", first.raw_json["type"])


async def auto_resume() -> None:
    async with SessionAwareClient() as client:
        await client.query_with_session("Create a plan")
        await client.query_with_session("Refine it", auto_resume_last=True)
        session_id: str | None = client.last_session_id
        client.clear_session()
        print("cleared:", session_id is not None and client.last_session_id is None)


async def fall_back_when_the_session_is_gone() -> None:
    async with SessionAwareClient() as client:
        try:
            response = await client.query_with_session("Go on", resume_session_id="00000000-0000-4000-8000-000000000000")
        except SessionNotFoundError:
            response = await client.query_with_session("Start again")
        print(response)


async def wrapper() -> None:
    async with ClaudeSDKWrapper() as claude:
        text, session_id = await claude.execute("Hello")
        text, same_id = await claude.execute("And again", resume_last_session=True)
        print("wrapper:", text, session_id == same_id)
        await claude.execute("Once more", resume_session_id=session_id, timeout=60.0)


async def stream() -> None:
    async with ClaudeClient() as client:
        async for text in client.stream_query("Tell me a story", timeout=60):
            print(text, end="", flush=True)
        print()
        async for event in client.stream_events("Tell me a story"):
            print(type(event).__name__)
            break


async def many_prompts() -> None:
    async with ClaudeClient(ClaudeConfig(max_concurrent_processes=2)) as client:
        replies: list[SessionAwareResponse] = await asyncio.gather(*(client.query(f"Prompt {n}") for n in range(3)))
        print([reply.content for reply in replies])


async def command_line() -> None:
    async with SessionAwareClient(ClaudeConfig(model="sonnet")) as client:
        command = client.command("What's new?", resume_session_id="11111111-2222-4333-8444-555555555555")
        arguments: list[str] = list(command)
        print(arguments[1:5])
        print(command.text.partition(" ")[2])


async def workspace_and_files() -> None:
    config = ClaudeConfig(
        default_output_format=OutputFormat.JSON,
        default_timeout=120.0,
        max_retries=2,
        retry_delay=0.5,
        workspace_dir="workspaces",
        workspace_cleanup_on_exit=True,
        safe_mode=True,
        process_cleanup_timeout=3.0,
    )
    async with SessionAwareClient(config) as client:
        response = await client.query_with_session("Sum column b", workspace_id="report-1", files=["data.csv"])
        print(response.content)
        sessions = await client.list_sessions("report-1")
        print("listed:", sessions[0].session_id == response.session_id)


async def errors() -> None:
    async with SessionAwareClient() as client:
        try:
            await client.query_with_session("A long task", timeout=0.001)
        except TurnTimeoutError as error:
            print("timed out:", error.content == "", error.session_id)
        try:
            await client.query_with_session("Read this", files=["missing.txt"])
        except ClaudeError as error:
            print(type(error).__name__, error.next_step)


async def main() -> None:
    Path("data.csv").write_text("a,b\n1,2\n")  # noqa: ASYNC240 - a user would
    await simple_query()
    await resume_by_id()
    await auto_resume()
    await fall_back_when_the_session_is_gone()
    await wrapper()
    await stream()
    await many_prompts()
    await command_line()
    await workspace_and_files()
    await errors()


if __name__ == "__main__":
    asyncio.run(main())
