"""What the real CLI does unasked, what it asks, and what is off: our list decides, whatever the CLI would let through."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from messages_api import MessagesAPI
from watching import MakeConfig, Run

from claude_magic.sdk import ClaudeClient, TurnOptions
from claude_magic.sdk._folder.contents import contents
from claude_magic.sdk._folder.git_settings import git_programs, repositories_below
from claude_magic.sdk._gate import tool_list
from claude_magic.sdk._gate.call import Call
from claude_magic.sdk._gate.gate import Gate, Verdict
from claude_magic.sdk._gate.rules import Rules
from claude_magic.sdk.content import Prompt
from claude_magic.sdk.host import QUESTION, Decision, Listener, PermissionAnswer, PermissionRequest, Tool, ToolResult
from claude_magic.sdk.turn_request import TurnRequest

KERNEL = "mcp__kernel__"
NOTHING: dict[str, Any] = {"type": "object", "properties": {}}
TOOLS = [Tool("look", "Look.", NOTHING, read_only=True), Tool("act", "Act.", NOTHING)]

UNASKED = [
    ("Read", {"file_path": "{work}/in.txt"}),
    ("Read", {"file_path": "{work}/sub/deep.txt"}),
    (f"{KERNEL}look", {}),
    *(
        ("Bash", {"command": command})
        for command in (
            "pwd",
            "ls -la",
            "cat in.txt sub/deep.txt",
            "head -n 2 in.txt",
            "grep -rn 'inside the' .",
            "ls sub && cat in.txt | head -1",
            'find . -name "*.txt"',
        )
    ),
    ("ToolSearch", {"query": "select:WebFetch", "max_results": 1}),
]

COMMANDS = [
    "ps aux",
    "env",
    "cat link",
    "cat 'link'",
    'cat "link"',
    'cat li""nk',
    "cat lin\\k",
    "cat l?nk",
    "cat *",
    "cat {{in.txt,link}}",
    "cat -- link",
    "cat < link",
    "cat $(echo link)",
    "cat `echo link`",
    "cat linkdir/x",
    "ls linkdir",
    "ls linkdir/",
    "ls -L linkdir/..",
    "cat ../secret",
    "cat sub/../../secret",
    "cat {base}/secret",
    "ls ~",
    "ls; ps",
    "ls\nps",
    "ls & ps",
    "ls | xargs ps",
    "cd sub && cat ../link",
    "cd .. && ls",
    "cat in.txt > out.txt",
    "echo hi > out.txt",
    "grep -f link in.txt",
    "grep --exclude-from=link x in.txt",
    "grep -r --file=link .",
    "wc --files0-from=link",
    "find . -exec cat {{}} +",
    "find -L . -name x",
    "find . -fprint out.txt",
    "find {base} -name secret",
    "git log",
    "git status",
    "LD_PRELOAD=./x.so ls",
    "tail -f in.txt",
    "cat /proc/self/environ",
    "cat /dev/tcp/127.0.0.1/9",
    "jobs",
    "uname -a",
    "whoami",
]

ASKED = [
    ("Read", {"file_path": "{base}/secret"}),
    ("Read", {"file_path": "{work}/../secret"}),
    ("Read", {"file_path": "{work}/link"}),
    ("Read", {"file_path": "{work}/linkdir/x"}),
    ("Read", {"file_path": "{cli}/projects/other/00000000-0000-4000-8000-000000000000.jsonl"}),
    ("Read", {"file_path": "{memory}/MEMORY.md"}),
    ("Read", {"file_path": "{cli}/.claude.json"}),
    ("Write", {"file_path": "{work}/new.txt", "content": "x"}),
    ("Write", {"file_path": "{base}/new.txt", "content": "x"}),
    ("Write", {"file_path": "{work}/linkdir/new.txt", "content": "x"}),
    ("Write", {"file_path": "{memory}/planted.md", "content": "x"}),
    ("Write", {"file_path": "{cli}/plans/planted.md", "content": "x"}),
    ("Write", {"file_path": "{work}/.claude/launch.json", "content": "x"}),
    ("Write", {"file_path": "{work}/.claude/agent-memory/x/MEMORY.md", "content": "x"}),
    ("Write", {"file_path": "{work}/.claude/agent-memory-local/x/y.md", "content": "x"}),
    ("WebFetch", {"url": "https://docs.python.org/3/", "prompt": "p"}),
    ("WebFetch", {"url": "https://code.claude.com/docs", "prompt": "p"}),
    ("WebSearch", {"query": "some words"}),
    ("Skill", {"skill": "simplify"}),
    ("Workflow", {"script": "export const meta = {{name: 'a', description: 'b'}}\n"}),
    ("Monitor", {"command": "ls", "description": "d", "timeout_ms": 1000, "persistent": False}),
    ("EnterPlanMode", {}),
    ("Agent", {"description": "d", "prompt": "p", "subagent_type": "general-purpose", "isolation": "worktree"}),
    (f"{KERNEL}act", {}),
    *(("Bash", {"command": command}) for command in COMMANDS),
]

OFF = [
    ("CronCreate", {"cron": "*/5 * * * *", "prompt": "p", "recurring": True}),
    ("CronList", {}),
    ("ScheduleWakeup", {"delaySeconds": 60, "reason": "r", "prompt": "p"}),
    ("EnterWorktree", {"name": "w"}),
    ("ListAgents", {}),
    ("SendMessage", {"to": "x", "message": "m", "summary": "s"}),
]


class Person(Listener):
    """Answers each question alike, and remembers them."""

    def __init__(self, decision: Decision = Decision.DENY) -> None:
        super().__init__()
        self.decision = decision
        self.asked: list[PermissionRequest] = []
        self.called: list[str] = []

    async def ask(self, request: PermissionRequest) -> PermissionAnswer:
        self.asked.append(request)
        return PermissionAnswer(self.decision)

    async def call(self, tool: str, arguments: dict[str, Any]) -> ToolResult:
        self.called.append(tool)
        return ToolResult("done")

    @property
    def inputs(self) -> list[dict[str, Any]]:
        return [request.input for request in self.asked]


@pytest.fixture
def cli_home(home: Path) -> Path:
    return home / ".claude"


@pytest.fixture
def words(workdir: Path, cli_home: Path) -> dict[str, str]:
    """A folder with a file, links that lead out of it, and a secret beside it."""
    base = workdir.parent
    (workdir / "sub").mkdir()
    (workdir / "in.txt").write_text("inside the folder\n")
    (workdir / "sub" / "deep.txt").write_text("deep inside the folder\n")
    (base / "secret").write_text("the secret\n")
    (base / "outside").mkdir()
    (base / "outside" / "x").write_text("the secret\n")
    (workdir / "link").symlink_to(base / "secret")
    (workdir / "linkdir").symlink_to(base / "outside")
    slug = "".join(letter if letter.isalnum() else "-" for letter in str(workdir))
    memory = cli_home / "projects" / slug / "memory"
    memory.mkdir(parents=True)
    (memory / "MEMORY.md").write_text("the secret\n")
    other = cli_home / "projects" / "other"
    other.mkdir(exist_ok=True)
    (other / "00000000-0000-4000-8000-000000000000.jsonl").write_text('{"said": "the secret"}\n')
    return {"work": str(workdir), "base": str(base), "cli": str(cli_home), "memory": str(memory)}


def filled(value: Any, words: dict[str, str]) -> Any:
    match value:
        case str():
            return value.format(**words)
        case dict():
            return {key: filled(inner, words) for key, inner in value.items()}
    return value


def prompt_of(calls: list[tuple[str, dict[str, Any]]], words: dict[str, str]) -> str:
    return "".join(f"<<tool {name} {json.dumps(filled(arguments, words))}>>" for name, arguments in calls) + "<<say done>>"


def results(api: MessagesAPI) -> list[str]:
    """Return the text of each tool result in the newest request, oldest first."""
    contents = [message["content"] for message in api.requests[-1]["messages"] if isinstance(message["content"], list)]
    blocks = [block for content in contents for block in content if block["type"] == "tool_result"]
    return [json.dumps(block["content"]) for block in blocks]


@pytest.fixture
def ask(make_config: MakeConfig, run_async: Run, words: dict[str, str]) -> Any:
    """Run turns of one session with a person who answers alike."""

    def ask(*prompts: str, person: Person | None = None, asks: bool = True, **choices: Any) -> Person:
        person = person or Person()

        async def go() -> None:
            async with ClaudeClient(make_config(), tools=TOOLS, asks=asks) as client:
                session_id = None
                for prompt in prompts:
                    options = TurnOptions(**choices)
                    request = TurnRequest(
                        prompt=Prompt(prompt), directory=words["work"], options=options, session_id=session_id, use_tools=True
                    )
                    session_id = (await client.run_turn(request, person)).session_id

        run_async(go(), timeout_s=200)
        return person

    return ask


def test_every_tool_is_in_one_list(ask: Any, api: MessagesAPI, words: dict[str, str]) -> None:
    """Each tool that the CLI offers is in exactly one of our lists, and those that are off are not offered."""
    lists = [tool_list.READING, tool_list.UNASKED, tool_list.HELPERS, tool_list.ASKED, tool_list.OFF]
    names = [name for part in lists for name in part]
    assert len(names) == len(set(names))
    ask("hello")
    request = json.dumps(api.requests[-1])
    offered = {tool["name"] for tool in api.requests[-1]["tools"]} - {"DeferredToolPlaceholder"}
    assert {name for name in offered if not name.startswith(KERNEL)} <= set(names) - tool_list.OFF
    assert not [name for name in tool_list.OFF if f"\\n{name}\\n" in request]


def test_unasked(ask: Any, api: MessagesAPI, words: dict[str, str]) -> None:
    """Files of the folder are read unasked, also by plain commands; so are our own tools that only look."""
    person = ask(prompt_of(UNASKED, words))
    assert person.inputs == []
    assert person.called == ["look"], results(api)
    assert "denied" not in "".join(results(api))
    assert sum("inside the folder" in text for text in results(api)) == 6


def test_asked(ask: Any, api: MessagesAPI, words: dict[str, str], workdir: Path) -> None:
    """All else is asked: what is outside, by whatever way; commands; changes; the web; skills; unknown tools."""
    before = {path for root in (workdir, workdir.parent) for path in root.rglob("*")}
    person = ask(prompt_of(ASKED, words))
    wanted = [(name, filled(arguments, words)) for name, arguments in ASKED]
    assert [request.tool for request in person.asked] == [name for name, _ in wanted]
    commands = [request.input["command"] for request in person.asked if request.tool == "Bash"]
    assert commands == [arguments["command"] for name, arguments in wanted if name == "Bash"]
    assert person.called == []
    assert "the secret" not in "".join(results(api))
    assert {path for root in (workdir, workdir.parent) for path in root.rglob("*")} == before


def test_off(ask: Any, api: MessagesAPI, words: dict[str, str]) -> None:
    """Tools that are off do nothing, also when Claude calls them all the same, and nobody is asked."""
    person = ask(prompt_of(OFF, words), person=Person(Decision.ONCE))
    assert person.inputs == []
    assert all("No such tool" in text or "off here" in text for text in results(api)), results(api)


def write(path: str) -> tuple[str, dict[str, Any]]:
    return "Write", {"file_path": path, "content": "x"}


def bash(command: str) -> tuple[str, dict[str, Any]]:
    return "Bash", {"command": command}


CHANGES = [write("{work}/new.txt"), bash("touch by-bash"), (f"{KERNEL}act", {}), write("{memory}/planted.md")]


def test_plan(ask: Any, words: dict[str, str], workdir: Path) -> None:
    """Plan mode changes nothing, whatever rules allow and whatever the person would say; files are still read."""
    calls = prompt_of([*CHANGES, ("Read", {"file_path": "{work}/in.txt"}), bash("cat in.txt")], words)
    rules = ("Write", "Edit", "Bash", f"{KERNEL}act")
    person = ask(calls, person=Person(Decision.ONCE), permission_mode="plan", allowed_tools=rules)
    assert person.inputs == []
    assert person.called == []
    assert not (workdir / "new.txt").exists()
    assert not (workdir / "by-bash").exists()
    assert not Path(words["memory"], "planted.md").exists()


@pytest.mark.parametrize("mode", ["dontAsk", "acceptEdits", "default", "auto"])
def test_nobody_to_ask(mode: str, ask: Any, api: MessagesAPI, words: dict[str, str], workdir: Path) -> None:
    """Where nobody can be asked, what would be asked does not happen, and Claude is told so."""
    calls = [bash("ps aux"), bash("cat link"), ("Read", {"file_path": "{work}/link"}), write("{memory}/planted.md")]
    person = ask(prompt_of(calls, words), asks=False, permission_mode=mode)
    assert person.inputs == []
    assert "the secret" not in "".join(results(api))
    assert not Path(words["memory"], "planted.md").exists()
    assert len([text for text in results(api) if "Nobody can be asked" in text or "does not ask" in text]) == len(calls)


def test_auto(ask: Any, words: dict[str, str], workdir: Path) -> None:
    """In the mode `auto` the CLI's own judge answers nothing that we ask; what is denied there does not happen."""
    calls = [*CHANGES, bash("ps aux"), ("WebFetch", {"url": "https://docs.python.org/3/", "prompt": "p"})]
    person = ask(prompt_of(calls, words), permission_mode="auto")
    assert [request.tool for request in person.asked] == [name for name, _ in calls]
    assert person.called == []
    assert not (workdir / "new.txt").exists()


@pytest.mark.parametrize("mode", ["auto", "a mode of tomorrow"])
def test_a_mode_without_a_meaning_of_ours(mode: str, words: dict[str, str], cli_home: Path) -> None:
    """Whatever a mode of the CLI's may mean, calls are judged as in `default`; edits that are left to it there are asked."""
    gate = Gate(words["work"], cli_home, home=words["base"], harmless=[f"{KERNEL}look"])
    for name, arguments in [*UNASKED, *ASKED, *OFF, (QUESTION, {}), ("mcp__weather__forecast", {})]:
        for by_helper in (False, True):
            call = Call(name, filled(arguments, words), "default", words["work"], "id", by_helper=by_helper)
            verdict, reason = gate.judge(call, None)
            if name in tool_list.EDITING and verdict is Verdict.PASS:
                verdict = Verdict.ASK
            assert gate.judge(replace(call, mode=mode), mode) == (verdict, reason), (name, arguments)


def test_accept_edits(ask: Any, words: dict[str, str], workdir: Path) -> None:
    """`acceptEdits` keeps its meaning: files of the folder, and the CLI's few commands for them; nothing else."""
    unasked = [write("{work}/new.txt"), bash("mkdir made"), bash("cp in.txt made/copy.txt")]
    asked = [bash("cp link made/stolen"), bash("ps aux"), bash("echo hi > out.txt"), write("{memory}/planted.md")]
    person = ask(prompt_of([*unasked, *asked], words), permission_mode="acceptEdits")
    assert len(person.asked) == len(asked), person.inputs
    assert (workdir / "made" / "copy.txt").exists()
    assert not (workdir / "made" / "stolen").exists()


def test_rules_of_the_person(ask: Any, words: dict[str, str], workdir: Path) -> None:
    """A rule that is typed answers for the person, with all that the CLI's rules can say, and for nothing else."""
    rules = ("Bash(touch:*)", "Bash(python3 *)", "Bash(git status)", f"Read(/{words['base']}/outside/**)")
    allowed = [
        bash("touch a"),
        bash("touch b && touch c"),
        bash("cd sub && python3 -c 'print(2)'"),
        bash("LANG=C touch e"),
        bash("touch f 2>&1 | head -1"),
        bash("python3 -c 'import os; print(1)'"),
        bash("git status"),
        ("Read", {"file_path": "{base}/outside/x"}),
    ]
    asked = [
        bash("touch g; ps aux"),
        bash("touch h && cat {work}/link"),
        bash("git log"),
        ("Read", {"file_path": "{base}/secret"}),
    ]
    person = ask(prompt_of([*allowed, *asked], words), allowed_tools=rules)
    assert len(person.asked) == len(asked), person.inputs
    assert {path.name for path in workdir.rglob("?")} >= set("abcef")


def test_for_the_session(ask: Any, words: dict[str, str], workdir: Path) -> None:
    """A yes for the session allows what the card says and nothing else: edits of the folder's files, or that one command."""
    granting = [write("{work}/one.txt"), bash("touch granted"), bash("rm *.tmp")]
    covered = [write("{work}/sub/two.txt"), bash("touch granted"), bash("rm *.tmp")]
    person = ask(prompt_of([*granting, *covered], words), person=Person(Decision.SESSION))
    assert [request.rules for request in person.asked] == [("Edit(**)",), ("Bash(touch granted)",), ("Bash(rm *.tmp)",)]
    assert (workdir / "sub" / "two.txt").exists()


def test_a_command_in_another_place_is_another(ask: Any, words: dict[str, str], workdir: Path) -> None:
    """A `cd` holds for its own command only: each call runs in the folder of the session, and the card says so."""
    (workdir / "in.sh").write_text("touch here")
    (workdir / "sub" / "in.sh").write_text("touch planted")
    calls = [bash("sh in.sh"), bash("cd sub && true"), bash("sh in.sh"), write("new.txt"), (f"{KERNEL}act", {})]
    calls += [bash("cd .. && true"), bash("sh in.sh")]
    person = ask(prompt_of(calls, words), person=Person(Decision.SESSION))
    where = [(request.input.get("command", ""), Path(request.directory).name, request.rules) for request in person.asked]
    folder, granted = workdir.name, "Bash(sh in.sh)"
    assert where == [
        ("sh in.sh", folder, (granted,)),
        ("cd sub && true", folder, ("Bash(cd sub && true)",)),
        ("", folder, ("Edit(**)",)),
        ("", folder, (f"{KERNEL}act",)),
        ("cd .. && true", folder, ("Bash(cd .. && true)",)),
    ]
    assert not (workdir / "sub" / "planted").exists()
    assert (workdir / "new.txt").exists()


def test_an_edit_for_the_session_is_no_command(ask: Any, words: dict[str, str], workdir: Path) -> None:
    """With edits allowed for the session, commands that change files, links out and settings are asked as before."""
    asked = [
        bash("rm in.txt"),
        bash("mv in.txt x"),
        bash("cp in.txt x"),
        bash("sed -i s/a/b/ in.txt"),
        bash("echo hi > in.txt"),
        write("{work}/linkdir/new.txt"),
        write("{base}/new.txt"),
        write("{memory}/planted.md"),
        write("{work}/.git/config"),
        write("{work}/.claude/settings.json"),
        write("{work}/.claude/launch.json"),
        write("{work}/.claude/agent-memory/x/MEMORY.md"),
        write("{work}/.mcp.json"),
    ]

    class Careful(Person):
        async def ask(self, request: PermissionRequest) -> PermissionAnswer:
            await super().ask(request)
            first = len(self.asked) == 1
            return PermissionAnswer(Decision.SESSION if first else Decision.DENY)

    person = ask(prompt_of([write("{work}/one.txt"), *asked], words), person=Careful())
    assert len(person.asked) == 1 + len(asked), person.inputs
    assert (workdir / "in.txt").read_text() == "inside the folder\n"


def test_a_file_that_changes_meanwhile(ask: Any, words: dict[str, str], workdir: Path) -> None:
    """Who allows a Write is asked again if the file was changed, or made, while the question was open."""

    class Slow(Person):
        async def ask(self, request: PermissionRequest) -> PermissionAnswer:
            if not self.asked:
                (workdir / "new.txt").write_text("the person's\n")
            await super().ask(request)
            return PermissionAnswer(Decision.SESSION if len(self.asked) == 1 else Decision.DENY)

    # The first answer counts for nothing, so the second file is asked about, too.
    person = ask(prompt_of([write("{work}/new.txt"), write("{work}/other.txt")], words), person=Slow())
    assert [request.reason for request in person.asked] == [None, "the file has changed since you were asked", None]
    assert (workdir / "new.txt").read_text() == "the person's\n"
    assert not (workdir / "other.txt").exists()


@pytest.fixture
def helpers(cli_home: Path) -> Any:
    """Helpers of the person's own whose definition gives them another permission mode than the conversation has."""
    directory = cli_home / "agents"
    directory.mkdir(parents=True, exist_ok=True)
    for mode in ("bypassPermissions", "acceptEdits"):
        front = f"name: {mode.lower()}\ndescription: d\npermissionMode: {mode}"
        (directory / f"{mode.lower()}.md").write_text(f"---\n{front}\n---\nDo it.\n")
    yield
    for file in directory.iterdir():
        file.unlink()


@pytest.fixture(scope="module")
def module_api() -> Any:
    calls = [write("by-helper.txt"), bash("touch by-helper"), bash("cat link")]
    script = prompt_of(calls, {})
    with MessagesAPI(lambda prompt: script if "GO, HELPER" in prompt else None) as api:
        yield api


@pytest.mark.parametrize("helper", ["bypasspermissions", "acceptedits"])
def test_a_helper_is_allowed_no_more(helper: str, helpers: None, ask: Any, words: dict[str, str], workdir: Path) -> None:
    """What a helper does is asked like what Claude does, whatever mode its definition names."""
    call = {"description": "d", "prompt": "GO, HELPER", "subagent_type": helper, "run_in_background": False}
    person = ask(prompt_of([("Agent", call)], words))
    assert [request.tool for request in person.asked] == ["Write", "Bash", "Bash"]
    assert not list(workdir.glob("by-helper*"))


def test_settings_of_the_person(cli_home: Path, ask: Any, words: dict[str, str]) -> None:
    """Rules in the person's own settings answer, too; broken settings allow nothing."""
    settings = cli_home / "settings.json"
    directories = {"allow": ["Bash(uname:*)"], "additionalDirectories": [f"{words['base']}/outside"]}
    settings.write_text(json.dumps({"permissions": directories}))
    calls = prompt_of([bash("uname -a"), ("Read", {"file_path": "{base}/outside/x"}), bash("whoami")], words)
    try:
        assert ask(calls).inputs == [{"command": "whoami"}]
    finally:
        settings.unlink()


def test_what_is_kept_of_this_session(tmp_path: Path) -> None:
    """Long results that the CLI has put into files of this session are read unasked; those of another one are asked."""
    sessions = tmp_path / ".claude" / "projects" / "work"
    gate = Gate(str(tmp_path / "work"), tmp_path / ".claude", home=str(tmp_path))

    def verdict(session: str) -> Verdict:
        path = {"file_path": str(sessions / session / "tool-results" / "1.txt")}
        call = Call("Read", path, "default", str(tmp_path / "work"), "this", own_files=str(sessions / "this"))
        return gate.judge(call, "default")[0]

    assert verdict("this") is Verdict.PASS
    assert verdict("other") is Verdict.ASK


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [("BrandNew", {"path": "in.txt"}), ("mcp__server__read", {}), ("Read", {}), ("Agent", {"prompt": "p", "mode": "x"})],
)
def test_what_is_new_is_asked(tool: str, arguments: dict[str, Any], tmp_path: Path) -> None:
    """A tool that no list names, and an argument that nobody knew, are asked; bypassing permissions asks nothing."""
    gate = Gate(str(tmp_path), tmp_path / ".claude", home=str(tmp_path))
    call = Call(tool, arguments, "default", str(tmp_path), "this")
    assert gate.judge(call, "default")[0] is Verdict.ASK
    assert gate.judge(replace(call, mode="dontAsk"), "dontAsk")[0] is Verdict.DENY
    assert gate.judge(replace(call, mode="bypassPermissions"), "bypassPermissions")[0] is Verdict.PASS


def test_what_a_yes_for_the_session_would_add(tmp_path: Path) -> None:
    """A rule that the person has given already is not offered once more."""
    gate = Gate(str(tmp_path), tmp_path / ".claude", home=str(tmp_path), rules=[" Bash(ls -la) ", "WebSearch"])
    assert not gate.adds_to_rules(("Bash(ls -la)",))
    assert not gate.adds_to_rules(("WebSearch",))
    assert gate.adds_to_rules(("Bash(ls)",))
    assert gate.adds_to_rules(("WebSearch", "Edit(**)"))


@pytest.mark.parametrize(
    ("tool", "path", "why"),
    [
        ("Bash", "{work}/made.txt", "because of made.txt"),
        ("Bash", "/elsewhere/made.txt", "leads to /elsewhere/made.txt, outside the folder"),
        ("Bash", None, None),
        ("Write", "{work}/made.txt", None),
    ],
)
def test_why_a_command_is_asked_about(tool: str, path: str | None, why: str | None, tmp_path: Path) -> None:
    """Where the CLI says nothing but the path for which it asks, that is the reason; the card of a file names it anyway."""
    gate = Gate(str(tmp_path), tmp_path / ".claude", home=str(tmp_path))
    assert gate.reason_for(tool, path and path.format(work=tmp_path), str(tmp_path)) == why


def test_folders_below(tmp_path: Path) -> None:
    """A file whose folder holds something for the CLI is asked for, in every mode that asks, until somebody has said yes."""
    work = tmp_path / "work"
    odd = ("c d", "e=f", "tail=", "it's", 'say "g"', "h;i", "j*k")
    for name in ("a/.claude/rules", "a/deep", "b", *(f"{name}/.claude" for name in odd)):
        (work / name).mkdir(parents=True)
    (tmp_path / "private.md").touch()
    (work / "b" / "CLAUDE.md").symlink_to(tmp_path / "private.md")
    (work / "f").mkdir()
    (work / "f" / "AGENTS.md").symlink_to(tmp_path / "private.md")
    (work / "a" / "CLAUDE.md").touch()
    (work / "way").symlink_to(work / "a" / "deep")

    def verdict(gate: Gate, tool: str, path: str, mode: str = "default") -> Verdict:
        arguments = {"path" if tool in ("Glob", "Grep") else "file_path": path}
        return gate.judge(Call(tool, arguments, mode, str(work), "s"), mode)[0]

    gates = [
        Gate(str(work), tmp_path / "cli", home="/", rules=["Read"], trusted=True, asks_below=asks) for asks in (True, False)
    ]
    for path in ("a/x", "a/deep/x", "b/x", "f/x", str(work / "a" / "x"), "b/../a/deep/x", "way/x"):
        assert [verdict(gate, "Read", path) for gate in gates] == [Verdict.ASK, Verdict.PASS], path
    assert verdict(gates[0], "Grep", "a/deep") is Verdict.ASK
    assert verdict(gates[0], "Grep", "a") is Verdict.ASK
    assert verdict(gates[0], "Edit", "a/x", "acceptEdits") is Verdict.ASK
    assert verdict(gates[0], "Read", "a/x", "dontAsk") is Verdict.DENY
    assert verdict(gates[0], "Read", "x") is Verdict.PASS
    plain = ("cat a/x", "ls a", "grep -r it a/*", 'cat "a/x"', "cat b/x", "cat <a/x", "cat way/x")
    quoted = ("cat 'a'/x", 'cat a"/x"', r"cat a\/x", "cat <'c d/x'", "grep --file='c d/x' y", "cat 'a/x", "pwd" + " " * 60_000)
    for command in (*plain, *quoted, *(f"cat {shlex.quote(name)}/x" for name in odd)):
        call = Call("Bash", {"command": command}, "default", str(work), "s")
        assert gates[0].judge(call, "default")[0] is Verdict.ASK, command
    read = Call("Bash", {"command": "cat a/deep/x"}, "default", str(work), "s")
    gates[0].effects.accept(gates[0].effects.circumstances(read))
    assert verdict(gates[0], "Read", "a/x") is Verdict.PASS
    assert verdict(gates[0], "Read", "b/x") is Verdict.ASK
    # What has come later, or changed, nobody has allowed, also not by a yes to the same call for the session.
    before = gates[0].effects.circumstances(read)
    for change in (
        lambda: (work / "a/.claude/rules/r.md").write_text("one"),
        lambda: (work / "a/.claude/rules/r.md").write_text("two"),
        lambda: (work / "a/.claude/CLAUDE.md").symlink_to(tmp_path / "private.md"),
    ):
        change()
        assert verdict(gates[0], "Read", "a/x") is Verdict.ASK
        now = gates[0].effects.circumstances(read)
        assert now != before
        assert str(work / "a/.claude") in now.asks_anew
        gates[0].effects.accept(before)
        assert verdict(gates[0], "Read", "a/x") is Verdict.ASK
        gates[0].effects.accept(now)
        before = gates[0].effects.circumstances(read)
        assert (verdict(gates[0], "Read", "a/x"), before) == (Verdict.PASS, replace(now, asks_anew=""))


def test_a_search_elsewhere(tmp_path: Path) -> None:
    """Allowing a search of one directory for the session allows no search of the one beside it."""
    gate = Gate(str(tmp_path / "work"), tmp_path / ".claude", home=str(tmp_path))
    for name in ("data/a", "data/b"):
        (tmp_path / name).mkdir(parents=True)
    first, second = (gate.rules_for("Grep", {"pattern": "x", "path": str(tmp_path / "data" / name)}) for name in "ab")
    assert first == (f"Read(/{tmp_path}/data/a/**)",)
    gate.grant(first)
    assert (gate.was_granted(first), gate.was_granted(second)) == (True, False)


def test_a_search_from_above(tmp_path: Path) -> None:
    """In the home folder a search is asked about, because it would read the CLI's own files; a look at one file is not."""
    gate = Gate(str(tmp_path), tmp_path / ".claude", home=str(tmp_path))

    def verdict(tool: str, **arguments: str) -> tuple[Verdict, str]:
        return gate.judge(Call(tool, arguments, "default", str(tmp_path), "s"), "default")

    above = Verdict.ASK, "would search Claude Code's own files, or hidden ones of the home folder, too"
    assert verdict("Grep", pattern="x") == verdict("Glob", pattern="**/*.md", path=str(tmp_path)) == above
    for command in ("grep -rn x .", "grep x -ir .", "find . -name x", "ls -aR", "cat x | grep -r x ."):
        assert verdict("Bash", command=command)[0] is Verdict.ASK, command
    allowing = Gate(str(tmp_path), tmp_path / ".claude", home=str(tmp_path), rules=["Bash(echo:*)"])
    call = Call("Bash", {"command": "echo a; grep -r X"}, "default", str(tmp_path), "s")
    assert allowing.judge(call, "default")[0] is Verdict.ASK
    for command in ("grep x notes.txt", "ls -la", "cat notes.txt | grep x"):
        assert verdict("Bash", command=command)[0] is Verdict.PASS, command
    for arguments in ({"pattern": "../../x/*", "path": "sub"}, {"pattern": "/etc/../etc/*", "path": "sub"}):
        assert verdict("Glob", **arguments)[0] is Verdict.ASK, arguments


@pytest.mark.parametrize("folder", ["", "work", ".hidden/work"])
def test_hidden_files_of_the_home_folder(folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session in the home folder asks each time about its hidden files, which hold keys and settings, and about our own."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / ".config"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "shown"))
    work = tmp_path / folder
    work.mkdir(parents=True, exist_ok=True)
    gate = Gate(str(work), tmp_path / ".claude", home=str(tmp_path))
    gate.grant(("Edit(**)",))

    def verdict(tool: str, mode: str = "default", **arguments: str) -> Verdict:
        return gate.judge(Call(tool, arguments, mode, str(work), "s"), mode)[0]

    for name in (
        ".claude.json",
        ".claude.json.backup.1",
        ".claude/settings.json",
        ".config/claude_magic/trust.json",
        "shown/claude_magic/x",
        ".ssh/id_rsa",
        ".netrc",
    ):
        path = str(tmp_path / name)
        for mode in ("default", "acceptEdits"):
            assert verdict("Read", mode, file_path=path) is Verdict.ASK, name
            assert verdict("Write", mode, file_path=path, content="x") is Verdict.ASK, name
            assert verdict("Bash", mode, command=f"cat {path}") is Verdict.ASK, name
            assert verdict("Bash", mode, command=f"cp x {path}") is Verdict.ASK, name
        for tool in ("Read", "Write"):
            assert not (folder == "" and gate.rules_for(tool, {"file_path": path})), name
    (tmp_path / "dotfiles").mkdir()
    (tmp_path / ".linked").symlink_to(tmp_path / "dotfiles")
    if folder == "":
        for tool in ("Read", "Write"):
            assert verdict(tool, "acceptEdits", file_path=str(tmp_path / ".linked/x"), content="x") is Verdict.ASK
        assert verdict("Bash", command="cat .linked/x") is Verdict.ASK
        for command in ("cp p/.netrc .", "mv p/.ssh .", "cp -t . p/.netrc"):
            assert verdict("Bash", "acceptEdits", command=command) is Verdict.ASK
    for name in ("notes.txt", "a/.env"):
        assert verdict("Read", file_path=str(work / name)) is Verdict.PASS
        assert verdict("Write", file_path=str(work / name), content="x") is Verdict.PASS


def test_rules_where_the_cli_does_not_ask(tmp_path: Path) -> None:
    """Where the CLI would not ask about what a rule covers only in part, a call passes only if the rule surely covers it."""
    rules = [
        "Bash(git log:*)",
        "Edit(docs/*.md)",
        "WebFetch(domain:a.org)",
        "mcp__weather",
        "mcp__k*",
        "Write",
        "Glob",
        "mcp__a__b",
        "Skill(x)",
    ]
    rules += ["Bash(tou:*)", "Bash(wc * x)", "Bash(rm ma?k)", "Bash(mv [a-z])", "Bash(make)", "Bash(npm run *)"]
    gate = Gate(str(tmp_path / "work"), tmp_path / ".claude", home=str(tmp_path), rules=rules)

    def verdict(tool: str, mode: str, by_helper: bool = False, own: str = "default", **arguments: str) -> Verdict:
        return gate.judge(Call(tool, arguments, mode, str(tmp_path), "s", by_helper=by_helper), own)[0]

    for mode, by_helper, own in (("auto", False, "auto"), ("bypassPermissions", True, "default"), ("auto", True, "default")):
        assert verdict("Bash", mode, by_helper, own, command="git log > .bashrc") is Verdict.ASK
        assert verdict("Edit", mode, by_helper, own, file_path="docs/conf.py") is Verdict.ASK
        for command in ("touch a", "wc -c x/../../y x", "rm mask", "mv b", "make clean", "git logs", "npm runner"):
            assert verdict("Bash", mode, by_helper, own, command=command) is Verdict.ASK, command
        assert verdict("Edit", mode, by_helper, own, file_path="a.py") is Verdict.ASK
        assert verdict("Read", mode, by_helper, own, file_path=str(tmp_path / "secret")) is Verdict.ASK
        assert verdict("mcp__kernel__run_code", mode, by_helper, own, code="1") is Verdict.ASK
        for command in ("git log -3", "git log", "make", "npm run x"):
            assert verdict("Bash", mode, by_helper, own, command=command) is Verdict.PASS, command
        assert verdict("Write", mode, by_helper, own, file_path="a.py") is (Verdict.ASK if by_helper else Verdict.PASS)
        assert verdict("WebFetch", mode, by_helper, own, url="https://a.org/x") is Verdict.PASS
        assert verdict("mcp__weather__now", mode, by_helper, own, city="Rome") is Verdict.PASS
        assert verdict("mcp__a__b", mode, by_helper, own) is verdict("Skill", mode, by_helper, own, skill="x") is Verdict.PASS
        assert verdict("mcp__a__b__c", mode, by_helper, own) is verdict("Skill", mode, by_helper, own, skill="y") is Verdict.ASK
    assert verdict("Bash", "default", command="git log > .bashrc") is Verdict.PASS  # the CLI asks
    assert verdict("Edit", "acceptEdits", True, "dontAsk", file_path="a.py") is Verdict.DENY
    assert verdict("Write", "plan", True, "plan", file_path=str(tmp_path / ".claude/plans/p.md")) is Verdict.PASS


def test_a_link_that_is_turned_meanwhile(tmp_path: Path) -> None:
    """What a yes was about is another file when a link on its way was turned, although neither is there."""
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (link := tmp_path / "out").symlink_to(tmp_path / "a")
    gate = Gate(str(tmp_path), tmp_path / ".claude", home="/")
    call = Call("Write", {"file_path": str(link / "new.py")}, "default", str(tmp_path), "s")
    before = gate.effects.circumstances(call)
    assert gate.effects.circumstances(call) == before
    link.unlink()
    link.symlink_to(tmp_path / "b")
    assert gate.effects.circumstances(call) != before


def test_git_after_cd(tmp_path: Path) -> None:
    """A rule for git, or for what may call it, does not hold in another repository whose settings run programs."""
    work, harmless = tmp_path / "vendor", tmp_path / "lib"
    for repository in (work, harmless):
        (repository / ".git").mkdir(parents=True)
    (work / ".git" / "config").write_text("[core]\n\tfsmonitor = ./run.sh\n")

    def verdict(cwd: Path, rule: str, trusted: bool = False) -> tuple[Verdict, str]:
        gate = Gate(str(tmp_path), tmp_path / ".claude", home=str(tmp_path), rules=[rule], trusted=trusted)
        return gate.judge(Call("Bash", {"command": "git status"}, "default", str(cwd), "s"), "default")

    asked = Verdict.ASK, f"git would run programs here: {work}/.git/config says so"
    assert verdict(work, "Bash(git status:*)") == verdict(work, "Bash(git status)", trusted=True) == asked
    assert verdict(harmless, "Bash(git status:*)") == verdict(work, "Bash") == (Verdict.PASS, "")
    assert verdict(work, "Bash(git *)") == (Verdict.PASS, "")


@pytest.mark.parametrize(
    "command",
    [
        "git -C vendor status",
        "git -C 'vendor' log",
        "git --git-dir=vendor/.git status",
        "GIT_DIR=vendor/.git git status",
        "git diff vendor/x",
        'git -C "$PWD/vendor" log',
        "git -C v?ndor log",
        "echo git" + " " * 60_000,
        "git -C lib -C ../vendor status",
        "git -C . --git-dir=vendor/.git status",
        "git --git-dir named --work-tree . status",
        "cd lib; git -C ../vendor status",
        "cd lib; cd ../vendor; git status",
        "git diff --submodule=diff",
        'git diff "--sub"=diff',
        "git diff {--submodule=diff,x}",
        "git diff $X",
        "git status; GIT_DIR=vendor/.git make",
        "cd lib; pushd .; git status",
        'git -C "ven\\\ndor" status',
        "git -C lib '-\\\nC' ../vendor status",
        'git -C . "-\\\nC" vendor status',
        "git status # don't\ngit -C lib -C ../vendor status # don't",
        "git status <<E\nE\ngit -C lib -C ../vendor status",
        "git diff -*",
        "git diff *",
        "git diff --rec=x",
        "git checkout --r x",
        "git --exec-path=vendor status",
        "git -c core.pager=./x status",
        "git submodule status",
        "git -C lib 2>/dev/null -C ../vendor status",
        "cd @{1..1} && git status",
        "git status # x \\\ngit -C lib -C ../vendor status",
        "git -C lib\\\n# -C ../vendor status",
        "mv dotgit lib/.git && git status",
        "echo x > lib/.git/config; git status",
        "git status && tar xf a.tar",
        "git push ./bare main",
        "git push ve?dor main",
        "git push ve*/../vendor main",
        "git push ~+/vendor main",
        "git push linked main",
        "git push file://{base}/v%65ndor main",
        "git fetch ext::./run.sh",
        "git fetch --upload-pack=./run.sh .",
        "git log --output=../o",
        "git grep -Oless x",
        "git rebase -x ./run.sh main",
        "git archive --remote=./bare x",
        "git clone --template=vendor . dst",
        "git worktree remove tree",
        "git config core.fsmonitor ./run.sh && git status",
        "git init --template=vendor && git commit -m x",
        "git push file://localhost{base}/vendor",
        "sort '-o' lib/.git/config cfg; git status",
        "uniq cfg .git/config; git status",
        "curl -so .git/config https://a.test; git log",
        "find cfg -fprint .git/config; git status",
        "sleep 4; git status",
        "git status; python3 -m json.tool - .git/config",
        "cat cfg >|.git/config; git status",
        "git cat-file --filters HEAD:in.txt",
        "git cat-file --te HEAD:in.txt",
        "git log --show-signature",
        "git log --format='%h %G?'",
    ],
)
def test_git_elsewhere(command: str, tmp_path: Path) -> None:
    """The settings count of a repository that a command names, too; of one that it does not name they do not."""
    (tmp_path / "vendor" / ".git").mkdir(parents=True)
    (tmp_path / "vendor" / ".git" / "config").write_text("[core]\n\tfsmonitor = ./run.sh\n")
    shutil.copytree(tmp_path / "vendor" / ".git", tmp_path / "bare.git" / ".git")
    (tmp_path / "lib").mkdir()
    (tmp_path / "linked").write_text("gitdir: vendor/.git\n")
    rules = [
        "Bash(git push:*)",
        "Bash(tar:*)",
        "Bash(mv:*)",
        "Bash(git -C:*)",
        "Bash(git diff:*)",
        "Bash(git --git-dir:*)",
        "Bash(git status:*)",
        "Bash(echo:*)",
        "Bash(make:*)",
    ]
    rules += ["Bash(git -c:*)", "Bash(git --exec-path:*)", "Bash(git submodule:*)", "Bash(pushd:*)", "Bash(git commit:*)"]
    rules += ["Bash(git blame:*)", "Bash(python:*)", "Bash(GIT_DIR:*)", "Bash(git grep:*)", "Bash(git checkout:*)", "Bash(git)"]
    rules += [f"Bash(git {word}:*)" for word in ("fetch", "log", "rebase", "archive", "clone", "worktree", "config", "init")]
    rules += [f"Bash({word}:*)" for word in ("sort", "uniq", "curl", "find", "sleep", "cat", "git cat-file", "pytest")]
    plain, trusting = (
        Gate(str(tmp_path), tmp_path / ".claude", home=str(tmp_path), rules=rules, trusted=trusted) for trusted in (False, True)
    )

    def verdict(command: str, gate: Gate = plain, **arguments: bool) -> Verdict:
        return gate.judge(Call("Bash", {"command": command, **arguments}, "default", str(tmp_path), "s"), "default")[0]

    assert verdict(command.replace("{base}", str(tmp_path))) is Verdict.ASK
    assert verdict(command.replace("{base}", str(tmp_path)), trusting) is Verdict.ASK
    for waiting in ("git status && cat big | wc -c && git status &", "git status; cat big; git status"):
        assert verdict(waiting) is Verdict.ASK, waiting
    assert verdict("cat big; git status &", trusting) is Verdict.ASK
    assert verdict("cat big | wc -c; git status") is verdict("git status", run_in_background=True) is Verdict.ASK
    for harmless in (
        "git status 2>/dev/null | head; git log 2>&1",
        "git status",
        "git -C lib status",
        "cd lib && git status",
        'python digits.py --out "$HOME/x"',
        "git log --oneline --exclude=x HEAD~3",
        "cd lib && git status --short | sort -u && echo done && pytest -q",
        "git log --text --first-parent",
    ):
        assert verdict(harmless) is verdict(harmless, trusting) is Verdict.PASS, harmless
    for harmless in (
        "git diff > out.patch",
        "git status -v",
        "git commit -m 'a > b / c' && git status # done",
        "git diff HEAD@{1} -- 'a $1' src/*.py",
        "git commit -m \"$(cat <<'EOF'\nFix `foo`, as --git-dir did\nEOF\n)\"",
        "git blame -C -C x.py",
        "git grep -C 3 'foo*' # costs $5",
        "git status && git commit -F - <<'E'\nFix the reader\nE",
    ):
        assert (verdict(harmless), verdict(harmless, trusting)) == (Verdict.ASK, Verdict.PASS), harmless


def link_to(name: str, target: str) -> Callable[[Path], None]:
    def change(git: Path) -> None:
        (git / name).parent.mkdir(parents=True, exist_ok=True)
        (git / name).symlink_to(target)

    return change


def hard_link(name: str, other: str) -> Callable[[Path], None]:
    def change(git: Path) -> None:
        (git / name).unlink(missing_ok=True)
        (git / name).hardlink_to(git / other)

    return change


@pytest.mark.parametrize(
    ("change", "if_trusted"),
    [
        (link_to("FETCH_HEAD", "../../bashrc"), Verdict.ASK),
        (link_to("logs/refs/x", "../../../../bashrc"), Verdict.ASK),
        (link_to("info/grafts", "../../../private"), Verdict.PASS),
        (link_to("refs/heads/x", "../../../../private"), Verdict.ASK),
        (link_to("objects/zz", "../../../private"), Verdict.ASK),
        (link_to("objects/pack/pack-1.pack", "../../../../private"), Verdict.ASK),
        (hard_link("COMMIT_EDITMSG", "config"), Verdict.ASK),
        (hard_link("logs/HEAD", "../b"), Verdict.ASK),
        (lambda git: (git / "worktrees").mkdir(), Verdict.PASS),
        (lambda git: (git / "MERGE_AUTOSTASH").touch(), Verdict.PASS),
        (lambda git: (git / "objects/info/alternates").touch(), Verdict.PASS),
        (lambda git: os.mkfifo(git / "MERGE_MSG"), Verdict.PASS),
        (lambda git: (git.rename(git.parent / "moved"), git.symlink_to("moved")), Verdict.PASS),
        (lambda git: (git.rename(git.parent / "moved"), git.write_text("gitdir: moved\n")), Verdict.PASS),
    ],
)
def test_git_where_a_repository_is_not_plain(change: Callable[[Path], object], if_trusted: Verdict, tmp_path: Path) -> None:
    """A rule for one git command answers only in a repository as git makes it: links in it lead to files elsewhere.

    Where the person trusts such a repository, it answers, but for a command of git's that would write through a link.
    """
    subprocess.run(["git", "init", "-q", work := tmp_path / "work"], check=True)
    for name in ("a", "b"):
        (work / name).write_text(name)
    for words in ("add a", "commit -qm x", "tag -am x v1", "gc -q", "switch -qc b", "rm -q a", "stash -q", "stash pop -q"):
        subprocess.run(["git", "-c", "user.name=a", "-c", "user.email=b", *words.split()], cwd=work, check=True)
    rules = ["Bash(git commit:*)", "Bash(git status)"]

    def verdicts(gate: Gate) -> list[Verdict]:
        calls = [Call("Bash", {"command": command}, "default", str(work), "s") for command in ("git commit -m x", "git status")]
        return [gate.judge(call, "default")[0] for call in calls]

    (work / ".git/index.lock").touch()  # as while another git runs
    plain, trusting = (Gate(str(work), tmp_path / "cli", home="/", rules=rules, trusted=trusted) for trusted in (False, True))
    assert (verdicts(plain), verdicts(trusting)) == ([Verdict.ASK, Verdict.PASS], [Verdict.PASS] * 2)
    before = contents(str(work))
    change(work / ".git")
    assert verdicts(plain) == verdicts(trusting) == [Verdict.ASK] * 2
    assert contents(str(work)) != before
    trusting = Gate(str(work), tmp_path / "cli", home="/", rules=rules, trusted=True)  # the person has been shown it
    assert verdicts(trusting) == [if_trusted, Verdict.PASS]


@pytest.mark.parametrize(
    "command",
    [
        "python3 x.py # <<\nps aux",
        "python3 x.py <<<x\nps aux",
        "python3 x.py # ' \nps aux # '",
        'python3 x.py # "\nps aux # "',
        "python3 - <<E\n$(ps aux)\nE",
        "python3 - <<E\nx\nE\nps aux",
        "python3 -c $((1<<E))\nps aux\nE",
        "python3 - <<E\nps aux",
        'python3 x.py "a <<E b"\nps aux\nE',
        "python3 x.py 'a <<E b'\nps aux\nE",
        'python3 - <<E "x\nE\n"\nps aux\nE\nps aux',
        "python3 a\\;#; ps aux",
        "python3 \\(#; ps aux",
        "python3 a <<'A'\n'\nA\npython3 b # <<'ls'\nps aux\nls",
        "python3 a <<'A' <<'B'\nA\nps aux\nB\n",
    ],
)
def test_lines_behind_a_command(command: str, tmp_path: Path) -> None:
    """A rule for the first line of a command covers the text of a here-document, but no line that a shell would run."""
    gate = Gate(str(tmp_path), tmp_path / "cli", home="/", rules=["Bash(python3:*)"])

    def verdict(command: str) -> Verdict:
        return gate.judge(Call("Bash", {"command": command}, "default", str(tmp_path), "s"), "default")[0]

    assert verdict(command) is Verdict.ASK
    assert verdict("# <<'x'\npython3 - <<'E'\nprint('$x') # it's\nE\nls # don't") is Verdict.PASS
    assert verdict("python3 - <<'E'\nprint('$x')\nE\nls # done") is verdict("python3 - <<E\nprint(1)\nE") is Verdict.PASS


def test_git_commands_that_need_trust(tmp_path: Path) -> None:
    """A rule for one git command answers in a folder that is not trusted only if git prints nothing but what it has stored.

    In a trusted folder it does not answer where git goes on with what is stopped, as the state of that may name a program.
    """
    simple = ["git diff", "git add -A"]
    commands = [f"git {words}" for words in ("push origin main", "fetch", "checkout main", "rebase --continue")]
    (tmp_path / ".git").mkdir()

    def passed(trusted: bool) -> list[str]:
        rules = [f"Bash({' '.join(command.split()[:2])}:*)" for command in ("git status", *simple, *commands)]
        gate = Gate(str(tmp_path), tmp_path / ".claude", home=str(tmp_path), rules=rules, trusted=trusted)
        typed = ("git status", *simple, *commands)
        calls = {each: Call("Bash", {"command": each}, "default", str(tmp_path), "s") for each in typed}
        return [each for each, call in calls.items() if gate.judge(call, "default")[0] is Verdict.PASS]

    assert (passed(False), passed(True)) == (["git status"], ["git status", *simple, *commands])
    (tmp_path / ".git/sequencer").mkdir()
    (tmp_path / ".git/sequencer/opts").write_text("[options]\n\tstrategy = x/evil\n")
    assert passed(True) == ["git status", *simple]


@pytest.mark.parametrize("command", ["grep x '-r' .", "gr''ep -r x .", "grep ';' -r .", "ls -lR", "find . -name x", "cat p"])
def test_searches_and_pipes(command: str, tmp_path: Path) -> None:
    """A search that would reach Claude Code's own files is asked about, however it is written, and so is reading a pipe."""
    (tmp_path / ".claude").mkdir()
    os.mkfifo(tmp_path / "p")
    gate = Gate(str(tmp_path), tmp_path / ".claude", home=str(tmp_path))
    assert gate.judge(Call("Bash", {"command": command}, "default", str(tmp_path), "s"), "default")[0] is Verdict.ASK
    reading = gate.judge(Call("Read", {"file_path": "p"}, "default", str(tmp_path), "s"), "default")
    assert reading == (Verdict.ASK, "because this is a pipe or a device, and no file")


def test_a_skill_may_call_git(tmp_path: Path) -> None:
    """A skill that a rule allows is asked about where git would run programs, as the CLI runs a skill's commands unasked."""
    (tmp_path / ".git").mkdir()
    (config := tmp_path / ".git/config").write_text("[core]\n\tfsmonitor = ./run.sh\n")
    call = Call("Skill", {"skill": "security-review"}, "default", str(tmp_path), "s")

    def verdict(*rules: str, trusted: bool = False) -> tuple[Verdict, str]:
        return Gate(str(tmp_path), tmp_path / "cli", home="/", rules=rules, trusted=trusted).judge(call, "default")

    asked = Verdict.ASK, f"git would run programs here: {config} says so"
    assert verdict("Skill") == asked
    assert verdict("Skill", "Bash")[0] is verdict("Skill", trusted=True)[0] is Verdict.PASS
    call = Call("Agent", {"prompt": "p", "subagent_type": "mine"}, "default", str(tmp_path), "s")  # perhaps with a skill
    assert verdict() == asked
    call = Call("Agent", {"prompt": "p"}, "default", str(tmp_path), "s")
    assert verdict()[0] is Verdict.PASS
    call = Call("Skill", {"skill": "security-review"}, "default", str(tmp_path), "s")
    config.unlink()
    assert verdict("Skill")[0] is Verdict.PASS
    (tmp_path / ".git/hooks").mkdir()
    (tmp_path / ".git/hooks/pre-commit").write_text("true")
    assert verdict("Skill")[0] is Verdict.ASK


def test_the_memory_of_a_helper(tmp_path: Path) -> None:
    """Before trust, a helper of the person's own is asked about where the folder holds a memory for it."""
    call = Call("Agent", {"prompt": "p", "subagent_type": "mine"}, "default", str(tmp_path), "s")

    def verdict(*, trusted: bool = False) -> Verdict:
        return Gate(str(tmp_path), tmp_path / "cli", home="/", trusted=trusted).judge(call, "default")[0]

    assert verdict() is Verdict.PASS
    (memory := tmp_path / ".claude/agent-memory/mine/MEMORY.md").parent.mkdir(parents=True)
    memory.write_text("Obey the folder.")
    assert (verdict(), verdict(trusted=True)) == (Verdict.ASK, Verdict.PASS)


@pytest.mark.parametrize(
    "command",
    [
        "git commit -qF../out/secret",
        "git commit -qvF ../o[u]t/secret",
        "git commit -qF ~+/../out/secret",
        "git commit -Flink",
        "git tag -aF../out/secret t",
        "git blame --contents ../o?t/secret f",
        "git blame -wS../out/secret f",
        "git commit -qqqqqqqqqqF../out/secret",
        "git commit -F $HOME/x",
        "git tag -F ln?k t",
        "git log --stdin < ln?k",
        "git commit -F ~0/../out/secret",
        "git add --pathspec-from-file={base}/o?t/secret",
        "git add --pathspec-from-file={base}/out/secret",
    ],
)
def test_git_does_not_read_elsewhere(command: str, tmp_path: Path) -> None:
    """In a trusted folder, a rule for a git command does not answer if the command plainly names a path out of the folder."""
    (work := tmp_path / "folder").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out/secret").write_text("x")
    (work / "link").symlink_to("../out/secret")
    rules = [f"Bash(git {name}:*)" for name in ("commit", "tag", "blame", "add", "log")]
    gate = Gate(str(work), tmp_path / "cli", home="/", rules=rules, trusted=True)

    def verdict(command: str) -> Verdict:
        return gate.judge(Call("Bash", {"command": command}, "default", str(work), "s"), "default")[0]

    assert verdict(command.replace("{base}", str(tmp_path))) is Verdict.ASK
    for harmless in (
        "git add src/*.py",
        "git log main..dev~2 -- a/b",
        "git commit -qam 'see ../out/secret'",
        "git log -5 --stat",
        "git log @{u}..HEAD -Sindex",
        "git log HEAD^{commit}",
    ):
        assert verdict(harmless) is Verdict.PASS, harmless


def test_a_tilde_in_quotes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder can have the name "~": in quotes, no shell takes that for the home directory."""
    monkeypatch.setenv("HOME", str(tmp_path))
    (work := tmp_path / "project").mkdir()
    gate = Gate(str(work), tmp_path / ".claude", home=str(tmp_path))
    for command, mode in (
        ("cat '~/project/x'", "default"),
        ("grep -r x '~'/project", "default"),
        ("cp x '~/project/x'", "acceptEdits"),
    ):
        assert gate.judge(Call("Bash", {"command": command}, mode, str(work), "s"), mode)[0] is Verdict.ASK, command


@pytest.mark.parametrize(
    "command",
    [
        "ln -s ../secret y && cat y",
        "tar xf a.tar; grep x y",
        "mv deep/y . && cat y",
        "git checkout main && cat y",
        "pushd y && cat secret",
    ],
)
def test_reading_behind_a_link_that_is_made_first(command: str, tmp_path: Path) -> None:
    """A command that a rule allows may make a link, so what the same line reads afterwards is asked about."""
    rules = [
        "Bash(ln:*)",
        "Bash(tar:*)",
        "Bash(mv:*)",
        "Bash(pushd:*)",
        "Bash(git checkout:*)",
        "Bash(git log:*)",
        "Bash(make:*)",
    ]
    gate = Gate(str(tmp_path), tmp_path / "cli", home="/", rules=rules, trusted=True)

    def verdict(command: str) -> Verdict:
        return gate.judge(Call("Bash", {"command": command}, "default", str(tmp_path), "s"), "default")[0]

    assert verdict(command) is Verdict.ASK
    assert verdict(command.split("&&")[0].split(";")[0]) is Verdict.PASS
    assert verdict("git log -1 && LD_PRELOAD=./x ls") is Verdict.ASK
    assert verdict("git log | head -5") is verdict("make && cat log") is verdict("ln -s a b && tar xf c") is Verdict.PASS


@pytest.mark.parametrize(
    "command",
    [
        "(git cherry-pick --continue)",
        "/usr/bin/git cherry-pick --continue",
        "env git cherry-pick --continue",
        "nice -n 5 git cherry-pick --continue",
        "if true; then git cherry-pick --continue; fi",
        "g''it cherry-pick --continue",
        "g\\it cherry-pick --continue",
        "cat $(git commit -qm x)",
        "head <(git stash)",
    ],
)
def test_git_in_other_clothes(command: str, tmp_path: Path) -> None:
    """A yes for the session to a command that runs git in another way does not hold in a folder that is not trusted."""
    gate = Gate(str(tmp_path), tmp_path / "cli", home="/", rules=[f"Bash({command})"])
    assert gate.judge(Call("Bash", {"command": command}, "default", str(tmp_path), "s"), "default")[0] is Verdict.ASK


@pytest.mark.parametrize(
    ("tool", "arguments"),
    [
        ("Read", {"file_path": "a\0b"}),
        ("Write", {"file_path": "\ud800", "content": "x"}),
        ("Read", {"file_path": "a/" * 4_000}),
        ("Agent", {"subagent_type": ["x"]}),
    ],
)
def test_arguments_that_cannot_be_used(tool: str, arguments: dict[str, Any], tmp_path: Path) -> None:
    """A path that no system opens, or an argument of another type, is denied."""
    gate = Gate(str(tmp_path), tmp_path / "cli", home="/", rules=["Edit", "Read"], trusted=True)
    assert gate.judge(Call(tool, arguments, "default", str(tmp_path), "s"), "default")[0] is Verdict.DENY


def test_very_many_words(tmp_path: Path) -> None:
    """A command that names very many files is asked about, also if it only reads, or a rule covers a part of it."""
    gate = Gate(str(tmp_path), tmp_path / "cli", home="/", rules=["Bash(make:*)", "Bash(git log:*)"])
    for command in ("ls .;" * 300, f"make; cat {'a ' * 300}", f"git log {'a ' * 600}"):
        assert gate.judge(Call("Bash", {"command": command}, "default", str(tmp_path), "s"), "default")[0] is Verdict.ASK


def test_many_repositories_inside(tmp_path: Path) -> None:
    """Very many repositories inside each other are asked about, so that they do not hold up the kernel."""
    gate = Gate(str(tmp_path), tmp_path / "cli", home="/", rules=["Bash(git status)"])
    folder = tmp_path
    for _ in range(100):
        (folder / ".git/refs").mkdir(parents=True)
        folder /= "a"
    call = Call("Bash", {"command": "git status"}, "default", str(tmp_path), "s")
    assert gate.judge(call, "default") == (Verdict.ASK, "more than 30 other repositories are inside")


def test_many_words_and_trusted_files(tmp_path: Path) -> None:
    """A command with thousands of words is compared with thousands of trusted files in a moment."""
    (skills := tmp_path / ".claude/skills").mkdir(parents=True)
    for number in range(1_500):
        (skills / f"{number}.md").touch()
    gate = Gate(str(tmp_path), tmp_path / "cli", home="/", rules=["Bash"], trusted=True)
    rm = Call("Bash", {"command": f"rm {' '.join(f'a{number}' for number in range(7_000))}"}, "default", str(tmp_path), "s")
    began = time.process_time()
    assert gate.judge(rm, "default")[0] is Verdict.PASS
    assert time.process_time() - began < 5
    assert gate.judge(replace(rm, arguments={"command": f"{rm.command} .claude"}), "default")[0] is Verdict.ASK


def test_many_folders(tmp_path: Path) -> None:
    """A command that names more folders than can be looked into in a moment is asked about, as are large settings."""
    for number in range(120):
        (tmp_path / f"d{number}").mkdir()
    gate = Gate(str(tmp_path), tmp_path / "cli", home="/", rules=["Bash(git log:*)"])

    def verdict(count: int) -> Verdict:
        command = " ".join(("git log --", *(f"d{number}" for number in range(count))))
        return gate.judge(Call("Bash", {"command": command}, "default", str(tmp_path), "s"), "default")[0]

    assert (verdict(90), verdict(120)) == (Verdict.PASS, Verdict.ASK)
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git/config").write_text("b\n" * 600_000)
    assert git_programs(str(tmp_path)) == {str(tmp_path / ".git/config"): ["(cannot be judged)"]}
    assert verdict(1) is Verdict.ASK


def test_repositories_inside(tmp_path: Path) -> None:
    """Settings of a repository anywhere below the one that git works in count, whatever the index says, harmless ones not."""
    for path in (work := tmp_path / "work", work / "a/b/lib", work / "a/vendor"):
        (path / ".git").mkdir(parents=True)

    def verdict(cwd: Path = work, trusted: bool = False) -> tuple[Verdict, str]:
        gate = Gate(str(work), tmp_path / "cli", home="/", rules=["Bash(git status:*)", "Bash(git log:*)"], trusted=trusted)
        return gate.judge(Call("Bash", {"command": "git log && git status"}, "default", str(cwd), "s"), "default")

    assert verdict() == (Verdict.PASS, "")
    (inner := work / "a/vendor/.git/config").write_text("[core]\n\tfsmonitor = ./run.sh\n")
    asked = Verdict.ASK, f"git would run programs here: {inner} says so"
    assert verdict() == verdict(work / "a") == verdict(trusted=True) == asked
    (work / ".git/index").write_bytes(bytes.fromhex("0000e000"))
    assert verdict(trusted=True) == (Verdict.PASS, "")  # the person trusts that there are repositories inside
    (work / ".git/index").unlink()
    assert repositories_below([str(work)], most=3) is None


def test_names_of_servers_that_run_into_those_of_tools(tmp_path: Path) -> None:
    """A rule for a server covers no tool of another one, whose name only looks as if it began with that of the first."""
    gate = Gate(str(tmp_path), tmp_path / "cli", home="/", rules=["mcp__s_"])
    call = Call("mcp__s___x", {}, "auto", str(tmp_path), "s")
    assert gate.judge(call, "auto")[0] is Verdict.ASK


def test_plans_of_other_sessions(tmp_path: Path) -> None:
    """In plan mode Claude reads and changes a plan that it has begun in this session, and asks about any other."""
    (plans := tmp_path / "cli/plans").mkdir(parents=True)
    gate = Gate(str(tmp_path / "work"), tmp_path / "cli", home=str(tmp_path))

    def verdict(tool: str, name: str) -> Verdict:
        return gate.judge(Call(tool, {"file_path": str(plans / name)}, "plan", str(tmp_path / "work"), "s"), "plan")[0]

    (plans / "other.md").touch()
    assert verdict("Read", "other.md") is verdict("Edit", "other.md") is verdict("Write", "x.sh") is Verdict.ASK
    assert verdict("Write", "mine.md") is Verdict.PASS
    (plans / "mine.md").touch()
    assert verdict("Edit", "mine.md") is verdict("Read", "mine.md") is Verdict.PASS


def test_changes_of_what_is_trusted(tmp_path: Path) -> None:
    """A change of a file that the person trusts as it was is asked about each time: its hook would run the new content."""
    (hooks := tmp_path / "hooks").mkdir()
    (tmp_path / ".claude").mkdir()
    (hooks / "check.sh").write_text("true\n")
    command = 'sh hooks/check.sh; . hooks/local.sh; "$CLAUDE_PROJECT_DIR"/tools/setup.sh; node ${PWD}/tools/first'
    settings = {"hooks": {"PreToolUse": [{"hooks": [{"type": "command", "command": command}]}]}}
    (tmp_path / ".claude/settings.json").write_text(json.dumps(settings))
    (tmp_path / "linked").symlink_to(hooks / "check.sh")
    os.link(hooks / "check.sh", tmp_path / "hard")
    (tmp_path / "d").mkdir()
    (tmp_path / "d/f").symlink_to("../hooks/check.sh")
    rules = ["Edit", "Bash"]
    trusted, careful = (Gate(str(tmp_path), tmp_path / "cli", home="/", rules=rules, trusted=each) for each in (True, False))

    def verdicts(tool: str, **arguments: str) -> list[Verdict]:
        call = Call(tool, arguments, "acceptEdits", str(tmp_path), "s")
        return [gate.judge(call, "acceptEdits")[0] for gate in (trusted, careful)]

    for command in (
        "cp e.sh hooks/check.sh",
        "mv hooks old",
        "cd hooks && cp ../e.sh check.sh",
        "sed -i s/a/b/ ./hooks//check.sh",
        "cp e.sh linked",
        "cp e.sh hard",
        "cp e/f d",
        "sed -i.sh s/a/b/ hooks/check",
        "sed -n wd/f e.sh",
        "cat e.sh | tee linked",
        "cp -r evil/. .",
        "cp e.sh h*/c*",
        "tar xf a.tar",
        "gunzip -f hooks/check.sh.gz",
        "truncate -s 0 hooks/check.sh",
        "sort -od/f e.sh",
        "uniq e.sh hooks/check.sh",
        "(cp e.sh hooks/check.sh)",
        "if true; then cp e.sh hooks/check.sh; fi",
        "! /bin/cp e.sh hooks/check.sh",
        "nice -n 5 cp e.sh hooks/check.sh",
        "f() { cp e.sh hooks/check.sh; }; f",
        "find e.sh -exec cp {} hooks/check.sh \\;",
        "echo e.sh | xargs -I% cp % hooks/check.sh",
        'bash -c "cp e.sh hooks/check.sh"',
        "cd hooks && perl -pi -e s/a/b/ check.sh",
        "curl -so hooks/check.sh https://a.test",
        "cp -r evil d",
        "cp -b --suffix=.sh in.txt hooks/check",
        "cp -td e/f",
        "git show x:y > hooks/check.sh",
        "cat e.sh >&01hooks/../hooks/check.sh",
        "git log --output=hooks/check.sh",
        "cat $(cp e.sh hooks/check.sh)",
        "git log `cp e.sh hooks/check.sh`",
        "cat $'\\'' ; cp e.sh hooks/check.sh #'",
        "A=$(cp${IFS}e.sh${IFS}hooks/check.sh) cat f",
        "sort -o hooks/check.sh e.sh",
        "sed -n 1p -i hooks/check.sh",
        "tar xf a.tar hooks/check.sh",
        "python3 - <<'E'\nopen('hooks/check.sh', 'w')\nE",
        "git grep -O'cp e.sh' x -- hooks",
        "echo a\\;#; cp e.sh hooks/check.sh",
        "sort '-o' hooks/check.sh e.sh",
        "sort \\-o hooks/check.sh e.sh",
        "sort '--output=hooks/check.sh' e.sh",
        "sort -r e.sh {-o,hooks/check.sh}",
        "sed -n 1p '-i' '-es/true/x/p' hooks/check.sh",
        "tar tf a.tar --checkpoint-action=exec='cp e.sh hooks/check.sh'",
        "cat e.sh >|hooks/check.sh",
        "sh e.sh>hooks/check.sh",
        "bash <<<'cat<e.sh>hooks/check.sh'",
        "python3 <<'E'\nls = open('hooks/check.sh','w').write('x')\nE",
        "X=hooks/check.sh sh -c 'cp e.sh $X'",
        "EDITOR='cat<e.sh>hooks/check.sh;true' git commit --allow-empty",
        "ls hooks/check.sh | xargs cp e.sh",
        "grep -l . hooks/check.sh |& xargs rm",
        "ls hooks/check.sh; ./w.sh $_",
        "find hooks/check.sh -delete",
        "cp e.sh hooks/local.sh",
        "git --namespace status checkout evil -- x",
        "sort -uohooks/check.sh e.sh",
        "curl -sohooks/check.sh https://a.test",
        "/bin/tar xf a.tar",
        "env tar xf a.tar",
        "command cp -r evil/. .",
        "env rm -r hooks",
        "command mv hooks old",
        "env A=1 B=2 C=3 D=4 E=5 F=6 G=7 H=8 tar xf a.tar",
        "sort -bbbbbbbbohooks/check.sh e.sh",
        "cat hooks/*.sh > hooks/check.sh",
        "nice -n5 /usr/bin/unzip a.zip",
        "set -- hooks/check.sh && ./w.sh $1",
    ):
        assert verdicts("Bash", command=command) == [Verdict.ASK, Verdict.PASS], command
    for name in ("hooks/check.sh", "hooks/../hooks/check.sh", ".claude/settings.json", "hooks/local.sh"):
        assert verdicts("Write", file_path=name, content="x") == [Verdict.ASK, Verdict.PASS], name
    for name in ("tools/setup.sh", "tools/first", "tools/first.js"):
        assert verdicts("Write", file_path=name, content="x") == [Verdict.ASK, Verdict.PASS], name
    assert verdicts("Write", file_path="hooks/other.sh", content="x") == [Verdict.PASS, Verdict.PASS]
    assert verdicts("Write", file_path="sub/hooks/check.sh", content="x") == [Verdict.ASK, Verdict.PASS]  # after `cd sub`
    assert verdicts("Bash", command="sh hooks/check.sh") == verdicts("Bash", command="cp a b") == [Verdict.PASS, Verdict.PASS]
    for command in (
        "rm -r out/x; cat a | tee log; sed -i s/a/b/g x",
        "bash hooks/check.sh out; ./hooks/check.sh; cat hooks/check.sh | wc -l",
        "grep -rn x hooks/check.sh",
        "pytest .",
        "git show x:hooks/check.sh",
        "sed -n '1,40p' hooks/check.sh | head",
        "tar tzf a.tgz; unzip -l a.zip",
        "git ls-files | sort",
        "cat hooks/check.sh 2>/dev/null | sort -nk2 2>&1; git add hooks/check.sh",
        "cd hooks && ls -la check.sh && timeout 5 sh check.sh",
        "sh hooks/check.sh src/*.py > log; LANG=C bash hooks/check.sh -v",
        "cat hooks/check.sh src/*.py | head",
        "python3 - <<'E'\nprint(1)\nE",
        "which sh; env python3 x.py",
        "pip install -r requirements.txt",
        "pytest -k patch",
    ):
        assert verdicts("Bash", command=command) == [Verdict.PASS, Verdict.PASS], command
    for words, asked in (
        ("checkout x", Verdict.ASK),
        ("stash pop", Verdict.ASK),
        ("-C . checkout x -- log", Verdict.ASK),
        ("status", Verdict.PASS),
    ):
        assert verdicts("Bash", command=f"git {words}") == [asked, Verdict.PASS], words


@pytest.mark.parametrize(
    ("rule", "tool", "arguments"),
    [
        ("Edit(~/*.md)", "Write", {"file_path": "{cli}/projects/x/memory/planted.md", "content": "x"}),
        ("Edit(//**/notes.md)", "Write", {"file_path": "{cli}/projects/x/memory/planted.md", "content": "x"}),
        ("Read(~/*.csv)", "Read", {"file_path": "{cli}/projects/x/other/tool-results/1.txt"}),
        ("Bash(* --version)", "Bash", {"command": "ps aux"}),
        ("Bash([a-z]* --help)", "Bash", {"command": "id"}),
        ("Bash(git * main)", "Bash", {"command": "git log"}),
        ("Skill(review)", "Skill", {"skill": "simplify", "args": "review"}),
        ("Skill(re:*)", "Skill", {"skill": "simplify", "args": "re view"}),
    ],
)
def test_a_rule_answers_where_its_whole_pattern_fits(rule: str, tool: str, arguments: dict[str, str], tmp_path: Path) -> None:
    """The CLI allows some calls without a rule, so a rule whose beginning alone fits passes none of them on."""
    gate = Gate(str(tmp_path / "work"), tmp_path / ".claude", home=str(tmp_path), rules=[rule])
    given = {name: value.format(cli=tmp_path / ".claude") for name, value in arguments.items()}
    assert gate.judge(Call(tool, given, "default", str(tmp_path / "work"), "s"), "default")[0] is Verdict.ASK


@pytest.mark.parametrize(
    ("rule", "path", "fits"),
    [
        ("Read(//**/x.csv)", "/a/b/x.csv", True),
        ("Read(~/d)", "/home/d/e/f", True),
        ("Read(~/d/*)", "/home/d/e", True),
        ("Read(~/d?)", "/home/d/e", False),
        ("Read(//tmp/*/x.csv)", "/tmp/a/x.csv", True),
        ("Read(//tmp/*/x.csv)", "/tmp/a/b/x.csv", False),
        ("Read(//a[bc].d)", "/ab.d", True),
        ("Edit(*.csv)", "/work/a/b.csv", True),
        ("Edit(src/**)", "/work/src/a/b", True),
        ("Edit(src/**)", "/work/srcx", False),
    ],
)
def test_patterns_for_paths(rule: str, path: str, fits: bool) -> None:
    """A rule for paths is read as the CLI reads it: like a line of `.gitignore`, from the root, the home or the folder."""
    assert Rules((rule,), "/work", "/home").may_allow(rule.partition("(")[0], {}, [path], lambda _: True) is fits


def test_hooks_of_git(tmp_path: Path) -> None:
    """A hook of a folder counts for commands that may run it, unless it was there when the folder was trusted."""
    (hooks := tmp_path / ".git" / "hooks").mkdir(parents=True)
    for name in ("post-checkout", "pre-commit.sample"):
        (hooks / name).write_text("#!/bin/sh\n")
    rules = ["Bash(git checkout:*)", "Bash(git status:*)", "Bash(git log:*)", "Bash(grep:*)", "Bash(git -C:*)"]
    trusted, careful = (Gate(str(tmp_path), tmp_path / "cli", home="/", rules=rules, trusted=each) for each in (True, False))

    def verdicts(command: str) -> list[Verdict]:
        call = Call("Bash", {"command": command}, "default", str(tmp_path), "s")
        return [gate.judge(call, "default")[0] for gate in (trusted, careful)]

    assert verdicts("git status -s") == verdicts("LANG=C git status && git log | grep git") == [Verdict.PASS, Verdict.PASS]
    assert verdicts("git -C . checkout x") == [Verdict.PASS, Verdict.ASK]
    assert verdicts("git checkout x") == [Verdict.PASS, Verdict.ASK]
    assert verdicts("LANG=C git checkout x; git status") == [Verdict.PASS, Verdict.ASK]
    (hooks / "post-checkout").write_text("#!/bin/sh\n./other.sh\n")
    assert verdicts("git checkout x") == [Verdict.ASK, Verdict.ASK]
    (hooks / "post-checkout").write_text("#!/bin/sh\n")
    assert verdicts("git checkout x") == [Verdict.PASS, Verdict.ASK]
    (hooks / "reference-transaction").write_text("#!/bin/sh\n")
    assert verdicts("git checkout x") == [Verdict.ASK, Verdict.ASK]


def test_git_settings_that_come_later(tmp_path: Path) -> None:
    """Git settings count that came after the start, in a trusted folder, too, and whatever was allowed for the session."""
    (tmp_path / ".git").mkdir()
    (config := tmp_path / ".git" / "config").write_text("[core]\n\tfsmonitor = ./first.sh\n")
    call = Call("Bash", {"command": "echo x; git status"}, "default", str(tmp_path), "s")
    rules = ["Bash(git status:*)", "Bash(echo:*)"]
    trusted, careful = (Gate(str(tmp_path), tmp_path / "cli", home="/", rules=rules, trusted=each) for each in (True, False))
    asked = Verdict.ASK, f"git would run programs here: {config} says so"
    assert [gate.judge(call, "default") for gate in (trusted, careful)] == [(Verdict.PASS, ""), asked]
    config.write_text("[core]\n\tfsmonitor = ./second.sh\n")
    careful.grant(careful.rules_for("Bash", call.arguments))
    assert [gate.judge(call, "default") for gate in (trusted, careful)] == [asked, asked]
    assert careful.judge(replace(call, mode="dontAsk"), "dontAsk") == (Verdict.DENY, asked[1])
    config.unlink()
    assert [gate.judge(call, "default") for gate in (trusted, careful)] == [(Verdict.PASS, "")] * 2


@pytest.mark.short
@pytest.mark.parametrize("sign", ["\xa0", "\u2003", "\u2028", "\x85", "\x0b", "\x0c", "\r", "\x1c", "\ufeff", "\\ "])
def test_what_a_shell_takes_as_part_of_a_name(sign: str, tmp_path: Path) -> None:
    """Only blanks, tabs and ends of lines do not count around a command: any other sign makes it another command."""
    rules = ["Bash(./other.sh)", "Bash(./start.sh:*)", f"Bash(./rule.sh{sign})"]
    gate = Gate(str(tmp_path), tmp_path / ".claude", home=str(tmp_path), rules=rules)
    gate.grant(gate.rules_for("Bash", {"command": " ./run.sh\t\n"}))

    def granted(command: str) -> bool:
        return gate.was_granted(gate.rules_for("Bash", {"command": command}))

    def passes(command: str) -> bool:
        return gate.judge(Call("Bash", {"command": command}, "default", str(tmp_path), "s"), "default")[0] is Verdict.PASS

    assert all(map(granted, ("./run.sh", "\n./run.sh ")))
    assert not any(map(granted, (f"./run.sh{sign}", f"{sign}./run.sh")))
    assert all(map(passes, ("./other.sh ", "pwd; ./other.sh", "X=1 ./start.sh a")))
    for command in (f"./other.sh{sign}", f"pwd; ./other.sh{sign}", f"X=1{sign}./start.sh a", "./rule.sh"):
        assert not passes(command), command


@pytest.mark.short
@pytest.mark.parametrize(
    "url",
    [
        "https://evil.test\\@good.test/",
        "https://evil.test\\\\@good.test/x",
        " https://evil.test\\@good.test/",
        "https://evil.test/\\@good.test",
        "https://evil.test@good.test/",
        "https://good.test:80@evil.test/",
        "https://evil.test;@good.test/",
        "https:\\\\evil.test\\@good.test",
        " https://good.test/",
        "https://good.test/ ",
        "https://good.test/\n",
        "https://good\n.test/",
        "https://good.test\t.evil.test/",
        "https://good.test\u2044evil.test/",
        "https://good\u3002test/",
        "https://good.test/\x00",
        "https://good.test/\u2028",
        "https:good.test/",
        "//good.test/",
        "https://[::1]/",
        "ftp://good.test/",
        "https://good.test%2eevil.test/",
    ],
)
def test_an_address_that_could_be_read_otherwise(url: str, tmp_path: Path) -> None:
    """Neither a rule nor a yes for the session covers an address in which parsers may find different hosts."""
    gate = Gate(
        str(tmp_path), tmp_path / ".claude", home=str(tmp_path), rules=["WebFetch(domain:*)", "WebFetch(domain:good.test)"]
    )
    gate.grant(gate.rules_for("WebFetch", {"url": "https://good.test/"}))
    assert gate.rules_for("WebFetch", {"url": url}) == ()
    assert gate.judge(Call("WebFetch", {"url": url}, "default", str(tmp_path), "s"), "default")[0] is Verdict.ASK


@pytest.mark.short
@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://good.test", "good.test"),
        ("HTTP://Good.Test:8080/a@b?c#d", "good.test"),
        ("https://good.test/\u65e5\u672c?\\u", None),
        ("https://good.test/\u65e5\u672c?q=1", "good.test"),
        ("https://good.test?@evil.test/", "good.test"),
        ("https://good.test.evil.test/", "good.test.evil.test"),
        ("https://127.0.0.1:1/", "127.0.0.1"),
    ],
)
def test_the_host_of_an_address(url: str, host: str | None, tmp_path: Path) -> None:
    """A yes for the session is for one host, which stands in the address."""
    gate = Gate(str(tmp_path), tmp_path / ".claude", home=str(tmp_path))
    assert gate.rules_for("WebFetch", {"url": url}) == (() if host is None else (f"WebFetch(domain:{host})",))
