"""Files that name MCP servers: what is refused before the CLI reads them, in which words, and what a process is known by."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from claude_magic.errors import ConfigError
from claude_magic.sdk._offers.servers import NO_FILES, server_files
from claude_magic.sdk.content import MAX_TEXT_BYTES

SERVER = {"command": "python", "args": ["server.py"]}


def written(name: str, servers: dict[str, Any] | str) -> str:
    """Write a file into the working directory, and return its name."""
    Path(name).write_text(servers if isinstance(servers, str) else json.dumps({"mcpServers": servers}))
    return name


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("", "is not JSON: Expecting value in line 1."),
        ('{"mcpServers": {\n"token": sk-123}}', "is not JSON: Expecting value in line 2."),
        ("[" * 100_000, "is nested too deeply."),
        ("[]", "names no server."),
        ('{"servers": {"weather": {"command": "python"}}}', "names no server."),
        ({}, "names no server."),
        ('{"mcpServers": ["weather"]}', "names no server."),
        ({"weather": "python server.py"}, "has neither a command nor a url."),
        ({"weather": {"args": ["server.py"]}}, "has neither a command nor a url."),
        ({"weather": {"command": ["python"]}}, "has neither a command nor a url."),
        ({"weather": SERVER | {"type": "sdk"}}, "is of the type sdk, which is for programs."),
        ({"": SERVER}, "has no name."),
        ({"kernel": SERVER}, "The server 'kernel' in"),
        ({"kernel__read": SERVER}, "has a name that is taken."),
        ({"kernel_": SERVER}, "has a name that is taken."),
        ({"kernel.": SERVER}, "has a name that is taken."),
        ({"my server": SERVER, "my.server": SERVER}, "Two servers would be called my_server"),
        ("x" * (MAX_TEXT_BYTES + 1), "which is too large for a list of servers."),
    ],
    ids=lambda value: str(value)[:40],
)
def test_what_is_refused(content: dict[str, Any] | str, complaint: str) -> None:
    """A file that names no server, or one whose tools would pass for ours or another's, is refused with a next step."""
    with pytest.raises(ConfigError) as caught:
        server_files([written("servers.json", content)])
    assert complaint in caught.value.message
    assert "nothing was sent" in caught.value.next_step
    assert "sk-123" not in str(caught.value)


def test_files_that_cannot_be_read(workdir: Path) -> None:
    """A file that is missing, a directory, no text, or a link that leads out of the folder is named, and where it leads."""
    outside = workdir.parent / "outside.json"
    outside.write_text(json.dumps({"mcpServers": {"weather": SERVER}}))
    Path("link.json").symlink_to(outside)
    Path("latin.json").write_bytes(b"\xff\xfe")
    for name, complaint in {
        "missing.json": "There is no file",
        ".": "is a directory",
        "latin.json": "is not text in UTF-8",
        "link.json": f"leads out of its folder, to {outside}",
    }.items():
        with pytest.raises(ConfigError) as caught:
            server_files([name])
        assert complaint in caught.value.message
    assert server_files([str(outside)]).paths == (str(outside),)


def test_two_files() -> None:
    """Files come together; the same one twice counts once, and a server that two of them name is refused."""
    one, other = written("one.json", {"weather": SERVER}), written("other.json", {"prices": SERVER, "kernels": SERVER})
    assert server_files([one, other, f"./{one}"]).paths == (os.path.abspath(one), os.path.abspath(other))
    with pytest.raises(ConfigError, match=r"Two servers would be called weather, in .*one\.json and in .*again\.json"):
        server_files([one, written("again.json", {"weather": SERVER})])


def test_a_process_is_known_by_what_the_files_say(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another content, or another value of a variable that it names, wants another process; nothing else does."""
    monkeypatch.setenv("CITY", "Bern")
    name = written("servers.json", {"weather": SERVER | {"env": {"CITY": "${CITY:-Basel}"}}})
    before = server_files([name])
    monkeypatch.setenv("OTHER", "1")
    assert server_files([name]) == before
    monkeypatch.setenv("CITY", "Chur")
    assert server_files([name]) != before
    assert server_files([]) is NO_FILES


def test_secrets_stay_out() -> None:
    """Values of variables and headers are in no `repr`, and are taken out of what others say."""
    server = SERVER | {"env": {"WORD": "open sesame", "N": "1"}, "headers": {"Authorization": "Bearer open sesame 2"}}
    files = server_files([written("servers.json", {"weather": server})])
    assert "sesame" not in repr(files)
    assert files.without_secrets("1: Bearer open sesame 2, open sesame") == "1: [Authorization], [WORD]"
