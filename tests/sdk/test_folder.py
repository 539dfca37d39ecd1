"""What a folder holds for the CLI acts only where the caller has said `trusted`, and only as it was when a process started."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from messages_api import MessagesAPI
from watching import MakeConfig, Run, until

from claude_magic._kernel.state.directory_trust import Trust
from claude_magic.errors import ConfigError, WorkspaceError
from claude_magic.sdk import ClaudeClient, ClaudeConfig, SessionAwareClient
from claude_magic.sdk._folder.contents import MAX_FILE_BYTES, UNKNOWN, contents, loaded_below
from claude_magic.sdk._folder.git_settings import git_programs
from claude_magic.sdk.host import Decision, Listener, PermissionAnswer, PermissionRequest

EVENTS = ("SessionStart", "UserPromptSubmit", "PreToolUse", "ConfigChange", "Stop", "SessionEnd")
LOOK = '<<tool Bash {"command": "git status"}>><<say looked>>'


class Answering(Listener):
    """Somebody who gives these answers, then says no to everything, and remembers what was asked."""

    def __init__(self, *answers: Decision) -> None:
        super().__init__()
        self.answers = [*answers]
        self.asked: list[str] = []

    async def ask(self, request: PermissionRequest) -> PermissionAnswer:
        self.asked.append(request.tool)
        return PermissionAnswer(self.answers.pop(0) if self.answers else Decision.DENY)


@pytest.fixture
def traces(tmp_path: Path) -> Path:
    """Where whatever acts leaves a file."""
    path = tmp_path / "traces"
    path.mkdir()
    return path


def write(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content if isinstance(content, str) else json.dumps(content))


def fill(folder: Path, traces: Path, name: str = "") -> None:
    """Put everything into a folder that the CLI would load, each with a trace of its own."""

    def hook(of: str) -> list[object]:
        return [{"hooks": [{"type": "command", "command": f"touch {traces}/{name}{of}"}]}]

    hooks = {event: hook(event) for event in EVENTS}
    of_file = f"hooks:\n  PreToolUse:\n    - hooks:\n        - type: command\n          command: touch {traces}/{name}file"
    write(folder / ".claude/settings.json", {"hooks": hooks, "enableAllProjectMcpServers": True, "outputStyle": "loud"})
    write(folder / ".claude/settings.local.json", {"hooks": {"Stop": hook("local")}, "env": {"FROM_FOLDER": "1"}})
    write(folder / ".mcp.json", {"mcpServers": {"x": {"command": "touch", "args": [f"{traces}/{name}server"]}}})
    for where in ("agents/planted.md", "skills/planted/SKILL.md", "commands/planted-command.md"):
        header = f"name: planted\ndescription: PLANTED\nallowed-tools: Bash\npermissionMode: acceptEdits\n{of_file}"
        write(folder / ".claude" / where, f"---\n{header}\n---\nPLANTED !`touch {traces}/{name}command`\n")
    write(folder / ".claude/output-styles/loud.md", "---\nname: loud\ndescription: PLANTED\n---\nPLANTED\n")
    write(folder / ".claude/rules/planted.md", "PLANTED\n")
    write(folder / ".claude/skills/plug/.claude-plugin/plugin.json", {"name": "plug", "version": "1.0.0"})
    write(folder / ".claude/skills/plug/hooks/hooks.json", {"hooks": hooks})
    task = {"id": "aaaaaaaa", "cron": "* * * * *", "prompt": "PLANTED", "createdAt": 1, "recurring": False}
    write(folder / ".claude/scheduled_tasks.json", {"tasks": [task]})
    write(folder / ".env", "FROM_FOLDER=1\nANTHROPIC_CUSTOM_HEADERS=X-From-Folder: PLANTED\n")
    write(folder / "bunfig.toml", 'preload = ["./planted.ts"]\n')
    write(folder / "planted.ts", f'require("fs").writeFileSync("{traces}/{name}bun", "")\n')
    write(folder / "below/.claude/skills/deep/SKILL.md", f"---\nname: deep\ndescription: PLANTED\n{of_file}\n---\n")
    write(folder / "below/data.txt", "data")


def left(traces: Path) -> list[str]:
    return sorted(path.name for path in traces.iterdir())


async def try_all(client: SessionAwareClient, folder: Path) -> None:
    """Do what would let the contents of a folder act: prompts, tools, typed commands, all in one session."""
    read = f'<<tool Read {{"file_path": "{folder}/below/data.txt"}}>><<say read>>'
    for prompt in ("hello", read, '<<tool Skill {"skill": "planted"}>><<say used>>', "/planted", "/planted-command"):
        await client.query_with_session(prompt, auto_resume_last=True)


@pytest.mark.parametrize("when", ["before", "later"])
def test_untrusted(when: str, make_config: MakeConfig, run_async: Run, workdir: Path, traces: Path, api: MessagesAPI) -> None:
    """A script's client loads nothing of a folder but CLAUDE.md, also of what comes while its CLI is warm."""
    (workdir / "CLAUDE.md").write_text("aubergine")

    async def ask() -> None:
        async with SessionAwareClient(make_config()) as client:
            if when == "later":
                await client.query_with_session("hello")
            fill(workdir, traces)
            await try_all(client, workdir)

    run_async(ask())
    sent = json.dumps(api.requests)
    assert left(traces) == []
    assert "aubergine" in sent
    assert "PLANTED" not in sent


def test_trusted_stays_as_it_was(make_config: MakeConfig, run_async: Run, workdir: Path, traces: Path) -> None:
    """With `trusted=True` hooks run; what changes while a process is warm is not obeyed by it, also when it ends."""
    fill(workdir, traces, "old-")
    seen: list[str] = []

    async def ask() -> None:
        async with SessionAwareClient(make_config(trusted=True)) as client:
            await client.query_with_session("hello")
            seen.extend(left(traces))
            fill(workdir, traces, "new-")
            await until((traces / "old-ConfigChange").exists)  # by which the CLI tells that it has noticed
            await client.close_session(str(client.last_session_id))

    run_async(ask())
    assert {"old-UserPromptSubmit", "old-Stop", "old-local"} <= set(seen)
    assert "old-SessionEnd" in left(traces)
    assert [name for name in left(traces) if name.startswith("new-")] == []


def test_trusted_next_turn_has_what_changed(make_config: MakeConfig, run_async: Run, workdir: Path, traces: Path) -> None:
    """Where a script trusts the folder, its next turn gets a process that has loaded what changed."""
    fill(workdir, traces, "old-")

    async def ask() -> None:
        async with SessionAwareClient(make_config(trusted=True)) as client:
            await client.query_with_session("hello")
            fill(workdir, traces, "new-")
            await client.query_with_session("hello", auto_resume_last=True)

    run_async(ask())
    assert "new-UserPromptSubmit" in left(traces)


def repository(folder: Path, *settings: str) -> None:
    def git(*arguments: str) -> None:
        subprocess.run(
            ["git", "-c", "user.name=a", "-c", "user.email=a@b", *arguments], cwd=folder, check=True, capture_output=True
        )

    git("init", "-q", ".")
    (folder / "file.txt").write_text("one")
    git("add", "file.txt")
    git("commit", "-qm", "first")
    with (folder / ".git/config").open("a") as file:
        file.write("\n".join(settings))


def test_git_settings_that_run_programs(make_config: MakeConfig, run_async: Run, workdir: Path, traces: Path) -> None:
    """Where the folder's git settings would run a program, `git status` is asked about also where a rule allows it."""
    repository(workdir)

    async def ask(host: Answering) -> None:
        async with ClaudeClient(make_config(allowed_tools=["Bash(git status:*)"]), asks=True) as client:
            await client.run_turn(client.request(LOOK), host)
            with (workdir / ".git/config").open("a") as file:
                file.write(f'[core]\n\tfsmonitor = "touch {traces}/monitor; false"\n')
            await client.run_turn(client.request(LOOK), host)

    run_async(ask(host := Answering()))
    assert host.asked == ["Bash"]
    assert left(traces) == []


def test_git_settings_behind_a_click(make_config: MakeConfig, run_async: Run, workdir: Path, traces: Path) -> None:
    """Who has allowed `git status` for the session is asked again when the folder's git settings would run a program."""
    repository(workdir)

    async def ask(host: Answering) -> None:
        async with ClaudeClient(make_config(), asks=True) as client:
            session_id = (await client.run_turn(client.request(LOOK), host)).session_id
            await client.run_turn(client.request(LOOK, session_id=session_id), host)
            with (workdir / ".git/config").open("a") as file:
                file.write(f'[core]\n\tfsmonitor = "touch {traces}/monitor; false"\n')
            await client.run_turn(client.request(LOOK, session_id=session_id), host)

    run_async(ask(host := Answering(Decision.SESSION)))
    assert host.asked == ["Bash", "Bash"]
    assert left(traces) == []


def test_git_settings_that_claude_writes(make_config: MakeConfig, run_async: Run, workdir: Path, traces: Path) -> None:
    """Allowed edits make no allowed `git status` run a program, also in the turn that writes a repository."""
    settings = f'[core]\n\tbare = false\n\tworktree = {workdir}\n\tfsmonitor = "touch {traces}/monitor; false"\n'
    files = {"HEAD": "ref: refs/heads/main\n", "objects/x": "x", "refs/x": "x", "config": settings}
    writes = [json.dumps({"file_path": str(workdir / name), "content": text}) for name, text in files.items()]
    prompt = "".join(f"<<tool Write {write}>>" for write in writes) + LOOK

    async def ask(host: Answering) -> None:
        config = make_config(allowed_tools=["Bash(git status:*)"], permission_mode="acceptEdits")
        async with ClaudeClient(config, asks=True) as client:
            await client.run_turn(client.request(prompt), host)

    run_async(ask(host := Answering()))
    assert (workdir / "config").read_text() == settings
    assert host.asked == ["Bash"]
    assert left(traces) == []


@pytest.mark.parametrize(
    "settings",
    [
        '[core]\n\tfsmonitor = "touch x"',
        "[core] fsmonitor = x",
        "[CORE]\nFsMonitor=x",
        '[filter "evil"]\n\tclean = x',
        "[core]\n\thooksPath = hooks",
        "[include]\n\tpath = other",
        '[includeIf "gitdir:/"]\n\tpath = other',
        "[core]\n\tfilemode = a \\\n[color]\n\tfsmonitor = x",
        "[core]\n\tfilemode = x\x0c[color]\n\tfsmonitor = x",
        "[core]\n\tfilemode = x\r[color]\n\tfsmonitor = x",
        '[remote "o\\"x"]\n\turl = x',
        "[remote]\n\tpromisor = true",
        "[core]\n\tworktree = /",
        "[extensions]\n\tworktreeConfig = true",
        "fsmonitor",
        "[core",
        '[remote "origin"]\n\turl = ./beside',
        '[remote "origin"]\n\tpushurl = "file:///beside"',
        '[remote "origin"]\n\turl = ext::./run.sh',
        '[branch "main"]\n\tremote = ./evil',
        '[branch "main"]\n\tpushRemote = beside ; a folder',
    ],
)
def test_git_settings_that_could_run_something(settings: str, workdir: Path) -> None:
    """Every way to write a setting that is not known to run nothing counts."""
    repository(workdir, settings)
    assert git_programs(str(workdir))
    below = workdir / "below"
    below.mkdir()
    assert git_programs(str(below))


def test_git_settings_of_everyday(workdir: Path) -> None:
    """What git itself writes, with a remote and branches, runs nothing, nor does a folder without a repository."""
    assert git_programs(str(workdir)) == {}
    remote = '[remote "origin"]\n\turl = https://example.org/x.git\n\tfetch = +refs/heads/*:refs/remotes/origin/*'
    far = '[remote "o"]\n\turl = git@example.org:x/y.git\n\tpushurl = ssh://example.org/x'
    repository(workdir, remote, far, '[branch "main"]\n\tremote = origin ; as usual\n\tmerge = refs/heads/main', "# end")
    assert git_programs(str(workdir)) == {}


def test_many_links_to_a_large_file(workdir: Path) -> None:
    """More bytes than may be judged count as unknown, also if they are those of one file that many links lead to."""
    for folder in (rules := workdir / ".claude/rules", below := workdir / "sub/.claude/rules"):
        write(folder / "0.md", "x" * MAX_FILE_BYTES)
        for number in range(1, 30):
            (folder / f"{number:02}.md").symlink_to("0.md")
    found = contents(str(workdir))
    assert found[str(rules / "0.md")] != UNKNOWN == found[str(rules / "29.md")]
    (state,) = loaded_below([str(below.parents[1] / "x")], str(workdir)).values()
    assert state.state == UNKNOWN


def test_links_below_are_named(workdir: Path, tmp_path: Path) -> None:
    """A file of a subfolder's `.claude` that links out of its folder is named with its target."""
    write(private := tmp_path / "private.md", "x")
    (skill := workdir / "sub/.claude/skills/s/SKILL.md").parent.mkdir(parents=True)
    skill.symlink_to(private)
    found = loaded_below([str(workdir / "sub/x")], str(workdir))
    assert {path: below.target for path, below in found.items()} == {
        str(workdir / "sub/.claude"): None,
        str(skill): str(private),
    }
    for number in range(20):
        (skill.parent / f"{number}.md").symlink_to(private)
    assert loaded_below([str(workdir / "sub/x")], str(workdir))[str(workdir / "sub/.claude")].state == UNKNOWN


def test_what_only_changes_would_run(workdir: Path) -> None:
    """Hooks for changes count where git changes something, and trust is for what they hold."""
    subprocess.run(["git", "init", "-q"], cwd=workdir, check=True)
    write(hook := workdir / ".git/hooks/post-checkout", "#!/bin/sh\n")
    assert git_programs(str(workdir)) == {}
    for name in ("remotes", "branches"):
        write(workdir / ".git" / name / "origin", "./evil\n")
    found = git_programs(str(workdir), only_looks=False)
    assert {found.pop(str(workdir / ".git" / name))[0] for name in ("remotes", "branches")} == {"origin"}
    assert (found.keys(), found[str(workdir / ".git")]) == ({str(hook.parent), str(workdir / ".git")}, ["remotes"])
    before = contents(str(workdir))
    write(hook, "#!/bin/sh\n./run.sh\n")
    assert contents(str(workdir)) != before
    (waiting,) = [one for one in Trust(workdir / "trust.json").unloaded(str(workdir)) if one.path == str(hook.parent)]
    assert waiting.waits_for_a_change
    assert waiting.text.endswith("\n#!/bin/sh\n./run.sh\n")
    assert waiting.text.startswith("post-checkout ")


@pytest.mark.parametrize(
    "settings",
    [
        "[core]\n\thooksPath = .husky",
        '[diff "q"]\n\ttextconv = ./.husky/pre-commit -q',
        '[alias]\n\tst = "!sh -c \\"./.husky/pre-commit\\""',
        "[include]\n\tpath = ../.husky/pre-commit",
    ],
)
def test_what_settings_of_git_name(settings: str, workdir: Path) -> None:
    """Trust is for what the files hold that git's settings name, and shows them, whatever looks like a credential."""
    repository(workdir, settings)
    key = "-----BEGIN PRIVATE KEY-----"
    write(script := workdir / ".husky/pre-commit", f"# {key}\n./run.sh\n# -----END PRIVATE KEY-----\n")
    before, programs = contents(str(workdir)), git_programs(str(workdir))
    (shown,) = [one for one in Trust(workdir / "trust.json").unloaded(str(workdir)) if one.path == str(script)]
    assert shown.text == script.read_text()
    write(script, "./other.sh\n")
    assert contents(str(workdir))[str(script)] != before[str(script)]
    assert git_programs(str(workdir)) != programs


def a_hook(folder: Path) -> None:
    write(folder / ".git/hooks/post-index-change", "#!/bin/sh\n")


def a_submodule(folder: Path) -> None:
    write(folder / "inner/x", "x")
    inner = folder / "inner"
    repository(inner)
    subprocess.run(["git", "add", "inner"], cwd=folder, check=True, capture_output=True)


def a_file_that_names_another(folder: Path) -> None:
    (folder / ".git").rename(folder / "elsewhere")
    write(folder / ".git", "gitdir: elsewhere\n")
    write(folder / "elsewhere/config", "[core]\n\tfsmonitor = x\n")


def a_bare_one(folder: Path) -> None:
    for name in ("HEAD", "objects", "refs", "config"):
        (folder / ".git" / name).rename(folder / name)
    subprocess.run(["rm", "-rf", ".git"], cwd=folder, check=True)
    write(folder / "config", "[core]\n\tfsmonitor = x\n")


@pytest.mark.parametrize("change", [a_hook, a_submodule, a_file_that_names_another, a_bare_one])
def test_other_ways_of_git(change: Callable[[Path], None], workdir: Path) -> None:
    """Hooks of looking, repositories inside and repositories elsewhere count, too."""
    repository(workdir)
    assert git_programs(str(workdir)) == {}
    change(workdir)
    assert git_programs(str(workdir))


def below_an_empty_one(folder: Path) -> Path:
    (folder / "below/.git").mkdir(parents=True)
    return folder / "below"


def below_half_a_one(folder: Path) -> Path:
    for name in ("objects", "refs"):
        (folder / "below/.git" / name).mkdir(parents=True)
    write(folder / "below/.git/HEAD", "main\n")
    return folder / "below"


def moved(folder: Path, name: str, content: str) -> None:
    (folder / ".git").rename(folder / name)
    write(folder / ".git", content)


def a_blank_before_a_name(folder: Path) -> None:
    moved(folder, " g", "gitdir:  g\n")


def a_blank_behind_a_name(folder: Path) -> None:
    moved(folder, "g ", "gitdir: g \n")


def beside_an_innocent_one(folder: Path) -> None:
    shutil.copytree(folder / ".git", folder / "g")
    write(folder / "g/config", "")
    moved(folder, "g ", "gitdir: g \n")


def a_return_in_a_name(folder: Path) -> None:
    moved(folder, "g\rg", "gitdir: g\rg\r\n")


def a_null_behind_a_name(folder: Path) -> None:
    moved(folder, "g", "gitdir: g\0.it\n")


def a_blank_behind_the_common_one(folder: Path) -> None:
    (folder / "c ").mkdir()
    for name in ("objects", "refs", "config"):
        (folder / ".git" / name).rename(folder / "c " / name)
    write(folder / ".git/commondir", "../c \n")


def a_bare_one_behind_an_empty_one(folder: Path) -> None:
    for path in (folder / ".git").iterdir():
        path.rename(folder / path.name)


def behind_a_link(folder: Path) -> Path:
    (folder / "below").mkdir()
    way = folder.parent / "way"
    way.symlink_to(folder / "below")
    return way


def below_one_whose_head_is_a_link(folder: Path) -> Path:
    (below := folder / "below").mkdir()
    repository(below)
    write(folder / "head", "ref: refs/heads/main\n")
    (below / ".git/HEAD").unlink()
    (below / ".git/HEAD").symlink_to(folder / "head")
    return below


@pytest.mark.short
@pytest.mark.parametrize(
    "change",
    [
        below_one_whose_head_is_a_link,
        below_an_empty_one,
        below_half_a_one,
        a_blank_before_a_name,
        a_blank_behind_a_name,
        beside_an_innocent_one,
        a_return_in_a_name,
        a_null_behind_a_name,
        a_blank_behind_the_common_one,
        a_bare_one_behind_an_empty_one,
        behind_a_link,
    ],
)
def test_what_git_takes_for_the_repository(change: Callable[[Path], Path | None], workdir: Path, traces: Path) -> None:
    """Where git finds a repository of which it runs a program, however hidden, its settings count."""
    repository(workdir, f'[core]\n\tbare = false\n\tworktree = {workdir}\n\tfsmonitor = "touch {traces}/ran; false"\n')
    (workdir / "file.txt").touch()
    directory = change(workdir) or workdir
    subprocess.run(["git", "status"], cwd=directory, check=True, capture_output=True)
    assert left(traces) == ["ran"]
    assert git_programs(str(directory))


@pytest.mark.short
def test_a_repository_above_a_whole_one(workdir: Path) -> None:
    """Git looks no further up than to a whole repository, so what is above it does not count."""
    repository(workdir, "[core]\n\tfsmonitor = x")
    (workdir / "below").mkdir()
    repository(workdir / "below")
    assert git_programs(str(workdir / "below")) == {}
    assert git_programs(str(workdir))


@pytest.mark.short
@pytest.mark.parametrize("name", [".git", ".git/HEAD", ".git/config", ".git/commondir", ".git/index"])
def test_pipes_in_the_place_of_files_of_git(name: str, workdir: Path) -> None:
    """A pipe without a writer holds up whoever opens it, also git: it is not opened here, and git is asked for."""
    if name != ".git":
        (workdir / ".git").mkdir()
    os.mkfifo(workdir / name)
    assert git_programs(str(workdir)).keys() == ({str(workdir / name)} if name != ".git" else set())


@pytest.mark.parametrize(
    ("source", "known"),
    [
        ({"source": "directory", "path": "./market"}, {}),
        ({"source": "file", "path": "./market/.claude-plugin/marketplace.json"}, {}),
        ({}, {"mk": {"source": {"source": "directory", "path": "{market}"}, "installLocation": "{market}"}}),
    ],
    ids=["folder", "file", "known to the CLI"],
)
def test_sources_of_plugins(
    source: dict[str, str], known: dict[str, object], workdir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The files of plugins that settings name are shown and trusted, whichever way their folder is named."""
    for name in (".claude-plugin/marketplace.json", "worktrees/pl/hooks/hooks.json"):
        (workdir / "market" / name).parent.mkdir(parents=True)
        (workdir / "market" / name).write_text("{}")
    monkeypatch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path / "cli"))
    (tmp_path / "cli/plugins").mkdir(parents=True)
    told = json.dumps(known).replace("{market}", str(workdir / "market"))
    (tmp_path / "cli/plugins/known_marketplaces.json").write_text(told)
    (workdir / ".claude").mkdir()
    settings = {"enabledPlugins": {"pl@mk": True}} | ({"extraKnownMarketplaces": {"mk": {"source": source}}} if source else {})
    (workdir / ".claude/settings.json").write_text(json.dumps(settings))
    assert str(workdir / "market/worktrees/pl/hooks/hooks.json") in contents(str(workdir))


def test_contents(workdir: Path, traces: Path) -> None:
    """Contents are all that would be loaded, and the folder's own files that it would run, by what they hold."""
    assert contents(str(workdir)) == {}
    fill(workdir, traces)
    write(workdir / "tools/check.sh", "true")
    write(workdir / ".claude/settings.json", {"hooks": {"Stop": [{"command": "$CLAUDE_PROJECT_DIR/tools/check.sh >> log.md"}]}})
    write(workdir / "log.md", "x")
    before = contents(str(workdir))
    names = {os.path.relpath(path, workdir) for path in before}
    assert {".mcp.json", ".claude/settings.local.json", ".claude/skills/planted/SKILL.md", "tools/check.sh"} <= names
    assert not names & {"log.md", ".claude/scheduled_tasks.json", "below/data.txt"}
    write(workdir / "tools/check.sh", "pwd!")
    write(workdir / ".claude/notes.log", "written by a hook")
    after = contents(str(workdir))
    assert {path for path in after if after[path] != before.get(path)} == {str(workdir / "tools/check.sh")}
    write(workdir / ".claude/agent-memory/a/MEMORY.md", "only text")
    assert contents(str(workdir)) == after
    memory = workdir / ".claude/agent-memory-local/a/MEMORY.md"
    memory.parent.mkdir(parents=True)
    memory.symlink_to("/etc/hostname")
    assert contents(str(workdir)).keys() - after == {str(memory)}


@pytest.mark.parametrize(
    "command",
    [
        "echo hi >/dev/null;./tools/check.sh",
        "./a.sh 2>&1|./tools/check.sh",
        "true >log.md&&./tools/check.sh",
        "diff a <(true >b) >(./tools/check.sh)",
        "node -e \"() =>require('./tools/check.sh')\"",
        '"$CLAUDE_PROJECT_DIR"/tools/check.sh >> "$CLAUDE_PROJECT_DIR"/log.md',
        "'${CLAUDE_PROJECT_DIR}/tools/check.sh' >log.md",
        'sh -c "$PWD/tools/check.sh" >log.md',
        "~+/tools/check.sh",
        '"$CLAUDE_PROJECT_DIR//tools/check.sh"',
        "${CLAUDE_PROJECT_DIR:-.}/tools/check.sh",
        '"$(pwd)"/tools/check.sh',
        "to''ols/ch\\eck.sh",
        "cd tools && ./check.sh",
        "PATH=./tools:$PATH check.sh",
        "sh <>tools/check.sh",
        f"sh {'./' * 600}tools/check.sh",
        "bash -c \"true > '$(sh tools/check.sh)'\"",
        "sh $'tools/check\\x2esh'",
        "sh ${X:-tools/check.sh}",
        "sh $'tools\\057check.sh'",
        f'"$CLAUDE_PROJECT_DIR"/{"a/../" * 40}tools/check.sh',
    ],
)
@pytest.mark.parametrize("where", ["settings", "agent", "plugin"])
def test_programs_that_a_command_names(command: str, where: str, workdir: Path) -> None:
    """Each program of the folder counts, however the shell joins it to others; a file that is only written to does not."""
    write(workdir / "tools/check.sh", "true")
    write(workdir / "log.md", "x")
    match where:
        case "settings":
            write(workdir / ".claude/settings.json", {"hooks": {"Stop": [{"command": command}]}})
        case "agent":
            write(workdir / ".claude/agents/one.md", f"---\nhooks:\n  Stop:\n    - command: {json.dumps(command)}\n---\n")
        case "plugin":
            write(workdir / ".claude/skills/plug/hooks/hooks.json", {"hooks": {"Stop": [{"command": command}]}})
    names = {os.path.relpath(path, workdir) for path in contents(str(workdir))}
    assert {name for name in names if not name.startswith(".claude")} == {"tools/check.sh"}


@pytest.mark.parametrize("name", ["check(1).sh", "run=fast.sh", "a:b.sh", "a!b.sh", "a,b.sh", "a\u00a0b.sh", "b{c.sh"])
def test_a_program_with_a_sign_in_its_name(name: str, workdir: Path) -> None:
    """A program counts if its name has signs that could end a word of a shell."""
    write(workdir / "tools" / name, "true")
    write(workdir / ".claude/settings.json", {"hooks": {"Stop": [{"command": f'sh "tools/{name}" || true'}]}})
    assert str(workdir / "tools" / name) in contents(str(workdir))


def test_a_program_behind_a_linked_folder(workdir: Path) -> None:
    """In `lib/../tools` a shell goes where `lib` leads, so the program there counts, not only the one that the text names."""
    write(workdir / "tools/check.sh", "true")
    write(workdir / "vendor/tools/check.sh", "false")
    (workdir / "vendor/lib").mkdir()
    (workdir / "lib").symlink_to("vendor/lib")
    write(workdir / ".claude/settings.json", {"hooks": {"Stop": [{"command": '"$CLAUDE_PROJECT_DIR"/lib/../tools/check.sh'}]}})
    both = {str(workdir / "tools/check.sh"), str(workdir / "vendor/tools/check.sh")}
    assert both <= contents(str(workdir)).keys()
    write(workdir / ".claude/settings.json", {"hooks": {"Stop": [{"command": "cd lib && sh ../tools/check.sh"}]}})
    assert both <= contents(str(workdir)).keys()


def test_half_a_surrogate_in_a_command(workdir: Path) -> None:
    """Half a surrogate in a command is no reason to fail: the file around is judged as any other."""
    write(workdir / ".claude/agents/a.md", '---\nhooks:\n  - command: "tools/\\ud800/../check.sh"\n---\n')
    write(workdir / ".claude/settings.json", '{"hooks": {"Stop": [{"command": "tools/\\ud800/../x"}]}}')
    assert len(contents(str(workdir))) == 2


def test_too_many_words_to_look_for(workdir: Path) -> None:
    """Text that could name very many files is not judged, so that no folder holds up the kernel."""
    path = "/".join(map(str, range(30)))
    for number in range(3):
        write(workdir / f".claude/agents/{number}.md", f"---\nhooks: {' '.join(f'{path}/{i}' for i in range(1000))}\n---\n")
    found = contents(str(workdir))
    assert found[str(workdir / ".claude/agents/2.md")] == UNKNOWN
    assert found[str(workdir / ".claude/agents/0.md")] != UNKNOWN


@pytest.mark.parametrize(("command", "name"), [("python3 tools", "__main__.py"), ('node "$PWD"/tools', "index.js")])
def test_a_folder_as_a_program(command: str, name: str, workdir: Path) -> None:
    """A program that a folder is started by counts."""
    write(workdir / "tools" / name, "1")
    write(workdir / "tools/data.txt", "1")
    write(workdir / ".claude/settings.json", {"hooks": {"Stop": [{"command": command}]}})
    assert {os.path.relpath(path, workdir) for path in contents(str(workdir))} == {".claude/settings.json", f"tools/{name}"}


@pytest.mark.parametrize(
    "yaml",
    [
        "hooks: {Stop: [{type: command, command: ./tools/check.sh}]}",
        "hooks:\n  Stop:\n  - {\"comm\\x61nd\": './tools/check.sh'}",
        'hooks:\n  Stop:\n  - ? command\n    : "./tools\\x2fcheck.sh"',
        'hooks:\n  Stop:\n  - command: "./to\\\n      ols/check\\U0000002esh"\nx: a---',
    ],
)
def test_ways_of_writing_yaml(yaml: str, workdir: Path) -> None:
    """A program that any part of the YAML of a skill names counts; one that only its text names does not."""
    write(workdir / "tools/check.sh", "true")
    write(workdir / "other.sh", "true")
    write(workdir / ".claude/skills/one/SKILL.md", f"---\nname: one\n{yaml}\n---\nRead ./other.sh first.\n")
    found = {os.path.relpath(path, workdir) for path in contents(str(workdir))}
    assert found == {".claude/skills/one/SKILL.md", "tools/check.sh"}


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_settings_of_other_encodings(encoding: str, workdir: Path) -> None:
    """The programs that settings name count in each encoding that the CLI reads."""
    write(workdir / "tools/check.sh", "true")
    (workdir / ".claude").mkdir()
    text = json.dumps({"hooks": {"Stop": [{"command": "tools/check.sh"}]}})
    (workdir / ".claude/settings.json").write_bytes(text.encode(encoding))
    assert str(workdir / "tools/check.sh") in contents(str(workdir))


@pytest.mark.parametrize(
    "block", ["```! \n./tools/check.sh\n```", "x ```! ./tools/check.sh ```", "```!\r\n./tools/check.sh\r\n```\r\n"]
)
def test_blocks_of_commands(block: str, workdir: Path) -> None:
    """The programs of a command's shell blocks count, however the block is written."""
    write(workdir / "tools/check.sh", "true")
    write(workdir / ".claude/commands/one.md", f"Look:\n{block}")
    assert str(workdir / "tools/check.sh") in contents(str(workdir))


@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("is_inside", [True, False])
def test_settings_of_the_main_work_tree(is_inside: bool, mark: str, workdir: Path, tmp_path: Path) -> None:
    """In a worktree the CLI also loads what the repository's main folder holds, so that counts."""
    main = workdir / "inner" if is_inside else tmp_path / "main"
    write(main / ".git/worktrees/w/commondir", "../..\n")
    hooks = {"hooks": {"Stop": [{"command": "tools/check.sh"}]}}
    write(main / ".claude/settings.local.json", hooks)
    write(main / "tools/check.sh", "true")
    write(workdir / ".git", f"{mark}gitdir: {os.path.relpath(main, workdir)}/.git/worktrees/w\n")
    before = contents(str(workdir))
    assert {str(main / ".claude/settings.local.json"), str(main / "tools/check.sh")} <= before.keys()
    write(main / "tools/check.sh", "false")
    assert contents(str(workdir)) != before


@pytest.mark.parametrize("prompt", ["/security-review", "  /review it"])
def test_slash_commands_where_git_runs_programs(
    prompt: str, make_config: MakeConfig, run_async: Run, workdir: Path, traces: Path, api: MessagesAPI
) -> None:
    """Before trust, no slash command is sent where git would run programs: the CLI runs `git status` for some of them."""
    subprocess.run(["git", "init", "-q"], cwd=workdir, check=True)

    async def ask(text: str, trusted: bool = False) -> None:
        async with ClaudeClient(make_config(trusted=trusted)) as client:
            await client.query(text)

    with (workdir / ".git/config").open("a") as config:
        config.write(f"[core]\n\tfsmonitor = touch {traces}/ran; false\n")
    with pytest.raises(ConfigError, match="may call git") as caught:
        run_async(ask(prompt))
    assert "trust the folder" in (caught.value.next_step or "")
    run_async(ask("see /security-review"))
    run_async(ask("/cost"))
    assert not (traces / "ran").exists()
    run_async(ask("/cost", trusted=True))


def test_git_history_before_trust(make_config: MakeConfig, run_async: Run, workdir: Path, api: MessagesAPI) -> None:
    """What git says about a folder is sent only if the folder is trusted, as links could lead to another repository."""
    subprocess.run(["git", "init", "-q"], cwd=workdir, check=True)
    person = ["-c", "user.name=a", "-c", "user.email=b"]
    subprocess.run(["git", *person, "commit", "-q", "--allow-empty", "-m", "a secret subject"], cwd=workdir, check=True)

    async def ask(trusted: bool) -> None:
        async with ClaudeClient(make_config(trusted=trusted)) as client:
            await client.query("hello")

    for trusted in (False, True):
        run_async(ask(trusted))
        assert ("a secret subject" in json.dumps(api.requests[-1])) is trusted


@pytest.mark.parametrize("sign", ["|", ">", ">-"])
def test_programs_in_a_block(sign: str, workdir: Path) -> None:
    """A command in a YAML block counts, folded or not."""
    write(workdir / "tools/check.sh", "true")
    write(workdir / ".claude/agents/one.md", f"---\nhooks:\n  Stop:\n    - command: {sign}\n        ./tools/check.sh\n---\n")
    assert str(workdir / "tools/check.sh") in contents(str(workdir))


def test_arguments_before_the_command(workdir: Path) -> None:
    """In a plugin's servers, the program that an argument names counts, also if the arguments come first."""
    write(workdir / "server.js", "1")
    write(workdir / ".claude/skills/plug/.lsp.json", {"x": {"args": ["./server.js"], "command": "node"}})
    assert str(workdir / "server.js") in contents(str(workdir))


def test_what_cannot_be_judged(workdir: Path) -> None:
    """A file that cannot be read for its size or kind, or a folder that never ends, is nothing that one could trust."""
    (workdir / ".claude/skills").mkdir(parents=True)
    os.mkfifo(workdir / ".claude/skills/pipe")
    with (workdir / ".claude/big.json").open("wb") as file:
        file.truncate(11_000_000)
    assert list(contents(str(workdir)).values()) == [UNKNOWN, UNKNOWN]
    write(workdir / ".claude/settings.json", '{"hooks":' * 4000 + "1" + "}" * 4000)
    assert str(workdir / ".claude/settings.json") in contents(str(workdir))
    write(workdir / ".claude/settings.json", {"hooks": {"Stop": [{"command": " ".join(map(str, range(60_000)))}]}})
    assert contents(str(workdir))[str(workdir / ".claude/settings.json")] == UNKNOWN
    (workdir / ".claude/skills/circle").symlink_to(workdir / ".claude")
    assert UNKNOWN in contents(str(workdir)).values()
    (workdir / ".claude/other").symlink_to(workdir / ".claude")
    for number in range(20):  # two circles and many folders: a walk through all of them would take minutes
        (workdir / f".claude/empty{number}").mkdir()
    assert UNKNOWN in contents(str(workdir)).values()


def test_default_workspaces_are_private(make_config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without `workspace_dir`, workspaces are below the person's data directory, which nobody else can open or prepare."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    base = tmp_path / "data/claude_magic/workspaces"
    base.mkdir(parents=True, mode=0o777)
    client = ClaudeClient(make_config())
    client.command("hello", workspace_id="one")
    assert (base / "one").is_dir()
    assert base.stat().st_mode & 0o777 == 0o700
    (base / "one").rmdir()
    base.rmdir()
    base.symlink_to(tmp_path)
    with pytest.raises(WorkspaceError, match="not a directory of yours"):
        ClaudeClient(make_config()).command("hello", workspace_id="one")


def test_trusted_is_a_choice_of_the_config(workdir: Path) -> None:
    """The default is no; `trusted=True` lets the CLI load the folder, and its allow rules hold."""
    write(workdir / ".claude/settings.json", {"permissions": {"allow": ["Bash(touch *)"]}})
    untrusted, trusted = ClaudeClient(), ClaudeClient(ClaudeConfig(trusted=True))
    assert "--setting-sources" in untrusted.command("hello")
    assert "--setting-sources" not in trusted.command("hello")
    assert "Bash(touch *)" in trusted.command("hello")
