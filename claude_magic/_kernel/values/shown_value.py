"""A value of the person's namespace as Claude reads it: text, as Markdown where there is that, and images.

As a notebook would show it to a reader who cannot scroll. Libraries are recognised by the names of their types and never
imported; `for_type` teaches others. Where a value is put, and what surrounds it there, is for `prompt` and `tools` to say.
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import functools
import io
import numbers
import re
import traceback
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import BuiltinFunctionType, FunctionType, MethodType
from typing import Any, Final, TypeVar

from IPython.core.formatters import BaseFormatter, DisplayFormatter, PlainTextFormatter
from IPython.core.interactiveshell import InteractiveShell
from IPython.core.pylabtools import print_figure
from IPython.lib.pretty import RepresentationPrinter
from IPython.utils.dir2 import get_real_method

from claude_magic._characters import strip_controls
from claude_magic._kernel.values import dataframes
from claude_magic._kernel.values.source_code import source_of
from claude_magic._kernel.values.time_limit import FAILURES, TookTooLong, bounded
from claude_magic._kernel.values.tracebacks import error_text
from claude_magic._render.parts.reply_wording import clipped, one_line
from claude_magic.errors import AttachmentError, ConfigError
from claude_magic.sdk.content import MAX_IMAGE_BYTES, check_size, media_type_of
from claude_magic.sdk.events import Image
from claude_magic.sdk.response import SessionAwareResponse

T = TypeVar("T")

_IMAGES: Final = ("image/png", "image/jpeg", "image/gif", "image/webp")

MAX_CLEANED_CHARACTERS: Final = 1_000_000

_C1: Final = re.compile("[\x80-\x9f]")

_PNG_MODES: Final = frozenset({"1", "L", "LA", "P", "RGB", "RGBA", "I;16"})
"""Of PIL's images, those that a PNG can hold."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What is read of a value. `left_out` counts the characters that were cut away; then the text says so, too."""

    text: str
    images: tuple[Image, ...] = ()
    left_out: int = 0


def show_value(
    shell: InteractiveShell, value: object, limit: int, *, quoted: bool = False, mask: Callable[[str], str] = str
) -> Shown:
    """Return a value's text, cut to about `limit` characters, and its images.

    :param quoted: whether a string is shown as Python writes it, which tells it from other values.
    :param mask: what to leave out of the text before it is cut.
    :raises ConfigError: when it cannot be shown: its code raises, takes too long, or gives what is no text or image.
    :raises AttachmentError: when an image of it is larger than the API takes.
    """
    name = type_name(value)
    try:
        with bounded():
            if quoted and issubclass(type(value), str):
                value = repr(value)
            _register_library_types(type(value))
            shown = _show.dispatch(type(value))(value, shell)
            if not isinstance(shown, Shown):
                shown = Shown(_text(shown))
            text, left_out = _cut(shown.text, limit, mask)
            return Shown(text, tuple(_checked(image, name) for image in shown.images), shown.left_out + left_out)
    except ConfigError:
        raise
    except FAILURES as error:
        next_step = "Nothing was sent; pass the part of it that Claude shall read, or teach claude_magic.for_type its type."
        raise ConfigError(f"A value of type {name} cannot be shown: {_reason(error)}.", next_step=next_step) from error


def for_type(kind: type[T], function: Callable[[T], str | Shown]) -> None:
    """Teach how values of a type, and of its subclasses, are put into a prompt: as this function's text or `Shown`."""
    _show.register(kind, lambda value, shell: function(value))


def type_name(value: object) -> str:
    """Name a value's type, with its module unless that is clear; nothing of the person's is run for it."""
    name, module = (type.__dict__[asked].__get__(type(value)) for asked in ("__name__", "__module__"))
    name = str.__str__(name)  # as plain text, like the module below: a subclass of `str` compares and formats itself
    return name if type(module) is not str or module in ("builtins", "__main__") else f"{module}.{name}"


def image_in(bundle: Mapping[str, Any]) -> Image | None:
    """Return the image of a display bundle."""
    for media_type in _IMAGES:
        if data := bundle.get(media_type):
            encoded = base64.b64encode(data).decode() if isinstance(data, bytes) else "".join(str(data).split())
            return Image(media_type, encoded)
    return None


@functools.singledispatch
def _show(value: object, shell: InteractiveShell) -> str | Shown:
    """Return what IPython's formatters make of a value; they themselves would print a failure into the cell."""
    display = shell.display_formatter
    assert isinstance(display, DisplayFormatter)  # a shell has one from its start
    found = _formatted(display.mimebundle_formatter, value, include=None, exclude=None)
    bundle = dict(found) if isinstance(found, Mapping) else {}
    for media_type in ("text/markdown", "image/png", "image/jpeg"):
        if bundle.get(media_type) is None and not (media_type == "image/jpeg" and image_in(bundle)):
            bundle[media_type] = _formatted(display.formatters[media_type], value)
    text = bundle.get("text/markdown") or bundle.get("text/plain")
    if not text:
        plain = display.formatters["text/plain"]
        text = "\n".join((*_array_header(value), _pretty(plain, value), *_count(value, plain.max_seq_length)))
    image = image_in(bundle)
    return Shown(_text(text), (image,) if image else ())


def _formatted(formatter: BaseFormatter, value: object, **arguments: object) -> object:
    method: Callable[..., object] | None = None
    try:
        method = functools.partial(formatter.lookup_by_type(type(value)), value)
    except KeyError:
        with contextlib.suppress(Exception):  # it asks the object for its class, which is the object's own code
            method = get_real_method(value, formatter.print_method)
    try:
        found = method(**arguments) if method else None
    except NotImplementedError:  # says that there is none, in IPython's words
        return None
    return found[0] if isinstance(found, tuple) else found


def _pretty(plain: PlainTextFormatter, value: object) -> str:
    stream = io.StringIO()
    printer = RepresentationPrinter(
        stream,
        plain.verbose,
        plain.max_width,
        plain.newline,
        max_seq_length=plain.max_seq_length,
        singleton_pprinters=plain.singleton_printers,
        type_pprinters=plain.type_printers,
        deferred_pprinters=plain.deferred_printers,
    )
    printer.pretty(value)
    printer.flush()
    return stream.getvalue()


def _array_header(value: object) -> list[str]:
    """Describe what is an array to everybody: it has a shape and a dtype."""
    shape = dtype = None
    with contextlib.suppress(Exception):  # they may be anything, and most values have none
        shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if not isinstance(shape, tuple) or dtype is None:
        return []
    return [f"{type_name(value)}, shape {tuple(shape)}, dtype {dtype}"]


def _count(value: object, limit: int) -> list[str]:
    """Say what IPython's dots stand for, which show no more than `limit` items."""
    if not issubclass(type(value), list | tuple | set | frozenset | dict | deque):
        return []
    count = len(value)  # type: ignore[arg-type]
    return [f"… {count - limit:,} of {count:,} items left out …"] if 0 < limit < count else []


def _figure(value: Any) -> Shown:
    """Show a figure, or the one that axes are part of."""
    figure = value.figure
    while figure.figure is not figure:
        figure = figure.figure
    png = print_figure(figure, base64=True)  # nothing if it is empty
    return Shown(repr(figure), (Image("image/png", png),) if png else ())


def _picture(value: Any) -> Shown:
    """Show an image of PIL."""
    file = io.BytesIO()
    (value if value.mode in _PNG_MODES else value.convert("RGB")).save(file, "PNG")
    text = f"PIL image, mode {value.mode}, {value.width} × {value.height} pixels"
    return Shown(text, (Image("image/png", base64.b64encode(file.getvalue()).decode()),))


def _checked(image: Image, name: str) -> Image:
    """Return an image under the type that it has; the API would refuse the whole prompt."""
    try:
        data = base64.b64decode(image.data, validate=True)
    except binascii.Error as error:
        raise AttachmentError(f"The image of a {name} is not in base64.", next_step="Nothing was sent.") from error
    media_type = media_type_of(data)
    if media_type not in _IMAGES:
        raise AttachmentError(
            f"The image of a {name} is none.", next_step="Claude reads PNG, JPEG, GIF and WebP; nothing was sent."
        )
    check_size(f"The image of a {name}", len(data), MAX_IMAGE_BYTES)
    return Image(media_type, image.data)


def _cut(text: str, limit: int, mask: Callable[[str], str]) -> tuple[str, int]:
    """Clean and clip a text; one so long that to clean it takes longer than anybody waits is clipped first."""
    if len(text) > MAX_CLEANED_CHARACTERS:
        text, left_out = clipped(text, limit)
        return mask(_cleaned(text)), left_out
    return clipped(mask(_cleaned(text)), limit)


def _cleaned(text: str) -> str:
    # C1 controls introduce what a terminal swallows to its end; in data they are quotes, wrongly decoded.
    return strip_controls(_C1.sub("", text))


def _text(text: object) -> str:
    if not isinstance(text, str):
        raise TypeError(f"its text is {type_name(text)}, not str")
    return str(text)


def _reason(error: BaseException) -> str:
    if isinstance(error, TookTooLong):
        return str(error)
    with bounded():  # a `__str__` is anybody's code, too
        return one_line("".join(traceback.format_exception_only(error)), 300).rstrip(".")


def _register_library_types(kind: type) -> None:
    """Register what a library of `_LIBRARY_TYPES` is known by, now that a value of it is here."""
    for base in kind.__mro__:
        function = _LIBRARY_TYPES.get((str(base.__module__).partition(".")[0], base.__name__))
        if function is not None and base not in _show.registry:
            for_type(base, function)


_LIBRARY_TYPES: Final[dict[tuple[str, str], Callable[[Any], str | Shown]]] = {
    ("pandas", "DataFrame"): dataframes.pandas_frame,
    ("pandas", "Series"): dataframes.pandas_series,
    ("pandas", "Styler"): lambda styler: dataframes.pandas_frame(styler.data),
    ("polars", "DataFrame"): dataframes.polars_frame,
    ("polars", "Series"): dataframes.polars_series,
    ("numpy", "generic"): str,
    ("matplotlib", "FigureBase"): _figure,
    ("matplotlib", "_AxesBase"): _figure,
    ("PIL", "Image"): _picture,
}

for_type(str, str)
for_type(SessionAwareResponse, lambda reply: reply.content)  # its footer is for people
for_type(numbers.Number, str)  # type: ignore[type-abstract]
for_type(BaseException, error_text)
for_type(type, source_of)
for_type(FunctionType, source_of)
for_type(MethodType, source_of)
for_type(BuiltinFunctionType, source_of)
for_type(type(functools.cache(len)), source_of)
