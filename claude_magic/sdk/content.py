"""The content of a prompt: its text, and its files. A text file becomes fenced text with its name, an image an image block.

Files come before the text. The CLI (2.1.331) looks for `@paths` and slash commands only in the last block of a message, so
nothing in a file is expanded, but what a person typed is.
"""

from __future__ import annotations

import base64
import codecs
import os
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from claude_magic._paths import outside, place_of, regular, shorten_home, with_home
from claude_magic._text import well_formed_data
from claude_magic.errors import AttachmentError, ConfigError
from claude_magic.sdk._folder.contents import loaded_below
from claude_magic.sdk._folder.git_settings import git_programs
from claude_magic.sdk._images import fitted

_CHECK_PATH = "Check the path; nothing was sent."
_MENTION = re.compile(r'(?<![A-Za-z0-9_.+-])@(?:"([^"]+)"|([^\s\ufeff]+))')
_BLANK = re.compile(r"\A[\s\ufeff]+|[\s\ufeff]+\Z")
"""What the CLI (2.1.332) leaves out around a quoted path: to JavaScript, U+FEFF is white space."""
_WITHOUT_GIT = ("/compact", "/context", "/cost", "/usage")
"""Commands of the CLI (2.1.332) that run no program."""
_AFTER_NAME = re.compile(r"(?<!\W)\W+\Z")

CONTEXT_TAG = "prompt-context"
"""The tag around the context of a prompt."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """A text, or content blocks. In `verbatim` text no `@path` and no slash command is expanded.

    `context` is sent before it for Claude to read. It is not part of the prompt: transcripts and cassettes find a turn
    without it.
    """

    content: str | list[dict[str, Any]]
    verbatim: bool = False
    context: str = ""

    def __post_init__(self) -> None:
        # The API refuses a request that holds half of a surrogate pair.
        object.__setattr__(self, "content", well_formed_data(self.content))
        object.__setattr__(self, "context", well_formed_data(self.context))

    @property
    def message(self) -> str | list[dict[str, Any]]:
        """The content of the message that is sent: the context, as a text of its own, and the prompt."""
        if not self.context:
            return self.content
        blocks = [{"type": "text", "text": self.content}] if isinstance(self.content, str) else self.content
        inside = self.context.replace(f"</{CONTEXT_TAG}", f"<\\/{CONTEXT_TAG}")
        return [{"type": "text", "text": f"<{CONTEXT_TAG}>\n{inside}\n</{CONTEXT_TAG}>"}, *blocks]

    @property
    def text(self) -> str:
        """The text of the prompt, without images and PDFs."""
        if isinstance(self.content, str):
            return self.content
        return "\n\n".join(block["text"] for block in self.content if block["type"] == "text")

    @property
    def own_text(self) -> str:
        """The last text, in which the CLI (2.1.332) looks for `@paths` and for a slash command at the beginning."""
        return self.content if isinstance(self.content, str) else str(self.content[-1].get("text", ""))

    @property
    def begins_command(self) -> bool:
        """Whether the CLI takes the prompt for a slash command."""
        return not self.verbatim and self.own_text.lstrip().startswith("/")


MAX_TEXT_BYTES = 1024 * 1024
"""The limit of a text file: about 250,000 tokens, more than most models read at once."""

MAX_IMAGE_FILE_BYTES = 100 * 1024 * 1024
"""The limit of a file with an image; the image is shrunk to what the API takes."""

MAX_PDF_BYTES = 24 * 1024 * 1024
"""The limit of a PDF: base64 makes it a third larger, and a request may have 32 MB."""

_WEBP = "image/webp"
# First bytes of a file, its media type: a file's name may be wrong.
_IMAGES = {b"\x89PNG\r\n\x1a\n": "image/png", b"\xff\xd8\xff": "image/jpeg", b"GIF87a": "image/gif", b"GIF89a": "image/gif"}


def content_blocks(
    files: Iterable[str | os.PathLike[str]], directory: str, remark: Callable[[str], object] = lambda said: None
) -> list[dict[str, Any]]:
    """Return a content block for each file; relative paths are looked for in `directory`.

    :param remark: is told what was changed in a file, such as that a large image was shrunk.
    :raises AttachmentError: for a file that is missing, not a file, too large, or of a kind that Claude does not read, and for
        a link that leads out of its folder.
    """
    return [_block(Path(directory, with_home(os.fspath(file))), directory, remark) for file in files]


def check_mentions(prompt: Prompt, directory: str, *, asks_below: bool = False) -> None:
    """Refuse an `@path` that is a link out of the directory, or neither a file nor a directory, such as a pipe.

    :param asks_below: also refuse a path with which the CLI would load files of a subfolder: it calls no hook that could ask.
    :raises AttachmentError: if the prompt has one.
    """
    if prompt.verbatim:
        return
    # A slash command may hold `@$1`. The CLI (2.1.332) ignores punctuation after a path.
    arguments = [("", word) for word in prompt.own_text.split()[1:]] if prompt.begins_command else []
    for quoted, bare in (*_MENTION.findall(prompt.own_text), *arguments):
        for named in (
            {quoted, _BLANK.sub("", quoted)}
            if quoted
            else {bare, bare.partition("#")[0], _AFTER_NAME.sub("", bare.partition("#")[0])}
        ):
            path = os.path.join(directory, with_home(named))
            if os.path.exists(path):
                refuse_outside(path, place_of(path, directory))
                if not (os.path.isfile(path) or os.path.isdir(path)):  # the CLI (2.1.332) would wait for it
                    raise _no_file(path)
                inside = os.path.join(path, "x") if os.path.isdir(path) else path
                places = (os.path.normpath(inside), os.path.realpath(inside)) if asks_below else ()
                if loaded := loaded_below(places, os.path.realpath(directory)):
                    raise AttachmentError(
                        f"With @{named} Claude Code loads {', '.join(map(shorten_home, loaded))}, which nobody has approved.",
                        next_step="Attach the file instead, or let Claude read it, which asks you; nothing was sent.",
                    )


def check_command(prompt: Prompt, directory: str) -> None:
    """Refuse a slash command in a folder where git would run programs.

    The CLI (2.1.332) runs the shell commands of a slash command unasked; those of `/security-review` call git.

    :raises ConfigError: if the prompt is one, and there are such programs.
    """
    if not prompt.begins_command or prompt.own_text.split()[0] in _WITHOUT_GIT:
        return
    if place := next(iter(git_programs(directory, only_looks=False)), ""):
        raise ConfigError(
            f"A /command may call git, which could run programs of this folder: {shorten_home(place)} says so.",
            next_step="If that is harmless, trust the folder. Nothing was sent.",
        )


def _no_file(path: str | os.PathLike[str]) -> AttachmentError:
    shown = shorten_home(os.fspath(path))
    return AttachmentError(f"{shown} is not a regular file.", next_step="Copy its content into a regular file.")


def refuse_outside(path: str, folder: str) -> None:
    """Refuse a path that leads out of a folder.

    :raises AttachmentError: if it does; the message names the path that would be read.
    """
    if target := outside(path, folder):
        raise AttachmentError(
            f"{shorten_home(path)} leads out of its folder, to {shorten_home(target)}.",
            next_step="Give that path itself if Claude should read it; nothing was sent.",
        )


def file_data(path: Path, directory: str, limit_bytes: int, image_limit_bytes: int = 0) -> tuple[bytes, int]:
    """Return the content of a regular file, up to one byte more than the limit, and its size in bytes.

    :param directory: a link in it may lead to any of its files, a link elsewhere only to files of the link's own folder.
    :param image_limit_bytes: the limit of an image, if that is higher.
    :raises AttachmentError: for a file that is missing, not a file, or a link that leads out of its folder.
    """
    shown = shorten_home(str(path))
    if "\0" in shown:
        raise AttachmentError("A file name holds a null character.", next_step=_CHECK_PATH)
    try:
        refuse_outside(str(path), place_of(str(path), directory))
        if path.is_dir():
            raise AttachmentError(f"{shown} is a directory.", next_step="Name the files in it that Claude should read.")
        if path.exists() and not path.is_file():
            raise _no_file(path)
        # Reading some files below /proc would wait for ever, and their size is given as 0.
        with open(path, "rb", opener=regular) as file:
            size = os.fstat(file.fileno()).st_size
            data = file.read(limit_bytes + 1) or b""
            if image_limit_bytes and media_type_of(data) in (_WEBP, *_IMAGES.values()):
                data += file.read(image_limit_bytes + 1 - len(data)) or b""
    except FileNotFoundError as error:
        raise AttachmentError(f"There is no file {shown}.", next_step=_CHECK_PATH) from error
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise AttachmentError(f"{shown} cannot be read: {reason}.", next_step="Nothing was sent.") from error
    return data, max(size, len(data))


def _block(path: Path, directory: str, remark: Callable[[str], object]) -> dict[str, Any]:
    shown = shorten_home(str(path))
    data, size = file_data(path, directory, max(MAX_TEXT_BYTES, MAX_PDF_BYTES), MAX_IMAGE_FILE_BYTES)
    media_type = media_type_of(data)
    if media_type == "application/pdf":
        check_size(shown, size, MAX_PDF_BYTES)
        return _encoded("document", media_type, data)
    if media_type is not None:
        check_size(shown, size, MAX_IMAGE_FILE_BYTES)
        image = fitted(shown, data)
        if image.change:
            remark(f"{path.name} {image.change}.")
        return _encoded("image", image.media_type, image.data)
    check_size(shown, size, MAX_TEXT_BYTES)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        kinds = "Claude reads text in UTF-8, PNG, JPEG, GIF, WebP and PDF; nothing was sent."
        if b"\0" not in data or data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise AttachmentError(f"{shown} is not text in UTF-8.", next_step=f"Save it as UTF-8. {kinds}") from error
        raise AttachmentError(f"{shown} is neither text nor an image nor a PDF.", next_step=kinds) from error
    return {"type": "text", "text": fenced(path.name, text)}


def _encoded(kind: str, media_type: str, data: bytes) -> dict[str, Any]:
    source = {"type": "base64", "media_type": media_type, "data": base64.b64encode(data).decode()}
    return {"type": kind, "source": source}


def fenced(name: str, text: str) -> str:
    """Return a text as a named, fenced block, with a fence that the text does not hold."""
    longest = max((len(run) for run in re.findall(r"`{3,}", text)), default=2)
    fence = "`" * (longest + 1)
    end = "" if text.endswith("\n") or not text else "\n"
    return f"{name}:\n{fence}\n{text}{end}{fence}"


def media_type_of(data: bytes) -> str | None:
    """Recognise a PDF, or an image that Claude reads, by its first bytes."""
    if data.startswith(b"%PDF-"):
        return "application/pdf"
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _WEBP
    return next((media_type for start, media_type in _IMAGES.items() if data.startswith(start)), None)


def check_size(shown: str, size_bytes: int, limit_bytes: int) -> None:
    """Refuse a file that is too large.

    :raises AttachmentError: if it is larger than the limit.
    """
    if size_bytes > limit_bytes:
        raise AttachmentError(
            f"{shown} has {size_bytes / 1e6:.1f} MB; the limit is {limit_bytes / 1e6:.1f} MB.",
            next_step="Send a part of it, or let Claude read it with its own tools.",
        )
