"""What a card says that an Edit makes of a file is what the CLI makes of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import nbformat
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


@pytest.mark.parametrize(
    ("arguments", "before", "after"),
    [
        ({"cell_id": "aa", "new_source": "y = 2"}, "x = 1\n2\n", "y = 2\n"),
        ({"cell_id": "cell-1", "new_source": "y = 2"}, "z\n", "y = 2\n"),
        ({"cell_id": "aa", "new_source": "", "edit_mode": "delete"}, "x = 1\n2\n", ""),
    ],
)
def test_cells_that_are_replaced(
    arguments: dict[str, str], before: str, after: str, make_config: MakeConfig, run_async: Run, workdir: Path
) -> None:
    """A NotebookEdit changes the cell that is shown, from the source that is shown to the one that is shown."""
    path = workdir / "n.ipynb"
    sources = {"aa": "x = 1\n2", "bb": "z"}
    nbformat.write(
        nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(text, id=id_) for id_, text in sources.items()]), path
    )
    call = {"notebook_path": str(path), **arguments}
    shown = replaced_file(PermissionRequest("call", "NotebookEdit", call, str(workdir), None, ()))
    assert isinstance(shown, ReplacedFile)
    assert (shown.before, shown.after) == (before, after)
    prompt = f"<<tool Read {json.dumps({'file_path': str(path)})}>><<tool NotebookEdit {json.dumps(call)}>><<say done>>"

    async def edit() -> None:
        async with ClaudeClient(make_config(permission_mode="acceptEdits")) as client:
            await client.query(prompt)

    run_async(edit())
    there = [f"{cell.source}\n" for cell in nbformat.read(path, as_version=4).cells]
    expected = [after if f"{source}\n" == before else f"{source}\n" for source in sources.values()]
    assert there == [source for source in expected if source]


@pytest.mark.parametrize("call", [{"cell_id": "cc"}, {"cell_id": "cell-9"}, {"cell_id": 1}, {"notebook_path": "no.ipynb"}, {}])
def test_cells_that_are_not_found(call: dict[str, Any], workdir: Path) -> None:
    """If the cell cannot be found, that is said."""
    nbformat.write(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("x", id="aa")]), workdir / "n.ipynb")
    asked = {"notebook_path": "n.ipynb", "new_source": "y", **call}
    assert "cannot be read" in str(replaced_file(PermissionRequest("call", "NotebookEdit", asked, str(workdir), None, ())))


def test_a_byte_order_mark_stays(make_config: MakeConfig, run_async: Run, workdir: Path) -> None:
    """A Write over a file with a byte order mark keeps the mark, and so does what is shown."""
    (path := workdir / "a.py").write_bytes(b"\xef\xbb\xbfx = 1\n")
    call = {"file_path": str(path), "content": "y = 2\n"}
    shown = replaced_file(PermissionRequest("call", "Write", call, str(workdir), None, ()))

    async def write() -> None:
        async with ClaudeClient(make_config(permission_mode="acceptEdits")) as client:
            read = f"<<tool Read {json.dumps({'file_path': str(path)})}>>"
            await client.query(f"{read}<<tool Write {json.dumps(call)}>><<say done>>")

    run_async(write())
    assert isinstance(shown, ReplacedFile)
    assert path.read_bytes().decode() == shown.after == "\ufeffy = 2\n"
