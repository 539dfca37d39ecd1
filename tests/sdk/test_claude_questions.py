"""Claude's own questions, at the real CLI: who is asked what, and what Claude hears."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from messages_api import MessagesAPI
from watching import MakeConfig, Run

from claude_magic.sdk import ClaudeClient, ClaudeConfig, SessionAwareResponse, TurnOptions
from claude_magic.sdk._cassette.cassette import cassette
from claude_magic.sdk.content import Prompt
from claude_magic.sdk.host import Choice, ClaudeQuestion, Decision, Listener, PermissionAnswer, PermissionRequest, questions_in
from claude_magic.sdk.response import ToolCall
from claude_magic.sdk.turn_request import TurnRequest

COLOUR = "Which colour?"


def question(text: str = COLOUR, *labels: str, several: bool = False) -> dict[str, Any]:
    options = [{"label": label, "description": f"about {label}"} for label in labels or ("Red", "Blue")]
    return {"question": text, "header": "Choice", "multiSelect": several, "options": options}


def prompt_of(*questions: dict[str, Any], **more: Any) -> str:
    return f"<<tool AskUserQuestion {json.dumps({'questions': questions, **more})}>>"


@pytest.fixture(scope="module")
def module_api() -> Iterator[MessagesAPI]:
    script = prompt_of(question())
    with MessagesAPI(lambda prompt: script if "GO, HELPER" in prompt else None) as api:
        yield api


class Person(Listener):
    """Gives one answer, and remembers what it was asked."""

    def __init__(self, answer: PermissionAnswer) -> None:
        super().__init__()
        self.answer = answer
        self.asked: list[PermissionRequest] = []

    async def ask(self, request: PermissionRequest) -> PermissionAnswer:
        self.asked.append(request)
        return self.answer


def answers(**said: str) -> Person:
    return Person(PermissionAnswer(Decision.ANSWERED, answers=said))


@pytest.fixture
def ask(make_config: MakeConfig, run_async: Run, workdir: Path) -> Any:
    """Run one turn for a host, in a cassette if there is one."""

    def ask(
        prompt: str, host: Listener, *, asks: bool = True, config: ClaudeConfig | None = None, tape: Any = None, **choices: Any
    ) -> SessionAwareResponse:
        async def go() -> SessionAwareResponse:
            async with ClaudeClient(config or make_config(), asks=asks) as client:
                request = TurnRequest(prompt=Prompt(prompt), directory=str(workdir), options=TurnOptions(**choices))
                if tape is None:
                    return await client.run_turn(request, host)
                with tape:
                    return await client.run_turn(request, host)

        reply: SessionAwareResponse = run_async(go())
        return reply

    return ask


def heard(api: MessagesAPI) -> str:
    """Return what the CLI told the model of the answer."""
    (block,) = api.requests[-1]["messages"][-1]["content"][:1]
    return json.dumps(block, ensure_ascii=False)


def call_in(reply: SessionAwareResponse) -> ToolCall:
    (call,) = [block for block in reply.blocks if isinstance(block, ToolCall)]
    return call


@pytest.mark.parametrize("choices", [{}, {"permission_mode": "plan"}, {"allowed_tools": ("AskUserQuestion",)}])
def test_answered(ask: Any, api: MessagesAPI, choices: dict[str, Any]) -> None:
    """The host is asked with the choices, whatever the mode and the rules, and its answer is what Claude hears."""
    person = answers(**{COLOUR: "Blue"})
    call = call_in(ask(prompt_of(question()), person, **choices))
    (asked,) = person.asked
    choice = tuple(Choice(label, f"about {label}") for label in ("Red", "Blue"))
    assert asked.questions == (ClaudeQuestion(COLOUR, "Choice", choice),)
    assert asked.rules == ()
    assert r"\"Which colour?\"=\"Blue\"" in heard(api)
    assert (call.permission, call.denied, call.is_error) == ("answered: Blue", False, False)


def test_several(ask: Any, api: MessagesAPI) -> None:
    """Each of several questions has its answer, with commas and quotes in it; a text that was not asked is left out."""
    person = answers(**{COLOUR: 'Red, "Blue"', "Why?": "my own, words", "Never asked?": "x"})
    call = call_in(ask(prompt_of(question(several=True), question("Why?")), person))
    assert [each.several for each in person.asked[0].questions] == [True, False]
    assert "my own, words" in heard(api)
    assert "Never asked" not in heard(api)
    assert call.permission == 'answered: Red, "Blue"; my own, words'


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (PermissionAnswer(Decision.DENY, "Choose yourself."), "Choose yourself."),
        (PermissionAnswer(Decision.DENY), "The person does not answer."),
        (PermissionAnswer(Decision.ONCE), "The person has not answered."),
        (PermissionAnswer(Decision.SESSION), "The person has not answered."),
        (PermissionAnswer(Decision.ANSWERED), "The person has not answered."),
        (PermissionAnswer(Decision.ANSWERED, answers={COLOUR: "  "}), "The person has not answered."),
    ],
)
def test_not_answered(ask: Any, api: MessagesAPI, answer: PermissionAnswer, said: str) -> None:
    """A host that declines, or allows what can only be answered, gives no answer, not even one that the model made up."""
    call = call_in(ask(prompt_of(question(), answers={COLOUR: "made up"}), Person(answer)))
    assert said in heard(api)
    assert "made up" not in heard(api)
    assert call.denied


def test_no_answer_is_a_permission(ask: Any, workdir: Path) -> None:
    """A permission that is answered as if it were a question is none."""
    prompt = f"<<tool Bash {json.dumps({'command': 'touch made'})}>><<say done>>"
    assert call_in(ask(prompt, answers(**{COLOUR: "Blue"}))).denied
    assert not (workdir / "made").exists()


def test_nobody_to_ask(ask: Any, api: MessagesAPI) -> None:
    """Where no host can be asked the tool is not offered; a host that only listens declines."""
    ask("hello", Listener(), asks=False)
    assert "AskUserQuestion" not in json.dumps(api.requests[-1]["tools"])
    call = call_in(ask(prompt_of(question()), Listener()))
    assert call.denied
    assert "Nobody can be asked here." in heard(api)


def test_a_helper_has_no_questions(ask: Any, api: MessagesAPI) -> None:
    """A helper is not offered the tool, and what it asks all the same reaches nobody."""
    person = answers(**{COLOUR: "Blue"})
    call = {"description": "d", "prompt": "GO, HELPER", "subagent_type": "general-purpose", "run_in_background": False}
    reply = ask(f"<<tool Agent {json.dumps(call)}>><<say done>>", person)
    inner = [block for block in reply.blocks if isinstance(block, ToolCall) and block.parent_id]
    assert [(block.name, block.is_error) for block in inner] == [("AskUserQuestion", True)]
    assert person.asked == []


def test_dont_ask(ask: Any) -> None:
    """In the mode that does not ask, nobody is asked."""
    person = answers(**{COLOUR: "Blue"})
    assert call_in(ask(prompt_of(question()), person, permission_mode="dontAsk")).denied
    assert person.asked == []


def test_what_is_no_question(ask: Any) -> None:
    """The CLI refuses questions without a choice, with too many, or with two alike, and nobody sees them."""
    refused = [
        [],
        [{"question": COLOUR}],
        [{**question(), "options": []}],
        [question(), question()],
        *([question(COLOUR, *labels)] for labels in (["Red"], map(str, range(50)), ["Red", "Red"])),
    ]
    person = answers(**{COLOUR: "Red"})
    reply = ask("".join(prompt_of(*questions) for questions in refused), person)
    assert [call.is_error for call in reply.blocks if isinstance(call, ToolCall)] == [True] * len(refused)
    assert person.asked == []


def test_whatever_a_call_holds() -> None:
    """From any input at all those questions are read that are some, each once, each label once."""
    for given in (None, 1, "x", [1, None, "x"], {"question": "x"}):
        assert questions_in("AskUserQuestion", {"questions": given}) == ()
    odd = {"question": 5, "options": [1, {"label": None}, {"label": "A", "preview": []}, {"label": "A"}], "multiSelect": "yes"}
    assert questions_in("AskUserQuestion", {"questions": [odd, odd]}) == (ClaudeQuestion("", "", (Choice("A"),)),)
    assert questions_in("Bash", {"questions": [question()]}) == ()


def test_answer_with_commas() -> None:
    """Of several labels those with commas are quoted; words stand behind the labels."""
    asked = ClaudeQuestion(COLOUR, several=True)
    assert asked.answer(["Red, warm", "Blue"]) == '"Red, warm", Blue'
    assert asked.answer(["Red, warm"]) == "Red, warm"
    assert asked.answer(["Blue"], "or so") == "Blue – or so"
    assert asked.answer([], "or so") == "or so"


def test_played(ask: Any, tmp_path: Path) -> None:
    """A recorded turn shows the question and the answer that was given then, and asks nobody."""
    path, prompt = tmp_path / "lesson.jsonl", prompt_of(question())
    live = call_in(ask(prompt, answers(**{COLOUR: "Blue"}), tape=cassette(path, mode="record")))
    person = answers(**{COLOUR: "Red"})
    nowhere = ClaudeConfig(cli_path="/nowhere/claude")
    played = call_in(ask(prompt, person, config=nowhere, tape=cassette(path, mode="replay", speed=0)))
    assert person.asked == []
    assert (played.input, played.permission, played.result) == (live.input, "answered: Blue", live.result)
