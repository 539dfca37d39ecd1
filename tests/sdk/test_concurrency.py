"""Many turns at once: in order within a session, side by side across sessions, never more processes than allowed."""

from __future__ import annotations

import asyncio

import pytest
from messages_api import MessagesAPI
from watching import MakeConfig, Run, arrived, cli_pids, counting_processes, until

from claude_magic.sdk import ClaudeClient, SessionAwareClient


def test_turns_on_one_session_are_queued_in_order(make_config: MakeConfig, run_async: Run, api: MessagesAPI) -> None:
    """Ten prompts given at once to one session are asked one after the other, in the order given."""

    async def ask() -> None:
        async with SessionAwareClient(make_config()) as client:
            session_id = (await client.query_with_session("start")).session_id
            asked = [f"prompt {number}" for number in range(10)]
            replies = await asyncio.gather(*(client.query(prompt, session_id=session_id) for prompt in asked))
            assert [reply.content for reply in replies] == [f"You said: {prompt}" for prompt in asked]
            assert len(cli_pids()) == 1
        assert api.prompts()[-1] == ["start", *asked]

    run_async(ask())


def test_sessions_run_side_by_side(make_config: MakeConfig, run_async: Run, api: MessagesAPI) -> None:
    """While one session's turn hangs another session is answered."""

    async def ask() -> None:
        async with ClaudeClient(make_config()) as client:
            hanging = asyncio.create_task(client.query("<<hang>>"))
            await arrived(api)
            assert (await client.query("hello")).content == "You said: hello"
            assert not hanging.done()
            hanging.cancel()
            await asyncio.wait([hanging])

    run_async(ask())


@pytest.mark.long
def test_gather_over_20_prompts_keeps_to_the_limit(make_config: MakeConfig, run_async: Run) -> None:
    """20 prompts with max_concurrent_processes=3 are all answered, and never more than 3 CLI processes live."""

    async def ask() -> None:
        async with ClaudeClient(make_config(max_concurrent_processes=3)) as client:
            with counting_processes() as seen:
                replies = await asyncio.gather(*(client.query(f"prompt {number}") for number in range(20)))
        assert [reply.content for reply in replies] == [f"You said: prompt {number}" for number in range(20)]
        assert len({reply.session_id for reply in replies}) == 20
        assert max(seen) == 3

    run_async(ask())


def test_warm_processes_count(make_config: MakeConfig, run_async: Run) -> None:
    """Idle processes make room when as many new sessions begin at once as processes are allowed."""

    async def ask() -> None:
        async with ClaudeClient(make_config(max_concurrent_processes=3, max_warm=3)) as client:
            await asyncio.gather(*(client.query("hello") for _ in range(3)))
            assert len(cli_pids()) == 3
            with counting_processes() as seen:
                await asyncio.gather(*(client.query("hello") for _ in range(3)))
        assert max(seen) == 3

    run_async(ask())


def test_idle_processes_are_few(make_config: MakeConfig, run_async: Run) -> None:
    """Of the processes that have nothing to do `max_warm` stay; every session goes on, with one or without."""

    async def ask() -> None:
        async with ClaudeClient(make_config(max_warm=1)) as client:
            replies = await asyncio.gather(*(client.query(f"prompt {number}") for number in range(2)))
            await until(lambda: len(cli_pids()) == 1)
            again = [await client.query("<<history>>", session_id=reply.session_id) for reply in replies]
        assert [reply.content for reply in again] == [f"- prompt {number}\n- <<history>>" for number in range(2)]

    run_async(ask())


def test_two_clients_do_not_meet(make_config: MakeConfig, run_async: Run) -> None:
    """Two clients of one program have sessions and processes of their own; closing one leaves the other alone."""

    async def ask() -> None:
        async with SessionAwareClient(make_config()) as one:
            first = await one.query_with_session("one")
            async with SessionAwareClient(make_config()) as two:
                assert two.last_session_id is None
                await two.query_with_session("two", auto_resume_last=True)
                assert len(cli_pids()) == 2
            reply = await one.query_with_session("<<history>>", auto_resume_last=True)
        assert (reply.session_id, reply.content) == (first.session_id, "- one\n- <<history>>")

    run_async(ask())


def test_idle_process_ends_by_itself(make_config: MakeConfig, run_async: Run) -> None:
    """After `idle_timeout` an idle process is closed, and nobody notices at the next turn."""

    async def ask() -> None:
        async with SessionAwareClient(make_config(idle_timeout=0.1)) as client:
            await client.query_with_session("one")
            await until(lambda: not cli_pids())
            reply = await client.query_with_session("<<history>>", auto_resume_last=True)
        assert reply.content == "- one\n- <<history>>"

    run_async(ask())
