"""Many turns lose nothing and leave no process."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

import psutil
import pytest
from messages_api import MessagesAPI
from watching import MakeConfig, Run, cli_pids, counting_processes

from claude_magic.sdk import SessionAwareClient


@pytest.mark.long
def test_500_turns_one_after_the_other(
    make_config: MakeConfig, run_async: Run, api: MessagesAPI, record_property: pytest.RecordProperty
) -> None:
    """500 turns, on four warm sessions in turn, are all answered there, by four processes, without open files left."""

    async def ask() -> None:
        async with SessionAwareClient(make_config(max_warm=4)) as client:
            sessions = [str((await client.query("start")).session_id) for _ in range(4)]
            pids, tasks, files = cli_pids(), len(asyncio.all_tasks()), psutil.Process().num_fds()
            for number in range(500):
                reply = await client.query(f"<<say answer {number}>>", session_id=sessions[number % 4])
                assert (reply.content, reply.session_id) == (f"answer {number}", sessions[number % 4])
            assert cli_pids() == pids
            assert len(asyncio.all_tasks()) <= tasks
            assert psutil.Process().num_fds() <= files + 10
        assert cli_pids() == set()

    started = time.monotonic()
    run_async(ask(), timeout_s=280)
    record_property("seconds", round(time.monotonic() - started, 1))
    assert len(api.requests) == 504
    expected = [f"<<say answer {number}>>" for number in range(3, 500, 4)]
    assert api.prompts()[-1] == ["start", *expected]


@pytest.mark.long
def test_200_turns_20_at_a_time(make_config: MakeConfig, run_async: Run, record_property: pytest.RecordProperty) -> None:
    """200 turns given at once to 20 sessions are all answered, in order within each, by 20 processes at most."""

    async def ask() -> None:
        async with SessionAwareClient(make_config(max_concurrent_processes=20, max_warm=20)) as client:
            with counting_processes() as seen:
                starts = await asyncio.gather(*(client.query(f"start {number}") for number in range(20)))
                sessions = [str(start.session_id) for start in starts]
                turns = [client.query(f"<<say {number}>>", session_id=sessions[number % 20]) for number in range(180)]
                replies = await asyncio.gather(*turns)
            histories = await asyncio.gather(*(client.query("<<history>>", session_id=session) for session in sessions))
        assert cli_pids() == set()
        assert [reply.content for reply in replies] == [str(number) for number in range(180)]
        assert Counter(reply.session_id for reply in replies) == dict.fromkeys(sessions, 9)
        for number, history in enumerate(histories):
            asked = [f"<<say {turn}>>" for turn in range(number, 180, 20)]
            assert history.content.splitlines() == [f"- {prompt}" for prompt in (f"start {number}", *asked, "<<history>>")]
        assert max(seen) <= 20

    started = time.monotonic()
    run_async(ask(), timeout_s=280)
    record_property("seconds", round(time.monotonic() - started, 1))
