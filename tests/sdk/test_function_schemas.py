"""Typed signatures as tools: the schema that Claude is told, and calls that arrive as the types of the hints."""

from __future__ import annotations

import collections
import dataclasses
import datetime
import decimal
import enum
import fractions
import functools
import ipaddress
import json
import math
import pathlib
import re
import typing
import uuid
from collections import abc
from typing import Annotated, Any, Literal, NamedTuple, NotRequired, Optional, Union

import numpy as np
import pandas as pd
import pytest
from jsonschema import Draft202012Validator
from pydantic import AnyUrl, BaseModel, Field, NonNegativeInt, PositiveFloat, RootModel, SecretStr, field_validator
from typing_extensions import TypedDict, Unpack

from claude_magic.errors import ConfigError
from claude_magic.sdk import only_reads
from claude_magic.sdk._tools.function_tool import FunctionTool, MisfitError


class Colour(enum.Enum):
    RED = "red"
    GREEN = "green"


class Size(enum.IntEnum):
    S = 1
    L = 2


class Mode(enum.StrEnum):
    FAST = "fast"


@dataclasses.dataclass
class Point:
    x: float
    y: float = 0.0


@dataclasses.dataclass(frozen=True)
class Path:
    points: list[Point]
    closed: bool = False


class City(BaseModel):
    name: str
    people: NonNegativeInt = 0
    limit: float = math.inf


class Tree(BaseModel):
    value: int
    children: list[Tree] = Field(default_factory=list)


class Checked(BaseModel):
    even: int

    @field_validator("even")
    @classmethod
    def _is_even(cls, value: int) -> int:
        if value % 2:
            raise ValueError("it is odd")
        return value


class Numbers(RootModel[list[int]]):
    pass


class Row(TypedDict):
    id: int
    note: NotRequired[str]


class Pair(NamedTuple):
    left: int
    right: str


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]
    age: int


class Plain:
    """A class that JSON has no place for."""


@dataclasses.dataclass
class WithFrame:
    frame: pd.DataFrame


Id = typing.NewType("Id", int)
T = typing.TypeVar("T")
Number = int | float

FRAME = pd.DataFrame({"a": [1, 2]})
ARRAY = np.ones(3)
PLAIN = Plain()
VARIABLES: dict[str, Any] = {
    "frame": FRAME,
    "array": ARRAY,
    "plain": PLAIN,
    "holder": WithFrame(FRAME),
    "numbers": [1, 2, 3],
    "points": [Point(1), Point(2)],
    "table": {"a": 1},
    "text": "words",
    "absolute": abs,
    "city": City(name="Rome"),
}

NAMED = {"variable": "numbers"}

# Hint, what Claude gives, what arrives.
SIGNATURES: list[tuple[Any, Any, Any]] = [
    (int, 3, 3),
    (int, -1, -1),
    (float, 3, 3.0),
    (float, 0.5, 0.5),
    (bool, True, True),
    (str, "a", "a"),
    (str, "", ""),
    (bytes, "abc", b"abc"),
    (None, None, None),
    (complex, "1+2j", 1 + 2j),
    (Any, {"a": [1]}, {"a": [1]}),
    (object, "text", "text"),
    (decimal.Decimal, "1.10", decimal.Decimal("1.10")),
    (decimal.Decimal, 2, decimal.Decimal(2)),
    (fractions.Fraction, "1/3", fractions.Fraction(1, 3)),
    (datetime.date, "2024-02-29", datetime.date(2024, 2, 29)),
    (datetime.datetime, "2024-01-02T03:04:05", datetime.datetime(2024, 1, 2, 3, 4, 5)),
    (datetime.time, "03:04", datetime.time(3, 4)),
    (datetime.timedelta, "P1D", datetime.timedelta(days=1)),
    (datetime.timedelta, "PT1M", datetime.timedelta(minutes=1)),
    (uuid.UUID, "12345678123456781234567812345678", uuid.UUID("12345678123456781234567812345678")),
    (pathlib.Path, "/tmp/a", pathlib.Path("/tmp/a")),
    (pathlib.PurePosixPath, "a/b", pathlib.PurePosixPath("a/b")),
    (ipaddress.IPv4Address, "127.0.0.1", ipaddress.IPv4Address("127.0.0.1")),
    (ipaddress.IPv6Network, "::/64", ipaddress.IPv6Network("::/64")),
    (re.Pattern[str], "a+", re.compile("a+")),
    (AnyUrl, "https://example.org/", AnyUrl("https://example.org/")),
    (SecretStr, "s", SecretStr("s")),
    (Colour, "red", Colour.RED),
    (Size, 2, Size.L),
    (Mode, "fast", Mode.FAST),
    (Literal["a", "b"], "b", "b"),
    (Literal[1, 2], 2, 2),
    (Literal["a", 1, None], None, None),
    (Optional[int], None, None),  # noqa: UP045 - the old spelling
    (Optional[int], 4, 4),  # noqa: UP045
    (int | None, None, None),
    (Union[int, str], "a", "a"),  # noqa: UP007
    (int | str, 1, 1),
    (Number, 1.5, 1.5),
    (datetime.date | None, "2024-01-01", datetime.date(2024, 1, 1)),
    (Colour | None, "green", Colour.GREEN),
    (list, [1, "a"], [1, "a"]),
    (list[int], [1, 2], [1, 2]),
    (list[int], NAMED, [1, 2, 3]),
    (list[list[float]], [[1], [2.5]], [[1.0], [2.5]]),
    (list[datetime.date], ["2024-01-01"], [datetime.date(2024, 1, 1)]),
    (list[Literal["a"]], ["a"], ["a"]),
    (list[Colour], ["red"], [Colour.RED]),
    (list[int | None], [1, None], [1, None]),
    (typing.List[str], ["a"], ["a"]),  # noqa: UP006 - the old spelling counts, too
    (dict, {"a": 1}, {"a": 1}),
    (dict[str, int], {"a": 1}, {"a": 1}),
    (dict[str, int], {"variable": "table"}, {"a": 1}),
    (dict[int, str], {"1": "a"}, {1: "a"}),
    (dict[datetime.date, int], {"2024-01-01": 1}, {datetime.date(2024, 1, 1): 1}),
    (dict[str, list[Point]], {"a": [{"x": 1}]}, {"a": [Point(1)]}),
    (typing.Dict[str, Any], {"a": None}, {"a": None}),  # noqa: UP006
    (tuple[int, str], [1, "a"], (1, "a")),
    (tuple[int, ...], [1, 2], (1, 2)),
    (tuple[float, float], [1, 2], (1.0, 2.0)),
    (set[int], [1, 2], {1, 2}),
    (frozenset[str], ["a"], frozenset("a")),
    (abc.Sequence[int], [1], [1]),
    (abc.Mapping[str, int], {"a": 1}, {"a": 1}),
    (collections.deque[int], [1], collections.deque([1])),
    (Point, {"x": 1}, Point(1.0)),
    (Point, {"x": 1, "y": 2}, Point(1.0, 2.0)),
    (Path, {"points": [{"x": 0}]}, Path([Point(0.0)])),
    (list[Point], {"variable": "points"}, VARIABLES["points"]),
    (Point | None, None, None),
    (City, {"name": "Rome"}, City(name="Rome")),
    (City, {"variable": "city"}, VARIABLES["city"]),
    (list[City], [{"name": "Rome", "people": 3}], [City(name="Rome", people=3)]),
    (Tree, {"value": 1, "children": [{"value": 2}]}, Tree(value=1, children=[Tree(value=2)])),
    (Checked, {"even": 2}, Checked(even=2)),
    (Numbers, [1, 2], Numbers([1, 2])),
    (Row, {"id": 1}, {"id": 1}),
    (Row, {"id": 1, "note": "n"}, {"id": 1, "note": "n"}),
    (list[Row], [{"id": 1}], [{"id": 1}]),
    (Pair, [1, "a"], Pair(1, "a")),
    (Annotated[Cat | Dog, Field(discriminator="kind")], {"kind": "dog", "age": 3}, Dog(kind="dog", age=3)),
    (Cat | Dog, {"kind": "cat", "lives": 9}, Cat(kind="cat", lives=9)),
    (PositiveFloat, 0.1, 0.1),
    (Annotated[int, Field(ge=1, le=5, description="from 1 to 5")], 5, 5),
    (Annotated[str, Field(pattern="^a", max_length=3)], "ab", "ab"),
    (Annotated[list[int], Field(min_length=1)], [1], [1]),
    (Annotated[int, "a word of its own"], 1, 1),
    (Id, 7, 7),
    (T, {"a": 1}, {"a": 1}),
    (abc.Collection[int], [1], [1]),
    (pd.DataFrame, "frame", FRAME),
    (pd.DataFrame | None, "frame", FRAME),
    (pd.DataFrame | None, None, None),
    (list[pd.DataFrame], ["frame"], [FRAME]),
    (dict[str, pd.DataFrame], {"a": "frame"}, {"a": FRAME}),
    (np.ndarray, "array", ARRAY),
    (np.typing.NDArray[np.float64], "array", ARRAY),
    (Plain, "plain", PLAIN),
    (WithFrame, "holder", VARIABLES["holder"]),
    (abc.Callable[[int], int], "absolute", abs),
    (Any, {"variable": "frame"}, FRAME),
]


def function_of(hint: Any) -> Any:
    """Return a function with one parameter of this type."""

    def function(given):  # type: ignore[no-untyped-def]
        return given

    function.__annotations__ = {"given": hint}
    return function


def test_enough_signatures() -> None:
    """A hundred signatures and more are tried."""
    assert len(SIGNATURES) >= 100


@pytest.mark.parametrize(("hint", "given", "arrives"), SIGNATURES, ids=[f"{n}-{s[0]}" for n, s in enumerate(SIGNATURES)])
def test_signature(hint: Any, given: Any, arrives: Any) -> None:
    """A hint gives a schema that the API takes, the call fits it, and what arrives is of the hint's type."""
    tool = FunctionTool.of(function_of(hint))
    text = json.dumps(tool.schema, allow_nan=False)
    assert tool.schema["type"] == "object"
    assert tool.schema.keys().isdisjoint({"anyOf", "oneOf", "allOf"})
    Draft202012Validator.check_schema(tool.schema)
    Draft202012Validator(json.loads(text)).validate({"given": given})
    arrived = tool.bind({"given": given}, VARIABLES)()
    assert type(arrived) is type(arrives)
    if isinstance(arrives, pd.DataFrame | np.ndarray):
        assert arrived is arrives
    elif not (isinstance(arrives, list | dict) and "frame" in str(given)):
        assert arrived == arrives


@pytest.mark.parametrize(
    ("hint", "given", "said"),
    [
        (int, "x", "given: Input should be a valid integer"),
        (list[int], [1, "x"], "given.1: Input should be a valid integer"),
        (datetime.date, "2024-02-30", "given: Input should be a valid date"),
        (Literal["a"], "b", "given: Input should be 'a'"),
        (Colour, "blue", "given: Input should be 'red' or 'green'"),
        (Point, {}, "given.x: Field required"),
        (Checked, {"even": 1}, "given.even: it is odd"),
        (pd.DataFrame, "nowhere", "given: there is no variable 'nowhere'"),
        (pd.DataFrame, "numbers", "given: 'numbers' holds a list, not a pandas DataFrame"),
        (list[int], {"variable": "nowhere"}, "given: there is no variable 'nowhere'"),
        (list[int], {"variable": "text"}, "given: Input should be a valid list"),
    ],
)
def test_misfit(hint: Any, given: Any, said: str) -> None:
    """A bad argument is an error that names the argument and says what it should be; the function has not run."""
    tool = FunctionTool.of(function_of(hint))
    with pytest.raises(MisfitError, match=re.escape(said)) as caught:
        tool.bind({"given": given}, VARIABLES)
    assert str(caught.value).startswith("function was not called. Correct this and call it again:\n- ")


def test_all_kinds_of_parameters() -> None:
    """Positional, named, further ones, and those with defaults arrive where they belong."""

    def every(first, /, second, third: int = 3, *rest: int, fourth: str = "d", **more: float):  # type: ignore[no-untyped-def]
        """Do everything."""
        return first, second, third, rest, fourth, more

    tool = FunctionTool.of(every)
    assert tool.description == "Do everything."
    assert tool.schema["required"] == ["first", "second"]
    assert tool.schema["properties"]["third"] == {"type": "integer", "default": 3}
    assert tool.bind({"first": 1, "second": 2}, {})() == (1, 2, 3, (), "d", {})
    given = {"first": 1, "second": 2, "rest": [4, 5], "fourth": "e", "more": {"x": 1}}
    assert tool.bind(given, {})() == (1, 2, 3, (4, 5), "e", {"x": 1.0})
    with pytest.raises(
        MisfitError, match="- fifth: there is no such argument\n- first: it is missing\n- second: it is missing"
    ):
        tool.bind({"fifth": 1}, {})


def test_defaults_that_json_cannot_hold() -> None:
    """A default that is no JSON, or long, stays Python's: the schema does without it."""

    def function(a: Any = PLAIN, b: float = math.nan, c: pd.DataFrame = FRAME, d: str = "x" * 1000) -> Any:
        return a, b, c, d

    tool = FunctionTool.of(function)
    assert not [name for name, own in tool.schema["properties"].items() if "default" in own]
    assert tool.bind({}, {})()[2] is FRAME


def test_none_as_default() -> None:
    """A parameter whose default is None takes null, whatever its hint says."""

    def function(limit: int = None) -> Any:  # type: ignore[assignment]  # noqa: RUF013
        return limit

    assert FunctionTool.of(function).bind({"limit": None}, {})() is None


def test_names_of_other_alphabets() -> None:
    """An argument with a name that the API does not take gets another one, and its own stands in its description."""

    def function(größe: int, 数: int = 0) -> int:  # noqa: N803
        return größe + 数

    tool = FunctionTool.of(function)
    assert [*tool.schema["properties"]] == ["argument_1", "argument_2"]
    assert tool.schema["properties"]["argument_1"]["description"] == "größe."
    assert tool.bind({"argument_1": 1, "argument_2": 2}, {})() == 3


def test_unpacked_keywords() -> None:
    """Keywords that a TypedDict describes are checked by it."""

    def function(**row: Unpack[Row]) -> Any:
        return row

    tool = FunctionTool.of(function)
    assert tool.bind({"row": {"id": 1}}, {})() == {"id": 1}
    with pytest.raises(MisfitError, match=r"row\.id: Field required"):
        tool.bind({"row": {}}, {})


def test_what_can_be_a_tool() -> None:
    """Methods, partials, classes and coroutine functions are tools as functions are; a wrapper has the inner signature."""

    class Account:
        def add(self, amount: int) -> int:
            return amount + 1

    def power(base: int, exponent: int) -> int:
        return int(base**exponent)

    async def later(n: int) -> int:
        return n

    @functools.wraps(power)
    def wrapped(*args: Any, **kwargs: Any) -> int:
        return power(*args, **kwargs)

    assert FunctionTool.of(Account().add).bind({"amount": 1}, {})() == 2
    assert FunctionTool.of(functools.partial(power, 2)).bind({"exponent": 3}, {})() == 8
    assert FunctionTool.of(Point, "point").bind({"x": 1}, {})() == Point(1.0)
    assert FunctionTool.of(wrapped).bind({"base": 2, "exponent": 2}, {})() == 4
    assert FunctionTool.of(later).is_async
    assert not FunctionTool.of(power).is_async


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (lambda: 1, "A function without a name cannot be a tool."),
        (functools.partial(lambda: 1), "A partial without a name cannot be a tool."),
        (3, "A int without a name cannot be a tool."),
    ],
)
def test_no_tool(function: Any, said: str) -> None:
    """What has no name that Claude could call is refused."""
    with pytest.raises(ConfigError, match=re.escape(said)):
        FunctionTool.of(function)


def test_names_that_the_api_does_not_take() -> None:
    """A name that the API would refuse the whole request for is refused before."""

    def größe() -> None: ...

    with pytest.raises(ConfigError, match="'größe' cannot be the name of a tool"):
        FunctionTool.of(größe)
    with pytest.raises(ConfigError, match="cannot be the name of a tool"):
        FunctionTool.of(abs, "a" * 60)


def test_hints_that_mean_nothing() -> None:
    """A hint with an unknown name is refused when the tool is made, by one line that names the function."""

    def function(given: Nowhere) -> None: ...  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(ConfigError, match=r"function cannot be a tool: name 'Nowhere' is not defined\."):
        FunctionTool.of(function)


def test_redefined() -> None:
    """Two definitions that Claude is told the same of are equal, so that no process has to be started anew."""

    def first() -> Any:
        def function(n: int) -> int:
            return n

        return function

    def second() -> Any:
        def function(n: int) -> int:
            return n + 1

        return function

    def third() -> Any:
        def function(n: str) -> str:
            return n

        return function

    assert FunctionTool.of(first()) == FunctionTool.of(second()) != FunctionTool.of(third())


def test_only_reads() -> None:
    """The mark stays on what it is put on, also behind a wrapper."""

    @only_reads
    def function() -> None: ...

    @functools.wraps(function)
    def wrapped() -> None: ...

    assert FunctionTool.of(function).read_only
    assert FunctionTool.of(wrapped).read_only
    assert not FunctionTool.of(Point).read_only
