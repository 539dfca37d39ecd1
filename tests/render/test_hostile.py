"""No text of a model or a tool becomes anything but text."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import mistune
import pytest
from markdown_it import MarkdownIt
from payloads import PAYLOADS
from replies import called, image, reply, said, thought

from claude_magic._render.parts.markdown_html import text_html
from claude_magic._render.parts.safe_markdown import text_markdown
from claude_magic._render.parts.style_sheet import settled_rules
from claude_magic._render.settled.reply import SettledReply, reply_bundle, reply_html, reply_markdown, reply_plain
from claude_magic.errors import APIError
from claude_magic.sdk.events import Notice, SessionStarted, TurnEnded
from claude_magic.sdk.response import SessionAwareResponse

HEADINGS = {"h1", "h2", "h3", "h4", "h5", "h6"}
LISTS = {"li", "ol", "ul"}
TABLES = {"table", "tbody", "td", "th", "thead", "tr"}
WRITTEN = {"details", "kbd", "sub", "summary", "sup"}
MARKS = {"a", "b", "br", "code", "em", "i", "s", "span", "strong"}
PROSE = {"blockquote", "hr", "p", "pre"} | MARKS | HEADINGS | LISTS | TABLES | WRITTEN
CHROME = PROSE | {"div", "img"}
ATTRIBUTES = {
    "a": {"href", "title", "rel"},
    "ol": {"start"},
    "td": {"style"},
    "th": {"style"},
    "img": {"src", "alt", "style"},
    **{tag: {"class", "style"} for tag in ("b", "code", "details", "div", "h4", "p", "pre", "span")},
}
OURS = {declaration for rule in settled_rules().values() for declaration in rule.split(";")}
LINK = re.compile(r"(https?://|mailto:)[^\s\"<>`]+", re.IGNORECASE)
IMAGE = re.compile(r"data:image/(png|jpeg|gif|webp);base64,[A-Za-z0-9+/]+={0,2}")
HTML_ON = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])


class Elements(HTMLParser):
    """Reads HTML as leniently as the standard library can, and keeps what is not allowed and what the code says."""

    def __init__(self, html: str, allowed: set[str]) -> None:
        super().__init__(convert_charrefs=True)
        self.allowed = allowed
        self.refused: list[str] = []
        self.code: list[str] = []
        self._open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._open.append(tag)
        if tag not in self.allowed:
            self.refused.append(tag)
        if tag == "pre":
            self.code.append("")
        for name, value in attrs:
            if name not in ATTRIBUTES.get(tag, ()) or not self._is_fine(tag, name, value or ""):
                self.refused.append(f"{tag} {name}={value}")

    def handle_endtag(self, tag: str) -> None:
        while self._open and self._open.pop() != tag:
            pass

    def handle_data(self, data: str) -> None:
        if "pre" in self._open:
            self.code[-1] += data

    def handle_comment(self, data: str) -> None:
        self.refused.append(f"<!--{data}")

    def handle_decl(self, decl: str) -> None:
        self.refused.append(f"<!{decl}")

    def handle_pi(self, data: str) -> None:
        self.refused.append(f"<?{data}")

    def unknown_decl(self, data: str) -> None:
        self.refused.append(f"<![{data}")

    @staticmethod
    def _is_fine(tag: str, name: str, value: str) -> bool:
        match name:
            case "href":
                return LINK.fullmatch(value) is not None
            case "src":
                return IMAGE.fullmatch(value) is not None
            case "style":
                ours = set(value.split(";")) <= OURS
                return ours or re.fullmatch(r"text-align:(left|right|center);?", value) is not None
            case "class":
                return re.fullmatch(r"[a-z0-9 -]*", value) is not None and "jp-" not in value
            case _:
                return True


def assert_inert_markdown(markdown: str) -> None:
    """Read Markdown with two parsers that let raw HTML through: one keeps to the specification, one uses regexes."""
    tokens = HTML_ON.parse(markdown)
    outside = re.sub(r"^(`{3,}).*?^\1$", "", markdown, flags=re.MULTILINE | re.DOTALL)
    assert "<" not in re.sub("<span>&#(36|92);</span>", "", outside)
    for token in [inner for outer in tokens for inner in (outer, *(outer.children or ()))]:
        assert token.type not in ("html_block", "image"), token.content
        assert token.type != "html_inline" or token.content in ("<span>", "</span>"), token.content
        if token.type == "link_open":
            assert LINK.fullmatch(str(token.attrs["href"])), token.attrs
        assert re.fullmatch("[a-z0-9]*", token.info) or token.type == "link_open" or token.type == "link_close", token.info
    rendered = HTML_ON.render(markdown), str(mistune.html(markdown))
    for html in rendered:
        elements = Elements(html.replace(' align="', ' data-align="').replace(" data-align=", " class="), PROSE | {"del"})
        assert elements.refused == []


def everywhere(text: str) -> list[SessionAwareResponse]:
    """Put a text into every place of a reply that holds text from outside."""
    return [
        said(text),
        said(f"- {text}"),
        said(f"> {text}"),
        said(f"before {text} after"),
        said(f"| a |\n|---|\n| {text} |"),
        said(f"[{text}](https://x.example)"),
        said(f"[pwn]({text})"),
        said(f"```\n{text}\n```\n{text}"),
        said(f"`{text}`"),
        thought(text),
        called("Bash", {"command": text, "description": text}, text),
        called("Edit", {"file_path": text, "old_string": text, "new_string": text}, text, is_error=True),
        called("Write", {"file_path": f"{text}.py", "content": text}, text, denied=True),
        called(f"mcp__{text}__{text}", {text: text, "nested": {"a": [text]}}, text),
        called("mcp__kernel__run_code", {"code": text}, text, images=(image(text), image("image/png", text))),
        reply(Notice(text), SessionStarted(text, text), TurnEnded(text, False, text, text, 1.0, model=text)),
    ]


@pytest.mark.parametrize("payload", PAYLOADS)
def test_html_holds_only_listed_tags_attributes_and_schemes(payload: str) -> None:
    """Wherever hostile text stands, the settled HTML holds listed tags, attributes and link schemes only."""
    for response in everywhere(payload):
        elements = Elements(reply_html(SettledReply(response, 1, APIError(payload, stderr=payload))), CHROME)
        assert elements.refused == []
    assert Elements(text_html(payload), PROSE).refused == []


@pytest.mark.parametrize("payload", PAYLOADS)
def test_markdown_is_harmless_where_raw_html_runs(payload: str) -> None:
    """Wherever hostile text stands, parsers that allow raw HTML find none in the Markdown, nor images or bad links."""
    for response in everywhere(payload):
        assert_inert_markdown(reply_markdown(SettledReply(response, 1, APIError(payload))))


@pytest.mark.parametrize("payload", PAYLOADS)
def test_plain_text_keeps_no_control_sequence(payload: str) -> None:
    """Plain text holds no control character but newline and tab."""
    for response in everywhere(f"\x1b[2J\x9b31m{payload}\x07\r"):
        plain = reply_plain(SettledReply(response, 1, APIError(payload)))
        assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", plain)


@pytest.mark.parametrize("payload", PAYLOADS)
def test_a_fence_shows_its_text_exactly(payload: str) -> None:
    """What stands in a code fence is shown as it was written, in HTML and in Markdown, also in lists and quotes.

    Markdown is also read in a terminal, so controls are spelled out there.
    """
    code = re.sub(r"\r\n?", "\n", payload).replace("\0", "\ufffd") + "\n"
    fence = "`" * (2 + max(map(len, re.findall("`+", payload)), default=1))
    written = f"{fence}\n{code}{fence}\n"
    for prefix, opening in (("", ""), ("  ", "- "), ("> ", "> ")):
        markdown = re.sub("^", prefix, written, flags=re.MULTILINE).replace(prefix, opening, 1)
        assert Elements(text_html(markdown), PROSE).code == [code]
        fences = [token for token in HTML_ON.parse(text_markdown(markdown)) if token.type == "fence"]
        seen = re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", lambda control: f"\\x{ord(control[0]):02x}", code)
        assert [(token.content, token.level) for token in fences] == [(seen, 0)]


@pytest.mark.parametrize("markdown", ["<b>", "[a](javascript:x)", "![a](https://x.example)", "- ```\n<img>\n  ```"])
def test_the_check_finds_what_is_hostile(markdown: str) -> None:
    """The check of this module refuses Markdown that is not harmless."""
    with pytest.raises(AssertionError):
        assert_inert_markdown(markdown)


def test_the_corpus_is_broad() -> None:
    """The corpus holds at least 150 different texts."""
    assert len(set(PAYLOADS)) == len(PAYLOADS) >= 150


@pytest.mark.parametrize("media_type", ["image/svg+xml", "text/html", "image/png,<script>", "IMAGE/PNG"])
def test_only_raster_images_are_shown(media_type: str) -> None:
    """An image that is not PNG, JPEG, GIF or WebP is named and not shown."""
    html = reply_html(SettledReply(called("Read", {}, "", images=(image(media_type),))))
    assert "<img" not in html
    assert "is not shown" in html


def test_an_image_must_be_base64() -> None:
    """An image whose data are not base64 is not shown."""
    html = reply_html(SettledReply(called("Read", {}, "", images=(image("image/png", 'AAAA" onerror="pwn'),))))
    assert "<img" not in html


def test_the_bundle_holds_three_forms() -> None:
    """A settled reply is stored as HTML, Markdown and plain text."""
    assert set(reply_bundle(SettledReply(said("hello"), 1))) == {"text/html", "text/markdown", "text/plain"}
