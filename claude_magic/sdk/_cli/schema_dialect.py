"""A JSON schema in the words that the CLI takes for `--json-schema`.

The CLI (2.1.331) reads draft 7 and refuses a schema with any keyword that it does not know; the API wants an object at the
root of what a tool takes, and draft 2020-12 elsewhere. What both take is kept, the rest is left out: the whole schema is
checked by `Schema.load` when the reply is there.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final
from urllib.parse import unquote

from claude_magic.errors import ConfigError
from claude_magic.sdk.response import VALUE

MAX_LENGTH: Final = 100_000
"""More than any form that a model can fill; a person who types the same command has 128 KiB for it on Linux."""

_ONE: Final = frozenset({"additionalProperties", "contains", "propertyNames", "not", "if", "then", "else"})
_SEVERAL: Final = frozenset({"allOf", "anyOf", "oneOf"})
_NAMED: Final = frozenset({"properties", "patternProperties", "$defs", "definitions"})
_PLAIN: Final = frozenset(
    {
        *("type", "enum", "const", "title", "description", "default", "examples", "deprecated", "readOnly", "writeOnly"),
        *("format", "pattern", "minLength", "maxLength", "required", "minProperties", "maxProperties"),
        *("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minItems", "maxItems", "uniqueItems"),
    }
)
# The API takes none of these at the root of what a tool takes, whatever else stands there.
_NOT_AT_ROOT: Final = frozenset({"$ref", "allOf", "anyOf", "oneOf", "not", "if", "enum", "const"})

# What patterns are made of, as JavaScript reads them with the flag `u`, which is how the CLI (2.1.332) reads those of a schema.
_TOKENS: Final = re.compile(
    r"""(?P<escape>\\(?:u\{[0-9A-Fa-f]+\}|[pP]\{[^}]*\}|k<\w+>|c[A-Za-z]|.|$))
    |(?P<set>\[\^?(?:\\.|[^\]\\])*\])
    |(?P<group>\(\?(?:[:=!]|<[=!]|<\w+>|[ims]*(?:-[ims]+)?:|.?.?))
    |(?P<repeat>(?:[*+?]|\{\d+(?:,\d*)?\})(?P<more>[*+?]*))
    |(?P<lone>[{}\]])
    |.""",
    re.VERBOSE | re.DOTALL,
)
_ESCAPES: Final = re.compile(r"\\(?:[\^$\\.*+?()\[\]{}|/dDwWsSbBtnrfv0-9]|u\{|[ux]|[pP]\{|k<|c[A-Za-z])")
_GROUPS: Final = re.compile(r"\(\?(?:[:=!]|<[=!]|<\w+>|[ims]*(?:-[ims]+)?:)")
_IN_SET: Final = re.compile(r"\\(.)", re.DOTALL)
_SET_ESCAPES: Final = frozenset("^$\\.*+?()[]{}|/-dDwWsSbtnrfv0123456789uxpPc")


def for_cli(schema: Mapping[str, Any]) -> tuple[str, bool]:
    """Return the schema as the CLI takes it, and whether the reply is wrapped in an object with one property.

    :raises ConfigError: when it refers to what is not in it, holds a pattern that the CLI cannot read, or is too long.
    """
    if "properties" in schema and "type" not in schema:
        schema = {"type": "object", **schema}
    wrapped = schema.get("type") != "object" or not _NOT_AT_ROOT.isdisjoint(schema)
    root: dict[str, Any]
    if wrapped:
        value = _reduced(schema, f"/properties/{VALUE}")
        root = {"type": "object", "properties": {VALUE: value}, "required": [VALUE], "additionalProperties": False}
    else:
        root = _reduced(schema, "")
    for reference in _references(root):
        if not _resolves(root, reference):
            raise ConfigError(
                f"The schema refers to {reference.replace(f'/properties/{VALUE}', '', 1)}, which the CLI would not find in it.",
                next_step='Put it under "$defs" of the schema itself and refer to it as "#/$defs/NAME".',
            )
    for pattern in patterns(root):
        if wrong := _not_javascript(pattern):
            raise ConfigError(
                f"The CLI would not take the schema: its pattern {pattern!r} holds {wrong!r}, which JavaScript does not know.",
                next_step="Write the pattern as both Python and JavaScript (with its flag u) read it; nothing was sent.",
            )
    text = json.dumps(root)
    if len(text) > MAX_LENGTH:
        raise ConfigError(
            f"The schema is {len(text):,} characters of JSON; the CLI can be given {MAX_LENGTH:,}.",
            next_step="Leave out descriptions, examples or fields.",
        )
    return text, wrapped


def _reduced(schema: Any, root: str) -> Any:
    """Leave out what the CLI does not take; `root` is where in the result the schema's own root will be."""
    if not isinstance(schema, dict):
        return schema
    kept: dict[str, Any] = {}
    for keyword, value in schema.items():
        if keyword in _PLAIN:
            kept[keyword] = value
        elif keyword in _ONE:
            kept[keyword] = _reduced(value, root)
        elif keyword in _SEVERAL:
            kept[keyword] = [_reduced(part, root) for part in value]
        elif keyword in _NAMED:
            kept[keyword] = {name: _reduced(part, root) for name, part in value.items()}
        elif keyword == "$ref":
            kept[keyword] = f"#{root}{value[1:]}" if value.startswith("#") else value
    if (items := _items(schema)) is not None:
        kept["items"] = _reduced(items, root)
    return kept


def _items(schema: dict[str, Any]) -> Any:
    """Say what the items of an array are; those of a tuple are each of any of its kinds, as drafts write tuples differently."""
    items = schema.get("items")
    listed = schema.get("prefixItems", items)
    if not isinstance(listed, list):
        return items
    others = items if "prefixItems" in schema else schema.get("additionalItems")
    if not isinstance(others, dict) and others is not False and schema.get("maxItems", len(listed) + 1) > len(listed):
        return None
    kinds: list[Any] = []
    for part in (*listed, others):
        if part not in (None, False) and part not in kinds:
            kinds.append(part)
    return {"anyOf": kinds}


def _references(root: Any) -> Iterator[str]:
    return (schema["$ref"] for schema in _schemas(root) if "$ref" in schema)


def patterns(root: Any) -> Iterator[str]:
    """Yield the regular expressions of a schema."""
    for schema in _schemas(root):
        yield from (pattern for pattern in (schema.get("pattern"), *schema.get("patternProperties", ())) if pattern is not None)


def _not_javascript(pattern: str) -> str:
    """Return the part of a pattern that JavaScript does not take, as far as that can be seen without it; empty for none."""
    for token in _TOKENS.finditer(pattern):
        text = token[0]
        match token.lastgroup:
            case "escape" if not _ESCAPES.match(text):
                return text
            case "set":
                if wrong := [escaped for escaped in _IN_SET.findall(text) if escaped not in _SET_ESCAPES]:
                    return rf"\{wrong[0]}"
            case "group" if not _GROUPS.fullmatch(text):
                return text
            case "repeat" | "more" if token["more"] not in ("", "?"):
                return text
            case "lone":
                return text
    return ""


def _schemas(schema: Any) -> Iterator[dict[str, Any]]:
    """Yield a schema and those in it."""
    match schema:
        case dict():
            yield schema
            for keyword, part in schema.items():
                if keyword in _NAMED:
                    for named in part.values():
                        yield from _schemas(named)
                elif keyword in _ONE | _SEVERAL or keyword == "items":
                    yield from _schemas(part)
        case list():
            for part in schema:
                yield from _schemas(part)


def _resolves(root: dict[str, Any], reference: str) -> bool:
    start, *steps = unquote(reference).split("/")
    if start != "#":
        return False
    place: Any = root
    for step in steps:
        name = step.replace("~1", "/").replace("~0", "~")
        if isinstance(place, list) and name.isdecimal() and int(name) < len(place):
            place = place[int(name)]
        elif isinstance(place, dict) and name in place:
            place = place[name]
        else:
            return False
    return True
