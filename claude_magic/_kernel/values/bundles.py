"""What a notebook displays, as Claude reads it: the text and the image of a display bundle, which holds several forms.

The most informative form wins: the spec of a chart before its `repr`; HTML's text and tables if the `repr` tells nothing.
"""

from __future__ import annotations

import array
import base64
import binascii
import json
import re
from collections.abc import Mapping
from typing import Any, Final

from claude_magic._kernel.values.html_text import MAX_HTML_CHARACTERS, text_of_html
from claude_magic.errors import AttachmentError
from claude_magic.sdk._images import fitted
from claude_magic.sdk.content import media_type_of
from claude_magic.sdk.events import Image

IMAGES: Final = ("image/png", "image/jpeg", "image/gif", "image/webp")

_CHART: Final = re.compile(r"application/vnd\.(vega|vegalite|plotly)(\.v\d+(\.\d+)*)?\+json")
_JSON: Final = re.compile(r"application/(?!vnd\.jupyter\.|vnd\.bokeh)([\w.-]+\+)?json")
_SOURCES: Final = ("text/latex", "image/svg+xml", "application/javascript")
_TELLS_NOTHING: Final = re.compile(r"\s*(<[^<>\n]{1,300}>|[\w.]{1,100}\(\.\.\.\))\s*")
"""The `repr` of an object that defines no useful one: `<IPython.core.display.HTML object>`, `alt.Chart(...)`."""

_KEPT: Final = 2_000_000
"""The most characters of a text that `readable` returns."""

_MANY: Final = 20
_FIRST: Final = 5
"""Of a list with more than `_MANY` items, the first `_FIRST` are written out."""

_MANY_KEYS: Final = 100
_LONG: Final = 500
"""The most characters of a text in a spec."""

_DEEP: Final = 20
_NUMBERS: Final = {"i1": "b", "u1": "B", "i2": "h", "u2": "H", "i4": "i", "u4": "I", "i8": "q", "u8": "Q", "f4": "f", "f8": "d"}
"""Plotly (6.0) sends numbers in base64: its names for their types, and the codes of these in `array`."""

FORMS: Final = ("text/html", *_SOURCES, "application/json")
"""The forms to try when the text of an object tells nothing."""


def tells_nothing(text: str) -> bool:
    """Whether a text only names the type of its object."""
    return _TELLS_NOTHING.fullmatch(text) is not None


def image_in(bundle: Mapping[str, Any]) -> Image | None:
    """Return the image of a display bundle."""
    for media_type in IMAGES:
        if data := bundle.get(media_type):
            encoded = base64.b64encode(data).decode() if isinstance(data, bytes) else "".join(_joined(data).split())
            return Image(media_type, encoded)
    return None


def sendable(image: Image, name: str) -> tuple[Image, str]:
    """Return an image that the API accepts, and a remark on what was changed for that.

    :param name: the image's name in the remark and in errors.
    :raises AttachmentError: the data is no image, or a broken one: with it, the API would refuse the whole conversation.
    """
    try:
        data = base64.b64decode(image.data, validate=True)
    except binascii.Error as error:
        raise AttachmentError(f"{name} is not in base64.", next_step="Nothing was sent.") from error
    if media_type_of(data) not in IMAGES:
        raise AttachmentError(
            f"{name} is not in a format that Claude reads.", next_step="Give PNG, JPEG, GIF or WebP; nothing was sent."
        )
    found = fitted(name, data)
    sent = Image(found.media_type, base64.b64encode(found.data).decode())
    return sent, f"{name} {found.change}." if found.change else ""


def text_in(bundle: Mapping[str, Any], room: int = MAX_HTML_CHARACTERS) -> str:
    """Return the text of a display bundle, empty if it has none; the caller cuts it. Of HTML, `room` characters are read."""
    if markdown := _joined(bundle.get("text/markdown")):
        return markdown
    if chart := _first(bundle, _CHART):
        return f"{chart}:\n{_spec(bundle[chart])}"
    plain = _joined(bundle.get("text/plain"))
    if plain and not tells_nothing(plain):
        return plain
    if html := text_of_html(_joined(bundle.get("text/html")), room):
        return html
    for name in _SOURCES:
        if source := _joined(bundle.get(name)):
            return source
    if data := _first(bundle, _JSON):
        return f"{plain}\n{_spec(bundle[data])}".strip()
    return plain


def _first(bundle: Mapping[str, Any], forms: re.Pattern[str]) -> str | None:
    return next((name for name, value in bundle.items() if value is not None and forms.fullmatch(name)), None)


def _joined(value: object) -> str:
    """Return a value as a text. A saved notebook holds a text as a list of lines."""
    if isinstance(value, list):
        return "".join(map(str, value))
    return "" if value is None else str(value)


def _spec(value: object) -> str:
    """Return JSON, shortened: of a long list the first items and a count, of a long text the beginning."""
    return json.dumps(_short(value, 0), ensure_ascii=False, default=lambda other: f"<{type(other).__name__}>")


def _short(value: object, depth: int) -> object:
    if depth > _DEEP:
        return "…"
    match value:
        case {"bdata": str(data), "dtype": str(kind)}:
            return _short(_numbers(data, kind), depth)
        case dict():
            # Plotly's template holds colours and fonts, the same in every chart.
            kept = [(str(key), inner) for key, inner in value.items() if key not in ("template", "$schema")]
            shown: dict[str, object] = {key[:_LONG]: _short(inner, depth + 1) for key, inner in kept[:_MANY_KEYS]}
            return shown | ({"…": f"{len(kept) - _MANY_KEYS:,} more"} if len(kept) > _MANY_KEYS else {})
        case list() | tuple():
            few = value if len(value) <= _MANY else value[:_FIRST]
            more = [f"… {len(value) - _FIRST:,} more"] if len(value) > _MANY else []
            return [*(_short(inner, depth + 1) for inner in few), *more]
        case str() if len(value) > _LONG:
            return f"{value[:_LONG]}… {len(value) - _LONG:,} more characters"
    return value


def _numbers(data: str, kind: str) -> list[Any] | str:
    try:
        return array.array(_NUMBERS[kind], base64.b64decode(data)).tolist()
    except (KeyError, ValueError, binascii.Error):
        return f"… {len(data):,} characters of base64 ({kind})"


def readable(bundle: Mapping[str, Any]) -> dict[str, str]:
    """Return only the forms of a display bundle that `image_in` and `text_in` read; the spec of a chart is shortened."""
    forms = {image.media_type: image.data} if (image := image_in(bundle)) else {}
    plain = _joined(bundle.get("text/plain"))
    if (markdown := _joined(bundle.get("text/markdown"))) or _first(bundle, _CHART):
        return forms | {"text/markdown": (markdown or text_in(bundle))[:_KEPT]}
    if not plain or tells_nothing(plain):
        found = next((name for name in ("text/html", *_SOURCES) if bundle.get(name)), None)
        if found:
            return forms | {"text/plain": plain, found: _joined(bundle[found])[:_KEPT]}
        plain = text_in(bundle)
    return forms | {"text/plain": plain[:_KEPT]}
