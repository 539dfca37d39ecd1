"""What a settled output gives away: no credential, and no name of the home directory."""

from __future__ import annotations

from datetime import datetime

import pytest
from replies import call, called, ended, reply, said, thought

from claude_magic._render.live.session_panel import SessionFacts, panel_bundle, panel_text
from claude_magic._render.parts.redacted_reply import clean_line, cleaned
from claude_magic._render.settled.reply import SettledReply, reply_bundle
from claude_magic._render.settled.session_list import SessionRow, listing_bundle
from claude_magic.sdk.events import BlockEnded, Notice, PermissionAnswered, TextDelta, ToolCalled, ToolReturned, ToolStarted
from claude_magic.sdk.host import BackgroundWork
from claude_magic.sdk.response import Remark, SessionAwareResponse, Text, Thinking, ToolCall, fold

KEY = "correct-horse-battery"
HOME = "/home/ada"


@pytest.fixture(autouse=True)
def person(monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody with a home and a key."""
    monkeypatch.setenv("HOME", HOME)
    monkeypatch.setenv("MY_API_KEY", KEY)


def only_block(response: SessionAwareResponse) -> Text | Thinking | ToolCall | Remark:
    block, said = cleaned(response).blocks
    assert said == Remark("Masked here: MY_API_KEY.")
    return block


def test_prose() -> None:
    """In prose the key is its name and the home directory `~`, in the answer's text as in its block."""
    shown = cleaned(said(f"Read {HOME}/data.csv with {KEY}."))
    block = only_block(said(f"Read {HOME}/data.csv with {KEY}."))
    assert isinstance(block, Text)
    assert block.text == shown.content == "Read ~/data.csv with [MY_API_KEY]."


@pytest.mark.parametrize(
    ("opening", "closing"),
    [("```python\n", "\n```"), ("~~~\n", "\n~~~"), ("````\n```\n", "\n````"), ("  ```\n", "\n  ```"), ("```\n", "")],
    ids=["backticks", "tildes", "longer", "indented", "open"],
)
def test_fenced_code(opening: str, closing: str) -> None:
    """Fenced code keeps the home directory, so that it can be run, and no credential; around it prose is prose."""
    code = f"{opening}open('{HOME}/data.csv', '{{}}')"
    shown = cleaned(said(f"In {HOME}/a:\n\n{code.format(KEY)}{closing}" + (f"\n\nand {HOME}/b `{HOME}`" if closing else "")))
    assert shown.content == f"In ~/a:\n\n{code.format('[MY_API_KEY]')}{closing}" + ("\n\nand ~/b `~`" if closing else "")


def test_thinking() -> None:
    """Thinking is cleaned like prose."""
    block = only_block(thought(f"The key {KEY} is in {HOME}/.env."))
    assert isinstance(block, Thinking)
    assert block.text == "The key [MY_API_KEY] is in ~/.env."
    assert block.duration_s == 3.04


def test_tool_call() -> None:
    """All that a tool was given, however deep, what it gave back and what was answered about it is cleaned."""
    given = {"command": f"curl -H {KEY} {HOME}/x", "edits": [{f"{HOME}/a": [KEY, 3, None, True]}]}
    response = called("Bash", given, None)
    fold(response, PermissionAnswered("call", "allowed for this session", (f"Bash(curl -H {KEY})", f"Read({HOME}/**)")))
    fold(response, ToolReturned("call", f"{HOME}/x: {KEY}\n```\n{HOME}\n```"))
    block = only_block(response)
    assert isinstance(block, ToolCall)
    assert block.input == {"command": "curl -H [MY_API_KEY] ~/x", "edits": [{"~/a": ["[MY_API_KEY]", 3, None, True]}]}
    assert block.result == "~/x: [MY_API_KEY]\n```\n~\n```"
    assert block.permission == "allowed for this session: Bash(curl -H [MY_API_KEY]), Read(~/**)"
    assert block.complete


def test_remark() -> None:
    """A remark about the turn is cleaned."""
    block = only_block(reply(Notice(f"Not loaded: {HOME}/.mcp.json ({KEY})")))
    assert isinstance(block, Remark)
    assert block.text == "Not loaded: ~/.mcp.json ([MY_API_KEY])"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (HOME, "~"),
        (f"cd {HOME}; ls", "cd ~; ls"),
        (f"PATH={HOME}/bin:{HOME}/sbin", "PATH=~/bin:~/sbin"),
        (f"'{HOME}', \"{HOME}/x\"", "'~', \"~/x\""),
        (f"file://{HOME}/x", "file://~/x"),
        (f"-I{HOME}/include", "-I~/include"),
        (f"{HOME}.", "~."),
        (f"{HOME}bel/x {HOME}-old /mnt{HOME}/x {HOME}.bak", f"{HOME}bel/x {HOME}-old /mnt{HOME}/x {HOME}.bak"),
    ],
)
def test_home(text: str, shown: str) -> None:
    """The home directory is `~` where a path begins with it, and nowhere else."""
    assert clean_line(text) == shown


def test_every_form_of_a_reply() -> None:
    """None of the settled forms holds the key or the home directory, whichever kind of block it came in."""
    response = reply(
        TextDelta(0, f"{KEY} and {HOME}/a and {KEY[:8]}"),
        TextDelta(0, f"{KEY[8:]}\n\n```\n{KEY}\n```\n"),
        BlockEnded(0),
        ToolStarted(1, "call", "Bash"),
        ToolCalled(1, "call", "Bash", {"command": f"printenv {HOME}", "description": KEY}),
        PermissionAnswered("call", "denied", word=f"use {HOME}, not {KEY}"),
        ToolReturned("call", KEY, is_error=True),
        Notice(f"{HOME} {KEY}"),
        ended(""),
    )
    for form, text in reply_bundle(SettledReply(response, 1)).items():
        assert KEY not in text, form
        assert HOME not in text, form
        assert "MY" in text, form


def test_what_was_bound_stays() -> None:
    """The reply itself, which `--output` binds, is as it came."""
    response = called("Bash", {"edits": [{"path": f"{HOME}/a"}], "command": KEY}, f"{HOME} {KEY}")
    for event in (TextDelta(1, f"{KEY} in {HOME}"), BlockEnded(1), Notice(KEY), ended(f"{KEY} in {HOME}")):
        fold(response, event)
    reply_bundle(SettledReply(response))
    assert response.content == response.text == f"{KEY} in {HOME}"
    used, _, remark = response.blocks
    assert used == call("Bash", {"edits": [{"path": f"{HOME}/a"}], "command": KEY}, f"{HOME} {KEY}")
    assert remark == Remark(KEY)


def test_what_was_masked_is_said() -> None:
    """A remark at the end says which variables were masked, and that there were credentials of no name; once."""
    other = "gh" + "p_" + "a1B2" * 9
    shown = cleaned(cleaned(reply(Notice(f"{other} {KEY}"), Notice(KEY), ended(""))))
    assert [block.text for block in shown.blocks if isinstance(block, Remark)] == [
        "[credential] [MY_API_KEY]",
        "[MY_API_KEY]",
        "Masked here: MY_API_KEY, other credentials.",
    ]
    assert not [block for block in cleaned(said("Nothing to hide.")).blocks if isinstance(block, Remark)]


def test_data_by_its_name() -> None:
    """What a tool was given under a telling name is masked as it would be in a text, words and numbers stay."""
    given = {"env": {"DB_PASS": "tr0ub4dor", "user": "ada"}, "token": "native", "max_tokens": "4096", "password": "postgres"}
    (block, _) = cleaned(called("Bash", given, None)).blocks
    assert isinstance(block, ToolCall)
    assert block.input == {**given, "env": {"DB_PASS": "[credential]", "user": "ada"}}


def test_lists_of_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    """A session's name and first prompt, and what Claude has left running, are cleaned in list and panel."""
    row = SessionRow("3f2a9c1e", f"about {KEY}", f"use {KEY} in {HOME}/a", None, datetime.now().astimezone(), current=True)
    facts = SessionFacts("3f2a9c1e", name=f"about {KEY}", work=(BackgroundWork("1", f"curl -H {KEY}"),))
    for text in (*listing_bundle([row]).values(), *panel_bundle(facts, [row]).values(), panel_text(facts, [row])):
        assert KEY not in text
        assert "about [MY_API_KEY]" in text or "about &#91;MY_API_KEY" in text


def test_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the home directory is the root, paths stay."""
    monkeypatch.setenv("HOME", "/")
    assert clean_line("/data/x and / and /home") == "/data/x and / and /home"
