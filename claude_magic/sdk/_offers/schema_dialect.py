"""Reduces a JSON schema to what the CLI accepts for `--json-schema`.

The CLI (2.1.331) reads draft 7 and refuses a schema with an unknown keyword. The API reads draft 2020-12 and needs an object at
the root of a tool's input. Keywords that both accept are kept, all others are left out. `Schema.load` checks the reply against
the whole schema later.
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
"""The most characters of a schema: more than a model can fill in. On Linux, one argument of a command may have 128 KiB."""

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
# The API accepts none of these at the root of a tool's input, whatever else it contains.
_NOT_AT_ROOT: Final = frozenset({"$ref", "allOf", "anyOf", "oneOf", "not", "if", "enum", "const"})

# The parts of a pattern, as JavaScript reads them with the flag `u`. The CLI (2.1.332) reads a schema's patterns that way.
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
    """Return the schema for the CLI, and whether the reply will be wrapped in an object with one property.

    :raises ConfigError: if a reference leads outside the schema, the CLI cannot read a pattern, or the schema is too long.
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
    for reference in [part["$ref"] for part in _schemas(root) if "$ref" in part]:
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
    """Leave out keywords that the CLI does not accept. `root` is the path in the result to which the schema will be moved."""
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
    """Return the schema of the items. Drafts write tuples differently, so any item of a tuple may have any of its types."""
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


def patterns(root: Any) -> Iterator[str]:
    """Yield the regular expressions of a schema."""
    for schema in _schemas(root):
        yield from (pattern for pattern in (schema.get("pattern"), *schema.get("patternProperties", ())) if pattern is not None)


def _not_javascript(pattern: str) -> str:
    """Return the first part of a pattern that JavaScript would refuse, as far as we can see that; empty if there is none."""
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
