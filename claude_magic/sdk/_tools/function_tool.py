"""Makes a tool of a person's function: the schema comes from its signature, and the arguments of a call are checked against it.

A value that JSON cannot hold, such as a DataFrame, is passed by the name of a variable. Large values may be, too.
"""

from __future__ import annotations

import functools
import inspect
import json
import operator
import re
import types
import typing
from collections import abc
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Final, Self, TypeVar, Union

import typing_extensions

from claude_magic.errors import ConfigError
from claude_magic.sdk.host import SERVER, Tool
from claude_magic.sdk.schema import adapter_of, with_typed_dicts

if TYPE_CHECKING:
    from pydantic import GetJsonSchemaHandler, TypeAdapter, ValidationInfo
    from pydantic_core import CoreSchema

F = TypeVar("F", bound=Callable[..., Any])

_KEY: Final = re.compile(r"[A-Za-z0-9_-]{1,64}")
"""Valid names of a tool or an argument for the API."""

_MAX_NAME: Final = 64 - len(f"mcp__{SERVER}__")
_MAX_DESCRIPTION: Final = 2_000
_MAX_DEFAULT: Final = 200
_READS: Final = "__claude_only_reads__"
_VARIABLE: Final = "variable"
_REFERENCE: Final = {
    "type": "object",
    "properties": {_VARIABLE: {"type": "string", "description": "The name of a variable that holds it"}},
    "required": [_VARIABLE],
    "additionalProperties": False,
}
_CONTAINERS: Final = (list, set, frozenset, dict, tuple, abc.Sequence, abc.Iterable, abc.Mapping, abc.Collection, abc.Set)
_READ_AS: Final = {abc.Collection: list, abc.Set: set}
"""Abstract containers that pydantic does not accept, each with the class used instead."""

_NOTHING_SENT: Final = "Nothing was sent."


class MisfitError(ValueError):
    """The arguments of a call do not fit. The message says which and why, so that Claude can correct them."""


def only_reads(function: F) -> F:
    """Mark a function as one that changes nothing, so that Claude may call it as a tool without asking."""
    setattr(function, _READS, True)
    return function


@dataclass(frozen=True, slots=True)
class _Parameter:
    name: str
    key: str
    is_required: bool
    adapter: TypeAdapter[Any]


@dataclass(frozen=True, slots=True)
class FunctionTool(Tool):
    """A tool and its function. Two are equal if they look the same to Claude."""

    _function: Callable[..., Any] = field(default=lambda: None, compare=False, repr=False)
    _signature: inspect.Signature = field(default=inspect.Signature(), compare=False, repr=False)
    _parameters: tuple[_Parameter, ...] = field(default=(), compare=False, repr=False)

    @property
    def is_async(self) -> bool:
        """Whether the function is a coroutine function."""
        return inspect.iscoroutinefunction(inspect.unwrap(self._function))

    @classmethod
    def of(cls, function: Callable[..., Any], name: str | None = None) -> Self:
        """Make a tool of a function, a coroutine function, a method or a class.

        :param name: the tool's name; by default that of the function.
        :raises ConfigError: if it cannot be called, its name is not valid for the API, or its hints are not valid.
        """
        name = name or _name_of(function)
        if not callable(function):
            raise ConfigError(f"{name} is not a function: its type is {type(function).__name__}.", next_step=_NOTHING_SENT)
        if len(name) > _MAX_NAME or not _KEY.fullmatch(name):
            raise ConfigError(
                f"{name[:80]!r} cannot be the name of a tool: use letters from a to z, digits, _ and -, at most {_MAX_NAME}.",
                next_step=f"Give the function another name. {_NOTHING_SENT}",
            )
        try:
            signature = inspect.signature(function, eval_str=True)
        except Exception as error:  # evaluating hints runs the person's code
            raise _unusable(name, error) from error
        found = [_parameter(name, number, each) for number, each in enumerate(signature.parameters.values(), 1)]
        parameters = tuple(parameter for parameter, _ in found)
        schema = _schema(signature, found)
        reads = bool(getattr(function, _READS, False))
        return cls(name, _description(function, name, signature), schema, reads, function, signature, parameters)

    def bind(self, arguments: Mapping[str, Any], variables: Mapping[str, Any]) -> Callable[[], Any]:
        """Return a callable that calls the function, with the arguments converted to the types of its hints.

        :param variables: values that can be passed by name.
        :raises MisfitError: if the arguments do not fit; nothing has run.
        """
        known = {parameter.key for parameter in self._parameters}
        mistakes = [f"{key}: there is no such argument" for key in arguments.keys() - known]
        bound = self._signature.bind_partial()
        for parameter in self._parameters:
            if parameter.key in arguments:
                try:
                    bound.arguments[parameter.name] = _read(parameter, arguments[parameter.key], variables)
                except MisfitError as error:
                    mistakes.append(str(error))
            elif parameter.is_required:
                mistakes.append(f"{parameter.key}: it is missing")
        if mistakes:
            lines = "\n".join(f"- {mistake}" for mistake in mistakes)
            raise MisfitError(f"{self.name} was not called. Correct this and call it again:\n{lines}")
        bound.apply_defaults()
        return functools.partial(self._function, *bound.args, **bound.kwargs)


def function_tools(
    functions: Iterable[Callable[..., Any] | FunctionTool], taken: Iterable[Tool] = ()
) -> tuple[FunctionTool, ...]:
    """Make tools of functions.

    :param taken: tools whose names are in use.
    :raises ConfigError: if one cannot be a tool, or two have the same name.
    """
    tools = [function if isinstance(function, FunctionTool) else FunctionTool.of(function) for function in functions]
    names = [tool.name for tool in (*taken, *tools)]
    if double := next((name for name in names if names.count(name) > 1), None):
        raise ConfigError(f"Two tools are called {double}.", next_step=f"Give the function another name. {_NOTHING_SENT}")
    return tuple(tools)


@dataclass(frozen=True)
class _ByName:
    """Marks a value that is passed by the name of a variable."""

    kind: Any

    def __get_pydantic_core_schema__(self, source: object, handler: object) -> CoreSchema:
        from pydantic_core import core_schema

        return core_schema.with_info_plain_validator_function(self._found)

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        return {"type": "string", "description": f"The name of a variable that holds a {_type_name(self.kind)}"}

    def _found(self, given: object, info: ValidationInfo) -> object:
        value = _variable(given, info.context) if isinstance(given, str) else given
        try:
            fits = isinstance(value, self.kind)
        except TypeError:  # this type does not allow `isinstance`
            fits = True
        if not fits:
            raise ValueError(f"{given!r} holds a {_type_name(type(value))}, not a {_type_name(self.kind)}")
        return value


def _variable(name: str, variables: Any) -> object:
    if name not in variables:
        raise ValueError(f"there is no variable {name!r}")
    return variables[name]


def _read(parameter: _Parameter, given: object, variables: Mapping[str, Any]) -> object:
    from pydantic import ValidationError

    try:
        if isinstance(given, dict) and given.keys() == {_VARIABLE} and isinstance(given[_VARIABLE], str):
            return parameter.adapter.validate_python(_variable(given[_VARIABLE], variables), context=variables)
        # Validated as JSON, because strict types accept a string for a date or an enum only there.
        return parameter.adapter.validate_json(json.dumps(given), context=variables)
    except ValidationError as error:
        found = error.errors(include_url=False, include_context=False, include_input=False)[:5]
        lines = (
            f"{'.'.join(map(str, (parameter.key, *each['loc'])))}: {each['msg'].removeprefix('Value error, ')}"
            for each in found
        )
        raise MisfitError("\n- ".join(lines)) from error
    except ValueError as error:
        raise MisfitError(f"{parameter.key}: {error}") from error


def _parameter(tool: str, number: int, parameter: inspect.Parameter) -> tuple[_Parameter, Any]:
    """Return a parameter with its adapter, and its resolved hint."""
    empty = inspect.Parameter.empty
    hint: Any = Any if parameter.annotation is empty else parameter.annotation
    several = parameter.kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
        hint = list[hint]
    elif parameter.kind is inspect.Parameter.VAR_KEYWORD:
        unpacked = typing.get_origin(hint) in (typing_extensions.Unpack, getattr(typing, "Unpack", None))
        hint = typing.get_args(hint)[0] if unpacked else dict[str, hint]
    elif parameter.default is None and hint is not Any:
        hint = hint | None
    key = parameter.name if _KEY.fullmatch(parameter.name) else f"argument_{number}"
    try:
        adapter = adapter_of(_with_names(with_typed_dicts(hint)))
    except Exception as error:  # a pydantic model may compute its own schema
        raise _unusable(f"{tool}, {parameter.name}", error) from error
    return _Parameter(parameter.name, key, not several and parameter.default is empty, adapter), hint


def _with_names(hint: Any) -> Any:
    """Return a hint in which each type that JSON cannot hold is passed by name."""
    from pydantic.errors import PydanticUserError
    from pydantic_core import SchemaError

    try:
        adapter_of(hint).json_schema()
    except NameError:
        raise
    except (PydanticUserError, SchemaError, TypeError):
        origin, arguments = typing.get_origin(hint), typing.get_args(hint)
        if origin is Annotated:
            return Annotated[(_with_names(arguments[0]), *hint.__metadata__)]
        if origin in (Union, types.UnionType):
            return functools.reduce(operator.or_, map(_with_names, arguments))
        if origin in _CONTAINERS and arguments:
            container: Any = _READ_AS.get(origin, origin)
            return container[tuple(argument if argument is ... else _with_names(argument) for argument in arguments)]
        return Annotated[Any, _ByName(origin or hint)]
    return hint


def _schema(signature: inspect.Signature, found: list[tuple[_Parameter, Any]]) -> dict[str, Any]:
    from pydantic import TypeAdapter

    keyed: Any = [(parameter.key, "validation", parameter.adapter) for parameter, _ in found]
    schemas, shared = TypeAdapter.json_schemas(keyed) if found else ({}, {})
    properties = {}
    for parameter, hint in found:
        own = _or_by_name(dict(schemas[parameter.key, "validation"]), shared.get("$defs", {}), hint)
        own |= _default(signature.parameters[parameter.name].default)
        if parameter.key != parameter.name:
            own["description"] = f"{parameter.name}. {own.get('description', '')}".rstrip()
        properties[parameter.key] = own
    required = [parameter.key for parameter, _ in found if parameter.is_required]
    schema: dict[str, Any] = {"type": "object", "properties": properties, "additionalProperties": False}
    schema |= {"required": required} if required else {}
    schema |= {"$defs": shared["$defs"]} if shared.get("$defs") else {}
    finite: dict[str, Any] = _finite(schema)
    return finite


def _or_by_name(own: dict[str, Any], shared: Mapping[str, Any], hint: Any) -> dict[str, Any]:
    """Let a value that may be large also be given by name."""
    if hint is Any or not own.keys() - {"title", "description", "default"}:
        return {"description": f"Any value; or {{{_VARIABLE!r}: NAME}} for what a variable holds".replace("'", '"')}
    pointed = shared.get(str(own.get("$ref", "")).rpartition("/")[2], own)
    choices = own.get("anyOf", [own])
    if pointed.get("type") in ("array", "object") or any(choice.get("type") in ("array", "object") for choice in choices):
        about = {key: value for key, value in own.items() if key in ("title", "description")}
        return {**about, "anyOf": [*choices, _REFERENCE]}
    return own


def _default(value: object) -> dict[str, Any]:
    from pydantic_core import PydanticSerializationError, to_jsonable_python

    if value is inspect.Parameter.empty:
        return {}
    try:
        plain = to_jsonable_python(value)
        return {"default": plain} if len(json.dumps(plain, allow_nan=False)) <= _MAX_DEFAULT else {}
    except (PydanticSerializationError, TypeError, ValueError, RecursionError):
        return {}


def _finite(schema: Any) -> Any:
    """Leave out values that JSON cannot hold, such as an infinite default."""
    match schema:
        case dict():
            kept = {key: _finite(value) for key, value in schema.items()}
            return {key: value for key, value in kept.items() if value is not None or schema[key] is None}
        case list():
            return [_finite(value) for value in schema]
        case float() if schema != schema or schema in (float("inf"), float("-inf")):
            return None
    return schema


def _description(function: Callable[..., Any], name: str, signature: inspect.Signature) -> str:
    # `getdoc` of a partial gives the docstring of its class, so the function inside is read.
    own = function if hasattr(function, "__name__") else getattr(function, "func", None)
    text = inspect.getdoc(own) if own is not None else None
    shown = f"{name}{signature}"
    return (text or f"A function of the user's: {shown}")[:_MAX_DESCRIPTION]


def _name_of(function: object) -> str:
    name = getattr(function, "__name__", None) or getattr(getattr(function, "func", None), "__name__", None)
    if not isinstance(name, str) or name == "<lambda>":
        raise ConfigError(
            f"A {type(function).__name__} without a name cannot be a tool.",
            next_step=f"Define a function with a name. {_NOTHING_SENT}",
        )
    return name


def _type_name(kind: Any) -> str:
    name = getattr(kind, "__name__", None) or str(kind)
    module = str(getattr(kind, "__module__", "")).partition(".")[0]
    return name if module in ("", "builtins", "__main__", "typing") else f"{module} {name}"


def _unusable(name: str, error: Exception) -> ConfigError:
    reason = (str(error) or type(error).__name__).splitlines()[0].rstrip(".")
    return ConfigError(f"{name} cannot be a tool: {reason}.", next_step=f"Correct its type hints. {_NOTHING_SENT}")
