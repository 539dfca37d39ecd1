"""Turns that are asked for a structured reply: what comes back, and what is said when it does not fit."""

from __future__ import annotations

import asyncio
import json
import shlex
from dataclasses import dataclass
from typing import Annotated, Any, TypedDict

import pytest
from messages_api import MessagesAPI
from pydantic import Field
from watching import MakeConfig, Run, run_turn

from claude_magic._render.settled.reply import SettledReply, reply_plain
from claude_magic.errors import ConfigError, StructuredOutputError
from claude_magic.sdk import ClaudeClient, Schema, SessionAwareResponse, TurnOptions


@dataclass
class Person:
    name: str
    age: int


class Tree(TypedDict):
    name: str
    parts: list[Tree]


PERSON = Schema.of(Person)
OPTIONS = TurnOptions(schema=PERSON.text)
ADA: dict[str, Any] = {"name": "Ada", "age": 36}
OLD: dict[str, Any] = {"name": "Ada", "age": "old"}


def answering(*attempts: dict[str, Any]) -> str:
    """Write a prompt that makes the model answer with data, each attempt after the one before failed."""
    return "".join(f"<<tool StructuredOutput {json.dumps(data)}>>" for data in attempts)


@pytest.mark.short
def test_a_reply_that_fits(make_config: MakeConfig, run_async: Run) -> None:
    """The data is an instance of the schema and the reply's text; what does not fit at first is put right by the model."""

    async def ask() -> list[SessionAwareResponse]:
        async with ClaudeClient(make_config()) as client:
            first = await run_turn(client, "<<say Let me see.>>" + answering(ADA), options=OPTIONS)
            return [first, await run_turn(client, answering(OLD, ADA), options=OPTIONS, session_id=first.session_id)]

    first, second = run_async(ask())
    for reply in first, second:
        assert PERSON.load(reply.structured) == Person("Ada", 36)
        assert json.loads(reply.content) == ADA
    command = shlex.split(first.metadata["command"])
    assert command[command.index("--json-schema") + 1] == PERSON.text
    shown = '```json\n{\n  "name": "Ada",\n  "age": 36\n}\n```\n\n'
    assert reply_plain(SettledReply(first)).startswith(f"Let me see.\n\n{shown}")
    assert reply_plain(SettledReply(second)).startswith("StructuredOutput  Ada  ✗ failed")
    assert shown in reply_plain(SettledReply(second))


def test_replies_that_do_not_fit(make_config: MakeConfig, run_async: Run) -> None:
    """Data that never fits, and plain text, are errors that keep what was said; the session goes on in the same process."""

    async def ask() -> tuple[list[StructuredOutputError], SessionAwareResponse]:
        errors = []
        async with ClaudeClient(make_config()) as client:
            session_id = None
            for prompt in ("<<say Her age is old.>>" + answering(*[OLD] * 6), "<<say She is 36.>>", answering(*[OLD] * 6)):
                with pytest.raises(StructuredOutputError) as caught:
                    await run_turn(client, prompt, options=OPTIONS, session_id=session_id)
                errors.append(caught.value)
                session_id = caught.value.session_id
                assert session_id
            process = client.warm(session_id)
            assert process is not None
            assert process.turns == 3
            return errors, await run_turn(client, answering(ADA), options=OPTIONS, session_id=session_id)

    (never, plain, again), reply = run_async(ask())
    assert "/age: must be integer" in never.message
    assert never.content == f"Her age is old.\n\n{json.dumps(OLD, indent=2)}"
    assert "answered in text" in plain.message
    assert plain.content.startswith("She is 36.")
    assert json.loads(again.content) == OLD
    assert {never.session_id, plain.session_id, again.session_id} == {reply.session_id}
    assert reply.structured == ADA


def test_schemas_take_turns_in_a_session(make_config: MakeConfig, run_async: Run, api: MessagesAPI) -> None:
    """Each turn has its own schema or none, sees what was said before, and so does one that a new client resumes."""
    numbers = Schema.of(list[int])

    async def ask() -> list[SessionAwareResponse]:
        async with ClaudeClient(make_config()) as client:
            replies = [await run_turn(client, answering(ADA), options=OPTIONS)]
            session_id = replies[0].session_id
            options = TurnOptions(schema=numbers.text)
            replies.append(await run_turn(client, answering({"value": [1, 2]}), options=options, session_id=session_id))
            replies.append(await run_turn(client, "<<history>>", session_id=session_id))
        async with ClaudeClient(make_config()) as client:
            replies.append(await run_turn(client, answering(ADA) + "<<say x>>", options=OPTIONS, session_id=session_id))
        return replies

    first, second, third, fourth = run_async(ask())
    assert numbers.load(second.structured) == [1, 2]
    assert third.structured is None
    assert third.content.splitlines() == [f"- {answering(ADA)}", f"- {answering({'value': [1, 2]})}", "- <<history>>"]
    assert fourth.structured == ADA
    assert {reply.session_id for reply in (second, third, fourth)} == {first.session_id}
    offered = [[tool["name"] for tool in request["tools"]].count("StructuredOutput") for request in api.requests]
    assert offered == [1, 1, 0, 1]


def test_the_cli_takes_every_form(make_config: MakeConfig, run_async: Run) -> None:
    """A schema that refers to itself, a union with a tuple in it, and one that only the CLI finds wrong."""
    tree = Schema.of(Tree)
    union = Schema.of(Person | tuple[int, str])
    by_cli = Schema.of(Annotated[str, Field(pattern=r"^\p{Greek}$")])  # JavaScript has it as \p{Script=Greek}
    data = {"name": "root", "parts": [{"name": "leaf", "parts": []}]}

    async def ask() -> tuple[Any, ...]:
        async with ClaudeClient(make_config()) as client:
            return await asyncio.gather(
                run_turn(client, answering({"value": data}), options=TurnOptions(schema=tree.text)),
                run_turn(client, answering({"value": [1, "a"]}), options=TurnOptions(schema=union.text)),
                run_turn(client, answering({"value": "α"}), options=TurnOptions(schema=by_cli.text)),
                return_exceptions=True,
            )

    of_tree, of_union, refused = run_async(ask())
    assert tree.load(of_tree.structured) == data
    assert union.load(of_union.structured) == (1, "a")
    assert isinstance(refused, ConfigError)
    assert refused.message == "The CLI does not take the schema, and does not say why."
    assert "Greek" in refused.next_step
