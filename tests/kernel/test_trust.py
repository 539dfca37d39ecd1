"""Trust: what a directory's own settings may do before the person has said yes for it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cells import answered, ask, failure, session_of
from messages_api import MessagesAPI
from rig import CellResult
from rig.kernel import Kernel

from claude_magic._kernel.state.directory_trust import Trust
from claude_magic.sdk._folder.memories import MAX_MEMORY_BYTES, memories

NOTICE = "%claude_session trust"
TOUCH = '<<tool Bash {"command": "touch by-rule"}>><<say done>>'


class Place:
    """A directory with settings that leave traces, and the kernel in it."""

    def __init__(self, kernel: Kernel, directory: Path, traces: Path) -> None:
        self.kernel, self.directory = kernel, directory
        self.hooked, self.started = traces / "hooked", traces / "started"
        hook = {"hooks": [{"type": "command", "command": f"touch {self.hooked}"}]}
        settings = {"hooks": {"UserPromptSubmit": [hook]}, "permissions": {"allow": ["Bash(touch:*)"]}}
        self.write(".claude/settings.json", settings | {"enableAllProjectMcpServers": True})
        self.write(".mcp.json", {"mcpServers": {"trace": {"command": "touch", "args": [str(self.started)]}}})
        (directory / "CLAUDE.md").write_text("The word of the house is *aubergine*.\n")

    def write(self, name: str, content: dict[str, Any]) -> None:
        path = self.directory / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content))

    def ask(self, prompt: str = "hello", options: str = "") -> CellResult:
        return answered(self.kernel, prompt, options, allow_stdin=False)

    def runs_by_rule(self) -> bool:
        self.ask(TOUCH)
        return (self.directory / "by-rule").exists()

    def trust(self) -> CellResult:
        result = self.kernel.run("%claude_session trust")
        assert result.ok, result.outputs
        return result


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    path = tmp_path / "project"
    path.mkdir()
    return path


@pytest.fixture
def place(loaded_kernel: Kernel, directory: Path, tmp_path: Path) -> Iterator[Place]:
    before = loaded_kernel.value("__import__('os').getcwd()")
    assert loaded_kernel.run(f"import os; os.chdir({str(directory)!r})").ok
    yield Place(loaded_kernel, directory, tmp_path)
    assert loaded_kernel.run(f"import os; os.chdir({before!r})").ok


def store(home: Path) -> Path:
    return home / ".config" / "claude_magic" / "trust.json"


def test_untrusted(place: Place, api: MessagesAPI) -> None:
    """Hook, server and rule of a directory are not loaded; its CLAUDE.md is read; the first cell alone says so in one line."""
    first = place.ask()
    assert "aubergine" in json.dumps(api.requests[-1])
    (line,) = [line for line in first.text.splitlines() if NOTICE in line]
    assert "settings.json" in line
    assert ".mcp.json" in line
    assert NOTICE not in place.ask().text
    assert not place.runs_by_rule()
    assert not place.hooked.exists()
    assert not place.started.exists()


def test_trusted(place: Place, api: MessagesAPI, home: Path) -> None:
    """After `%claude_session trust` the next cell of the same session has hook, server and rule, and CLAUDE.md once."""
    session = session_of(place.ask())
    said = place.trust().stdout
    assert "settings.json" in said
    assert ".mcp.json" in said
    assert session_of(place.ask()) == session
    assert place.hooked.exists()
    assert json.dumps(api.requests[-1]).count("aubergine") == 1
    place.kernel.wait_for(place.started.exists, about="the server")
    assert place.runs_by_rule()


def test_changed(place: Place) -> None:
    """When a file changes, or a new one comes, the directory is untrusted again, and the next cell says so."""
    place.ask()
    place.trust()
    place.ask()
    assert place.hooked.exists()
    place.hooked.unlink()
    place.write(".claude/settings.local.json", {"permissions": {"allow": ["Bash(mkdir:*)"]}})
    result = place.ask()
    assert not place.hooked.exists()
    assert NOTICE in result.text


def test_settings_that_come_later(loaded_kernel: Kernel, directory: Path, tmp_path: Path) -> None:
    """In a directory without settings nothing is said; settings that come while its CLI is warm are not loaded unasked."""
    before = loaded_kernel.value("__import__('os').getcwd()")
    loaded_kernel.run(f"import os; os.chdir({str(directory)!r})")
    try:
        assert NOTICE not in answered(loaded_kernel, "hello").text
        place = Place(loaded_kernel, directory, tmp_path)
        ended = tmp_path / "ended"
        hook = {"hooks": [{"type": "command", "command": f"touch {ended}"}]}
        place.write(".claude/settings.json", {"hooks": {"SessionEnd": [hook], "UserPromptSubmit": [hook]}})
        assert NOTICE in place.ask().text
        assert loaded_kernel.run("%claude_session new").ok
        assert not ended.exists()
    finally:
        loaded_kernel.run(f"import os; os.chdir({before!r})")


def test_plugins_of_the_folder(place: Place) -> None:
    """The files of a plugin in the folder are shown and trusted like its settings, and a change of them is noticed."""
    source = {"source": {"source": "directory", "path": "./market"}}
    place.write(".claude/settings.json", {"extraKnownMarketplaces": {"mk": source}, "enabledPlugins": {"pl@mk": True}})
    hooks = place.directory / "market/worktrees/pl/hooks/hooks.json"
    hooks.parent.mkdir(parents=True)
    hooks.write_text("{}")
    assert "market/worktrees/pl/hooks/hooks.json" in place.trust().stdout
    assert NOTICE not in place.ask().text
    place.ask(f'<<tool Write {{"file_path": "{hooks}", "content": "x"}}>><<say done>>', "--mode acceptEdits")
    assert hooks.read_text() == "{}"
    hooks.write_text('{"hooks": {}}')
    assert "market/worktrees/pl/hooks/hooks.json (changed)" in place.ask().text


def test_variables_in_settings(place: Place, api: MessagesAPI, tmp_path: Path) -> None:
    """Settings of a trusted folder replace none of the variables that we rely on: a `cd` of Claude's does not last."""
    place.write(".claude/settings.json", {"env": {"CLAUDE_BASH_MAINTAIN_PROJECT_WORKING_DIR": "0"}})
    (tmp_path / "private.txt").write_text("the private words")
    (place.directory / "sub").mkdir()
    (place.directory / "sub/notes.txt").symlink_to(tmp_path / "private.txt")
    (place.directory / "notes.txt").write_text("the open words")
    place.trust()
    place.ask('<<tool Bash {"command": "cd sub && echo hi"}>><<say done>>', '--allow "Bash(echo:*)"')
    place.ask("look at @notes.txt", '--allow "Bash(echo:*)"')
    sent = json.dumps(api.requests[-1])
    assert ("the open words" in sent, "the private words" in sent) == (True, False)


def test_remembered(place: Place, home: Path) -> None:
    """The yes is kept in our own file below XDG_CONFIG_HOME: paths and hashes, no text of a file; no settings are written."""
    own = home / ".claude" / "settings.json"
    place.write(".claude/settings.local.json", {"env": {"API_TOKEN": "sk-very-secret"}})
    before = {path: path.read_bytes() for path in place.directory.rglob("*") if path.is_file()}
    place.trust()
    place.ask()
    known = json.loads(store(home).read_text())
    files = [".claude/settings.json", ".claude/settings.local.json", ".mcp.json"]
    assert sorted(known[str(place.directory)]) == [str(place.directory / name) for name in files]
    assert {len(digest) for digest in known[str(place.directory)].values()} == {64}
    assert "secret" not in store(home).read_text()
    assert {path: path.read_bytes() for path in place.directory.rglob("*") if path.is_file()} == before
    assert not own.exists()


def test_what_is_new_wants_another_yes(place: Place, tmp_path: Path) -> None:
    """A skill, agent or program that comes or changes after a yes is named, can be looked at, and is not loaded before."""
    program = place.directory / "check.sh"
    program.write_text(f"touch {tmp_path}/checked")
    hook = {"hooks": [{"type": "command", "command": "sh check.sh"}]}
    place.write(".claude/settings.json", {"hooks": {"UserPromptSubmit": [hook]}})
    place.trust()
    assert NOTICE not in place.ask().text
    assert (tmp_path / "checked").exists()
    for path, text, how in (
        (program, f"touch {tmp_path}/planted", "check.sh (changed)"),
        (place.directory / ".claude/agents/a.md", "---\nname: a\ndescription: PLANTED\u202e\n---\nx", "a.md"),
        (place.directory / ".claude/skills/s/SKILL.md", "---\nname: s\ndescription: PLANTED\n---\nx", "SKILL.md"),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        said = place.ask().text
        assert how in said
        assert NOTICE in said
        place.kernel.run("%claude_session trust show")
        path.write_text("planted behind it")
        for _ in range(2):  # to repeat the word is not to have looked
            assert "has changed since it was shown" in place.trust().stdout
        assert NOTICE in place.ask().text
        path.write_text(text)
        shown = place.kernel.run("%claude_session trust show").stdout.replace("\n    … ", "")
        assert text.replace("\u202e", r"\u202e").replace("\n", "\n      ") in shown
        place.trust()
        assert place.kernel.run("%claude_session trust show").stdout.startswith("Nothing here waits")
    assert not (tmp_path / "planted").exists()


def test_gone(place: Place) -> None:
    """What is taken away after a yes changes what the rest does: that wants another yes, too."""
    place.trust()
    (place.directory / ".mcp.json").unlink()
    assert ".mcp.json (gone)" in place.ask().text


def test_the_cli_was_told(place: Place, home: Path) -> None:
    """Where the CLI itself was told to trust the directory the settings are loaded, without a word; later ones are not."""
    known = home / ".claude" / ".claude.json"
    before = json.loads(known.read_text()) if known.exists() else {}
    projects = before.get("projects", {}) | {str(place.directory): {"hasTrustDialogAccepted": True}}
    known.write_text(json.dumps(before | {"projects": projects}))
    assert NOTICE not in place.ask().text
    assert place.hooked.exists()
    assert place.runs_by_rule()
    place.write(".claude/settings.local.json", {"permissions": {"allow": ["Bash(mkdir *)"]}})
    assert NOTICE in place.ask().text


def test_the_cli_was_told_of_a_parent(home: Path, tmp_path: Path) -> None:
    """The CLI's yes to a directory is one for its repository, not for whatever is put below it."""
    repository, unpacked = tmp_path / "repository", tmp_path / "repository/unpacked"
    (repository / ".git").mkdir(parents=True)
    (unpacked / ".git").mkdir(parents=True)
    (repository / "notebooks").mkdir()
    (tmp_path / ".claude.json").write_text(json.dumps({"projects": {str(repository): {"hasTrustDialogAccepted": True}}}))
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLAUDE_CONFIG_DIR", str(tmp_path))
        trust = Trust(tmp_path / "trust.json")
        assert trust.covers(str(repository / "notebooks"))
        assert not trust.covers(str(unpacked))
        assert not trust.covers(str(tmp_path))


def test_parents_servers(loaded_kernel: Kernel, place: Place) -> None:
    """A `.mcp.json` of a parent directory counts, as the CLI would load it."""
    below = place.directory / "below"
    below.mkdir()
    loaded_kernel.run(f"import os; os.chdir({str(below)!r})")
    result = place.ask()
    assert NOTICE in result.text
    assert ".mcp.json" in result.text
    assert not place.started.exists()


def test_own_settings(loaded_kernel: Kernel, home: Path) -> None:
    """The person's own `~/.claude/settings.json` is no setting of a directory, also when the notebook is below the home."""
    (home / "notebooks").mkdir(exist_ok=True)
    own = home / ".claude" / "settings.json"
    own.write_text(json.dumps({"permissions": {"allow": ["Bash(touch:*)"]}}))
    before = loaded_kernel.value("__import__('os').getcwd()")
    loaded_kernel.run(f"import os; os.chdir({str(home / 'notebooks')!r})")
    try:
        result = answered(loaded_kernel, TOUCH, allow_stdin=False)
        assert NOTICE not in result.text
        assert (home / "notebooks" / "by-rule").exists()
    finally:
        own.unlink()
        loaded_kernel.run(f"import os; os.chdir({before!r})")


def test_long_memories(place: Place, api: MessagesAPI) -> None:
    """Memories that are long, in any script, are cut and do not break the cell, which says it once."""
    (place.directory / "CLAUDE.local.md").write_text("茄" * 20_000)
    (place.directory / "CLAUDE.md").write_text("瓜" * 20_000)
    told = place.ask().text
    sent = json.dumps(api.requests[-1], ensure_ascii=False)
    assert (sent.count("茄"), sent.count("瓜")) == (20_000, 6_666)
    assert f"Not all of {place.directory}/CLAUDE.md was read." in told
    assert "Not all of" not in place.ask().text


def test_huge_memories(tmp_path: Path) -> None:
    """Of a memory of any size no more is read than is sent; one that cannot be read is told like one that is cut."""
    with (tmp_path / "CLAUDE.md").open("wb") as file:
        file.truncate(10**12)
    (tmp_path / ".claude").mkdir()
    (tmp_path / ".claude" / "CLAUDE.md").write_text("short")
    found = memories(str(tmp_path))
    assert found.text.endswith("short")
    assert found.cut == (tmp_path / "CLAUDE.md",)
    assert len(found.text) < MAX_MEMORY_BYTES + 500


@pytest.mark.parametrize("name", ["CLAUDE.md", "CLAUDE.local.md", ".claude/CLAUDE.md", ".claude", "AGENTS.md"])
def test_links_that_lead_out(place: Place, api: MessagesAPI, tmp_path: Path, name: str) -> None:
    """A memory that leads out of its folder is not sent, and named with its target once; trusting the folder loads it."""
    for path in (place.directory / ".mcp.json", place.directory / ".claude" / "settings.json"):
        path.unlink()
    (place.directory / "CLAUDE.md").unlink()
    private = tmp_path / "private"
    private.mkdir()
    (private / "CLAUDE.md").write_text("The secret is *courgette*.\n")
    link = place.directory / name
    if name == ".claude":
        link.rmdir()
    link.symlink_to(private / "CLAUDE.md" if name.endswith(".md") else private)
    told = place.ask().text
    assert "courgette" not in json.dumps(api.requests)
    assert f"leads out of its folder, to {private / 'CLAUDE.md'}" in told
    assert "courgette" not in json.dumps(api.requests)
    assert "leads out" not in place.ask().text
    place.trust()
    place.ask()
    assert "courgette" in json.dumps(api.requests[-1])
    (private / "CLAUDE.md").write_text("The secret is *zucchini*.\n")
    assert "leads out" in place.ask().text
    assert "zucchini" not in json.dumps(api.requests)


def test_links_inside(place: Place, api: MessagesAPI) -> None:
    """A link to another file of the folder, or to a memory that is read anyhow, is nothing to speak of."""
    (place.directory / "CLAUDE.md").rename(place.directory / "AGENTS.md")
    (place.directory / "CLAUDE.md").symlink_to("AGENTS.md")
    below = place.directory / "below"
    below.mkdir()
    (below / "CLAUDE.md").symlink_to("../CLAUDE.md")
    place.kernel.run(f"import os; os.chdir({str(below)!r})")
    told = place.ask().text
    assert "leads out" not in told
    assert "aubergine" in json.dumps(api.requests[-1])


def test_mention_of_a_link(place: Place, api: MessagesAPI, tmp_path: Path) -> None:
    """An `@path` that leads out of the directory fails the cell, which names the path to type instead; nothing is sent."""
    (tmp_path / "private.txt").write_text("courgette")
    (place.directory / "notes.txt").symlink_to(tmp_path / "private.txt")
    (beside := place.directory.parent / "beside").mkdir()
    (beside / "docs").symlink_to(tmp_path)
    for prompt in ("sum up @notes.txt", f"sum up @{beside}/docs/private.txt"):
        text = failure(ask(place.kernel, prompt), "AttachmentError")
        assert str(tmp_path / "private.txt") in text
    assert api.requests == []


def test_folders_below(place: Place, api: MessagesAPI, tmp_path: Path) -> None:
    """What folders below hold is asked for before the CLI takes it up, as a yes to the folder has not shown it."""
    (tmp_path / "private.md").write_text("The secret is *courgette*.\n")
    skill = place.directory / "below" / ".claude" / "skills" / "planted" / "SKILL.md"
    skill.parent.mkdir(parents=True)
    skill.write_text("---\nname: planted\ndescription: PLANTED\n---\nx")
    linked = place.directory / "linked" / "CLAUDE.md"
    linked.parent.mkdir()
    linked.symlink_to(tmp_path / "private.md")
    reads = {}
    for name in ("below", "linked", "plain"):
        (place.directory / name).mkdir(exist_ok=True)
        (place.directory / name / "data.txt").write_text(f"content of {name}")
        reads[name] = f"<<tool Read {json.dumps({'file_path': str(place.directory / name / 'data.txt')})}>>"
    place.trust()
    place.ask("".join(reads.values()) + "<<say done>>")
    place.ask("And now?")
    sent = json.dumps(api.requests)
    assert "PLANTED" not in sent
    assert "courgette" not in sent
    assert [f"content of {name}" in sent for name in reads] == [False, False, True]
    script = f"{reads['below']}{reads['below']}{reads['linked']}<<say done>>"
    asked = place.kernel.run(f"%%time\n%%claude\n{script}", answer="y")
    assert len(asked.prompts) == 2
    shown = asked.stdout.replace("\n    … ", "")
    assert f"with it Claude Code loads {skill.parents[2]}, which nobody has approved" in shown
    assert f"CLAUDE.md (which leads out of its folder, to {tmp_path / 'private.md'})" in shown
    assert "PLANTED" in json.dumps(api.requests)


def test_links_are_named(tmp_path: Path) -> None:
    """Whatever would be loaded and leads out of the folder is named with its target, and no name steers the terminal."""
    folder, elsewhere = tmp_path / "folder", tmp_path / "elsewhere"
    (folder / ".claude" / "agents").mkdir(parents=True)
    (elsewhere / "skills" / "a").mkdir(parents=True)
    (elsewhere / "skills" / "a" / "SKILL.md").write_text("x")
    (elsewhere / "b.md").write_text("x")
    (folder / ".claude" / "skills").symlink_to(elsewhere / "skills")
    (folder / ".claude" / "agents" / "b.md").symlink_to(elsewhere / "b.md")
    (folder / ".claude" / "agents" / "c\x1b[2J\n.md").write_text("a\r\nb\u200b\x1b")
    named = {str(one).removeprefix(f"{folder}/.claude/"): one for one in Trust(tmp_path / "trust.json").unloaded(str(folder))}
    assert sorted(named) == [
        f"agents/b.md (leads out of its folder, to {elsewhere}/b.md)",
        r"agents/c\x1b[2J\n.md",
        f"skills/a/SKILL.md (leads out of its folder, to {elsewhere}/skills/a/SKILL.md)",
    ]
    assert named[r"agents/c\x1b[2J\n.md"].text == "a\nb" + r"\u200b\x1b"
