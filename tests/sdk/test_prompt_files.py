"""Files in a prompt: text named and fenced, images and PDFs as what they are, errors before anything is sent."""

from __future__ import annotations

import base64
import contextlib
import os
import struct
import zlib
from pathlib import Path
from typing import Any

import pytest
from messages_api import MessagesAPI
from watching import MakeConfig, Run, cli_pids, user_blocks, user_texts

from claude_magic.errors import AttachmentError, ConfigError
from claude_magic.sdk import ClaudeClient, SessionAwareClient
from claude_magic.sdk.content import MAX_TEXT_BYTES, Prompt, check_mentions, content_blocks


def ask_with(run_async: Run, config: Any, files: list[str], prompt: str = "read this") -> None:
    """Ask one prompt with these files."""

    async def ask() -> None:
        async with ClaudeClient(config) as client:
            await client.query(prompt, files=files)

    run_async(ask())


def png() -> bytes:
    """Return a PNG of one red pixel."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0\xff\0\0")
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def test_text_is_named_and_fenced(make_config: MakeConfig, run_async: Run, api: MessagesAPI, workdir: Path) -> None:
    """Each text file stands before the prompt under its name, in a fence that its content does not close."""
    (workdir / "plain.py").write_text("print(1)\n")
    (workdir / "fences.md").write_text("```python\nx\n```\n\n````\ny\n````")
    ask_with(run_async, make_config(), ["plain.py", str(workdir / "fences.md")])
    text = user_texts(api)
    assert "plain.py:\n```\nprint(1)\n```" in text
    assert "fences.md:\n`````\n```python\nx\n```\n\n````\ny\n````\n`````" in text
    assert text.index("plain.py") < text.index("fences.md") < text.rindex("read this")
    assert api.prompts()[-1][-1] == "read this"


def test_kinds_of_text(make_config: MakeConfig, run_async: Run, api: MessagesAPI, workdir: Path) -> None:
    """An empty file, one with a BOM and one with any letters go in as text; a home directory is expanded."""
    (workdir / "empty.txt").write_text("")
    (workdir / "bom.txt").write_text("with BOM", encoding="utf-8-sig")
    (workdir / "ünïcödé 漢字.txt").write_text("漢字 🎈", encoding="utf-8")
    ask_with(run_async, make_config(), [path.name for path in sorted(workdir.iterdir())])
    text = user_texts(api)
    assert "empty.txt:\n```\n```" in text
    assert "bom.txt:\n```\nwith BOM\n```" in text
    assert "ünïcödé 漢字.txt:\n```\n漢字 🎈\n```" in text


def test_images_and_pdfs_are_what_they_are(make_config: MakeConfig, run_async: Run, api: MessagesAPI, workdir: Path) -> None:
    """A PNG goes in as an image block and a PDF as a document block, whatever the file is called."""
    pdf = b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj 2 0 obj<</Type/Pages/Count 0/Kids[]>>endobj\n%%EOF"
    (workdir / "picture.txt").write_bytes(png())
    (workdir / "paper").write_bytes(pdf)
    ask_with(run_async, make_config(), ["picture.txt", "paper"])
    blocks = {block["type"]: block for block in user_blocks(api)}
    assert blocks["image"]["source"]["media_type"] == "image/png"
    assert base64.b64decode(blocks["image"]["source"]["data"]) == png()
    assert blocks["document"]["source"]["media_type"] == "application/pdf"
    assert base64.b64decode(blocks["document"]["source"]["data"]) == pdf


def test_files_that_cannot_go_in(make_config: MakeConfig, run_async: Run, api: MessagesAPI, workdir: Path) -> None:
    """Missing, a directory, too large, binary, broken: an error that names the file, before anything is sent."""
    (workdir / "directory").mkdir()
    (workdir / "large.txt").write_bytes(b"x" * (MAX_TEXT_BYTES + 1))
    (workdir / "binary.bin").write_bytes(b"\x00\xff\xfe" * 50)
    (workdir / "broken.png").write_bytes(png()[:40])
    names = ["missing.txt", "directory", "large.txt", "binary.bin", "broken.png", "directory/missing.txt", "large.txt/x"]

    async def ask() -> None:
        async with ClaudeClient(make_config()) as client:
            for name in names:
                with pytest.raises(AttachmentError, match=name) as caught:
                    await client.query("read this", files=[name])
                assert isinstance(caught.value, ConfigError)
                assert caught.value.next_step
            assert cli_pids() == set()

    run_async(ask())
    assert api.requests == []


@pytest.mark.timeout(60)
def test_pipe_does_not_hang(make_config: MakeConfig, run_async: Run, workdir: Path) -> None:
    """A named pipe is refused; it does not make the program wait for a writer."""
    os.mkfifo(workdir / "pipe")
    keep_open = os.open(workdir / "pipe", os.O_RDWR | os.O_NONBLOCK)
    os.write(keep_open, b"from the pipe")
    try:
        with pytest.raises(AttachmentError, match="pipe"):
            ask_with(run_async, make_config(), ["pipe"])
        with pytest.raises(AttachmentError, match="pipe is not a regular file"):
            ask_with(run_async, make_config(), [], "read @pipe")
    finally:
        os.close(keep_open)


def test_content_of_a_file_expands_nothing(make_config: MakeConfig, run_async: Run, api: MessagesAPI, workdir: Path) -> None:
    """`@path` inside a file stays as it is; the same text typed in the prompt is expanded by the CLI."""
    (workdir / "secret.txt").write_text("the hidden words")
    (workdir / "data.txt").write_text(f"see @secret.txt and @{workdir}/secret.txt")

    async def ask() -> None:
        async with SessionAwareClient(make_config()) as client:
            await client.query_with_session("read this", files=["data.txt"])
            assert "@secret.txt" in user_texts(api)
            assert "the hidden words" not in str(api.requests)
            await client.query_with_session("read @secret.txt", files=["data.txt"])
            assert "the hidden words" in str(api.requests[-1])

    run_async(ask())


def test_command_in_a_file_is_text(make_config: MakeConfig, run_async: Run, api: MessagesAPI, workdir: Path) -> None:
    """A file that begins with a slash command runs nothing; a typed one is run by the CLI, also with a file beside it."""
    (workdir / "data.txt").write_text("/context\n@data.txt\n/clear")
    ask_with(run_async, make_config(), ["data.txt"])
    assert "data.txt:\n```\n/context\n@data.txt\n/clear\n```" in user_texts(api)
    api.requests.clear()
    ask_with(run_async, make_config(), ["data.txt"], "/context")
    assert api.requests == []


def test_files_in_every_way_to_ask(make_config: MakeConfig, run_async: Run, api: MessagesAPI, workdir: Path) -> None:
    """stream_query and stream_events take files as query does."""
    (workdir / "data.txt").write_text("the data")

    async def ask() -> None:
        async with ClaudeClient(make_config()) as client:
            assert "".join([text async for text in client.stream_query("go", files=["data.txt"])]) == "You said: go"
            assert [event async for event in client.stream_events("go", files=["data.txt"])]

    run_async(ask())
    assert ["the data" in str(request["messages"]) for request in api.requests] == [True, True]


LINKS = ["link.txt", "directory/data.txt", "data/../link.txt"]


@pytest.fixture
def linked(workdir: Path, tmp_path: Path) -> Path:
    """A directory outside, to which links lead."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "data.txt").write_text("the hidden words")
    (workdir / "link.txt").symlink_to(outside / "data.txt")
    (workdir / "directory").symlink_to(outside)
    (workdir / "data").mkdir()
    (workdir / "data" / "real.txt").write_text("the open words")
    (workdir / "data" / "inside.txt").symlink_to("real.txt")
    return outside


def test_links_that_lead_out(make_config: MakeConfig, run_async: Run, api: MessagesAPI, workdir: Path, linked: Path) -> None:
    """A link out of the directory is followed neither as a file nor as `@path`; the error names what to give instead."""
    below = linked / "below"
    below.mkdir()
    (below / "up.txt").symlink_to("../data.txt")

    async def ask() -> None:
        async with ClaudeClient(make_config()) as client:
            for name in (*LINKS, str(below / "up.txt")):
                with pytest.raises(AttachmentError, match=r"leads out of its folder, to .*/outside/data.txt"):
                    await client.query("read this", files=[name])
            for mention in (
                "@link.txt",
                'read @"link.txt"',
                "@link.txt#L1-2",
                "is it @link.txt?",
                "(@directory)",
                "a\n@directory/",
                'look @"link.txt "',
                'look @" link.txt"',
                "look @link.txt\ufeffx",
                "/explain link.txt please",
            ):
                with pytest.raises(AttachmentError, match=r"leads out of its folder, to .*/outside"):
                    await client.query(mention)
            assert api.requests == []
            await client.query(f"read @{linked}/data.txt, not a@link.txt", files=["data/inside.txt"])

    run_async(ask())
    assert "the hidden words" in str(api.requests[-1])
    assert "the open words" in str(api.requests[-1])


@pytest.mark.parametrize("mention", ["@s/f.txt", '@"s/f.txt"', "@s/f.txt#L1-2", "@s"])
def test_mentions_with_which_more_would_be_loaded(mention: str, workdir: Path) -> None:
    """Where a person must agree to what subfolders hold, no mention lets the CLI load it; else it is the person's word."""
    (workdir / "s/.claude/rules").mkdir(parents=True)
    for name in ("s/f.txt", "s/.claude/rules/r.md", "g.txt"):
        (workdir / name).write_text("x")
    check_mentions(Prompt(f"Read {mention}"), str(workdir))
    check_mentions(Prompt("Read @g.txt"), str(workdir), asks_below=True)
    with pytest.raises(AttachmentError, match=r"s/\.claude, which nobody has approved"):
        check_mentions(Prompt(f"Read {mention}"), str(workdir), asks_below=True)


def test_links_inside_a_repository(make_config: MakeConfig, run_async: Run, api: MessagesAPI, workdir: Path) -> None:
    """Links stay inside when they lead to another place of the same git repository, as those of an annex do."""
    (workdir / ".git" / "annex").mkdir(parents=True)
    (workdir / ".git" / "annex" / "data").write_text("the open words")
    (workdir / "data").mkdir()
    (workdir / "data" / "link.txt").symlink_to("../.git/annex/data")
    ask_with(run_async, make_config(), [str(workdir / "data" / "link.txt")])
    assert "the open words" in user_texts(api)


@pytest.mark.skipif(not Path("/proc/kmsg").exists(), reason="a file of Linux")
@pytest.mark.parametrize("name", ["/proc/kmsg", "/proc/self/pagemap", "/dev/zero", "a\0b", "~a\0b", "\ud800", "~\ud800"])
def test_files_without_an_end(name: str, workdir: Path) -> None:
    """Files that have no end, or wait for news, and names that no file can have, end in an error or in text, at once."""
    with contextlib.suppress(AttachmentError):
        content_blocks([name], str(workdir))
