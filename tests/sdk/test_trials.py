"""Trials: every variant with every model on every row, scored; what is noise; judges; logs of Inspect."""

from __future__ import annotations

import json
import math
import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy
import pandas
import pytest
from messages_api import MessagesAPI
from watching import MakeConfig, Run

from claude_magic.errors import ClaudeError, ConfigError, ScoreError
from claude_magic.sdk import RowOutcome, Trial, TurnOptions, ask_each
from claude_magic.sdk._rows.request import Arm
from claude_magic.sdk._rows.work import Template
from claude_magic.sdk._trials.findings import mean_interval
from claude_magic.sdk._trials.request import Judgement

TONES = {"tone": ["formal", "plain"]}
PLAIN, FORMAL = Arm({"tone": "plain"}), Arm({"tone": "formal"})


def judge(prompt: str) -> str | None:
    """Prefer what is plain, wherever it stands; grade by how long a text is."""
    if prompt.startswith("Which"):
        first = prompt.split("1:")[1].split("2:")[0]
        return '<<tool StructuredOutput {"better": "%s"}>>' % ("first" if "plain" in first else "second")
    return '<<tool StructuredOutput {"score": 3}>>' if prompt.startswith("Grade") else None


@pytest.fixture(scope="module")
def module_api() -> Iterator[MessagesAPI]:
    """The scripted API, which also judges."""
    with MessagesAPI(judge) as api:
        yield api


@pytest.fixture
def each(make_config: MakeConfig, run_async: Run) -> Any:
    """Run `ask_each` to its end, with the scripted API."""

    def ask(template: str, rows: Any, **choices: Any) -> Any:
        return run_async(ask_each(template, rows, config=make_config(), **choices), timeout_s=240)

    return ask


def trial_of(columns: list[tuple[Arm, list[Any]]], score: Any = lambda row, reply: reply) -> Trial:
    """Return a trial in which each arm was given these replies, row by row; by itself a reply is its score."""
    trial = Trial(tuple(arm for arm, _ in columns), Template("{{ tone }} {{ row }}"), TurnOptions(bare=True), score=score)
    for row, replies in enumerate(zip(*(replies for _, replies in columns), strict=True)):
        for number, reply in enumerate(replies):
            failed = reply if isinstance(reply, ClaudeError) else None
            trial.add(RowOutcome(row * len(columns) + number, f"row {row}", reply, failed, cost_usd=0.01, duration_s=2.0))
    return trial


def test_every_way_once(each: Any, api: MessagesAPI, tmp_path: Path) -> None:
    """Each variant and model is asked about each row once; what the checkpoint holds is not asked again, also by itself."""
    rows = pandas.DataFrame({"text": ["a", "b", "c"]})
    template, checkpoint = "{{ tone }}: {{ text }}", tmp_path / "c.sqlite"
    choices: dict[str, Any] = {"vary": TONES, "models": ["sonnet", "opus"], "checkpoint": checkpoint, "concurrency": 2}
    choices["score"] = lambda row, reply: reply.endswith(f"plain: {row['text']}")
    half = each(template, rows[:2], **choices)
    assert len(api.requests) == 8
    trial = each(template, rows, **choices)
    asked = Counter(
        (body["model"].split("-")[1], prompts[-1]) for body, prompts in zip(api.requests, api.prompts(), strict=True)
    )
    assert asked == {(m, f"{t}: {x}"): 1 for m in ("sonnet", "opus") for t in ("formal", "plain") for x in "abc"}
    texts = [json.dumps({name: part for name, part in body.items() if name != "metadata"}) for body in api.requests]
    assert max(map(len, texts)) - min(map(len, texts)) < 20
    assert [(arm.label, arm.mean, arm.n) for arm in trial.table] == [
        ("plain, sonnet", 1.0, 3),
        ("plain, opus", 1.0, 3),
        ("formal, sonnet", 0.0, 3),
        ("formal, opus", 0.0, 3),
    ]
    assert "8 from the checkpoint" in trial.summary()
    assert half.best.label == "plain, sonnet"
    assert list(trial.to_frame().columns) == ["row", "variant", "model", "reply", "score", "cost_usd", "duration_s", "error"]
    assert trial.to_frame()["duration_s"].min() > 0
    # The keys are those of a run over rows.
    named = [{"text": text, "tone": "plain"} for text in "abc"]
    assert each(template, named, model="opus", checkpoint=checkpoint).values == [f"You said: plain: {text}" for text in "abc"]
    assert len(api.requests) == 12


@dataclass
class Label:
    """What a text is about."""

    topic: str


def test_the_best_labels_other_rows(each: Any, api: MessagesAPI, tmp_path: Path) -> None:
    """The best fills its template with a row as pandas gives it; its options hold the schema, and label a whole table."""
    reply = '{{ tone }} {{ text }} <<tool StructuredOutput {"topic": "{{ tone }}"}>>'
    texts, checkpoint = pandas.DataFrame({"text": ["a", "b", "c"]}), tmp_path / "c.sqlite"
    trial = each(
        reply,
        texts[:2],
        vary=TONES,
        model="sonnet",
        schema=Label,
        score=lambda row, reply: reply.topic == "plain",
        checkpoint=checkpoint,
        concurrency=1,
    )
    assert trial.best.options == {"model": "sonnet", "bare": True, "schema": Label}
    assert trial.summary().startswith("2 rows in 2 ways, 4 replies, $")
    api.begin()
    best = trial.best
    assert best.prompt(texts.iloc[2]).startswith("plain c <<tool")
    labels = each(best.template, texts.assign(**best.variant), checkpoint=checkpoint, concurrency=1, **best.options)
    assert labels.values == [Label("plain")] * 3  # the trial's rows are not sent again
    assert list(labels.to_frame().columns) == ["text", "tone", "topic"]
    assert {prompts[-1].partition(" <")[0] for prompts in api.prompts()} == {"plain c"}


def test_a_model_that_is_not_there(each: Any, api: MessagesAPI) -> None:
    """A model that the API does not know is asked once, fails in its places, and the others go on."""
    trial = each("<<only sonnet>><<say {{ row }}>>", list("abc"), models=["sonnet", "opuss"], concurrency=1, max_retries=0)
    assert [(arm.label, arm.n, arm.errors) for arm in trial.table] == [("opuss", 0, 3), ("sonnet", 3, 0)]
    asked = zip(api.requests, api.prompts(), strict=True)
    assert len({prompts[-1] for body, prompts in asked if "opuss" in body["model"]}) == 1
    assert trial.verdict == ""


def test_a_budget_that_ends_in_the_middle(each: Any, api: MessagesAPI) -> None:
    """A trial that runs out of budget is partial and says so; every way to ask came equally far."""
    price = each("{{ row }}", ["price"], model="sonnet", concurrency=1).cost_usd
    api.begin()
    trial = each(
        "{{ tone }} {{ row }}", list("abcd"), model="sonnet", vary=TONES, score=lambda row, reply: 1, budget_usd=price * 4.5
    )
    assert len(api.requests) == 4
    assert [arm.n for arm in trial.table] == [2, 2]
    assert "partial: the next row would exceed the budget" in trial.summary()
    assert "told from noise" in trial.verdict


def test_a_judge_is_blind(each: Any, api: MessagesAPI, tmp_path: Path) -> None:
    """A prompt that compares sees each two replies in both orders, bare, without variant and model; it counts as cost."""
    score = "Which is better for {{ text }}? 1: {{ first }} 2: {{ second }}"
    rows = [{"text": "a"}, {"text": "b"}]
    choices: dict[str, Any] = {"vary": {"word": ["<<say formal {{ 1 }}>>", "<<say plain>>"]}, "score": score}
    trial = each("{{ word }} {{ text }}", rows, checkpoint=tmp_path / "c.sqlite", judge_model="haiku", **choices)
    judged = [body for body in api.requests if "haiku" in body["model"]]
    assert len(judged) == 4
    asked = [prompts[-1] for prompts in api.prompts() if prompts[-1].startswith("Which")]
    assert sorted(asked) == sorted(
        f"Which is better for {text}? 1: {one} 2: {other}"
        for text in "ab"
        for one, other in (("formal {{ 1 }}", "plain"), ("plain", "formal {{ 1 }}"))
    )
    assert [arm.mean for arm in trial.table] == [1.0, 0.0]
    assert trial.cost_usd > sum(outcome.cost_usd for outcome in trial)
    again = each("{{ word }} {{ text }}", rows, checkpoint=tmp_path / "c.sqlite", judge_model="haiku", **choices)
    assert (len(api.requests), again.cost_usd, again.table[0].mean) == (8, 0, 1.0)
    assert again.remarks == []


def test_a_judge_of_one_reply(each: Any, api: MessagesAPI) -> None:
    """A prompt that names no reply gets each one below it."""
    trial = each("{{ row }}", ["<<say one>>", "<<say two>>"], score="Grade it.")
    assert [trial.scores[place] for place in (0, 1)] == [3.0, 3.0]
    assert {prompts[-1] for prompts in api.prompts()} >= {f"Grade it.\n\n<reply>\n{word}\n</reply>" for word in ("one", "two")}


def test_a_judge_that_goes_by_place() -> None:
    """Whoever prefers the first reply in both orders has told nothing: both get half, and it is said how often that was."""
    trial = Trial((PLAIN, FORMAL), Template("{{ row }}"), TurnOptions(), is_judged=True)
    for position in (0, 1):
        trial.add(RowOutcome(position, "a", "reply"))
    trial.add(Judgement(0, {}, {"better": "first"}, about=(0, 1)))
    assert trial.scores == {}
    trial.add(Judgement(1, {}, {"better": "first"}, about=(1, 0)))
    assert trial.scores == {0: 0.5, 1: 0.5}
    assert trial.judged_by_place() == (1, 1)


@pytest.mark.parametrize(
    ("choices", "said"),
    [
        ({"vary": {"tone": ["formal"]}}, "fewer than two"),
        ({"vary": {"tone": ["formal", "formal"]}}, "twice"),
        ({"vary": {"tone": [1, "1"]}}, "twice"),
        ({"vary": {"tone": ["a, b", "a"], "mood": ["c", "b, c"]}}, "'a, b, c' twice"),
        ({"vary": {"tone": "formal"}}, "not a list"),
        ({"vary": {"no name": ["a", "b"]}}, "no name"),
        ({"vary": ["formal"]}, "vary cannot be of type list"),
        ({"vary": {"mood": ["a", "b"]}}, "does not name {{ mood }}"),
        ({"vary": TONES | {"text": ["a", "b"]}}, "text is also a column"),
        ({"models": "sonnet"}, "not a list"),
        ({"models": ["sonnet", "sonnet"]}, "twice"),
        ({"models": ["sonnet", ""]}, "only names"),
        ({"models": ["sonnet", "opus"], "model": "haiku"}, "exclude"),
        ({"score": 5}, "type int"),
        ({"score": len}, "row and its reply"),
        ({"score": ""}, "empty"),
        ({"score": "{{ first }} alone"}, "must name one reply, or two"),
        ({"score": "{{ nothing }} {{ reply }}"}, "no column nothing"),
        ({"vary": TONES, "score": "{{ reply }} {{ tone }}"}, "would not judge blind"),
        ({"judge_model": "opus"}, "a score that is a prompt"),
    ],
)
def test_bad_input(choices: dict[str, Any], said: str, each: Any, api: MessagesAPI) -> None:
    """What cannot be meant is said before anything is sent."""
    with pytest.raises(ConfigError, match=said):
        each("{{ tone }} {{ text }}", [{"text": "a", **({} if "vary" in choices else {"tone": "b"})}], **choices)
    assert api.requests == []


def test_a_score_that_fits_no_row(each: Any, api: MessagesAPI) -> None:
    """A score that names a missing column is refused before anything is sent, however many rows fill the template."""
    with pytest.raises(ConfigError, match="no column nothing"):
        each("{{ text }}", [{"text": "a"}, {"text": "b"}], score="{{ nothing }} {{ reply }}")
    assert api.requests == []


def test_no_rows(each: Any, api: MessagesAPI) -> None:
    """A trial over no rows is refused like any other run."""
    with pytest.raises(ConfigError, match="There are no rows"):
        each("{{ tone }} {{ row }}", [], vary=TONES)


def test_a_bad_score_is_an_error_in_its_place() -> None:
    """A score that raises or is no number is an error in its place; numbers and bools of any library count."""
    given = [1, True, numpy.float32(0.5), numpy.bool_(False), None, math.nan, "much", [1], 1j]
    trial = trial_of([(PLAIN, given)])
    assert [trial.scores[place] for place in range(4)] == [1.0, 1.0, 0.5, 0.0]
    assert list(trial.errors) == [4, 5, 6, 7, 8]
    assert all(isinstance(error, ScoreError) for error in trial.errors.values())
    failing = trial_of([(PLAIN, ["a", "b"])], score=lambda row, reply: {"a": 1}[reply])
    assert "KeyError: 'b'" in failing.errors[1].message
    assert (failing.table[0].n, failing.table[0].errors) == (1, 1)


def test_a_bad_score_ends_the_run(each: Any) -> None:
    """With `on_error="raise"` a score that raises ends the run like a row that fails; the error holds what there is."""
    with pytest.raises(ScoreError, match="ZeroDivisionError") as caught:
        each("{{ row }}", list("abcdef"), score=lambda row, reply: 1 / 0, on_error="raise", concurrency=1)
    assert caught.value.results[0].value == "You said: a"


def test_equal_prompts_are_noise() -> None:
    """Of two prompts that score alike nothing is told, however many rows there are; nor of one that is better by chance."""
    same = trial_of([(PLAIN, [1, 0] * 100), (FORMAL, [1, 0] * 100)])
    assert same.differences[0].difference == 0
    chance = random.Random(3)
    tossed = trial_of([(arm, [chance.random() < 0.5 for _ in range(200)]) for arm in (PLAIN, FORMAL)])
    few = trial_of([(PLAIN, [1, 1, 1]), (FORMAL, [0, 0, 0])])
    for trial in (same, tossed, few):
        assert trial.verdict.startswith("No difference can be told from noise")
        assert not trial.differences[0].is_told


def test_more_than_noise() -> None:
    """A difference that holds on many rows is told, with an interval that holds it; of equal scores the cheaper is best."""
    good, bad = [1] * 35 + [0] * 15, [1] * 15 + [0] * 35
    trial = trial_of([(FORMAL, bad), (PLAIN, good)])
    (difference,) = trial.differences
    assert (difference.one, difference.other, difference.n) == ("plain", "formal", 50)
    assert difference.difference == pytest.approx(0.4)
    assert difference.low is not None
    assert difference.high is not None
    assert 0.2 < difference.low < 0.4 < difference.high < 0.6
    assert trial.verdict == "plain scores higher than every other, and that is more than noise."
    assert (trial.best.label, trial.best.prompt("x"), trial.best.options) == ("plain", "plain x", {"bare": True})
    alike = trial_of([(FORMAL, bad), (PLAIN, good), (Arm({"tone": "kind"}), good)])
    assert alike.verdict == "plain scores highest, but cannot be told from kind."


def test_disagreements() -> None:
    """Rows that were scored most differently come first; without scores, those with most different replies."""
    trial = trial_of([(PLAIN, [1, 0.5, 0, 1]), (FORMAL, [1, 0, 1, ClaudeError("no")])])
    assert [(row.row, row.spread) for row in trial.disagreements] == [(2, 1.0), (1, 0.5)]
    assert trial.disagreements[0].replies == {"plain": 0, "formal": 1}
    unscored = trial_of([(PLAIN, ["a", "b"]), (FORMAL, ["a", "c"])], score=None)
    assert [(row.row, row.content) for row in unscored.disagreements] == [(1, "row 1")]
    with pytest.raises(ClaudeError, match="No reply has a score"):
        _ = unscored.best


def test_intervals() -> None:
    """The interval of a mean is that of the normal approximation, holds it as often as it says, and is the same each time."""
    draw = numpy.random.default_rng(1)
    sample = draw.normal(10, 2, 100)
    low, high = mean_interval(sample) or (0, 0)
    half = 1.96 * sample.std() / 10
    assert (low, high) == pytest.approx((sample.mean() - half, sample.mean() + half), abs=0.03)
    assert mean_interval(sample) == (low, high)
    assert mean_interval([3.0] * 5) == (3, 3)
    assert mean_interval([3.0] * 5_000) == pytest.approx((3, 3))
    many = draw.normal(10, 2, 499)
    fewer, more = mean_interval(many), mean_interval([*many, many.mean()])
    assert fewer == pytest.approx(more, abs=0.02)
    assert mean_interval([1.0]) is None
    held = [low <= 0 <= high for low, high in (mean_interval(draw.normal(0, 1, 40)) or (1, 1) for _ in range(200))]
    assert 0.88 <= sum(held) / len(held) <= 0.99


def test_plot() -> None:
    """The plot has a point with an interval for each way to ask that has a score."""
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    axes = trial_of([(PLAIN, [1, 0, 1]), (FORMAL, [0, 0, ClaudeError("no")])]).plot()
    assert [label.get_text() for label in axes.get_yticklabels()] == ["formal", "plain"]
    matplotlib.pyplot.close(axes.figure)
    with pytest.raises(ConfigError, match="nothing to plot"):
        trial_of([(PLAIN, ["a"])], score=None).plot()


def test_inspect_log(tmp_path: Path) -> None:
    """Inspect's own reader finds a sample for each reply, with prompt, score and error, and the means."""
    log = pytest.importorskip("inspect_ai.log")
    trial = trial_of([(PLAIN, [1, 0]), (Arm({"tone": "formal"}, "opus"), [1, ClaudeError("refused")])])
    for name in ("trial.eval", "trial.json"):
        trial.to_inspect(tmp_path / name)
        read = log.read_eval_log(str(tmp_path / name))
        assert read.status == "success"
        assert {sample.id: sample.scores and sample.scores["score"].value for sample in read.samples} == {
            "0 plain": 1,
            "0 formal, opus": 1,
            "1 plain": 0,
            "1 formal, opus": None,
        }
        first = next(sample for sample in read.samples if sample.id == "1 formal, opus")
        assert (first.input, first.error.message) == ("formal row 1", "refused")
        assert {score.name: score.metrics["mean"].value for score in read.results.scores} == {"plain": 0.5, "formal, opus": 1}
    with pytest.raises(ConfigError, match="cannot be the name of a log"):
        trial.to_inspect(tmp_path / "trial.txt")
