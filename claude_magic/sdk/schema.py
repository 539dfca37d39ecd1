"""The schema of a structured reply, and the instance that is made of the reply.

A schema is given as a JSON schema, pydantic model, dataclass, TypedDict or another type. `_offers.schema_dialect` translates it
for the CLI, `_cli.translation` reads the CLI's answer. pydantic, jsonschema and pandas are imported when needed.
"""

from __future__ import annotations

import dataclasses
import json
import reprlib
import sys
import textwrap
import types
import typing
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Self, TypeVar

import typing_extensions

from claude_magic._libraries import library
from claude_magic.errors import ConfigError, StructuredOutputError
from claude_magic.sdk._offers.schema_dialect import for_cli
from claude_magic.sdk.response import VALUE, as_json

if TYPE_CHECKING:
    import pandas
    from pydantic import TypeAdapter

T = TypeVar("T")

_WHAT_IS_ONE = (
    "Give a JSON schema (a dict), a pydantic model, a dataclass, a TypedDict, or a list[...] of them; nothing was sent."
)


class Rows(list[T]):
    """The list of a structured reply; it can become a table."""

    def to_frame(self) -> pandas.DataFrame:
        """Make a DataFrame with a column for each field and a row for each item; nested values stay what they are.

        :raises ConfigError: when pandas is not there.
        """
        needed = library("pandas", "A DataFrame needs", next_step="Install it: pip install pandas")
        frame: pandas.DataFrame = needed.DataFrame([_fields(row) for row in self])
        return frame


@dataclasses.dataclass(frozen=True, slots=True)
class Schema:
    """What a reply must be.

    `text` is a JSON schema for `TurnOptions.schema`; checkpoints need that it is always the same for the same kind. Its root is
    an object; fields stand in the order in which they were written, because Claude fills them in that order.
    """

    name: str
    text: str
    kind: object = dataclasses.field(repr=False, compare=False)
    """The type or JSON schema that it was made of."""
    _wrapped: bool = dataclasses.field(repr=False)
    _read: Callable[[Any], Any] = dataclasses.field(repr=False, compare=False)

    @classmethod
    def of(cls, kind: object) -> Self:
        """Take a JSON schema, a pydantic model, a dataclass, a TypedDict or another type that JSON can hold.

        :raises ConfigError: when it is none of these, or describes nothing.
        """
        if isinstance(kind, Mapping):
            name = "the JSON schema"
            schema, read = _of_mapping(kind)
        elif isinstance(kind, type | typing.NewType | typing_extensions.TypeAliasType) or typing.get_origin(kind) is not None:
            name = _name(kind)
            schema, read = _of_type(kind, name)
        else:
            raise _no_schema(f"{reprlib.repr(kind)} is not a schema: its type is {type(kind).__name__}.")
        text, wrapped = for_cli(schema)
        return cls(name, text, kind, wrapped, read)

    def load(self, data: object) -> Any:
        """Turn a reply's data into an instance of the type; for a JSON schema it stays plain. A list becomes `Rows`.

        :raises StructuredOutputError: when it does not fit; the error's `content` holds the data as text.
        """
        try:
            value = self._read(self.unwrapped(data))
        except _MisfitError as error:
            raise StructuredOutputError(f"The reply does not fit {self.name}: {error}.", content=as_json(data)) from error
        return Rows(value) if type(value) is list else value

    def unwrapped(self, data: object) -> Any:
        """Return the data without its wrapper: the CLI takes only objects, so other data comes as the one field of an object.

        :raises ValueError: when that field is missing.
        """
        if not self._wrapped:
            return data
        if not isinstance(data, Mapping) or VALUE not in data:
            raise _MisfitError(f"it has no {VALUE!r}")
        return data[VALUE]


class _MisfitError(ValueError):
    """Says where the data does not fit, and why."""


def _of_mapping(kind: Mapping[Any, Any]) -> tuple[dict[str, Any], Callable[[Any], Any]]:
    from jsonschema import Draft202012Validator, FormatChecker, SchemaError
    from jsonschema.exceptions import best_match
    from jsonschema.validators import validator_for

    try:
        schema = json.loads(json.dumps(dict(kind), allow_nan=False))
    except (TypeError, ValueError, RecursionError) as error:
        raise _no_schema(f"{reprlib.repr(kind)} is not a JSON schema: {error}.") from error
    if not isinstance(schema.get("$schema", ""), str):
        raise _no_schema(f"{reprlib.repr(kind)} is not a JSON schema: $.$schema cannot be {schema['$schema']!r}.")
    checker = validator_for(schema, default=Draft202012Validator)
    try:
        # Otherwise a pattern that Python cannot read fails only once the reply is paid for.
        checker.check_schema(schema, format_checker=FormatChecker(["regex"]))
    except SchemaError as error:
        kind_of = ", which is not a regular expression in Python" if error.validator == "format" else ""
        reason = f"{error.json_path} cannot be {reprlib.repr(error.instance)}{kind_of}"
        raise _no_schema(f"{reprlib.repr(kind)} is not a JSON schema: {reason}.") from error
    if schema.keys().isdisjoint(checker.VALIDATORS):
        raise _no_schema(f"{reprlib.repr(kind)} is not a JSON schema: it does not say what a reply must be.")
    validator = checker(schema)

    def read(data: Any) -> Any:
        if error := best_match(validator.iter_errors(data)):
            raise _MisfitError(f"{error.json_path}: {_line(error.message)}")
        return data

    return schema, read


def _of_type(kind: Any, name: str) -> tuple[dict[str, Any], Callable[[Any], Any]]:
    from pydantic import ValidationError
    from pydantic.errors import PydanticUserError
    from pydantic_core import SchemaError

    try:
        adapter = adapter_of(with_typed_dicts(kind))
        schema = adapter.json_schema()
    except (PydanticUserError, SchemaError, NameError, TypeError) as error:
        # Only the first sentence: pydantic's others are about its own settings.
        reason = _line(getattr(error, "message", str(error))).split(". ")[0].rstrip(".")
        reason = reason.replace("Unable to generate pydantic-core schema for", "JSON has no place for")
        raise _no_schema(f"{name} cannot be a schema: {reason}.") from error
    if not schema.keys() - {"title", "description"}:
        raise _no_schema(f"{name} does not say what a reply must be.")

    def read(data: Any) -> Any:
        try:
            # As JSON, because only there strict models take a string for a date or an enum.
            return adapter.validate_json(json.dumps(data))
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise _MisfitError(": ".join(filter(None, (where, _line(first["msg"]))))) from error

    return schema, read


def adapter_of(kind: Any) -> TypeAdapter[Any]:
    """Return pydantic's reader of a type, with every name in the type resolved."""
    from pydantic import TypeAdapter

    adapter: TypeAdapter[Any] = TypeAdapter(kind)
    adapter.rebuild(raise_errors=True)  # otherwise a name that is not known yet is left for later
    return adapter


def with_typed_dicts(kind: Any) -> Any:
    """Replace `typing`'s TypedDicts, which pydantic takes only from Python 3.12 on, by those of `typing_extensions`."""
    return kind if sys.version_info >= (3, 12) else _rebuilt(kind, {})


def _rebuilt(kind: Any, known: dict[Any, Any]) -> Any:
    if not typing.is_typeddict(kind):
        arguments = typing.get_args(kind)
        if not arguments or typing.get_origin(kind) is typing.Literal:
            return kind
        rebuilt = tuple(_rebuilt(argument, known) for argument in arguments)
        if all(new is old for new, old in zip(rebuilt, arguments, strict=True)):
            return kind
        origin: Any = typing.get_origin(kind)
        if origin is types.UnionType:
            origin = typing.Union
        return origin[rebuilt if len(rebuilt) > 1 else rebuilt[0]]
    if kind not in known:
        qualifiers = {
            key: typing.Required if key in kind.__required_keys__ else typing.NotRequired for key in kind.__annotations__
        }
        placeholders = {key: qualifier[Any] for key, qualifier in qualifiers.items()}
        twin: Any = typing_extensions.TypedDict(kind.__name__, placeholders)  # type: ignore[misc] # fields known at run time
        for attribute in {"__module__", "__qualname__", "__doc__", "__pydantic_config__"} & vars(kind).keys():
            setattr(twin, attribute, getattr(kind, attribute))
        known[kind] = twin  # before its fields, which may be of the same kind
        for key, hint in typing.get_type_hints(kind, include_extras=True).items():
            qualified = typing.get_origin(hint) in (typing.Required, typing.NotRequired)
            twin.__annotations__[key] = _rebuilt(hint if qualified else qualifiers[key][hint], known)
    return known[kind]


def _name(kind: Any) -> str:
    return kind.__name__ if isinstance(kind, type) and typing.get_origin(kind) is None else str(kind).replace("typing.", "")


def _fields(row: Any) -> dict[str, Any]:
    if isinstance(row, Mapping):
        return dict(row)
    if dataclasses.is_dataclass(row):
        return {field.name: getattr(row, field.name) for field in dataclasses.fields(row)}
    if hasattr(type(row), "model_fields"):
        return dict(row)
    return row._asdict() if hasattr(row, "_asdict") else {VALUE: row}


def _line(text: str) -> str:
    return textwrap.shorten(text, 300, placeholder="…")


def _no_schema(message: str) -> ConfigError:
    return ConfigError(message, next_step=_WHAT_IS_ONE)
