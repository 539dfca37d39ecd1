"""What a card says that an Edit makes of a file is what the CLI makes of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from watching import MakeConfig, Run

from claude_magic._render.live.replaced_file import NOT_IN_FILE, ReplacedFile, replaced_file
from claude_magic.sdk import ClaudeClient
from claude_magic.sdk.host import PermissionRequest

EDITS: list[tuple[str, str, str, dict[str, Any]]] = [
    ("a\nb\nc\n", "b", "x \t\u3000\n y\u200b \nz\u2028", {}),
    ("a b c\n", "b", " ", {}),
    ("a\nb\nc\n", "b", "", {}),
    ("ab\nc\n", "b", "", {}),
    ("# check\ntouch mark\n", "check\n", "", {}),
    ("a\nb", "b", "", {}),
    ("b x b\nb\n", "b", "", {"replace_all": True}),
    ("b x b\nb\n", "b", "$&", {"replace_all": "true"}),
    ("a\r\nb\r\n", "a\nb", "c\nd", {}),
    ("a\n\u2028b\n", "b", "c", {}),
]

REFUSED: list[tuple[str, str, str, dict[str, Any]]] = [("b b\n", "b", "c", {}), ("a\n", "b", "c", {}), ("a\n", "", "b", {})]


def requested(path: Path, old: str, new: str, more: dict[str, Any]) -> PermissionRequest:
    arguments = {"file_path": str(path), "old_string": old, "new_string": new, **more}
    return PermissionRequest("call", "Edit", arguments, str(path.parent), None, ())


def test_edits_as_the_cli_makes_them(make_config: MakeConfig, run_async: Run, workdir: Path) -> None:
    """The text that is shown as the result of an edit is the one on disk afterwards; a refused edit has none."""
    said, prompt = [], ""
    for number, (text, old, new, more) in enumerate((*EDITS, *REFUSED)):
        (path := workdir / f"{number}.py").write_bytes(text.encode())
        said.append(replaced_file(request := requested(path, old, new, more)))
        prompt += f"<<tool Read {json.dumps({'file_path': str(path)})}>><<tool Edit {json.dumps(request.input)}>>"

    async def edit() -> None:
        async with ClaudeClient(make_config(permission_mode="acceptEdits")) as client:
            await client.query(f"{prompt}<<say done>>")

    run_async(edit())
    made = [(workdir / f"{number}.py").read_bytes().decode().replace("\r\n", "\n") for number in range(len(said))]
    foreseen = [each.after if isinstance(each, ReplacedFile) else each for each in said]
    assert foreseen == [*made[: len(EDITS)], *[NOT_IN_FILE] * len(REFUSED)]
    assert made[len(EDITS) :] == [text for text, *_ in REFUSED]


@pytest.mark.parametrize(
    ("content", "remark"),
    [
        ("a“q”b".encode(), "similar text"),
        (b"x" * 600_000, "similar text"),
        (b'"q"' + b"x" * 600_000, "too large"),
        (b'\xff"q"', "no text"),
        (b'"q"\r\nx\n', "two kinds of line ends"),
    ],
)
def test_edits_that_are_not_foreseen(content: bytes, remark: str, workdir: Path) -> None:
    """Where the CLI looks for a similar text, or changes other line ends, too, the result is not known, and that is said."""
    (path := workdir / "a.py").write_bytes(content)
    assert remark in str(replaced_file(requested(path, '"q"', "z", {})))
