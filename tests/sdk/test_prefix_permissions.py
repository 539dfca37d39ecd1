"""What goes before a prompt, and what Claude may do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from messages_api import MessagesAPI
from watching import MakeConfig, Run, run_turn

from claude_magic.errors import AttachmentError, ConfigError
from claude_magic.sdk import ClaudeClient, SessionAwareClient, SessionAwareResponse, TurnOptions


def ask_once(run_async: Run, config: Any, prompt: str = "hello") -> SessionAwareResponse:
    """Ask one prompt with a client of its own."""

    async def ask() -> SessionAwareResponse:
        async with ClaudeClient(config) as client:
            return await client.query(prompt)

    return run_async(ask())


def write_into(directory: Path, name: str = "made.txt") -> str:
    """Return a prompt that makes the model ask for a file in the directory."""
    return f"<<tool Write {json.dumps({'file_path': str(directory / name), 'content': 'made'})}>><<say tried>>"


def test_prefix_goes_before_every_prompt(make_config: MakeConfig, run_async: Run, api: MessagesAPI, workdir: Path) -> None:
    """The text of prefix-prompt.md in the working directory stands before each prompt, and in the command."""
    (workdir / "prefix-prompt.md").write_text("Always answer in French.\n")

    async def ask() -> None:
        async with SessionAwareClient(make_config(enable_prefix_prompt=True)) as client:
            for prompt in ("one", "two"):
                await client.query_with_session(prompt, auto_resume_last=True)
            assert "Always answer in French.\n\none" in client.command("one")

    run_async(ask())
    assert api.prompts()[-1] == ["Always answer in French.\n\none", "Always answer in French.\n\ntwo"]


def test_prefix_is_off_by_default(make_config: MakeConfig, run_async: Run, api: MessagesAPI, workdir: Path) -> None:
    """Without `enable_prefix_prompt` the file means nothing; with it, a missing default file is no error."""
    ask_once(run_async, make_config(enable_prefix_prompt=True))
    (workdir / "prefix-prompt.md").write_text("Always answer in French.\n")
    ask_once(run_async, make_config())
    assert api.prompts() == [["hello"], ["hello"]]


def test_a_prefix_is_only_text(make_config: MakeConfig, run_async: Run, api: MessagesAPI, workdir: Path) -> None:
    """An `@path` or a slash command in the file has no effect, one in the prompt has; a link that leads out is refused."""
    secret = workdir.parent / "secret.txt"
    secret.write_text("the secret")
    (workdir / "notes.txt").write_text("the notes")
    prefix = workdir / "prefix-prompt.md"
    for text in (f"@{secret}", "/cost", "  /compact"):
        prefix.write_text(text)
        ask_once(run_async, make_config(enable_prefix_prompt=True), "Look: @notes.txt")
        sent = json.dumps(api.requests[-1]["messages"])
        assert "the secret" not in sent
        assert "the notes" in sent
        assert api.prompts()[-1][-2:] == [text.strip(), "Look: @notes.txt"]
    prefix.unlink()
    prefix.symlink_to(secret)
    count = len(api.requests)
    with pytest.raises(AttachmentError, match="leads out of its folder"):
        ask_once(run_async, make_config(enable_prefix_prompt=True))
    assert len(api.requests) == count


def test_named_prefix_file(make_config: MakeConfig, run_async: Run, api: MessagesAPI, tmp_path: Path) -> None:
    """A file that was named is used wherever it is; when it is missing or no text, that is an error and nothing is sent."""
    named = tmp_path / "house rules.md"
    config = make_config(enable_prefix_prompt=True, prefix_prompt_file=named)
    with pytest.raises(ConfigError, match="house rules") as caught:
        ask_once(run_async, config)
    assert caught.value.next_step
    named.write_bytes(b"\xff\xfe\x00broken")
    with pytest.raises(ConfigError, match="house rules"):
        ask_once(run_async, config)
    assert api.requests == []
    named.write_text("Be brief.")
    ask_once(run_async, config)
    assert api.prompts() == [["Be brief.\n\nhello"]]


def test_safe_mode_offers_read_only_tools(make_config: MakeConfig, run_async: Run, api: MessagesAPI, workdir: Path) -> None:
    """In safe mode the model is offered Read, Glob and Grep, and nothing else; those work."""
    (workdir / "notes.txt").write_text("the notes")
    reply = ask_once(
        run_async,
        make_config(safe_mode=True),
        f'<<tool Read {{"file_path": "{workdir}/notes.txt"}}>><<say read>>',
    )
    offered = {tool["name"] for tool in api.requests[0]["tools"]}
    # "Reserved placeholder that keeps deferred tool loading active; never call this tool" (CLI 2.1.331): it is no tool.
    assert offered - {"DeferredToolPlaceholder"} == {"Read", "Glob", "Grep"}
    assert "the notes" in json.dumps(api.requests[-1]["messages"])
    assert reply.content == "read"


@pytest.mark.parametrize("choices", [{}, {"permission_mode": "acceptEdits"}, {"allowed_tools": ["Write", "Bash"]}], ids=str)
def test_safe_mode_changes_nothing(choices: dict[str, Any], make_config: MakeConfig, run_async: Run, workdir: Path) -> None:
    """A Write or Bash call that the model asks for all the same does nothing, whatever else the config allows."""
    bash = f'<<tool Bash {{"command": "touch {workdir}/by-bash"}}>>'
    ask_once(run_async, make_config(safe_mode=True, **choices), bash + write_into(workdir))
    assert list(workdir.iterdir()) == []


def test_normal_operation_asks(make_config: MakeConfig, run_async: Run, api: MessagesAPI, workdir: Path) -> None:
    """Without safe mode all tools are offered and the CLI's own rules hold: nobody is there to allow a Write."""
    reply = ask_once(run_async, make_config(), write_into(workdir))
    assert {"Write", "Bash", "Edit"} <= {tool["name"] for tool in api.requests[0]["tools"]}
    assert list(workdir.iterdir()) == []
    assert [denial["tool_name"] for denial in reply.metadata["permission_denials"]] == ["Write"]


@pytest.mark.parametrize(
    ("choices", "made"),
    [
        ({"permission_mode": "acceptEdits"}, True),
        ({"allowed_tools": ["Write"]}, True),
        ({"permission_mode": "plan"}, False),
        ({"permission_mode": "dontAsk"}, False),
        ({"allowed_tools": ["Bash"]}, False),
        ({"allowed_tools": []}, False),
    ],
    ids=str,
)
def test_what_is_allowed_runs(
    choices: dict[str, Any], made: bool, make_config: MakeConfig, run_async: Run, workdir: Path
) -> None:
    """A mode or rule that covers a Write lets it happen, another does not."""
    ask_once(run_async, make_config(**choices), write_into(workdir))
    assert (workdir / "made.txt").exists() is made


def test_rule_for_some_commands(make_config: MakeConfig, run_async: Run, workdir: Path) -> None:
    """A rule with an argument allows just that."""
    calls = "".join(f'<<tool Bash {{"command": "{command}"}}>>' for command in ("mkdir allowed", "touch not-allowed"))
    reply = ask_once(run_async, make_config(allowed_tools=["Bash(mkdir:*)"]), calls + "<<say tried>>")
    assert [path.name for path in workdir.iterdir()] == ["allowed"]
    assert [denial["tool_name"] for denial in reply.metadata["permission_denials"]] == ["Bash"]


def test_mode_of_one_turn_ends_with_it(make_config: MakeConfig, run_async: Run, workdir: Path) -> None:
    """A permission mode that one turn chose does not hold for the next turn of the same live process."""

    async def ask() -> None:
        async with ClaudeClient(make_config()) as client:
            options = TurnOptions(permission_mode="acceptEdits")
            first = await run_turn(client, write_into(workdir, "first"), options=options)
            await client.query(write_into(workdir, "second"), session_id=first.session_id)

    run_async(ask())
    assert [path.name for path in workdir.iterdir()] == ["first"]
