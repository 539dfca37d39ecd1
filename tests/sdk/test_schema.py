"""What can be a schema, what the CLI is told of it, and what becomes of a reply's data."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from datetime import date
from enum import Enum
from typing import Annotated, Any, Literal, NamedTuple, NotRequired, Optional, TypedDict

import pandas
import pytest
from pydantic import BaseModel, Field

from claude_magic.errors import ConfigError, StructuredOutputError
from claude_magic.sdk import Rows, Schema, TurnOptions


class City(BaseModel):
    name: str
    founded: date
    tags: list[str] = []


@dataclass
class Person:
    name: str
    age: int
    born_in: City | None = None


class Book(TypedDict):
    """A book."""

    title: str
    pages: NotRequired[int]
    sequels: NotRequired[list[Book]]


class Colour(Enum):
    RED = "red"


class Pair(NamedTuple):
    word: str
    count: int


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int


class Dog(BaseModel):
    kind: Literal["dog"]


class Plain:
    pass


@dataclass
class Unfinished:
    part: Missing  # noqa: F821 - the test is about it


PARIS = {"name": "Paris", "founded": "0250-01-01"}
CAR = {"type": "object", "properties": {"wheels": {"type": "integer"}}, "required": ["wheels"]}


@pytest.mark.parametrize(
    ("kind", "data", "value"),
    [
        (City, PARIS, City(name="Paris", founded=date(250, 1, 1))),
        (Person, {"name": "Ada", "age": 36, "born_in": PARIS}, Person("Ada", 36, City(name="Paris", founded=date(250, 1, 1)))),
        (Book, {"title": "Emma", "sequels": [{"title": "Emma 2"}]}, {"title": "Emma", "sequels": [{"title": "Emma 2"}]}),
        (Optional[Book], {"title": "Emma"}, {"title": "Emma"}),  # noqa: UP045 - people write it
        (Book | None, None, None),
        (dict[str, Book], {"first": {"title": "Emma"}}, {"first": {"title": "Emma"}}),
        (list[Book], [{"title": "Emma"}], [{"title": "Emma"}]),
        (list[Person], [{"name": "Ada", "age": 36}], [Person("Ada", 36)]),
        (Annotated[list[int], Field(max_length=2)], [1], [1]),
        (Annotated[Cat | Dog, Field(discriminator="kind")], {"kind": "cat", "lives": 9}, Cat(kind="cat", lives=9)),
        (Colour, "red", Colour.RED),
        (Literal["yes", "no"], "no", "no"),
        (Pair, ["word", 3], Pair("word", 3)),
        (int, 5, 5),
        (CAR, {"wheels": 4}, {"wheels": 4}),
        ({"type": "array", "items": {"$ref": "#/$defs/car"}, "$defs": {"car": CAR}}, [{"wheels": 4}], [{"wheels": 4}]),
    ],
    ids=str,
)
def test_a_reply_becomes_an_instance(kind: Any, data: Any, value: Any) -> None:
    """Models, dataclasses, TypedDicts, lists of them and other types become instances; the schema's root is an object."""
    schema = Schema.of(kind)
    root = json.loads(schema.text)
    assert root["type"] == "object"
    assert root.keys().isdisjoint({"anyOf", "oneOf", "allOf", "$ref"})
    wrapped = list(root.get("properties", {})) == ["value"]
    loaded = schema.load({"value": data} if wrapped else data)
    assert loaded == value
    assert type(loaded) is (Rows if isinstance(value, list) else type(value))
    assert Schema.of(kind) == schema
    assert TurnOptions(schema=schema.text).schema == schema.text


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        (5, "5 is not a schema: its type is int."),
        (None, "None is not a schema"),
        ("Person", "'Person' is not a schema: its type is str."),
        (Person("Ada", 36), "is not a schema: its type is Person."),
        (print, "is not a schema"),
        ([Person], "is not a schema: its type is list."),
        ({"type": "nonsense"}, "is not a JSON schema: $.type cannot be 'nonsense'."),
        ({"properties": {"a": {"type": "nonsense"}}}, "$.properties.a.type cannot be 'nonsense'."),
        ({"name": "string"}, "it does not say what a reply must be."),
        ({}, "it does not say what a reply must be."),
        ({"name": str}, "is not a JSON schema: Object of type type is not JSON serializable."),
        ({"properties": {"a": {"pattern": "("}}}, "$.properties.a.pattern cannot be '(', which is not a regular expression"),
        ({"properties": {"a": {"pattern": r"\d\-\d"}}}, r"its pattern '\\d\\-\\d' holds '\\-', which JavaScript does not"),
        (Annotated[str, Field(pattern="(?i)a")], "holds '(?i)', which JavaScript does not know"),
        ({"type": "object", "$schema": 5}, "$.$schema cannot be 5."),
        ({"type": "object", "properties": {"a": {"$ref": "http://127.0.0.1:9/a"}}}, "refers to http://127.0.0.1:9/a"),
        ({"type": "array", "items": {"$ref": "#/$defs/none"}}, "refers to #/$defs/none"),
        ({"type": "object", "description": "x" * 100_000}, "100,000"),
        (Plain, "Plain cannot be a schema: JSON has no place for"),
        (list[Plain], "JSON has no place for"),
        (Unfinished, "Unfinished cannot be a schema: name 'Missing' is not defined."),
        (Any, "Any does not say what a reply must be."),
        (object, "object does not say what a reply must be."),
    ],
    ids=lambda value: str(value)[:60],
)
def test_what_is_no_schema_is_said_in_one_line(kind: Any, reason: str) -> None:
    """Anything else is refused in one sentence, with what to give instead."""
    with pytest.raises(ConfigError) as caught:
        Schema.of(kind)
    assert reason in caught.value.message
    assert "\n" not in caught.value.message
    assert caught.value.next_step


@pytest.mark.parametrize(
    ("kind", "data", "reason"),
    [
        (Person, {"name": "Ada", "age": "old"}, "does not fit Person: age: Input should be a valid integer"),
        (list[Person], {"value": [{"name": "Ada"}]}, "0.age: Field required"),
        (list[Person], {"people": []}, "it has no 'value'"),
        (Book, {"value": {"pages": 3}}, "does not fit Book: title: Field required"),
        (CAR, {"wheels": "four"}, "does not fit the JSON schema: $.wheels: 'four' is not of type 'integer'"),
        ({"type": "object", "dependentRequired": {"a": ["b"]}}, {"a": 1}, "'b' is a dependency of 'a'"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_an_error_with_the_data(kind: Any, data: Any, reason: str) -> None:
    """Data that does not fit says where and why, and is kept as text; also what the CLI was not told of is checked."""
    with pytest.raises(StructuredOutputError) as caught:
        Schema.of(kind).load(data)
    assert reason in str(caught.value)
    assert json.loads(caught.value.content) == data


def test_the_cli_is_told_what_it_takes() -> None:
    """Keywords that the CLI refuses are left out; a tuple is a list of its kinds; fields keep their order."""
    pet = Annotated[Cat | Dog, Field(discriminator="kind")]
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "properties": {
            "z": {"type": "string", "x-note": 1},
            "a": {"type": "array", "prefixItems": [{"const": 1}], "items": False},
        },
    }
    assert json.loads(Schema.of(schema).text) == {
        "type": "object",
        "properties": {"z": {"type": "string"}, "a": {"type": "array", "items": {"anyOf": [{"const": 1}]}}},
    }
    assert Schema.of(schema).text.index('"z"') < Schema.of(schema).text.index('"a"')
    assert "discriminator" not in Schema.of(pet).text
    assert "prefixItems" not in Schema.of(Pair).text


def test_text_that_is_no_schema_is_refused() -> None:
    """Options take the text of a schema, which is a JSON object."""
    for text in ("no", '"text"', "[]"):
        with pytest.raises(ConfigError, match="schema is not a JSON object"):
            TurnOptions(schema=text)


def test_rows_become_a_frame() -> None:
    """A list has a column for each field; what is nested stays what it is."""
    people = Schema.of(list[Person]).load({"value": [{"name": "Ada", "age": 36, "born_in": PARIS}, {"name": "Bob", "age": 7}]})
    frame = people.to_frame()
    assert list(frame.columns) == ["name", "age", "born_in"]
    assert frame["age"].tolist() == [36, 7]
    assert isinstance(frame["born_in"][0], City)
    cities = Schema.of(list[City]).load({"value": [PARIS]}).to_frame()
    assert cities.iloc[0].tolist() == ["Paris", date(250, 1, 1), []]
    assert list(Rows([{"a": 1}, {"b": 2}]).to_frame().columns) == ["a", "b"]
    assert Rows([1, 2]).to_frame()["value"].tolist() == [1, 2]
    assert isinstance(Rows([]).to_frame(), pandas.DataFrame)


def test_a_frame_needs_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without pandas it is said what is missing."""
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ConfigError, match="needs pandas"):
        Rows([1]).to_frame()
