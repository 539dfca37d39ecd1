"""A value of the person's namespace as Claude reads it: text, Markdown if the value has it, and images.

It is roughly what a notebook shows, cut to a length. Libraries are recognised by the names of their types and never imported;
`for_type` adds types. The callers in `prompt/` and `tools/` decide where the text goes.
"""

from __future__ import annotations

import base64
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
from claude_magic._kernel.values.bundles import FORMS, image_in, sendable, tells_nothing, text_in
from claude_magic._kernel.values.source_code import error_text, source_of
from claude_magic._kernel.values.time_limit import FAILURES, TookTooLong, bounded
from claude_magic._render.parts.reply_wording import clipped, one_line
from claude_magic.errors import ConfigError
from claude_magic.sdk._images import MAX_EDGE_PIXELS, check_pixels, drawn, shrunk_words
from claude_magic.sdk.events import Image
from claude_magic.sdk.response import SessionAwareResponse

T = TypeVar("T")

MAX_CLEANED_CHARACTERS: Final = 1_000_000

_BYTES: Final = 1_000
"""The most bytes of binary data that are written out, each as up to four characters."""

_C1: Final = re.compile("[\x80-\x9f]")


@dataclass(frozen=True, slots=True)
class Shown:
    """What Claude reads of a value.

    `left_out` counts the characters (or bytes, of binary data) cut away; the text says so, too. `remarks` say how its
    images were changed.
    """

    text: str
    images: tuple[Image, ...] = ()
    left_out: int = 0
    remarks: tuple[str, ...] = ()

    @property
    def told(self) -> str:
        """The text, with the remarks in brackets below it."""
        return "\n".join([self.text, *(f"({remark})" for remark in self.remarks)])


def show_value(
    shell: InteractiveShell, value: object, limit: int, *, quoted: bool = False, mask: Callable[[str], str] = str
) -> Shown:
    """Return a value's text, cut to about `limit` characters, and its images.

    :param quoted: whether a string is shown with quotes, as its `repr`, to tell it from other values.
    :param mask: removes credentials from the text.
    :raises ConfigError: the value cannot be shown: its code raises, takes too long, or returns something
        other than text or an image.
    :raises AttachmentError: an image of the value is broken or not an image.
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
            sent = [sendable(image, f"The image of a {name}") for image in shown.images]
            remarks = (*shown.remarks, *(remark for _, remark in sent if remark))
            return Shown(text, tuple(image for image, _ in sent), shown.left_out + left_out, remarks)
    except ConfigError:
        raise
    except FAILURES as error:
        next_step = (
            "Nothing was sent; pass the part that Claude should read, or register the value's type with claude_magic.for_type."
        )
        raise ConfigError(f"A value of type {name} cannot be shown: {_reason(error)}.", next_step=next_step) from error


def for_type(kind: type[T], function: Callable[[T], str | Shown]) -> None:
    """Register a function that shows values of a type and its subclasses in prompts: it returns a text or a `Shown`."""
    _show.register(kind, lambda value, shell: function(value))


def type_name(value: object) -> str:
    """Return the name of a value's type, with its module if that says more. None of the person's code runs for it."""
    name, module = (type.__dict__[asked].__get__(type(value)) for asked in ("__name__", "__module__"))
    name = str.__str__(name)  # a subclass of `str` could run code when it is formatted; so could the module
    return name if type(module) is not str or module in ("builtins", "__main__") else f"{module}.{name}"


@functools.singledispatch
def _show(value: object, shell: InteractiveShell) -> str | Shown:
    """Show a value with the functions that IPython's formatters find; the formatters would print errors, not raise them."""
    display = shell.display_formatter
    assert isinstance(display, DisplayFormatter)  # a shell has one from its start
    found = _formatted(display.mimebundle_formatter, value, include=None, exclude=None)
    bundle = dict(found) if isinstance(found, Mapping) else {}
    for media_type in ("text/markdown", "image/png", "image/jpeg"):
        if bundle.get(media_type) is None and not (media_type == "image/jpeg" and image_in(bundle)):
            bundle[media_type] = _formatted(display.formatters[media_type], value)
    for media_type in ("text/markdown", "text/plain"):
        bundle[media_type] = _text(bundle.get(media_type) or "")
    text = text_in(bundle)
    if not text:
        plain = display.formatters["text/plain"]
        text = "\n".join((*_array_header(value), _pretty(plain, value), *_count(value, plain.max_seq_length)))
    if tells_nothing(text):
        for media_type in FORMS:
            with contextlib.suppress(Exception):  # if it fails, the bare repr stays
                bundle[media_type] = bundle.get(media_type) or _formatted(display.formatters[media_type], value)
        text = text_in(bundle) or text
    image = image_in(bundle)
    return Shown(text, (image,) if image else ())


def _formatted(formatter: BaseFormatter, value: object, **arguments: object) -> object:
    method: Callable[..., object] | None = None
    try:
        method = functools.partial(formatter.lookup_by_type(type(value)), value)
    except KeyError:
        with contextlib.suppress(Exception):  # it reads attributes of the object, which may run the object's own code
            method = get_real_method(value, formatter.print_method)
    try:
        found = method(**arguments) if method else None
    except NotImplementedError:  # in IPython this says that the object lacks the form
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
    """Describe an array of any library, which is anything with a shape and a dtype."""
    shape = dtype = None
    with contextlib.suppress(Exception):  # an attribute may run any code, and most values have neither
        shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if not isinstance(shape, tuple) or dtype is None:
        return []
    return [f"{type_name(value)}, shape {tuple(shape)}, dtype {dtype}"]


def _count(value: object, limit: int) -> list[str]:
    """Say how many items IPython's `...` stands for: it shows no more than `limit`."""
    if not issubclass(type(value), list | tuple | set | frozenset | dict | deque):
        return []
    count = len(value)  # type: ignore[arg-type]
    return [f"… {count - limit:,} of {count:,} items left out …"] if 0 < limit < count else []


def _binary(value: bytes | bytearray) -> Shown:
    more = len(value) - _BYTES
    text = repr(value[:_BYTES])
    return Shown(f"{text}\n… {more:,} more bytes", left_out=more) if more > 0 else Shown(text)


def _figure(value: Any) -> Shown:
    """Show a figure of matplotlib; for axes or a subfigure, the whole figure."""
    figure = value.figure
    while figure.figure is not figure:
        figure = figure.figure
    dpi = MAX_EDGE_PIXELS / max(figure.get_size_inches())  # drawing millions of pixels is slow
    png = print_figure(figure, base64=True, dpi=min(dpi, figure.dpi))  # `None` if the figure is empty
    return Shown(repr(figure), (Image("image/png", png),) if png else ())


def _chart(form: str, value: Any) -> str:
    """Show the spec of a chart. The library itself may display only HTML with a script."""
    return text_in({form: value.to_dict()})


def _picture(value: Any) -> Shown:
    check_pixels("The image", value.size)
    image = drawn(value)
    text = f"PIL image, mode {value.mode}, {value.width} × {value.height} pixels"
    change = shrunk_words(value.size)
    remarks = (f"The image {change}.",) if change else ()
    return Shown(text, (Image(image.media_type, base64.b64encode(image.data).decode()),), remarks=remarks)


def _cut(text: str, limit: int, mask: Callable[[str], str]) -> tuple[str, int]:
    """Clean and clip a text. A very long text is clipped first, because cleaning all of it takes too long."""
    if len(text) > MAX_CLEANED_CHARACTERS:
        text, left_out = clipped(text, limit)
        return mask(_cleaned(text)), left_out
    return clipped(mask(_cleaned(text)), limit)


def _cleaned(text: str) -> str:
    # `strip_controls` would also remove the text after a C1 control, as a terminal sequence. In data it is mostly
    # a misread quotation mark.
    return strip_controls(_C1.sub("", text))


def _text(text: object) -> str:
    if not isinstance(text, str):
        raise TypeError(f"its text is {type_name(text)}, not str")
    return str(text)


def _reason(error: BaseException) -> str:
    if isinstance(error, TookTooLong):
        return str(error)
    with bounded():  # the `__str__` of an error may run any code, too
        return one_line("".join(traceback.format_exception_only(error)), 300).rstrip(".")


def _register_library_types(kind: type) -> None:
    """Register the function of `_LIBRARY_TYPES` for a type, now that a value of it exists and its library is imported."""
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
    ("altair", "TopLevelMixin"): functools.partial(_chart, "application/vnd.vegalite+json"),
    ("plotly", "BaseFigure"): functools.partial(_chart, "application/vnd.plotly+json"),
}

for_type(str, str)
for_type(bytes, _binary)
for_type(bytearray, _binary)
for_type(SessionAwareResponse, lambda reply: reply.content)  # its footer is for people
for_type(numbers.Number, str)  # type: ignore[type-abstract]
for_type(BaseException, error_text)
_WITH_SOURCE: Final[tuple[Any, ...]] = (type, FunctionType, MethodType, BuiltinFunctionType, type(functools.cache(len)))
for _kind in _WITH_SOURCE:
    for_type(_kind, source_of)
