"""HTML as Claude reads it: its text, its tables as Markdown, a word for each image; no scripts, styles or hidden parts."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Final

import nh3

from claude_magic._kernel.values.dataframes import markdown_table

MAX_HTML_CHARACTERS: Final = 100_000
"""The most characters of one document that are read; more would take longer than a person waits."""

_DEEPEST: Final = 20
"""The deepest nesting of tables in tables that is read."""

_SKIPPED: Final = {"script", "style", "title", "template", "noscript", "svg", "math", "select", "textarea", "iframe"}
_OPEN_ENDED: Final = {"br", "img", "hr"}
"""Elements that have no end tag."""

_BLOCKS: Final = {
    *("address", "article", "aside", "blockquote", "br", "caption", "dd", "details", "div", "dl", "dt", "fieldset"),
    *("figure", "footer", "form", "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "legend", "main", "nav", "ol", "p"),
    *("figcaption", "section", "summary", "tbody", "tfoot", "thead", "tr", "ul"),
}
_READ: Final = {*_BLOCKS, "table", "td", "th", "img", "li", "pre", "span"}
_ATTRIBUTES: Final = {"*": {"hidden", "style"}, "td": {"colspan"}, "th": {"colspan"}, "img": {"alt"}}
_HIDDEN: Final = re.compile(r"display\s*:\s*none|visibility\s*:\s*hidden", re.IGNORECASE)
_NO_TEXT: Final = re.compile(r"<(script|style)\b.*?(?:</\1\s*>|\Z)|<!--.*?(?:-->|\Z)", re.IGNORECASE | re.DOTALL)
_BLANKS: Final = re.compile(r"[ \t\r\f\v\n\xa0]+")


def text_of_html(html: str, room: int = MAX_HTML_CHARACTERS) -> str:
    """Return the text of HTML that a person would see; at most `room` characters, without scripts and styles, are read."""
    # Scripts and styles are removed before the cut: often they are the larger part of what a library writes.
    begun = _NO_TEXT.sub("", html[: 20 * MAX_HTML_CHARACTERS])[:room]
    reader = _Reader()
    # nh3 first: for malformed HTML the parser of Python 3.11 needs time that grows with the square of its length.
    reader.feed(nh3.clean(begun, tags=_READ, clean_content_tags=_SKIPPED, attributes=_ATTRIBUTES, link_rel=None))
    reader.close()
    return reader.text()


class _Table:
    """A table while it is read: rows of cells, each a list of texts."""

    def __init__(self) -> None:
        self.rows: list[list[list[str]]] = []
        self.span = 1

    def markdown(self, *, is_inner: bool) -> str:
        if is_inner:  # inside a cell of another table, which must stay on one line
            return " ".join(filter(None, (" ".join("".join(cell).split()) for row in self.rows for cell in row)))
        rows = [[" ".join("".join(cell).split()) for cell in row] for row in self.rows if row]
        if not any(any(row) for row in rows):
            return ""
        width = max(map(len, rows))
        header, *others = [[*row, *[""] * (width - len(row))] for row in rows]
        return markdown_table(header, others)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self._pieces: list[str] = []
        self._tables: list[_Table] = []
        self._hidden: list[str] = []
        """The open elements from the outermost hidden one inwards."""
        self._verbatim = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        about = dict(attrs)
        if self._hidden or "hidden" in about or _HIDDEN.search(about.get("style") or ""):
            self._hidden += [] if tag in _OPEN_ENDED else [tag]
            return
        match tag:
            case "table" if len(self._tables) < _DEEPEST:
                self._write("\n\n")
                self._tables.append(_Table())
            case "tr" if self._tables:
                self._tables[-1].rows.append([])
            case "td" | "th" if self._tables:
                table = self._tables[-1]
                table.rows = table.rows or [[]]
                table.rows[-1].append([])
                span = about.get("colspan") or "1"
                table.span = min(int(span), 100) if span.isdecimal() else 1
            case "img":
                alt = " ".join((about.get("alt") or "").split())
                self._write(f"[image: {alt}]" if alt else "[image]")
            case "li":
                self._write("\n- ")
            case "pre":
                self._verbatim += 1
                self._write("\n")
            case _ if tag in _BLOCKS:
                self._write("\n")

    def handle_endtag(self, tag: str) -> None:
        if self._hidden:
            if tag in self._hidden:
                del self._hidden[len(self._hidden) - 1 - self._hidden[::-1].index(tag) :]
            return
        match tag:
            case "table" if self._tables:
                self._end_table()
            case "td" | "th" if self._tables and self._tables[-1].rows:
                table = self._tables[-1]
                table.rows[-1] += [[] for _ in range(table.span - 1)]
                table.span = 1
            case "pre":
                self._verbatim = max(0, self._verbatim - 1)
                self._write("\n")
            case _ if tag in _BLOCKS:
                self._write("\n")

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            # Blanks in `pre` become no-break spaces until `text()`. In other text, `_BLANKS` removes those.
            self._write(data.replace(" ", "\xa0") if self._verbatim else _BLANKS.sub(" ", data))

    def _write(self, text: str) -> None:
        for table in reversed(self._tables):
            if table.rows and table.rows[-1]:
                table.rows[-1][-1].append(text)
                return
            text = text.strip()  # text between cells, such as a caption
        if text:
            self._pieces.append(text)

    def _end_table(self) -> None:
        table = self._tables.pop()
        self._write(f"\n\n{table.markdown(is_inner=bool(self._tables))}\n\n")

    def text(self) -> str:
        while self._tables:
            self._end_table()
        lines = (re.sub(" +", " ", line).strip(" ").replace("\xa0", " ") for line in "".join(self._pieces).split("\n"))
        return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip("\n")
