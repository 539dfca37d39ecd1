"""The options of a cell: what each changes in the request or in the result, and what a mistake in one says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cells import Configure, about, answered, ask, failure, history, kept, plain, sent_text, session_of, usage_error
from messages_api import MessagesAPI
from rig.kernel import Kernel
from rig.pace import at_some_pace

OPTIONS = {
    "--new": "-n",
    "--resume": "-r",
    "--model": "-m",
    "--effort": None,
    "--system": None,
    "--timeout": None,
    "--budget": None,
    "--max-turns": None,
    "--mode": None,
    "--allow": None,
    "--output": "-o",
    "--quiet": None,
}

MALFORMED = {
    "--modle sonnet": ("--modle", "--mode"),
    "--frobnicate": ("--frobnicate", "%%claude?"),
    "-x": ("-x", "%%claude?"),
    "--model": ("--model", "value"),
    "--model ''": ("--model", "empty"),
    "-m": ("-m", "value"),
    "--resume": ("--resume", "value"),
    "--resume ''": ("--resume", "empty"),
    "--effort huge": ("--effort", "low, medium, high"),
    "--effort hihg": ("--effort", "high"),
    "--effort": ("--effort", "value"),
    "--system": ("--system", "value"),
    "--timeout abc": ("--timeout", "60"),
    "--timeout -1": ("--timeout", "seconds"),
    "--timeout 0": ("--timeout", "seconds"),
    "--timeout nan": ("--timeout", "seconds"),
    "--timeout inf": ("--timeout", "seconds"),
    "--budget free": ("--budget", "0.50"),
    "--budget 0": ("--budget", "dollars"),
    "--budget -1": ("--budget", "dollars"),
    "--max-turns 1.5": ("--max-turns", "whole number"),
    "--max-turns 0": ("--max-turns", "at least 1"),
    "--max-turns -2": ("--max-turns", "at least 1"),
    "--max-turns ²": ("--max-turns", "whole number"),
    "--mode yolo": ("--mode", "acceptEdits"),
    "--mode Plan": ("--mode", "plan"),
    "--allow": ("--allow", "value"),
    "--output my-name": ("--output", "variable"),
    "--output class": ("--output", "variable"),
    "--output get_ipython": ("--output", "another name"),
    "--output": ("--output", "value"),
    "--new --resume 123": ("--new", "--resume"),
    "--quiet=yes": ("--quiet", "takes no value"),
    "-model=opus": ("-model", "--model"),
    "-new": ("-new", "--new"),
    "--compare sonnet, opus": ("--compare", "without spaces"),
    "--samples 0": ("--samples", "from 2"),
    "what is this": ("what", "below"),
    "--new what is this": ("what", "below"),
    '--system "unbalanced': ("--system", "quot"),
}


@pytest.mark.parametrize("options", MALFORMED)
def test_malformed(shared_session: Kernel, api: MessagesAPI, options: str) -> None:
    """A mistake in the options is a usage error in one line that names the option and the fix; nothing is sent."""
    line = usage_error(ask(shared_session, "hello", options))
    for part in MALFORMED[options]:
        assert part in line
    assert api.requests == []


@pytest.mark.parametrize(
    "code", ["%%claude", "%%claude\n", "%%claude\n\n  \n", "%%claude --new\n \t\n", "%claude", "%claude --new"]
)
def test_empty_prompt(shared_session: Kernel, api: MessagesAPI, code: str) -> None:
    """An empty prompt is a usage error that says where the prompt goes; nothing is sent."""
    assert "the prompt is empty" in usage_error(shared_session.run(code))
    assert api.requests == []


@pytest.mark.parametrize("code", ["%claude --modle x hello?", "%claude --effort huge hello", "%claude --timeout"])
def test_malformed_in_a_line(shared_session: Kernel, api: MessagesAPI, code: str) -> None:
    """The one-line magic says the same of its options."""
    option = code.split()[1]
    assert option in usage_error(shared_session.run(code))
    assert api.requests == []


@pytest.mark.parametrize("code", ["%%claude?", "%claude?", "?%%claude"])
def test_help(shared_session: Kernel, api: MessagesAPI, code: str) -> None:
    """`%%claude?` shows every option, what it does and, where it takes a value, an example."""
    result = shared_session.run(code)
    text = plain(result.payload[0]["data"]["text/plain"])
    descriptions = {}
    for line in text.splitlines():
        words = line.split()
        if words and words[0].startswith("-"):
            for word in words:
                descriptions[word.rstrip(",")] = line
    for long, short in OPTIONS.items():
        assert long in descriptions
        assert short is None or short in descriptions
        if long not in ("--new", "--quiet"):
            assert "e.g." in descriptions[long], descriptions[long]
    assert max(map(len, text.splitlines())) <= 160
    assert api.requests == []


def test_model(shared_session: Kernel, api: MessagesAPI) -> None:
    """`--model` holds for its turn alone, in the same session, and stands in the metadata."""
    first = answered(shared_session, "one")
    default = api.requests[-1]["model"]
    chosen = answered(shared_session, "two", "--model haiku")
    assert "haiku" in api.requests[-1]["model"]
    assert "haiku" in about(chosen)["model"]
    answered(shared_session, "three", "-m claude-sonnet-4-5")
    assert api.requests[-1]["model"] == "claude-sonnet-4-5"
    last = answered(shared_session, "four")
    assert api.requests[-1]["model"] == default
    assert history(api) == ["one", "two", "three", "four"]
    assert session_of(first) == session_of(last)


def test_effort(loaded_kernel: Kernel, api: MessagesAPI) -> None:
    """`--effort` reaches the API, for its turn alone."""
    answered(loaded_kernel, "one")
    default = api.requests[-1]["output_config"]["effort"]
    answered(loaded_kernel, "two", "--effort low")
    assert api.requests[-1]["output_config"]["effort"] == "low"
    answered(loaded_kernel, "three")
    assert api.requests[-1]["output_config"]["effort"] == default
    assert history(api) == ["one", "two", "three"]


def test_system_of_a_new_session(shared_session: Kernel, api: MessagesAPI) -> None:
    """`--system` is added to Claude Code's own system prompt."""
    answered(shared_session, "one", '--system "Answer in French."')
    system = json.dumps(api.requests[-1]["system"])
    assert "Answer in French." in system
    assert len(system) > 1000


def test_system_in_mid_session(loaded_kernel: Kernel, api: MessagesAPI) -> None:
    """`--system` holds for its turn alone, also in the middle of a session."""
    answered(loaded_kernel, "one")
    answered(loaded_kernel, "two", '--system "Answer in French."')
    assert "Answer in French." in json.dumps(api.requests[-1])
    answered(loaded_kernel, "three")
    assert "Answer in French." not in json.dumps(api.requests[-1]["system"])
    assert history(api) == ["one", "two", "three"]


def test_system_ends_with_its_turn(shared_session: Kernel, api: MessagesAPI) -> None:
    """What `--system` said in the turn that began a session does not hold for the next turn."""
    answered(shared_session, "one", '--system "Answer in French."')
    answered(shared_session, "two")
    assert "Answer in French." not in json.dumps(api.requests[-1]["system"])


def test_settings_hold_for_every_cell(loaded_kernel: Kernel, api: MessagesAPI, configure: Configure) -> None:
    """`%config ClaudeMagics.model` holds until it is changed, and a cell's own option comes first."""
    configure("model", "haiku")
    configure("effort", "low")
    answered(loaded_kernel, "one")
    assert "haiku" in api.requests[-1]["model"]
    assert api.requests[-1]["output_config"]["effort"] == "low"
    answered(loaded_kernel, "two", "--model sonnet --effort high")
    assert "sonnet" in api.requests[-1]["model"]
    assert api.requests[-1]["output_config"]["effort"] == "high"
    answered(loaded_kernel, "three")
    assert "haiku" in api.requests[-1]["model"]
    assert history(api) == ["one", "two", "three"]


@at_some_pace
def test_timeout(shared_session: Kernel, pace: int) -> None:
    """`--timeout` ends the turn after so many seconds; what had arrived stays."""
    answered(shared_session, "warm up")
    result = ask(shared_session, "<<say partial>><<hang>>", f"--timeout {pace}")
    assert f"{pace} s" in failure(result, "TurnTimeoutError")
    kept(result, "partial")
    answered(shared_session, "and on", "--timeout 60")


def test_timeout_of_the_settings(shared_session: Kernel, configure: Configure) -> None:
    """`%config ClaudeMagics.timeout` bounds every turn."""
    answered(shared_session, "warm up")
    configure("timeout", 0.5)
    failure(ask(shared_session, "<<hang>>"), "TurnTimeoutError")


@pytest.mark.long
def test_budget(shared_session: Kernel, api: MessagesAPI) -> None:
    """`--budget` ends the turn once it is spent; it counts the turn, not the session."""
    for _ in range(3):
        answered(shared_session, "hello")
    calls = '<<tool Bash {"command": "echo 1"}>><<say done>>'
    result = ask(shared_session, calls, "--budget 0.0001 --allow Bash(echo:*)")
    assert "budget" in failure(result, "BudgetExceededError")
    for _ in range(3):
        answered(shared_session, "hello", "--budget $0.001")


def test_max_turns(shared_session: Kernel) -> None:
    """`--max-turns` bounds the rounds with tools."""
    prompt = '<<tool Bash {"command": "echo one"}>><<tool Bash {"command": "echo two"}>><<say done>>'
    result = ask(shared_session, prompt, "--max-turns 1 --allow Bash(echo:*)")
    assert "--max-turns" in failure(result, "TurnLimitError")
    assert "echo one" in result.text
    assert "done" in answered(shared_session, prompt, "--max-turns 5 --allow Bash(echo:*)").text


def test_tools_are_denied_unless_allowed(shared_session: Kernel, notebook_dir: Path) -> None:
    """`--allow` lets a tool run in its turn alone; where nobody can be asked any other use is denied."""

    def touch(name: str) -> str:
        return f'<<tool Bash {{"command": "touch {name}"}}>><<say done>>'

    denied = answered(shared_session, touch("denied"), allow_stdin=False)
    assert not (notebook_dir / "denied").exists()
    assert "denied" in denied.text
    answered(shared_session, touch("allowed"), "--allow Bash(touch:*)", allow_stdin=False)
    assert (notebook_dir / "allowed").exists()
    answered(shared_session, touch("later"), allow_stdin=False)
    assert not (notebook_dir / "later").exists()


def test_several_rules(shared_session: Kernel, notebook_dir: Path) -> None:
    """`--allow` takes several rules, with spaces in them, once or more often."""
    calls = (
        '<<tool Bash {"command": "touch by-rule-one"}>><<tool Bash {"command": "mkdir -p by rule two"}>>'
        f'<<tool Write {{"file_path": "{notebook_dir}/by-rule-three", "content": "x"}}>><<say done>>'
    )
    answered(shared_session, calls, '--allow Bash(touch:*) "Bash(mkdir -p:*)" --allow Write', allow_stdin=False)
    for name in ("by-rule-one", "by", "rule", "two", "by-rule-three"):
        assert (notebook_dir / name).exists()


def test_mode(shared_session: Kernel, api: MessagesAPI, notebook_dir: Path) -> None:
    """`--mode` sets the CLI's permission mode for its turn alone."""

    def write(name: str) -> str:
        return f'<<tool Write {{"file_path": "{notebook_dir / name}", "content": "x"}}>><<say done>>'

    answered(shared_session, write("accepted"), "--mode acceptEdits", allow_stdin=False)
    assert (notebook_dir / "accepted").exists()
    answered(shared_session, write("not-accepted"), allow_stdin=False)
    assert not (notebook_dir / "not-accepted").exists()
    answered(shared_session, "plan it", "--mode plan")
    assert "Plan mode is active" in json.dumps(api.requests[-1])


@pytest.mark.parametrize("first", ["", "--new"])
def test_a_mode_that_the_cli_refuses(shared_session: Kernel, api: MessagesAPI, first: str) -> None:
    """A mode that the CLI does not take (bypassing permissions as root) fails the cell, whether its process is warm or not."""
    if shared_session.value("__import__('os').getuid()") != 0:
        pytest.skip("the CLI refuses this to root only")
    if not first:
        answered(shared_session, "warm up")
    count = len(api.requests)
    result = ask(shared_session, "hello", f"{first} --mode bypassPermissions")
    assert result.status == "error"
    assert len(api.requests) == count
    assert result.stderr == ""
    assert "root" in plain("\n".join(result.errors[0]["traceback"]))
    answered(shared_session, "and on")


def test_output(shared_session: Kernel) -> None:
    """`--output` binds the reply: text, session, usage, code blocks."""
    result = answered(shared_session, "<<say Use this:\n```python\nx = 1\n```\n>>", "--output reply")
    assert shared_session.value("str(reply)").startswith("Use this:")
    assert shared_session.value("reply.session_id") == session_of(result)
    assert shared_session.value("reply.code_blocks") == ["x = 1"]
    assert shared_session.value("reply.usage['input_tokens']") == 100
    assert result.displays


def test_quiet(loaded_kernel: Kernel, api: MessagesAPI) -> None:
    """`--quiet` shows nothing, and the turn counts as any other."""
    result = answered(loaded_kernel, "one", "--quiet -o reply")
    assert result.outputs == []
    assert loaded_kernel.value("str(reply)") == "You said: one"
    answered(loaded_kernel, "two")
    assert history(api) == ["one", "two"]


def test_quiet_failure(shared_session: Kernel) -> None:
    """A quiet cell that fails still says why."""
    failure(ask(shared_session, "<<status 400>>", "--quiet"), "APIError")


def test_new_and_resume(loaded_kernel: Kernel, api: MessagesAPI) -> None:
    """`--new` starts another session and `--resume` goes back, by ID, by prefix and by name; each becomes the current one."""
    one = session_of(answered(loaded_kernel, "first of one"))
    two = session_of(answered(loaded_kernel, "first of two", "--new"))
    assert history(api) == ["first of two"]
    answered(loaded_kernel, "second of two")
    assert history(api) == ["first of two", "second of two"]
    assert session_of(answered(loaded_kernel, "second of one", f"--resume {one}")) == one
    assert session_of(answered(loaded_kernel, "third of one")) == one
    assert history(api) == ["first of one", "second of one", "third of one"]
    assert session_of(answered(loaded_kernel, "third of two", f"-r {two[:8]}")) == two
    assert loaded_kernel.run("%claude_session name 'The second: -2'").ok
    assert session_of(answered(loaded_kernel, "fourth of one", f"-r {one[:8].upper()}")) == one
    assert session_of(answered(loaded_kernel, "fourth of two", "--resume 'The second: -2'")) == two
    assert history(api) == ["first of two", "second of two", "third of two", "fourth of two"]


def test_options_of_the_line(shared_session: Kernel, api: MessagesAPI) -> None:
    """`%claude` takes the same options before its prompt, and `--` ends them."""
    assert shared_session.run('%claude -m haiku --system "Be brief." --output reply what is it?').ok
    assert "haiku" in api.requests[-1]["model"]
    assert "Be brief." in json.dumps(api.requests[-1]["system"])
    assert sent_text(api) == "what is it?"
    assert shared_session.run("%claude --new -- --new is an option?").ok
    assert sent_text(api) == "--new is an option?"


def test_bare(loaded_kernel: Kernel, api: MessagesAPI) -> None:
    """With `--bare`, and with `ask(bare=True)`, the request holds the prompt and `--system`, and no tool of this kernel."""
    loaded_kernel.run('%config ClaudeMagics.allow = ["Read"]')
    try:
        assert loaded_kernel.run('%%claude --bare --system "Be brief."\nhello').ok
        assert loaded_kernel.run('from claude_magic import ask\nask("hello", bare=True, new=True)').ok
    finally:
        loaded_kernel.run("%config ClaudeMagics.allow = []")
    for body in api.requests:
        assert body["tools"] == []
        assert len(json.dumps(body)) < 2_500
    assert api.requests[0]["system"][-1]["text"] == "Be brief."
