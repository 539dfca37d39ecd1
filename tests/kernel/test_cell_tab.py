"""Tab: what the kernel completes behind the magics."""

from __future__ import annotations

from typing import Any

import pytest
from cells import answered, session_of
from messages_api import MessagesAPI
from rig.kernel import Kernel

from claude_magic._kernel.session_words.word_table import WORDS


def complete(kernel: Kernel, code: str) -> list[str]:
    """Press Tab at the end of the code, or at `|`; return what the frontend would put in."""
    cursor = code.index("|") if "|" in code else len(code)
    request = kernel._send("complete_request", {"code": code.replace("|", ""), "cursor_pos": cursor})

    def replies() -> list[dict[str, Any]]:
        ours = (message for message in kernel.stray if message["parent_header"].get("msg_id") == request.result.msg_id)
        return [message["content"] for message in ours if message["msg_type"] == "complete_reply"]

    kernel.wait_for(lambda: bool(replies()), about=code)
    reply = replies()[0]
    assert reply["status"] == "ok"
    assert reply["cursor_end"] == cursor
    return [code[: reply["cursor_start"]] + match for match in reply["matches"]]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("%%claude --mod", "%%claude --model"),
        ("%%claude --max", "%%claude --max-turns"),
        ("%%claude --new --res", "%%claude --new --resume"),
        ("%%claude --model so", "%%claude --model sonnet"),
        ("%%claude -m ha", "%%claude -m haiku"),
        ("%%claude --effort h", "%%claude --effort high"),
        ("%%claude --mode pl", "%%claude --mode plan"),
        ("%claude --mode acc", "%claude --mode acceptEdits"),
        ("%claude --ti", "%claude --timeout"),
        ("x = 1\n%claude --ti", "x = 1\n%claude --timeout"),
        ("%claude_session li", "%claude_session list"),
        ("%claude_session del", "%claude_session delete"),
        ("%%claude --mod|\nthe prompt", "%%claude --model"),
    ],
)
def test_completes(shared_session: Kernel, api: MessagesAPI, code: str, expected: str) -> None:
    """Options, models, efforts, modes and words complete."""
    assert expected in complete(shared_session, code)
    assert api.requests == []


@pytest.mark.short
def test_every_option(shared_session: Kernel) -> None:
    """Tab behind the magic shows every option."""
    found = {match.removeprefix("%%claude ") for match in complete(shared_session, "%%claude --")}
    assert {
        *("--new", "--resume", "--model", "--effort", "--system", "--timeout"),
        *("--budget", "--max-turns", "--mode", "--allow", "--output", "--quiet"),
    } <= found


@pytest.mark.short
def test_every_word(shared_session: Kernel) -> None:
    """Tab behind `%claude_session` shows its words."""
    found = {match.removeprefix("%claude_session ") for match in complete(shared_session, "%claude_session ")}
    assert {word.name for word in WORDS} <= found


def test_session_ids(shared_session: Kernel) -> None:
    """Sessions complete behind `--resume`, `resume` and `delete`."""
    session = session_of(answered(shared_session, "hello"))
    for before in ("%%claude --resume ", "%claude -r ", "%claude_session resume ", "%claude_session delete "):
        assert before + session in complete(shared_session, before + session[:5])


def test_prompt_is_not_completed(shared_session: Kernel) -> None:
    """In the prompt below, and in other code, our options stay out of the way."""
    assert not any("--model" in match for match in complete(shared_session, "%%claude\nuse --mod"))
    assert not any("--model" in match for match in complete(shared_session, "x --mod"))
    assert "sorted" in complete(shared_session, "sorte")
