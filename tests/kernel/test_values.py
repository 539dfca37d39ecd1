"""How values are put into a prompt: text, tables and images, of whatever kind, and none of it breaks anything."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import functools
import io
import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from IPython.core.interactiveshell import InteractiveShell
from IPython.display import Markdown
from matplotlib.figure import Figure
from PIL import Image as Pictures

import claude_magic
from claude_magic._kernel.values import time_limit
from claude_magic._kernel.values.shown_value import Shown, for_type, show_value
from claude_magic._kernel.values.source_code import error_text
from claude_magic.errors import AttachmentError, ConfigError
from claude_magic.sdk._images import MAX_IMAGE_BYTES
from claude_magic.sdk.events import Image

LIMIT = 20_000
PNG = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg==")


@pytest.fixture
def short_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Less time for objects that never show themselves."""
    monkeypatch.setattr(time_limit, "INSPECT_TIMEOUT_S", 0.2)


@pytest.fixture(autouse=True)
def no_figures_left() -> Iterator[None]:
    yield
    plt.close("all")


def text_of(shell: InteractiveShell, value: object, limit: int = LIMIT) -> str:
    """Return the text of a value that has no image."""
    shown = show_value(shell, value, limit)
    assert shown.images == ()
    return shown.text


def failed(shell: InteractiveShell, code: str) -> BaseException:
    """Run a cell; return what it raised."""
    result = shell.run_cell(code)
    error = result.error_before_exec or result.error_in_exec
    assert error is not None
    return error


def size_of(image: Image) -> tuple[int, int]:
    with Pictures.open(io.BytesIO(base64.b64decode(image.data))) as picture:
        assert picture.format == "PNG"
        return picture.size


# Text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("two\nlines, {{ not }} expanded", "two\nlines, {{ not }} expanded"),
        ("", ""),
        (3, "3"),
        (2.5, "2.5"),
        (True, "True"),
        (None, "None"),
        (1 + 2j, "(1+2j)"),
        (Decimal("1.10"), "1.10"),
        (Fraction(1, 3), "1/3"),
        (np.float64(2.5), "2.5"),
        (np.int8(3), "3"),
        (np.bool_(False), "False"),
        (np.str_("word"), "word"),
        (np.datetime64("2024-05-01"), "2024-05-01"),
        ([1, "a"], "[1, 'a']"),
        ({"k": [1]}, "{'k': [1]}"),
        (b"\x00a", "b'\\x00a'"),
        (SimpleNamespace(a=1), "namespace(a=1)"),
    ],
    ids=repr,
)
def test_plain_values(shell: InteractiveShell, value: object, text: str) -> None:
    """Text is put in as it is, numbers as a reader expects them, other values as a notebook shows them."""
    assert show_value(shell, value, LIMIT) == Shown(text)


def test_quoted(shell: InteractiveShell) -> None:
    """Where it matters that it is a string, a string comes as Python writes it."""
    assert show_value(shell, "3\n", LIMIT, quoted=True).text == r"'3\n'"
    assert show_value(shell, 3, LIMIT, quoted=True).text == "3"


def test_controls(shell: InteractiveShell) -> None:
    """Colours and control characters are left out; a wrongly decoded quote takes nothing else with it."""
    assert text_of(shell, "\x1b[31mred\x1b[0m\x07 \x1b]0;title\x07end") == "red end"
    assert text_of(shell, "â\x80\x9cquoted\x80\x9d and the rest") == "âquoted and the rest"


@pytest.mark.parametrize("length", [101, 10_000, 3_000_000])
def test_long_text(shell: InteractiveShell, length: int) -> None:
    """Long text is cut in the middle; the text and `left_out` say how much is missing."""
    text = "".join(f"{number % 10}" for number in range(length - 1)) + "z"
    shown = show_value(shell, text, 100)
    assert text.startswith(shown.text[:60])
    assert shown.text.endswith("z")
    assert len(shown.text) < 150
    assert shown.left_out == length - 99
    assert f"{shown.left_out:,} characters left out" in shown.text


def test_within_the_limit(shell: InteractiveShell) -> None:
    """What fits is whole."""
    assert show_value(shell, "a" * 100, 100) == Shown("a" * 100)


def test_many_items(shell: InteractiveShell) -> None:
    """A collection that the notebook would end with dots says how many items these stand for."""
    assert text_of(shell, list(range(5_000))).endswith(" ...]\n… 4,000 of 5,000 items left out …")
    assert "left out" not in text_of(shell, list(range(1_000)))


def test_own_markdown(shell: InteractiveShell) -> None:
    """An object's own Markdown comes before its text, also out of a bundle; NotImplementedError means that it has none."""

    class Bundled:
        def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> tuple[dict[str, str], dict[str, str]]:
            return {"text/plain": "plain", "text/markdown": "*marked*"}, {}

    class Unable:
        def _repr_markdown_(self) -> str:
            raise NotImplementedError

        def __repr__(self) -> str:
            return "Unable()"

    assert text_of(shell, Markdown("**bold**")) == "**bold**"
    assert text_of(shell, Bundled()) == "*marked*"
    assert text_of(shell, Unable()) == "Unable()"


def test_registered_formatters(shell: InteractiveShell) -> None:
    """A formatter that the person registered with IPython is used, for a type and for what is inside a list."""

    class Point:
        pass

    class Place:
        pass

    formatters = shell.display_formatter.formatters
    formatters["text/plain"].for_type(Point, lambda value, printer, cycle: printer.text("a point"))
    formatters["text/markdown"].for_type(Place, lambda value: "a *place*")
    try:
        assert text_of(shell, [Point()]) == "[a point]"
        assert text_of(shell, Place()) == "a *place*"
    finally:
        formatters["text/plain"].pop(Point)
        formatters["text/markdown"].pop(Place)


# Tables


def test_frame(shell: InteractiveShell) -> None:
    """A DataFrame is its shape, its dtypes and its first rows; how many more there are is said."""
    frame = pd.DataFrame({"age": range(500), "share": 0.5})
    assert text_of(shell, frame.head(2)) == (
        "DataFrame: 2 rows × 2 columns\n\ndtypes: age int64, share float64\n\n"
        "|  | age | share |\n| --- | --- | --- |\n| 0 | 0 | 0.5 |\n| 1 | 1 | 0.5 |"
    )
    text = text_of(shell, frame)
    assert text.startswith("DataFrame: 500 rows × 2 columns\n")
    assert "| 9 | 9 | 0.5 |\n\n… 490 more rows" in text


def test_wide_frame(shell: InteractiveShell) -> None:
    """Of many columns the first are shown, and the rest are counted."""
    text = text_of(shell, pd.DataFrame(np.zeros((12, 35))))
    assert text.startswith("DataFrame: 12 rows × 35 columns\n")
    assert "19 float64, … 15 more" in text
    assert text.endswith("… 2 more rows and 15 more columns")
    assert {line.count("|") for line in text.splitlines() if line.startswith("|")} == {22}


def test_cells_of_a_frame(shell: InteractiveShell) -> None:
    """A cell stays one cell, whatever it holds: pipes, newlines, colours, whole documents, nothing."""
    frame = pd.DataFrame({"a|b": ["x|y", "one\ntwo\r\nthree", "\x1b[31mred\x1b[0m", "d" * 1_000, None]})
    text = text_of(shell, frame)
    assert r"dtypes: a\|b " in text
    for row in (r"|  | a\|b |", r"| 0 | x\|y |", "| 1 | one<br>two<br>three |", "| 2 | red |"):
        assert f"\n{row}\n" in text
    assert f"| 3 | {'d' * 200}… (800 more characters) |" in text


@pytest.mark.parametrize(
    ("frame", "said"),
    [
        (pd.DataFrame(), "DataFrame: 0 rows × 0 columns"),
        (pd.DataFrame({"a": pd.Series([], dtype=float)}), "DataFrame: 0 rows × 1 column\n\ndtypes: a float64"),
        (pd.DataFrame(index=[1, 2]), "DataFrame: 2 rows × 0 columns"),
    ],
)
def test_empty_frame(shell: InteractiveShell, frame: pd.DataFrame, said: str) -> None:
    """A frame without rows or columns has no table."""
    assert text_of(shell, frame) == said


def test_indexes_of_a_frame(shell: InteractiveShell) -> None:
    """The levels of a MultiIndex are one label, of rows and columns, and columns of one name are two."""
    rows = pd.MultiIndex.from_tuples([("x", 1), ("y", 2)], names=["kind", "n"])
    columns = pd.MultiIndex.from_tuples([("sum", "a"), ("sum", "a")])
    text = text_of(shell, pd.DataFrame([[1, "p"], [3, "q"]], index=rows, columns=columns))
    assert "dtypes: sum / a int64, sum / a " in text
    assert "| kind / n | sum / a | sum / a |\n| --- | --- | --- |\n| x / 1 | 1 | p |\n| y / 2 | 3 | q |" in text


def test_derived_frame(shell: InteractiveShell) -> None:
    """What derives from a DataFrame is shown as one, under its own name."""

    class Measured(pd.DataFrame):
        pass

    assert text_of(shell, Measured({"a": [1]})).startswith("Measured: 1 row × 1 column\n")


def test_series(shell: InteractiveShell) -> None:
    """A Series is its length, dtype and first values."""
    text = text_of(shell, pd.Series([1, None, 3], name="age", index=list("abc")))
    assert text == "Series age: 3 rows, dtype float64\n\n|  | age |\n| --- | --- |\n| a | 1.0 |\n| b | nan |\n| c | 3.0 |"
    assert text_of(shell, pd.Series(range(12))).endswith("| 9 | 9 |\n\n… 2 more rows")
    assert text_of(shell, pd.Series([], dtype=float)) == "Series: 0 rows, dtype float64"
    assert text_of(shell, pd.Series(pd.Categorical(["u"]))).startswith("Series: 1 row, dtype category")


def test_polars(shell: InteractiveShell) -> None:
    """Frames and series of polars are shown as those of pandas, without an index."""
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame({"age": range(12), "name": "x|y"})
    text = text_of(shell, frame)
    assert text.startswith("DataFrame: 12 rows × 2 columns\n\ndtypes: age Int64, name String\n\n| age | name |\n")
    assert "| 9 | x\\|y |\n\n… 2 more rows" in text
    assert text_of(shell, frame["age"].head(1)) == "Series age: 1 row, dtype Int64\n\n| age |\n| --- |\n| 0 |"
    assert text_of(shell, polars.DataFrame()) == "DataFrame: 0 rows × 0 columns"


# Arrays


@pytest.mark.parametrize(
    ("array", "header"),
    [
        (np.array(5.0), "numpy.ndarray, shape (), dtype float64"),
        (np.zeros((2, 0)), "numpy.ndarray, shape (2, 0), dtype float64"),
        (
            np.array([(1, "a")], dtype=[("n", "<i8"), ("c", "<U2")]),
            "numpy.ndarray, shape (1,), dtype [('n', '<i8'), ('c', '<U2')]",
        ),
        (np.zeros((3_000, 3_000)), "numpy.ndarray, shape (3000, 3000), dtype float64"),
        (np.ma.array([1, 2], mask=[False, True]), "numpy.ma.MaskedArray, shape (2,), dtype int64"),
        (pd.Index([1, 2]), "Index, shape (2,), dtype int64"),
    ],
    ids=["0-d", "empty", "structured", "large", "masked", "index"],
)
def test_arrays(shell: InteractiveShell, array: Any, header: str) -> None:
    """An array is its shape and dtype, then what it holds, in short."""
    first, _, rest = text_of(shell, array).partition("\n")
    assert first.endswith(header)
    assert rest == repr(array)


def test_arrays_of_others(shell: InteractiveShell) -> None:
    """Whatever has a shape and a dtype is an array; a shape that raises is none."""

    class Tensor:
        shape = (2, 3)
        dtype = "f4"

        def __repr__(self) -> str:
            return "Tensor()"

    class Shapeless:
        @property
        def shape(self) -> None:
            raise RuntimeError

        def __repr__(self) -> str:
            return "Shapeless()"

    assert text_of(shell, Tensor()).endswith("Tensor, shape (2, 3), dtype f4\nTensor()")
    assert text_of(shell, Shapeless()) == "Shapeless()"


# Images


def test_figures(shell: InteractiveShell) -> None:
    """A figure is an image, and so are axes: the figure that they are part of; no inline backend is needed."""
    figure, axes = plt.subplots(figsize=(2, 1))
    for value in (figure, axes):
        shown = show_value(shell, value, LIMIT)
        assert "Figure size 200x100" in shown.text
        (image,) = shown.images
        assert image.media_type == "image/png"
        assert min(size_of(image)) > 50


def test_subfigures(shell: InteractiveShell) -> None:
    """Axes in a part of a figure show the whole."""
    figure = Figure(figsize=(2, 1))
    axes = figure.subfigures(1, 2)[0].subplots()
    axes.plot([1, 2])
    assert len(show_value(shell, axes, LIMIT).images) == 1


def test_empty_figure(shell: InteractiveShell) -> None:
    """A figure with nothing in it is its description only: IPython makes no image of it."""
    assert "0 Axes" in text_of(shell, Figure())


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I", "I;16", "F", "CMYK", "HSV", "LAB", "YCbCr"])
def test_pictures(shell: InteractiveShell, mode: str) -> None:
    """An image of PIL is a PNG, also in a mode that PNG has not."""
    shown = show_value(shell, Pictures.new(mode, (4, 3)), LIMIT)
    assert shown.text == f"PIL image, mode {mode}, 4 × 3 pixels"
    assert [size_of(image) for image in shown.images] == [(4, 3)]


def test_opened_picture(shell: InteractiveShell) -> None:
    """An image that was opened from a file is one of PIL's, too."""
    with Pictures.open(io.BytesIO(PNG)) as picture:
        assert [size_of(image) for image in show_value(shell, picture, LIMIT).images] == [(1, 1)]


@pytest.mark.parametrize("data", [PNG, base64.b64encode(PNG).decode(), base64.encodebytes(PNG).decode()])
def test_own_png(shell: InteractiveShell, data: Any) -> None:
    """An object with a PNG is an image, as bytes or in base64, with its text."""

    class Drawn:
        def _repr_png_(self) -> tuple[Any, dict[str, int]]:
            return data, {"width": 1}

        def __repr__(self) -> str:
            return "Drawn()"

    assert show_value(shell, Drawn(), LIMIT) == Shown("Drawn()", (Image("image/png", base64.b64encode(PNG).decode()),))


def test_mislabelled_image(shell: InteractiveShell) -> None:
    """An image goes under the type that its bytes have."""

    class Mislabelled:
        def _repr_jpeg_(self) -> bytes:
            return PNG

    assert [image.media_type for image in show_value(shell, Mislabelled(), LIMIT).images] == ["image/png"]


@pytest.mark.parametrize("data", [b"no image", "no base64!", b"%PDF-1.7", 17, b"\x89PNG\r\n\x1a\n" + bytes(MAX_IMAGE_BYTES)])
def test_what_is_no_image(shell: InteractiveShell, data: Any) -> None:
    """What the API would refuse as an image, for its kind or its size, is refused before."""

    class Drawn:
        def _repr_png_(self) -> Any:
            return data

    with pytest.raises(AttachmentError, match="Drawn"):
        show_value(shell, Drawn(), LIMIT)


# Source


CELL = """
import dataclasses, functools, enum
def plain(n):
    # a comment
    return n

@functools.cache
def cached(n):
    return n

doubled = lambda n: 2 * n

class Methodless:
    size: int = 1

@dataclasses.dataclass
class Point:
    x: int

class Outer:
    def method(self):
        return 1
    class Inner:
        y = 1
"""


@pytest.mark.parametrize(
    ("expression", "source"),
    [
        ("plain", "def plain(n):\n    # a comment\n    return n"),
        ("cached", "@functools.cache\ndef cached(n):\n    return n"),
        ("doubled", "doubled = lambda n: 2 * n"),
        ("Methodless", "class Methodless:\n    size: int = 1"),
        ("Point", "@dataclasses.dataclass\nclass Point:\n    x: int"),
        ("Outer.Inner", "class Inner:\n    y = 1"),
        ("Outer.method", "def method(self):\n    return 1"),
        ("Outer().method", "def method(self):\n    return 1"),
    ],
)
def test_source_in_cells(shell: InteractiveShell, expression: str, source: str) -> None:
    """What was defined in a cell is shown as its source, with decorators and comments, without the indentation around it."""
    shell.run_cell(CELL)
    assert text_of(shell, shell.ev(expression)) == source


def test_class_of_two_cells(shell: InteractiveShell) -> None:
    """Of two classes of one name each has its own source if a method tells; if none does, no source is made up."""
    shell.run_cell("class Twice:\n    def first(self): return 1")
    first = shell.user_ns["Twice"]
    shell.run_cell("class Twice:\n    def second(self): return 2")
    assert "first" in text_of(shell, first)
    assert "second" in text_of(shell, shell.user_ns["Twice"])
    shell.run_cell("class Unclear:\n    n = 1")
    shell.run_cell("class Unclear:\n    n = 2")
    assert text_of(shell, shell.user_ns["Unclear"]).startswith("class Unclear")
    assert "n = " not in text_of(shell, shell.user_ns["Unclear"])


def test_source_in_modules(shell: InteractiveShell) -> None:
    """Functions and classes of modules are shown as source."""
    assert text_of(shell, json.dumps).startswith("def dumps(obj, *,")
    assert text_of(shell, Fraction).startswith("class Fraction(numbers.Rational):")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (len, "len(obj, /)\n\nReturn the number of items in a container."),
        ([].append, "list.append(object, /)\n\nAppend object to the end of the list."),
        (dict, "class dict\n\ndict() -> new empty dictionary"),
        (functools.partial(len, "a"), "functools.partial(<built-in function len>, 'a')"),
    ],
)
def test_without_source(shell: InteractiveShell, value: object, said: str) -> None:
    """A builtin is its signature and docstring."""
    assert text_of(shell, value).startswith(said)


# Errors


def test_error(shell: InteractiveShell) -> None:
    """An error is the source of its cell, and the traceback from there, without IPython's frames and colours."""
    text = text_of(shell, failed(shell, "values = [1]\nvalues[7]"))
    assert text == (
        "Cell:\n```\nvalues = [1]\nvalues[7]\n```\n\n"
        "Traceback (most recent call last):\n  Cell, line 2, in <module>\n    values[7]\n    ~~~~~~^^^\n"
        "IndexError: list index out of range"
    )


def test_error_through_cells(shell: InteractiveShell) -> None:
    """The failing cell is the one that was run, not the one that a function of it came from; both are in the traceback."""
    shell.run_cell("def divide(n):\n    return 1 / n")
    text = error_text(failed(shell, "number = 0\ndivide(number)"))
    assert text.startswith("Cell:\n```\nnumber = 0\ndivide(number)\n```\n")
    assert "line 2, in <module>\n    divide(number)\n" in text
    assert "line 2, in divide\n    return 1 / n\n" in text


def test_causes(shell: InteractiveShell) -> None:
    """Causes are told first; of the members of a group, each."""
    chain = error_text(failed(shell, "try: 1 / 0\nexcept ZeroDivisionError as e: raise ValueError('bad') from e"))
    assert chain.index("ZeroDivisionError: division") < chain.index("direct cause") < chain.index("ValueError: bad")
    group = error_text(failed(shell, "raise ExceptionGroup('several', [ValueError('one'), KeyError('two')])"))
    assert "ValueError: one" in group
    assert "KeyError: 'two'" in group


def test_syntax_error(shell: InteractiveShell) -> None:
    """Of a cell that does not parse the source is shown, and the place; none of IPython's frames."""
    text = error_text(failed(shell, "x = (1 +\ny = 2"))
    assert text.startswith("Cell:\n```\nx = (1 +\ny = 2\n```\n\n  Cell, line 1\n    x = (1 +\n")
    assert text.endswith("SyntaxError: '(' was never closed")


def test_library_frames(shell: InteractiveShell, tmp_path: Path) -> None:
    """Many frames of libraries in a row are counted, the person's own between them are all there."""
    library = tmp_path / "site-packages" / "deep.py"
    library.parent.mkdir()
    library.write_text(
        "def down(n, call):\n    if n % 2: return call() if n == 1 else down(n - 1, call)\n    return down(n - 1, call)\n"
    )
    sys.path.insert(0, str(library.parent))
    try:
        text = error_text(failed(shell, "import deep\ndef mine():\n    raise ValueError('mine')\ndeep.down(9, mine)"))
    finally:
        sys.path.remove(str(library.parent))
        del sys.modules["deep"]
    assert "… 6 frames in deep left out …" in text
    assert text.count("in down\n") == 3
    assert "line 4, in <module>" in text
    assert "line 3, in mine\n    raise ValueError('mine')" in text


@pytest.mark.parametrize("code", ["def a(): a()\na()", "def a(): b()\ndef b(): a()\na()"])
def test_endless_recursion(shell: InteractiveShell, code: str) -> None:
    """A thousand frames of an endless recursion are told in short."""
    text = error_text(failed(shell, code))
    assert "RecursionError" in text
    assert "Previous line repeated" in text or "frames left out" in text
    assert len(text) < 3_000


def test_error_in_a_long_cell(shell: InteractiveShell) -> None:
    """Of a long cell the lines around the failing one are shown, and the others are counted."""
    text = error_text(failed(shell, "\n".join([*(f"a{n} = {n}" for n in range(500)), "1 / 0", "pass\n" * 300])))
    assert "… 401 lines above left out …\na401 = 401\n" in text
    assert "a499 = 499\n1 / 0\npass\n" in text
    assert "lines below left out …" in text


def test_error_without_a_cell(shell: InteractiveShell) -> None:
    """An error that was never raised, or that comes from elsewhere, has no source before it."""
    assert text_of(shell, ValueError("never raised")) == "ValueError: never raised"
    with pytest.raises(ValueError) as raised:
        int("x")
    assert error_text(raised.value).startswith('Traceback (most recent call last):\n  File "')


def test_error_that_has_no_words(shell: InteractiveShell, short_patience: None) -> None:
    """An error whose `__str__` raises or never ends is told without it."""

    class Speechless(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    class Endless(Exception):
        def __str__(self) -> str:
            while True:
                pass

    for kind in (Speechless, Endless):
        assert text_of(shell, kind()).endswith(f"{kind.__name__}: <exception str() failed>")


# What breaks nothing


class Raising:
    def __repr__(self) -> str:
        raise ValueError("no \x1b[31mrepr\x1b[0m here")


class Looping:
    def __repr__(self) -> str:
        while True:
            pass


class Stubborn:
    def __repr__(self) -> str:
        while True:
            with contextlib.suppress(Exception):
                signal.pause()


class Exiting:
    def __repr__(self) -> str:
        raise SystemExit(3)


class Closing:
    def __repr__(self) -> str:
        raise GeneratorExit


class Cancelled:
    def __repr__(self) -> str:
        raise asyncio.CancelledError


class Unspeakable:
    def __repr__(self) -> str:
        class Endless(Exception):
            def __str__(self) -> str:
                while True:
                    pass

        raise Endless


class Wrong:
    def _repr_markdown_(self) -> int:
        return 17


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (Raising, "ValueError: no repr here"),
        (Looping, "longer than 0.2 s"),
        (Stubborn, "longer than 0.2 s"),
        (Exiting, "SystemExit: 3"),
        (Closing, "GeneratorExit"),
        (Cancelled, "CancelledError"),
        (Unspeakable, "str() failed"),
        (Wrong, "TypeError: its text is int, not str"),
    ],
)
def test_hostile_objects(shell: InteractiveShell, short_patience: None, kind: type, reason: str) -> None:
    """A value that raises, blocks, exits or gives no text is an error of one sentence, with its type and the reason."""
    before = signal.getsignal(signal.SIGALRM)
    with pytest.raises(ConfigError) as raised:
        show_value(shell, kind(), LIMIT)
    assert kind.__name__ in raised.value.message
    assert reason in raised.value.message
    assert "\x1b" not in raised.value.message
    assert len(raised.value.message) < 400
    assert raised.value.next_step.startswith("Nothing was sent")
    assert signal.getitimer(signal.ITIMER_REAL) == (0, 0)
    assert signal.getsignal(signal.SIGALRM) is before


def test_odd_objects(shell: InteractiveShell) -> None:
    """An object that lies about its class, or has every attribute that one asks for, is shown."""

    class Masked:
        @property
        def __class__(self) -> Any:
            raise RuntimeError

    class Obliging:
        def __getattr__(self, name: str) -> Any:
            return lambda *_, **__: "anything"

    assert "Masked" in text_of(shell, Masked())
    assert "Obliging" in text_of(shell, Obliging())
    assert "Mock" in text_of(shell, Mock())


def test_printing(shell: InteractiveShell, capfd: pytest.CaptureFixture[str]) -> None:
    """What is printed while an object shows itself is swallowed."""

    class Printing:
        def __repr__(self) -> str:
            print("printed")
            print("complained", file=sys.stderr)
            return "Printing()"

    assert text_of(shell, Printing()) == "Printing()"
    assert capfd.readouterr() == ("", "")


def test_interrupt(shell: InteractiveShell) -> None:
    """The person's interrupt is theirs."""

    class Interrupted:
        def __repr__(self) -> str:
            signal.raise_signal(signal.SIGINT)
            return ""

    with pytest.raises(KeyboardInterrupt):
        show_value(shell, Interrupted(), LIMIT)


# Teaching


def test_for_type(shell: InteractiveShell) -> None:
    """A library teaches how its own type is shown, as text or with images; subclasses follow, the nearest counts."""

    class Model:
        pass

    class Trained(Model):
        pass

    for_type(Model, lambda model: f"{type(model).__name__} of words")
    assert text_of(shell, Model()) == "Model of words"
    assert text_of(shell, Trained()) == "Trained of words"
    picture = Image("image/png", base64.b64encode(PNG).decode())
    for_type(Trained, lambda model: Shown("a" * 200, (picture,)))
    shown = show_value(shell, Trained(), 100)
    assert shown.images == (picture,)
    assert shown.left_out == 101
    assert text_of(shell, Model()) == "Model of words"


def test_for_type_comes_first(shell: InteractiveShell) -> None:
    """What was taught counts more than what is known of a library or of a builtin type."""

    class Table(pd.DataFrame):
        pass

    class Name(str):
        __slots__ = ()

    class Failure(Exception):
        pass

    for kind in (Table, Name, Failure):
        for_type(kind, lambda value: "taught")
        assert text_of(shell, kind()) == "taught"
    assert text_of(shell, "word") == "word"


def test_for_type_gone_wrong(shell: InteractiveShell) -> None:
    """A function that raises or returns something else is an error that names the type."""

    class Model:
        pass

    for_type(Model, lambda model: 1 // 0)
    with pytest.raises(ConfigError, match=r"Model cannot be shown: ZeroDivisionError"):
        show_value(shell, Model(), LIMIT)
    for_type(Model, lambda model: ["text"])
    with pytest.raises(ConfigError, match="its text is list, not str"):
        show_value(shell, Model(), LIMIT)


def test_public_name() -> None:
    """`claude_magic.for_type` is there, and importing the package alone imports neither IPython nor a library of data."""
    assert claude_magic.for_type is for_type
    with pytest.raises(AttributeError, match="no_such_name"):
        claude_magic.no_such_name  # noqa: B018
    libraries = {"pandas", "numpy", "matplotlib", "PIL", "polars"}
    code = f"import sys, claude_magic._kernel.values.shown_value; print({libraries} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout == "set()\n"
